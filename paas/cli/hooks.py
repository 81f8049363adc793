"""`hooks`: a bare repository of the person's own deploys what is pushed to it."""

from __future__ import annotations

import os
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

app = new_app(no_args_is_help=True)

HOOK = "post-receive"
MADE = "# Written by paas hooks install;"
KEPT = ".before-paas"

RepositoryArgument = Annotated[Path, typer.Argument(metavar="REPO", help="A bare repository on this machine.")]


@app.command()
def install(
    repository: RepositoryArgument,
    app: AppOption = "",
    branch: Annotated[str, typer.Option(metavar="BRANCH", help="Which branch; else the one HEAD names.")] = "",
    confirm: ConfirmOption = "",
) -> None:
    """Deploy what is pushed to a bare repository of yours. A hook that is there already is asked about, and kept."""
    from paas import bundled
    from paas.settings import load

    hook = _hook(repository)
    chosen = _branch(repository, branch)
    name = app_of(app or os.environ.get("PAAS_APP", "") or sanitised(repository.resolve().name.removesuffix(".git")))
    text = _written(
        (bundled.templates() / "hooks" / HOOK).read_text(),
        app=name,
        branch=chosen,
        ref=shlex.quote(f"refs/heads/{chosen}"),
        target=chosen if chosen in ("main", "master") else "main",
        home=shlex.quote(str(load().home)),
        bin=shlex.quote(str(Path(sys.executable).parent)),
    )
    if hook.exists() and not _ours(hook):
        confirmed(HOOK, confirm, f"replaces the hook {hook} (it is kept as {hook.name}{KEPT})")
        hook.rename(hook.with_name(hook.name + KEPT))
    _put(hook, text)
    say(f"{chosen} deploys to {name} when it is pushed to {repository}")


@app.command()
def remove(repository: RepositoryArgument) -> None:
    """Deploy no more; a hook that was there before comes back."""
    hook = _hook(repository)
    if not (hook.exists() and _ours(hook)):
        raise NotFound(f"{repository} has no hook of paas")
    hook.unlink()
    before = hook.with_name(hook.name + KEPT)
    if before.exists():
        before.rename(hook)
    say(f"{repository} deploys no more")


def _hook(repository: Path) -> Path:
    """Where git looks for the hook of this repository. Raises UsageError when it is no bare one."""
    if _said(repository, "rev-parse", "--is-bare-repository") != "true":
        raise UsageError(f"{repository} is no bare repository", hint="in a repository you work in: paas git remote")
    return repository / _said(repository, "rev-parse", "--git-path", f"hooks/{HOOK}")


def _branch(repository: Path, given: str) -> str:
    branch = given or _said(repository, "symbolic-ref", "--short", "HEAD") or "main"
    if _said(repository, "check-ref-format", "--branch", branch) != branch or branch.startswith("-"):
        raise UsageError(f"{branch!r} cannot name a branch", hint="--branch main")
    return branch


def _ours(hook: Path) -> bool:
    return MADE in hook.read_text(errors="replace")


def _written(template: str, **facts: str) -> str:
    for name, value in facts.items():
        template = template.replace(f"{{{name}}}", value)
    return template


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
    try:
        done = subprocess.run(["git", "-C", str(repository), *argv], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PlatformError("git is not installed", hint="apt-get install -y git") from error
    return done.stdout.strip() if done.returncode == 0 else ""
