"""`paas git`: the repository of this folder gets the remote that `git push` deploys to; and who git is on that way."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from paas.cli.connection import ask, connected, operate
from paas.cli.lazy import new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import put, put_json, say
from paas.cli.target import app_of
from paas.errors import Conflict, PaasError, PlatformError, UsageError
from paas.model.branches import FIRST, pushed_as

app = new_app(no_args_is_help=True)

_PAAS = str(Path(sys.executable).with_name("paas"))
_HOST = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_REMOTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@app.callback()
def git() -> None:
    """Clone an app, add the remote that `git push` deploys to, say which branch is deployed."""


@app.command()
def remote(
    app: AppOption = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the remote is called.")] = "paas",
    ssh: Annotated[
        str, typer.Option("--ssh", metavar="USER@HOST[:PORT]", help="Push through this machine's sshd (paas keys add).")
    ] = "",
    http: Annotated[bool, typer.Option("--http", help="Push by git's own HTTP to the server.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a remote of that name that leads elsewhere.")
    ] = False,
) -> None:
    """Add a remote to the repository of this folder: `git push paas main` then deploys. Prints its URL.

    The first push makes the app if there is none.
    """
    server = _server(ssh, http=http)
    url = url_of(app_of(app), ssh, server)
    if not _REMOTE.fullmatch(name):
        raise UsageError(f"{name!r} cannot name a remote", hint="use letters, digits, dots, dashes and underscores")
    if _said("rev-parse", "--git-dir") is None:
        raise UsageError("this folder is in no git repository", hint="git init, and commit something")
    before = _said("remote", "get-url", name)
    if before not in (None, url) and not replace:
        raise Conflict(f"there is a remote {name} already: {before}", hint="--replace, or another --name")
    if before is None:
        _done("remote", "add", "--", name, url)
    elif before != url:
        _done("remote", "set-url", "--", name, url)
    for key, value in _settings(server):
        _done("config", "--replace-all", key, value)
    put(url)
    say(f"next: git push {name} {_refspec('' if ssh else app_of(app))}")


@app.command()
def clone(
    name: Annotated[str, typer.Argument(metavar="APP", help="The app; not with --app.", show_default=False)] = "",
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="Where to; else a new folder of that name.")] = "",
    ssh: Annotated[
        str, typer.Option("--ssh", metavar="USER@HOST[:PORT]", help="Fetch through this machine's sshd.")
    ] = "",
    http: Annotated[bool, typer.Option("--http", help="Fetch by git's own HTTP from the server.")] = False,
    app: AppOption = "",
) -> None:
    """Get what was pushed to an app, as a repository whose remote `paas` deploys to it."""
    if (app and folder) or not (app or name):
        raise UsageError("which app?", hint="paas git clone shop, or paas git clone -a shop")
    app, folder = (app, name) if app else (name, folder)
    server = _server(ssh, http=http)
    into = folder or app_of(app)
    if Path(into).exists() and (not Path(into).is_dir() or any(Path(into).iterdir())):
        raise Conflict(f"{into} is there already, and not empty", hint="name another folder")
    given = (part for key, value in _settings(server) for part in ("--config", f"{key}={value}"))
    _done("clone", "--quiet", "--origin", "paas", *given, "--", url_of(app_of(app), ssh, server), into)
    put(into)


@app.command()
def branch(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Print the branch that is deployed when it is pushed."""
    from paas.requests.git import ShowBranch

    answer = ask(ShowBranch(app=app_of(app)))
    if as_json:
        put_json(answer)
        return
    put(answer["branch"])
    if not answer["commit"]:
        say("nothing was pushed to it yet")


@app.command("set-branch")
def set_branch(
    branch: Annotated[str, typer.Argument(metavar="BRANCH", help="The branch; it need not have been pushed yet.")],
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Deploy this branch when it is pushed, and no other. One that was pushed already is deployed at once."""
    from paas.requests.git import SetBranch

    answer = operate(SetBranch(app=app_of(app), branch=branch), quiet=as_json)
    if as_json:
        put_json(answer)
        return
    does = f", as v{answer['release']}" if answer["release"] else ""
    say(f"{answer['branch']} is what {answer['app']} deploys from now on{does}")
    if not answer["commit"]:
        say(f"next: git push paas {answer['branch']}; until then what runs stays")


def _server(ssh: str, *, http: bool) -> str:
    """The server that git's own HTTP goes to; empty when it is not asked for. Raises UsageError."""
    if not http:
        return ""
    from paas.cli.contexts import chosen

    server = chosen().server.rstrip("/")
    if ssh or not server:
        raise UsageError("--http pushes to a server at an address", hint="paas login https://…; or give --ssh alone")
    return server


def _settings(server: str) -> Iterator[tuple[str, str]]:
    """By what git asks us for the password of a server, and whom it trusts there; nothing for no server."""
    if not server:
        return
    from paas.cli.contexts import chosen

    yield f"credential.{server}.helper", f"!{shlex.quote(_PAAS)} git-credential"
    if authority := chosen().server_ca:
        if os.environ.get("GIT_SSL_CAINFO"):
            say("note: GIT_SSL_CAINFO is set here; git trusts it alone, not the authority of this server")
        yield f"http.{server}.sslCAInfo", str(Path(authority).absolute())


def url_of(app_name: str, ssh: str = "", server: str = "") -> str:
    """`paas::shop`, `ssh://user@host/shop` or `https://host/git/shop.git`. Raises UsageError for what is no host."""
    if server:
        return f"{server}/git/{app_name}.git"
    if not ssh:
        return f"paas::{app_name}"
    if not _HOST.fullmatch(ssh):
        raise UsageError(f"{ssh!r} is no host to push to", hint="--ssh user@host, or user@host:port")
    return f"ssh://{ssh}/{app_name}"


def _refspec(app: str) -> str:
    """What to push for the branch that is checked out. The server knows the deploy branch of an app that is there;
    where it cannot be asked, it is taken for one of the usual ones."""
    from paas.requests.git import ShowBranch

    deployed = ""
    with suppress(PaasError):
        if app:
            with connected(start=False) as client:
                answer = client.ask(ShowBranch(app=app))
            deployed = str(answer["branch"]) if answer["chosen"] or answer["commit"] else ""
    return pushed_as(_said("symbolic-ref", "--short", "HEAD") or FIRST[0], deployed)


def _said(*argv: str) -> str | None:
    """What git says; None when it says no."""
    done = _git(*argv)
    return done.stdout.strip() if done.returncode == 0 else None


def _done(*argv: str) -> None:
    done = _git(*argv)
    if done.returncode:
        raise PlatformError(f"git {argv[0]} failed", details=tuple(done.stderr.splitlines()[-3:]))


def _git(*argv: str) -> subprocess.CompletedProcess[str]:
    try:
        # A name in git is bytes: one that is no text must not end the command.
        return subprocess.run(
            ["git", *argv], capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
        )
    except FileNotFoundError as error:
        raise PlatformError("git is not installed", hint="apt-get install -y git") from error
