"""`make docs`: the pages in `docs/reference/`, made out of the code they describe, so that both say the same.

Every page is a function from the code to text: the same on every machine, whatever its terminal, folders and settings.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from paas.cli.commands import COMMANDS, SECTIONS, SPELLINGS
from paas.cli.lazy import load
from paas.errors import PaasError
from paas.settings import Settings

WIDTH = 100
"""Columns of the help texts."""

FOLDER = Path(__file__).parents[2] / "docs" / "reference"

MADE = "<!-- Made by `make docs` out of the code; edit that instead. -->\n"

OUTSIDE = {
    "PAAS_APP": "The app that commands mean, when `--app` does not say.",
    "PAAS_CONTEXT": "The server that commands go to (`paas contexts`), when neither `--context` nor PAAS_HOST says.",
    "PAAS_BUILDPACK_PATH": "Folders with more buildpacks, separated by colons.",
    "NO_COLOR": "Without colours, whatever its value.",
    "FORCE_COLOR": "With colours, also where the output is no terminal.",
    "CI": "Progress as plain lines, without a spinner.",
    "XDG_STATE_HOME": "Where `PAAS_HOME` is for somebody who is not root: `$XDG_STATE_HOME/paas`.",
    "HTTP_PROXY": "Proxy that builds use; so do `HTTPS_PROXY` and `NO_PROXY`.",
    "PIP_INDEX_URL": "Package index that builds use; so do `UV_DEFAULT_INDEX`, `NPM_CONFIG_REGISTRY` and their like.",
}
"""Variables that are looked at and are no settings."""

INSIDE = {
    "PORT": "The port to listen on, at `0.0.0.0`; `web` only.",
    "PAAS_APP": "The app's name.",
    "PAAS_PROCESS": "The replica's name: `web.1`.",
    "PAAS_RELEASE": "The release: `v12`.",
    "PAAS_API": "Where a replica asks to be spared by scale-ins, on its app's network.",
    "SOURCE_VERSION": "The revision or content id that was deployed.",
}
"""Variables that the platform sets in every replica."""

CODES = {
    0: "It worked.",
    1: "Something failed that has no number of its own, or a bug of ours.",
}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
        print(f"docs/reference/{name}")


def pages() -> dict[str, str]:
    """File name → text of every page."""
    makers: dict[str, Callable[[], Iterator[str]]] = {
        "commands.md": commands,
        "settings.md": settings,
        "exit-codes.md": exit_codes,
        "paas-toml.md": paas_toml,
        "app-json.md": app_json,
    }
    return {name: MADE + "\n".join(make()) + "\n" for name, make in makers.items()}


# --- commands ------------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """A section per command: what `--help` says."""
    yield "# Commands\n"
    yield "`paas COMMAND --help` says the same. Exit codes stand [here](exit-codes.md), settings [here](settings.md).\n"
    for title, section in SECTIONS.items():
        links = " · ".join(f"[{name}](#paas-{name})" for name in section)
        yield f"**{title}:** {links}\n"
    for name, command in COMMANDS.items():
        yield from _command(f"paas {name}", load(name, command), "##")
    yield from _spellings()


def _command(path: str, command: Any, level: str) -> Iterator[str]:
    context = command.context_class(
        command, info_name=path, terminal_width=WIDTH, help_option_names=["-h", "--help"], color=False
    )
    yield f"{level} {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    for name, sub in getattr(command, "commands", {}).items():
        yield from _command(f"{path} {name}", sub, f"{level}#")


def _spellings() -> Iterator[str]:
    yield "## Other spellings\n"
    yield "`a:b` is `a b`, as Heroku's command line has it (`paas config:set A=1`). These differ in more:\n"
    yield from _table(
        ("Also", "Is"), ((f"`paas {said}`", f"`paas {' '.join(is_)}`") for said, is_ in SPELLINGS.items())
    )


# --- settings and exit codes ---------------------------------------------------------------------------------------


def settings() -> Iterator[str]:
    """The settings' own table, and the variables that are none."""
    yield "# Settings\n"
    yield (
        "A setting comes from its environment variable, else from `paas.conf.toml` in the home folder (by its name, "
        "`http_port = 8080`), else it has its default. The server keeps those it was started with: `paas down`, then "
        "`paas up` takes new ones in. What an app sets for itself stands in its [paas.toml](paas-toml.md).\n"
    )
    rows = ((f.name, f"`{f.metadata['env']}`", _shown(f.default), f.metadata["help"]) for f in fields(Settings))
    yield from _table(("Name", "Variable", "Default", "Meaning"), rows)
    yield "\nDurations are seconds, sizes bytes. The default home is that of root.\n"
    yield "## Other variables\n\nThat the command line looks at:\n"
    yield from _table(("Variable", "Meaning"), ((f"`{name}`", text) for name, text in OUTSIDE.items()))
    yield "\nThat the platform sets in every replica, beside the app's own config vars:\n"
    yield from _table(("Variable", "Meaning"), ((f"`{name}`", text) for name, text in INSIDE.items()))


def exit_codes() -> Iterator[str]:
    """The tree of errors as a table."""
    yield "# Exit codes\n"
    yield (
        "Every failure is said on stderr as `error:`, lines that help, and `hint:` with what to do next; with `--json` "
        'as one line, `{"error": {"code": …, "message": …, "hint": …, "details": […]}}`; `code` is a name below.\n'
    )
    rows = [(str(code), "", text) for code, text in CODES.items()]
    rows += [(str(kind.exit_code), f"`{kind.__name__}`", _sentence(kind)) for kind in _below(PaasError)]
    yield from _table(("Code", "Name", "Means"), rows)
    yield "\n`paas run`, `paas exec` and `paas db shell` exit with the code of the command they ran."


def _below(kind: type[PaasError]) -> Iterator[type[PaasError]]:
    for sub in sorted(kind.__subclasses__(), key=lambda one: (one.exit_code, one.__name__)):
        if sub.__module__ == PaasError.__module__:
            yield sub
            yield from _below(sub)


def _sentence(kind: type) -> str:
    """The first one of what a class says about itself."""
    return " ".join((kind.__doc__ or "").split()).partition(". ")[0].rstrip(".") + "."


# --- files of an app -----------------------------------------------------------------------------------------------


def paas_toml() -> Iterator[str]:
    """The keys of `paas.toml`."""
    from paas.build.paas_toml import PaasToml

    yield "# paas.toml\n"
    yield (
        "Everything in it is optional. An unknown key is refused, with the nearest known one. `paas init` writes one "
        "with every key as a comment. Durations are seconds or `30s`, `5m`, `1h`; sizes are `512M`, `1.5G`. "
        "Where [app.json](app-json.md) says something too, `paas.toml` counts.\n"
    )
    yield from _keys(PaasToml)


def app_json() -> Iterator[str]:
    """The keys of `app.json`."""
    from paas.build.app_json import AppJson

    yield "# app.json\n"
    yield "Heroku's file, as far as it means something here. Other keys are not used, and a deploy says so.\n"
    yield from _keys(AppJson)


def _keys(model: type[Any]) -> Iterator[str]:
    yield from _table(("Key", "Value", "Default", "Meaning"), _rows(model, ""))


def _rows(model: type[Any], front: str) -> Iterator[tuple[str, str, str, str]]:
    said = _docstrings(model)
    for name, field in model.model_fields.items():
        table, value = _model(field.annotation), _value(field.annotation, field.metadata)
        default = "" if table or field.is_required() else field.get_default(call_default_factory=True)
        yield f"`{front}{field.alias or name}`", value, _shown(default) if default else "", said[name]
        if table:
            yield from _rows(table, f"{front}{name}{_many(field.annotation, name)}")


def _many(annotation: Any, name: str) -> str:
    """What stands between a table's name and its keys: nothing, one more name, or the brackets of a list."""
    if get_origin(annotation) is dict:
        return ".KEY." if name == "env" else ".NAME."
    return "[]." if get_origin(annotation) is list else "."


def _docstrings(model: type[Any]) -> dict[str, str]:
    """The string below each field, read from the source: so it costs nothing when the program runs."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(model)).body if isinstance(node, ast.ClassDef))
    found = {}
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return found


def _model(annotation: Any) -> type[Any] | None:
    """The table inside an annotation such as `dict[str, ProcessTable]`."""
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part))), None)


def _value(annotation: Any, metadata: Iterable[Any]) -> str:
    """What to write there, in a word."""
    if hasattr(annotation, "__metadata__"):
        return _value(annotation.__origin__, annotation.__metadata__)
    parts = [part for part in get_args(annotation) if part is not types.NoneType]
    if get_origin(annotation) in (Union, types.UnionType):
        if {float, str} <= set(parts):
            return "number, share or time"
        return _value(parts[0], metadata)
    read = any(type(one).__name__ == "BeforeValidator" for one in metadata)
    words = {bool: "true or false", str: "text", int: "size" if read else "number", float: "time" if read else "number"}
    if get_origin(annotation) is list:
        (inner,) = get_args(annotation)
        return "tables" if hasattr(getattr(inner, "__origin__", inner), "model_fields") else "list"
    chosen = get_origin(annotation) is Literal or (isinstance(annotation, type) and issubclass(annotation, str))
    return words.get(annotation) or ("text" if chosen else "table")


# --- text ----------------------------------------------------------------------------------------------------------


def _shown(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text}`" if text else ""


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    titles = list(heads)
    yield _line(titles)
    yield _line("---" for _ in titles)
    yield from (_line(row) for row in rows)


def _line(cells: Iterable[str]) -> str:
    safe = (cell.replace("|", "\\|") if "`" in cell else cell.replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(safe)} |"


if __name__ == "__main__":
    main()
