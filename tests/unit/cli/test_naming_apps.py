"""Which app a command is about: by its flag, by its place, by what is set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from paas.cli.commands import COMMANDS
from paas.cli.lazy import load
from paas.requests.sleep import ShowSleep
from tests.unit.cli.conftest import Paas
from tests.unit.cli.test_commands import SLEEPS
from tests.unit.server.stub import Running


def test_sleep_alone_shows_how_it_is(server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch) -> None:
    server.door.answers = {ShowSleep: {"app": "shop", **SLEEPS}}
    monkeypatch.setenv("PAAS_APP", "other")
    for argv in (["sleep", "-a", "shop"], ["sleep", "show", "shop"], ["sleep", "-a", "shop", "show"]):
        assert "sleeps after 30 min" in paas(*argv).out
    assert paas("sleep").code == 0
    asked = [request for request, *_ in server.door.seen if isinstance(request, ShowSleep)]
    assert [one.app for one in asked] == ["shop", "shop", "shop", "other"]


def test_every_command_that_takes_an_app_takes_it_by_its_flag_too() -> None:
    unnamed = []
    for name, command in COMMANDS.items():
        for words, one in leaves(name, load(name, command)):
            options = {option for param in one.params for option in param.opts}
            about = {param.metavar or "" for param in one.params if param.param_type_name == "argument"}
            if "-a" not in options and any("APP" in words or "SRC" in words for words in about):
                unnamed.append(words)
    assert unnamed == []


def leaves(words: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The command itself, or those of the group."""
    for name, one in getattr(command, "commands", {"": command}).items():
        if one is command:
            yield words, command
        else:
            yield from leaves(f"{words} {name}", one)
