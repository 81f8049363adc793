"""`paas recommend`: what would fit an app, from what it used."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask
from paas.cli.lazy import new_app
from paas.cli.metrics import span
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import put, put_json, say, size, table
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app()


@app.command()
def recommend(
    *,
    name: Annotated[str, typer.Argument(metavar="[APP]", help="The app; else as with --app.", show_default=False)] = "",
    app: AppOption = "",
    last: Annotated[str, typer.Option("--last", metavar="TIME", help="What to look at: 24h, 7d.")] = "7d",
    as_json: JsonOption = False,
) -> None:
    """Propose limits and replicas that fit what was used. Changes nothing; prints the commands that would."""
    from paas.requests.recommend import RecommendSizes

    seconds = span(last)
    if seconds < 3600:
        raise UsageError(f"--last {last} is too little to size an app by", hint="1h to 7d")
    answer = ask(RecommendSizes(app=app_of(name or app), last=seconds))
    if as_json:
        put_json(answer)
    else:
        _shown(answer)


def _shown(answer: dict[str, Any]) -> None:
    rows = []
    for one in answer["processes"]:
        fits = one["proposal"]
        rows.append(
            (
                one["process"],
                _change(_memory(one["memory"]), _memory(fits["memory"])),
                _change(_cores(one["cpus"]), _cores(fits["cpus"])),
                _change(str(one["replicas"]), str(fits["replicas"])),
            )
        )
    table(("PROCESS", "MEMORY", "CPU", "REPLICAS"), rows, empty=f"{answer['app']} has no processes")
    for one in answer["processes"]:
        missing = one["proposal"]["missing"]
        for line in (*one["proposal"]["reasons"], *([missing] if missing else [])):
            say(f"{one['process']}: {line}")
    say("\n".join(("", "head-room:", *(f"  {rule}" for rule in answer["rules"]))))
    for one in answer["processes"]:
        for command in one["commands"]:
            put(command)


def _change(now: str, fits: str) -> str:
    return now if now == fits else f"{now} → {fits}"


def _memory(count: int) -> str:
    return size(count) if count else "no limit"


def _cores(count: float) -> str:
    return f"{count:g}" if count else "no limit"
