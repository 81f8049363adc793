"""The Procfile: one process type a line, `name: command`. Nothing but parsing."""

from __future__ import annotations

import re
from collections.abc import Iterator

from paas.errors import ConfigError, UsageError
from paas.model import names
from paas.model.build import Process

LIMIT = 64 * 1024
"""Bytes of a whole Procfile."""

MOST = 100
"""Process types of one app."""

COMMAND_LIMIT = 8 * 1024
"""Bytes of one command. The Docker builder reads lines of up to 64 KiB."""

_LINE = re.compile(r"(?P<name>[^:\s]+)(?P<gap>\s*):(?P<command>.*)", re.DOTALL)
_YAML = re.compile(r"(---|%YAML|-\s|[\w-]+:\s*[|>][+-]?\s*$)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u2028\u2029]")


def parse(text: str, file: str = "Procfile") -> tuple[Process, ...]:
    """The process types in the order of the file.

    A byte order mark, Windows line ends, tabs, empty lines and lines that begin with `#` are fine. Raises ConfigError
    with `file:line` for everything else that is no `name: command`.
    """
    if len(text.encode("utf-8", "surrogatepass")) > LIMIT:
        raise ConfigError(f"is larger than {LIMIT // 1024} KiB", where=file, hint="put long commands into a script")
    found: dict[str, tuple[Process, int]] = {}
    for number, line in _lines(text):
        process = _parsed(line, f"{file}:{number}")
        if process.name in found:
            raise ConfigError(
                f"process {process.name!r} is there twice, first in line {found[process.name][1]}",
                where=f"{file}:{number}",
                hint="keep one of the two lines",
            )
        found[process.name] = (process, number)
        if len(found) > MOST:
            raise ConfigError(f"more than {MOST} process types", where=f"{file}:{number}")
    if not found:
        raise ConfigError("names no process", where=file, hint="add a line such as `web: python app.py`, or remove it")
    return tuple(process for process, _ in found.values())


def command(text: str, where: str) -> str:
    """`text` stripped, if it can be the command of a process: one line, not empty, not too long. Raises ConfigError."""
    stripped = text.strip()
    if not stripped:
        raise ConfigError("the command is empty", where=where, hint="write what to run after the colon")
    if _CONTROL.search(stripped):
        raise ConfigError("a command is one line without control characters", where=where, hint="use a script")
    size = len(stripped.encode("utf-8", "replace"))
    if size > COMMAND_LIMIT:
        raise ConfigError(
            f"the command has {size} bytes; the limit is {COMMAND_LIMIT}", where=where, hint="put it into a script"
        )
    return stripped


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), start=1):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _parsed(line: str, where: str) -> Process:
    if _YAML.match(line):
        raise ConfigError(
            "this is YAML, not a Procfile", where=where, hint="a Procfile has lines such as `web: python app.py`"
        )
    match = _LINE.fullmatch(line)
    if not match:
        shown = line if len(line) <= 60 else f"{line[:59]}…"
        raise ConfigError(
            f"expected `name: command`, found {shown!r}", where=where, hint="for example `web: python app.py`"
        )
    if match["gap"]:
        raise ConfigError("a space stands before the colon", where=where, hint=f"write `{match['name']}: …`")
    try:
        name = names.process_name(match["name"])
    except UsageError as error:
        raise ConfigError(error.message, where=where, hint=error.hint) from error
    return Process(name, command(match["command"], where))
