"""Turns values into text that a Dockerfile takes as one word, one value or one command, never as a line of its own.

Templates may print nothing but `Quoted` text: the environment refuses every other string (see `dockerfile.py`).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence

from paas.errors import ConfigError

_REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,254}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_PATH = re.compile(r"\.|/?[A-Za-z0-9_@.+-]+(/[A-Za-z0-9_@.+-]+)*/?")
LINE_BREAKS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
"""What no value in a Dockerfile may hold."""
LIMIT = 60_000
"""Bytes of one quoted text: Docker's parser refuses lines beyond 64 KiB."""


class Quoted(str):
    """Text that is safe where the filter that made it is meant for."""

    __slots__ = ()


def ref(value: str) -> Quoted:
    """An image reference or a stage's name. Raises ConfigError."""
    return _matching(_REF, value, "image reference")


def name(value: str) -> Quoted:
    """The name of an environment variable. Raises ConfigError."""
    return _matching(_NAME, value, "name of a variable")


def path(value: str) -> Quoted:
    """A path for COPY and WORKDIR: these expand `$` and wildcards, so none is let through. Raises ConfigError."""
    if ".." in value.split("/"):
        raise ConfigError(f"{value!r} leaves the app's folder")
    return _matching(_PATH, value, "path")


def value(text: str, key: str = "") -> Quoted:
    r"""A value for ENV: in double quotes, where `\`, `"` and `$` mean something. Raises ConfigError naming `key`."""
    _one_line(text, f"the value of {key}" if key else "a value")
    escaped = re.sub(r'([\\"$])', r"\\\1", text)
    return Quoted(f'"{escaped}"')


def shell(text: str) -> Quoted:
    """One word of a shell command in a RUN line. Raises ConfigError."""
    _one_line(text, "a word of a command")
    return Quoted(shlex.quote(text))


def run(command: str) -> Quoted:
    """A shell command for RUN and CMD in exec form, where Docker itself expands nothing. Raises ConfigError."""
    return argv(("/bin/sh", "-c", command))


def argv(words: Sequence[str]) -> Quoted:
    """An exec form. JSON keeps line breaks inside its strings as two characters. Raises ConfigError."""
    for word in words:
        if "\0" in word or any("\ud800" <= char <= "\udfff" for char in word):
            raise ConfigError("a command holds a character that no command line takes")
    # Escaped, for an eye that reads the file, and for parsers that take them for line ends.
    text = re.sub(
        r"[\x7f\x85\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", json.dumps(list(words), ensure_ascii=False)
    )
    _short(text, "a command")
    return Quoted(text)


def _matching(pattern: re.Pattern[str], text: str, what: str) -> Quoted:
    if not pattern.fullmatch(text):
        raise ConfigError(f"{text[:60]!r} is no {what}")
    return Quoted(text)


def _one_line(text: str, what: str) -> None:
    if LINE_BREAKS.search(text):
        raise ConfigError(f"{what} holds a line break or another control character", hint="encode it, e.g. base64")
    _short(text, what)


def _short(text: str, what: str) -> None:
    size = len(text.encode())
    if size > LIMIT:
        raise ConfigError(f"{what} has {size} bytes; the limit is {LIMIT}", hint="put it into a file of the app")
