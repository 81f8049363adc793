"""`config`: the app's environment. Values are data: exactly as they are, on stdout only."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from paas.cli.connection import ask, operate
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import escaped, put_json, say
from paas.cli.ps import changed
from paas.cli.target import app_of
from paas.errors import ConfigError, NotFound, UsageError

app = new_app(cls=ListByDefault)

ShellOption = Annotated[bool, typer.Option("--shell", "-s", help="As KEY=value lines that a shell reads.")]


@app.command("list")
def list_config(app: AppOption = "", shell: ShellOption = False, as_json: JsonOption = False) -> None:
    """Show all config vars with their values."""
    config = _config(app)
    if as_json:
        put_json(config)
        return
    width = max(map(len, config), default=0)
    for key, value in config.items():
        print(f"{key}={shlex.quote(value)}" if shell else f"{key.ljust(width)}  {escaped(value)}")
    if not config:
        say("no config vars are set: paas config set KEY=value")


@app.command()
def get(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its name.")],
    app: AppOption = "",
    shell: ShellOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print one value, exactly as it is."""
    config = _config(app)
    if key not in config:
        raise NotFound(f"{key!r} is not set", hint=f"set: {', '.join(config) or 'nothing'}")
    if as_json:
        put_json(config[key])
    elif shell:
        print(f"{key}={shlex.quote(config[key])}")
    else:
        print(escaped(config[key]) if sys.stdout.isatty() and "\n" not in config[key] else config[key])


def _config(app: str) -> dict[str, str]:
    from paas.requests.config import ShowConfig

    return dict(ask(ShowConfig(app=app_of(app)))["config"])


@app.command("set")
def set_config(
    pairs: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="For example A=1 B='two words'.")],
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set config vars: one release and one rolling restart, however many."""
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            # What was typed may be a secret that lost its key, so it is not shown.
            raise UsageError("a config var is KEY=VALUE", hint="quote values with blanks: KEY='two words'")
        if key in given:
            raise UsageError(f"{key} is given twice", hint="one value a key")
        given[key] = value
    _change(app, as_json, set=given)


@app.command()
def unset(
    keys: Annotated[list[str], typer.Argument(metavar="KEY…", help="Their names.")],
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take config vars away: one release and one rolling restart."""
    _change(app, as_json, unset=tuple(keys))


@app.command("import")
def import_config(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .env file; - reads standard input.")] = ".env",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Set all config vars that a .env file holds. Quotes, `export` and several lines are understood, $ is not."""
    _change(app, as_json, set=_read(file))


def _read(file: str) -> dict[str, str]:
    from io import StringIO

    from dotenv.parser import parse_stream

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError("not UTF-8", where=file) from error
    found: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            raise ConfigError("expected KEY=value", where=f"{file}:{binding.original.line}")
        if binding.key and binding.value is not None:
            found[binding.key] = binding.value
    if not found:
        raise ConfigError("no config var in it", where=file)
    return found


def _change(app: str, as_json: bool, **change: Any) -> None:
    from paas.model.names import config_key, config_value
    from paas.requests.config import ChangeConfig

    # Checked here too: a megabyte that will be refused need not be sent first.
    for key, value in change.get("set", {}).items():
        config_value(config_key(key), value)
    changed(operate(ChangeConfig(app=app_of(app), **change), quiet=as_json), as_json)
