"""`paas sleep`: apps that run nothing while nobody asks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask, operate
from paas.cli.lazy import ShowByDefault, new_app
from paas.cli.metrics import span
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import put, put_json
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app(cls=ShowByDefault)


@app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="[APP]", help="The app; else as with --app.", show_default=False)] = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show whether an app may sleep, and whether it does."""
    from paas.requests.sleep import ShowSleep

    answer = ask(ShowSleep(app=app_of(name or app)))
    put_json(answer) if as_json else put(_said(answer))


@app.command("set")
def set_(
    words: Annotated[
        list[str], typer.Argument(metavar="[APP] TIME|off", help="Idle time after which it sleeps: 30m; or off.")
    ],
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Have an app sleep when nobody asked for so long; off: never, and wake it."""
    from paas.requests.sleep import SetSleep

    if len(words) > (1 if app else 2):
        raise UsageError("name one app, and its idle time or off", hint="paas sleep set 30m -a shop")
    name, after = app_of(app or "".join(words[:-1])), words[-1]
    seconds = 0.0 if after == "off" else span(after, "the idle time")
    answer = operate(SetSleep(app=name, after=seconds), quiet=as_json)
    put_json(answer) if as_json else put(_said(answer))


@app.command()
def unset(
    name: Annotated[str, typer.Argument(metavar="[APP]", help="The app; else as with --app.", show_default=False)] = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Have what paas.toml says count again, from the next deploy on."""
    from paas.requests.sleep import UnsetSleep

    _tell(operate(UnsetSleep(app=app_of(name or app)), quiet=as_json), as_json)


@app.command()
def now(
    name: Annotated[str, typer.Argument(metavar="[APP]", help="The app; else as with --app.", show_default=False)] = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Have an app sleep at once that may sleep; requests in flight are answered first."""
    from paas.requests.sleep import SleepNow

    _tell(operate(SleepNow(app=app_of(name or app)), quiet=as_json), as_json)


@app.command()
def wake(
    name: Annotated[str, typer.Argument(metavar="[APP]", help="The app; else as with --app.", show_default=False)] = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Wake an app, as its first request would."""
    from paas.requests.sleep import WakeApp

    _tell(operate(WakeApp(app=app_of(name or app)), quiet=as_json), as_json)


def _tell(answer: dict[str, Any], as_json: bool) -> None:
    put_json(answer) if as_json else put(_said(answer))


def _said(answer: dict[str, Any]) -> str:
    if not answer["after"]:
        return f"{answer['app']} never sleeps"
    state = "asleep" if answer["asleep"] else "awake"
    by = ", as paas.toml says" if answer["by_file"] else ""
    return f"{answer['app']} sleeps after {answer['after'] / 60:g} min without requests{by}; it is {state}"
