"""`deploy-hooks`: deploys that a git host asks for."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import ago, facts, put, put_json, say, table, when
from paas.cli.target import app_of
from paas.errors import ConfigError, UsageError

app = new_app(cls=ListByDefault)

HookArgument = Annotated[str, typer.Argument(metavar="HOOK", help="Its name.")]


PROVIDERS = "Who sends: github, gitlab, gitea, forgejo, or signed: anybody who can compute an HMAC."
FORKS = "Also those from other repositories: they run a stranger's code here."


class ProviderName(StrEnum):
    """Who sends."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    FORGEJO = "forgejo"
    SIGNED = "signed"


@app.command("list")
def list_hooks(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show the deploy hooks of an app."""
    from paas.requests.deploy_hooks import ListDeployHooks

    answer = ask(ListDeployHooks(app=app_of(app)))
    if as_json:
        put_json(answer)
        return
    rows = [
        (one["name"], one["provider"], one["branch"], one["repository"], one["url"] or one["path"]) for one in answer
    ]
    table(["name", "provider", "branch", "repository", "address"], rows,
          empty="no deploy hooks; add one: paas deploy-hooks add github https://github.com/OWNER/NAME.git")  # fmt: skip


@app.command()
def add(
    *,
    provider: Annotated[ProviderName, typer.Argument(metavar="PROVIDER", help=PROVIDERS)],
    url: Annotated[str, typer.Argument(metavar="URL", help="The repository to deploy, as for `git clone`.")],
    app: AppOption = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What it is called; else the provider.")] = "",
    branch: Annotated[str, typer.Option("--branch", metavar="NAME", help="The branch to deploy.")] = "main",
    path: Annotated[
        list[str] | None,
        typer.Option("--path", metavar="GLOB", help="Deploy only when such a file changed (repeat): `web/**`."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait-for-checks", help="Deploy a commit when its checks are green.")] = False,
    check: Annotated[
        list[str] | None, typer.Option("--check", metavar="NAME", help="Wait for this check (repeat) and no other.")
    ] = None,
    reviews: Annotated[bool, typer.Option("--reviews/--no-reviews", help="Pull requests open review apps.")] = False,
    forks: Annotated[bool, typer.Option("--forks/--no-forks", help=FORKS)] = False,
    secret_file: Annotated[
        str, typer.Option("--secret-file", metavar="FILE", help="Take the secret from here (-: standard input).")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Add an address for a git host, and print it with the secret the host must sign with. The secret is shown once."""
    from paas.requests.deploy_hooks import AddDeployHook

    answer = ask(
        AddDeployHook(
            app=app_of(app), provider=provider.value, url=url, name=name, branch=branch, paths=tuple(path or ()),
            wait=wait, checks=tuple(check or ()), secret=_secret(secret_file), reviews=_reviews(reviews, forks),
        )
    )  # fmt: skip
    if as_json:
        put_json(answer)
        return
    facts([("address", address_of(answer)), ("secret", answer["secret"])])
    where = answer["repository"] or answer["source"]
    say(f"{answer['name']}: what is pushed to {answer['branch']} of {where} is deployed")
    say(f"next: give both to the git host ({events_of(answer)}); paas deploy-hooks deliveries {answer['name']}")


@app.command()
def show(hook: HookArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show one deploy hook, and what it waits for."""
    from paas.requests.deploy_hooks import ShowDeployHook

    answer = ask(ShowDeployHook(app=app_of(app), hook=hook))
    if as_json:
        put_json(answer)
        return
    waits = ", ".join(answer["checks"]) or ("all that are heard of" if answer["wait"] else "")
    facts(
        [
            ("name", answer["name"]), ("provider", answer["provider"]), ("address", address_of(answer)),
            ("source", answer["source"]), ("repository", answer["repository"]), ("branch", answer["branch"]),
            ("paths", " ".join(answer["paths"])), ("checks", waits), ("reviews", _said_of_reviews(answer)),
            ("added", f"{when(answer['created_at'])} by {answer['created_by']}"),
            ("waiting", ", ".join(commit[:12] for commit in answer["waiting"])), ("running", answer["running"]),
        ]
    )  # fmt: skip


@app.command("set")
def change(
    *,
    hook: HookArgument,
    app: AppOption = "",
    branch: Annotated[str | None, typer.Option("--branch", metavar="NAME", help="The branch to deploy.")] = None,
    path: Annotated[
        list[str] | None,
        typer.Option(
            "--path", metavar="GLOB", help="Deploy only when such a file changed (repeat): these and no other."
        ),
    ] = None,
    any_path: Annotated[bool, typer.Option("--any-path", help="Deploy whatever changed.")] = False,
    wait: Annotated[
        bool | None, typer.Option("--wait-for-checks/--no-wait", help="Deploy a commit when its checks are green.")
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option("--check", metavar="NAME", help="Wait for this check (repeat) and no other.")
    ] = None,
    reviews: Annotated[
        bool | None, typer.Option("--reviews/--no-reviews", help="Pull requests open review apps.")
    ] = None,
    forks: Annotated[bool, typer.Option("--forks/--no-forks", help=FORKS)] = False,
    new_secret: Annotated[bool, typer.Option("--new-secret", help="Make another secret, and show it once.")] = False,
    secret_file: Annotated[
        str, typer.Option("--secret-file", metavar="FILE", help="Take another secret from here (-: standard input).")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Change what a deploy hook does, or its secret. The address and what is not named stay."""
    from paas.requests.deploy_hooks import ChangeDeployHook

    if (any_path and path) or (new_secret and secret_file):
        raise UsageError("two of the options say the opposite", hint="name one of them")
    answer = ask(
        ChangeDeployHook(
            app=app_of(app), hook=hook, branch=branch, paths=() if any_path else tuple(path) if path else None,
            wait=wait, checks=tuple(check) if check else None, reviews=_reviews_anew(reviews, forks),
            secret="" if new_secret else _secret(secret_file) or None,
        )
    )  # fmt: skip
    if as_json:
        put_json(answer)
        return
    if new_secret:
        facts([("secret", answer["secret"])])
    if new_secret or secret_file:
        say("next: give the secret to the git host; what is signed with the one before is refused")
        return
    say(f"{answer['name']}: {answer['branch']}, {' '.join(answer['paths']) or 'any file'}, {_said_of_reviews(answer)}")
    say(f"next: have the git host send {events_of(answer)}")


@app.command()
def remove(hook: HookArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Answer at its address no more."""
    from paas.requests.deploy_hooks import RemoveDeployHook

    answer = ask(RemoveDeployHook(app=app_of(app), hook=hook))
    if as_json:
        put_json(answer)
        return
    say(f"{answer['name']} is gone; remove it from the git host too")


@app.command()
def deliveries(
    hook: HookArgument,
    app: AppOption = "",
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", help="How many.", min=1, max=200)] = 30,
    as_json: JsonOption = False,
) -> None:
    """Show what came to a hook, newest first, what was decided, and why."""
    from paas.requests.deploy_hooks import ListHookDeliveries

    answer = ask(ListHookDeliveries(app=app_of(app), hook=hook, limit=lines))
    if as_json:
        put_json(answer)
        return
    rows = [
        (one["id"], ago(one["at"]), one["event"] or "-", one["commit"][:12] or "-", one["status"],
         one["operation"] or "-", one["reason"])
        for one in answer
    ]  # fmt: skip
    table(["id", "age", "event", "commit", "", "operation", "why"], rows, empty="nothing came yet")


@app.command()
def redeliver(
    hook: HookArgument,
    delivery: Annotated[str, typer.Argument(metavar="ID", help="As `paas deploy-hooks deliveries` shows it.")],
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Decide again about something that came, as if it came now."""
    from paas.requests.deploy_hooks import RedeliverHook

    answer = ask(RedeliverHook(app=app_of(app), hook=hook, delivery=delivery))
    if as_json:
        put_json(answer)
        return
    put(answer["id"])
    say(f"{answer['status']}: {answer['reason']}")


def _reviews(reviews: bool, forks: bool) -> Literal["", "own", "forks"]:
    if forks and not reviews:
        raise UsageError("--forks is about review apps", hint="--reviews --forks")
    return "forks" if forks else "own" if reviews else ""


def _reviews_anew(reviews: bool | None, forks: bool) -> Literal["", "own", "forks"] | None:
    return None if reviews is None and not forks else _reviews(bool(reviews), forks)


def _said_of_reviews(answer: dict[str, Any]) -> str:
    said = {"own": "pull requests of its own branches", "forks": "all pull requests, of forks as well"}
    return f"review apps of {said[answer['reviews']]}" if answer["reviews"] else "no review apps"


def address_of(answer: dict[str, Any]) -> str:
    from paas.cli.contexts import chosen

    server = chosen().server.rstrip("/")
    return str(answer["url"] or f"{server or 'https://YOUR-SERVER'}{answer['path']}")


def events_of(answer: dict[str, Any]) -> str:
    wanted = ["pushes"]
    if answer["wait"]:
        wanted.append("pipelines" if answer["provider"] == "gitlab" else "checks and statuses")
    if answer["reviews"]:
        wanted.append("merge requests" if answer["provider"] == "gitlab" else "pull requests")
    return f"content type application/json; {', '.join(wanted)}"


def _secret(file: str) -> str:
    if not file:
        return ""
    if file == "-" and sys.stdin.isatty():
        raise UsageError("the secret comes on standard input")
    try:
        return (sys.stdin.read(1000) if file == "-" else Path(file).read_text()).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read", where=file) from error
