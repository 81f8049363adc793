"""`operations` and `watch`: the work that belongs to the server."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from paas.cli.connection import answer_of, ask, connected
from paas.cli.lazy import new_app
from paas.cli.options import JsonOption
from paas.cli.output import ago, put_json, say, table
from paas.cli.progress import shown
from paas.cli.target import checked

app = new_app()


@app.command()
def operations(
    app: Annotated[str, typer.Option("--app", "-a", metavar="APP", help="Only those of this app.")] = "",
    status: Annotated[str, typer.Option(metavar="STATUS", help="running, succeeded, failed or interrupted.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List what the server did and does, newest first."""
    from paas.requests.platform import ListOperations

    answer = ask(ListOperations(app=checked(app) if app else "", status=status))  # type: ignore[arg-type]
    if as_json:
        put_json(answer)
        return
    table(
        ["id", "app", "what", "by", "status", "age", "error"],
        [
            (
                one["id"],
                one["app"] or "-",
                _spelt(one["verb"]),
                one["actor"],
                one["status"],
                ago(one["started_at"]),
                one["error"],
            )
            for one in answer
        ],
        empty="nothing was done yet",
    )


def _spelt(verb: str) -> str:
    """`DeployApp` → `deploy app`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", verb).lower()


@app.command()
def watch(
    operation: Annotated[str, typer.Argument(metavar="ID", help="The operation: paas operations lists them.")],
    as_json: JsonOption = False,
) -> None:
    """Follow an operation from its start. Its failure is this command's failure; Ctrl-C only stops watching."""
    from paas.requests.platform import WatchOperation

    answer = None
    try:
        with connected() as client, shown(quiet=as_json) as show:
            for event in client.follow(WatchOperation(operation=operation)):
                show(event)
                if event.kind == "result":
                    answer = answer_of(event)
    except KeyboardInterrupt:
        say(f"\nstill running: paas watch {operation}")
        raise typer.Exit(130) from None
    if as_json:
        put_json(answer)
    elif isinstance(answer, dict) and answer.get("url"):
        print(answer["url"])
    else:
        say("done")
