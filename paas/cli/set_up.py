"""`paas create --from URL`: one command from a repository to an app that serves, and its deploy hook."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from paas.cli.connection import connected, follow
from paas.cli.deploy import check_script, ended
from paas.cli.output import facts, put_json, say
from paas.cli.target import sanitised
from paas.errors import UsageError

if TYPE_CHECKING:
    from paas.client import Client

HOSTS = ("github", "gitlab", "gitea", "forgejo")


@dataclass(frozen=True, slots=True)
class SetUp:
    """What was typed."""

    source: str
    ref: str
    name: str
    env: tuple[str, ...]
    hook: str
    buildpack: str
    environment: str
    team: str

    def run(self, *, as_json: bool) -> None:
        """Set it up; ask for what it requires where somebody can answer. Raises UsageError before anything is sent."""
        from paas.model.deploy_hook import repository_of
        from paas.requests.deploys import SetUpApp

        if self.hook and self.hook not in HOSTS:
            raise UsageError(f"no deploys come from {self.hook[:40]!a}", hint=f"one of {', '.join(HOSTS)}")
        if self.hook:
            repository_of(self.hook, self.source.partition("#")[0])
        name, given = self._name(), self._given()
        with connected() as client:
            if sys.stdin.isatty() and not as_json:
                given |= self._asked(client, name, given)
            answer = follow(
                client,
                SetUpApp(
                    app=name, url=self._url(), environment=self.environment, env=given, team=self.team,
                    buildpack=self.buildpack,
                ),
                quiet=as_json,
            )  # fmt: skip
            made = self._hooked(client, name) if self.hook else None
        if as_json:
            put_json({**answer, "hook": made})
        else:
            ended(answer, name)
            if made:
                self._tell(made)
        check_script(answer.get("postdeploy"))

    def _name(self) -> str:
        """The name given, else the repository's."""
        from paas.model.names import app_name

        repository = self.source.partition("#")[0].rstrip("/").rpartition("/")[2].removesuffix(".git")
        return app_name(self.name or sanitised(repository))

    def _url(self) -> str:
        if self.ref and "#" in self.source:
            raise UsageError("the revision is named twice", hint="leave out --ref, or what follows #")
        return f"{self.source}#{self.ref}" if self.ref else self.source

    def _given(self) -> dict[str, str]:
        found = {}
        for one in self.env:
            key, equals, value = one.partition("=")
            if not equals or not key:
                raise UsageError(f"--env {key[:40]!a} has no value", hint="write it KEY=value")
            found[key] = value
        return found

    def _asked(self, client: Client, name: str, given: dict[str, str]) -> dict[str, str]:
        """What it requires and was not given, typed unseen; an empty answer leaves it out, and the server refuses."""
        import getpass

        from paas.requests.deploys import PlanApp, SourceRef

        source = SourceRef(git=self._url(), kind="git")
        planned = client.ask(PlanApp(app=name, source=source, buildpack=self.buildpack, environment=self.environment))
        missing = [key for key in planned["missing"] if key not in given]
        if missing:
            say(f"{name} needs config that is not set: {', '.join(missing)}")
        answers = {key: getpass.getpass(f"{key}: ", stream=sys.stderr) for key in missing}
        return {key: value for key, value in answers.items() if value}

    def _hooked(self, client: Client, name: str) -> dict[str, Any]:
        """The deploy hook: one that is there already for this git host is left as it is, its secret unseen."""
        from paas.requests.deploy_hooks import AddDeployHook, ListDeployHooks

        there = [one for one in client.ask(ListDeployHooks(app=name)) if one["provider"] == self.hook]
        if there:
            return dict(there[0])
        url, _, ref = self._url().partition("#")
        provider = cast(Any, self.hook)
        return dict(client.ask(AddDeployHook(app=name, provider=provider, url=url, branch=ref or "main")))

    def _tell(self, made: dict[str, Any]) -> None:
        from paas.cli.deploy_hooks import address_of, events_of

        secret = made["secret"] or "as it was when it was added"
        facts([("deploy hook", made["name"]), ("address", address_of(made)), ("secret", secret)])
        say(f"next: give both to the git host ({events_of(made)}): what is pushed to {made['branch']} is deployed")
