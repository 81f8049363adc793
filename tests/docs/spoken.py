"""Commands as they stand in sentences, where arguments may be left out: what is named has to exist."""

from __future__ import annotations

import re
from typing import Any

from paas.cli.commands import COMMANDS, spelled
from paas.cli.lazy import load

_NAME = re.compile(r"[a-z][a-z:-]*")
_NOT_TYPED = re.compile(r"(?:, |\b(?:lists|shows)\b).*|[\[\]]", re.DOTALL)
"""What the sentence goes on with behind the command, and the brackets around what may be left out."""


def wrong(text: str) -> str:
    """What `paas …` names that does not exist: a command, one of a group, or an option; empty: nothing."""
    words = spelled(_NOT_TYPED.sub("", text).split()[1:])
    if not words or not _NAME.fullmatch(words[0]):
        return ""
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        return f"there is no `paas {name}`"
    command = load(name, COMMANDS[name])
    if COMMANDS[name].group and rest and _NAME.fullmatch(rest[0]):
        if rest[0] not in command.commands:
            return f"there is no `paas {name} {rest[0]}`"
        command, rest = command.commands[rest[0]], rest[1:]
    asked = {word.partition("=")[0] for word in rest[: rest.index("--") if "--" in rest else None]}
    unknown = sorted({word for word in asked if re.match(r"--?[a-z]", word)} - _options(command))
    return f"`{text}`: there is no {', '.join(unknown)}" if unknown else ""


def _options(command: Any) -> set[str]:
    """Those of a group are its commands' too: which one is meant may stand behind them."""
    own = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    return own.union({"--help"}, *map(_options, getattr(command, "commands", {}).values()))
