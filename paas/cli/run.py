"""`run` and `exec`: a command in the app, with this terminal; its exit code is ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paas.cli.connection import ask, connected
from paas.cli.lazy import new_app
from paas.cli.options import AppOption
from paas.cli.output import put, say
from paas.cli.target import app_of
from paas.cli.terminal import LocalTerminal, screen
from paas.errors import UsageError

if TYPE_CHECKING:
    from paas.client import Client
    from paas.requests.sessions import Session

app = new_app()

# What follows the command's name belongs to the command, options included.
AS_TYPED = {"ignore_unknown_options": True, "allow_interspersed_args": False}
CommandArgument = Annotated[
    list[str], typer.Argument(metavar="[--] COMMAND…", help="What to run; options after it are its own.")
]
TtyOption = Annotated[bool, typer.Option("--tty/--no-tty", " /-T", help="Give it a terminal, if this is one.")]


@app.command(context_settings=AS_TYPED)
def run(
    *,
    command: CommandArgument,
    app: AppOption = "",
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="KEY=VALUE", help="One more variable.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Print its id and leave it to the server.")] = False,
    time_limit: Annotated[
        str, typer.Option("--time-limit", "--timeout", metavar="TIME", help="When it is ended: 90s, 10m, 2h.")
    ] = "24h",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Its memory limit: 512M; else that of web.")] = "",
    cpus: Annotated[float | None, typer.Option(metavar="N", min=0.01, help="Its cores; else those of web.")] = None,
    tty: TtyOption = True,
) -> None:
    """Run a command in a new container with the app's image and config. It is removed afterwards.

    Who ran what, and how it ended, is kept: `paas runs`.
    """
    from paas.requests.runs import StartRun
    from paas.requests.sessions import RunCommand

    name, variables, limit = app_of(app), _variables(env or []), _seconds(time_limit)
    words = tuple(command)
    if detach:
        one = ask(StartRun(app=name, command=words, env=variables, time_limit=limit, memory=memory, cpus=cpus))
        put(one["id"])
        say(f"follow it: paas runs logs {one['id']} -f -a {name}")
        return
    with connected() as client:
        in_terminal(
            client,
            lambda **facts: RunCommand(
                app=name, command=words, env=variables, timeout=limit, memory=memory, cpus=cpus, **facts
            ),
            tty=tty,
        )


@app.command("exec", context_settings=AS_TYPED)
def exec_command(
    command: CommandArgument,
    app: AppOption = "",
    replica: Annotated[
        str, typer.Option("--replica", "-r", metavar="REPLICA", help="Which one: web.2; else the first of web.")
    ] = "",
    tty: TtyOption = True,
) -> None:
    """Run a command inside a running replica."""
    from paas.requests.sessions import ExecCommand

    name = app_of(app)
    with connected() as client:
        in_terminal(
            client, lambda **facts: ExecCommand(app=name, command=tuple(command), replica=replica, **facts), tty=tty
        )


def in_terminal(client: Client, request: Callable[..., Session], *, tty: bool = True) -> None:
    """Run a session with this terminal and exit with its command's code."""
    interactive = sys.stdin is not None and not sys.stdin.closed
    real = tty and interactive and sys.stdin.isatty() and sys.stdout.isatty()
    facts: dict[str, Any] = {"tty": real, "interactive": interactive}
    if real:
        size = screen()
        facts |= {"rows": size.rows, "columns": size.columns}
    with LocalTerminal(tty=real, interactive=interactive) as terminal:
        code = client.session(request(**facts), terminal)
    raise typer.Exit(code)


def _seconds(text: str) -> float:
    from paas.build.sizes import seconds

    try:
        return seconds(text if not text.replace(".", "", 1).isdigit() else float(text), 1.0, 604_800.0)
    except ValueError as error:
        raise UsageError(f"--time-limit {text!r}: {error}", hint="90s, 10m or 2h") from None


def _variables(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError("--env takes KEY=VALUE")
        found[key] = value
    return found
