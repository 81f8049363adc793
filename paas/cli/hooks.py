"""`hooks`: a bare repository of the person's own deploys what is pushed to it."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from paas.cli.confirm import confirmed
from paas.cli.lazy import new_app
from paas.cli.options import AppOption, ConfirmOption
from paas.cli.output import say
from paas.cli.target import app_of, sanitised
from paas.errors import NotFound, PlatformError, UsageError
from paas.model.branches import FIRST

app = new_app(no_args_is_help=True)

AFTER, BEFORE = "post-receive", "pre-receive"
TAKEN = {AFTER: "The push itself has been taken by then.", BEFORE: "A deploy that fails refuses the push."}
MADE = "# Written by paas hooks install;"
KEPT = ".before-paas"

RepositoryArgument = Annotated[Path, typer.Argument(metavar="REPO", help="A bare repository on this machine.")]


@app.command()
def install(
    repository: RepositoryArgument,
    app: AppOption = "",
    branch: Annotated[str, typer.Option(metavar="BRANCH", help="Which branch; else the one HEAD names.")] = "",
    refuse: Annotated[bool, typer.Option("--refuse", help="Refuse the push when the deploy fails.")] = False,
    confirm: ConfirmOption = "",
) -> None:
    """Deploy what is pushed to a bare repository of yours. A hook that is there already is asked about, and kept."""
    from paas import bundled
    from paas.cli import contexts
    from paas.settings import load

    kind = BEFORE if refuse else AFTER
    if server := os.environ.get("PAAS_HOST"):  # kept by no one: whoever pushes has none, or another one
        raise UsageError(
            f"the hook needs a context, and commands go to {server} by PAAS_HOST",
            hint=f"paas login {server}; then: paas --context NAME hooks install {repository}",
        )
    hook, other = _hook(repository, kind), _hook(repository, AFTER if refuse else BEFORE)
    chosen = _branch(repository, branch)
    name = app_of(app or os.environ.get("PAAS_APP", "") or sanitised(repository.resolve().name.removesuffix(".git")))
    text = _written(
        (bundled.templates() / "hooks" / AFTER).read_text(),
        app=name,
        branch=chosen,
        taken=TAKEN[kind],
        ref=shlex.quote(f"refs/heads/{chosen}"),
        target=chosen if chosen in FIRST else FIRST[0],
        home=shlex.quote(str(load().home)),
        context=shlex.quote(contexts.name_of()),
        bin=shlex.quote(str(Path(sys.executable).parent)),
    )
    if hook.exists() and not _ours(hook):
        confirmed(kind, confirm, f"replaces the hook {hook} (it is kept as {hook.name}{KEPT})")
        hook.rename(hook.with_name(hook.name + KEPT))
    _put(hook, text)
    if _ours(other):
        _taken_away(other)
    say(f"{chosen} deploys to {name} when it is pushed to {repository}{', or the push is refused' if refuse else ''}")


@app.command()
def remove(repository: RepositoryArgument) -> None:
    """Deploy no more; a hook that was there before comes back."""
    ours = [hook for hook in (_hook(repository, AFTER), _hook(repository, BEFORE)) if _ours(hook)]
    if not ours:
        raise NotFound(f"{repository} has no hook of paas")
    for hook in ours:
        _taken_away(hook)
    say(f"{repository} deploys no more")


def _taken_away(hook: Path) -> None:
    """One that was there before it comes back."""
    hook.unlink()
    before = hook.with_name(hook.name + KEPT)
    if before.exists():
        before.rename(hook)


def _hook(repository: Path, kind: str) -> Path:
    """Where git looks for a hook of this repository. Raises UsageError when it is no bare one."""
    asked = _git(repository, "rev-parse", "--is-bare-repository")
    if "dubious ownership" in asked.stderr:
        mend = f"git config --global --add safe.directory {shlex.quote(str(repository.resolve()))}"
        raise UsageError(
            f"{repository} is somebody else's, and git looks at none of theirs",
            hint=f"run this as its owner, or: {mend}",
        )
    if asked.stdout.strip() != "true":
        raise UsageError(f"{repository} is no bare repository", hint="in a repository you work in: paas git remote")
    return repository / _said(repository, "rev-parse", "--git-path", f"hooks/{kind}")


def _branch(repository: Path, given: str) -> str:
    branch = given or _said(repository, "symbolic-ref", "--short", "HEAD") or FIRST[0]
    known = branch.isprintable() and _said(repository, "check-ref-format", "--branch", branch) == branch
    if not known or branch.startswith("-"):
        raise UsageError(f"{branch!r} cannot name a branch", hint=f"--branch {FIRST[0]}")
    return branch


def _ours(hook: Path) -> bool:
    return hook.exists() and MADE in hook.read_text(errors="replace")


def _written(template: str, **facts: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: facts[found[1]], template)


def _put(hook: Path, text: str) -> None:
    coming = hook.with_name(f".{hook.name}.{secrets.token_hex(4)}")
    try:
        hook.parent.mkdir(parents=True, exist_ok=True)
        coming.write_text(text)
        coming.chmod(0o755)
        coming.rename(hook)
    except OSError as error:
        raise PlatformError(f"{hook} cannot be written: {error.strerror}") from error


def _said(repository: Path, *argv: str) -> str:
    """What git says in the repository; empty when it says no."""
    done = _git(repository, *argv)
    return done.stdout.strip() if done.returncode == 0 else ""


def _git(repository: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(repository), *argv]
    try:
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError as error:
        raise PlatformError("git is not installed", hint="apt-get install -y git") from error
