"""The generated pages say what the code says, and cover all of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from paas.cli import reference
from paas.cli.commands import COMMANDS
from paas.cli.lazy import load
from paas.cli.source import STARTER
from paas.settings import Settings
from tests.docs.markdown import ROOT


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_a_generated_page_is_as_the_code_is_now(name: str) -> None:
    path = reference.FOLDER / name
    written = path.read_text() if path.exists() else ""
    assert written == reference.pages()[name], f"docs/reference/{name} is stale: run `make docs` and commit it"


def test_every_page_in_the_folder_is_generated() -> None:
    assert {path.name for path in reference.FOLDER.iterdir()} == set(reference.pages())


def test_pages_are_the_same_in_any_terminal_and_with_any_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    before = reference.pages()
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "PAAS_HOME": "/elsewhere", "PAAS_HTTP_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert reference.pages() == before
    assert str(ROOT) not in "".join(before.values())


def test_every_command_and_every_setting_has_its_place() -> None:
    pages = reference.pages()
    assert [name for name in COMMANDS if f"\n## paas {name}\n" not in pages["commands.md"]] == []
    assert [one.name for one in fields(Settings) if f"`{one.metadata['env']}`" not in pages["settings.md"]] == []


def test_every_argument_and_every_option_is_explained() -> None:
    silent = [
        f"{path} {parameter.name}"
        for name, command in COMMANDS.items()
        for path, one in _all(name, load(name, command))
        for parameter in one.params
        if not parameter.help
    ]
    assert silent == []


def test_values_are_named_as_a_person_would() -> None:
    assert re.findall(r"^ .*<(?:str|path|int|float)\b.*$", reference.pages()["commands.md"], re.MULTILINE) == []


def _all(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from _all(f"{path} {name}", sub)


def test_the_commands_of_a_group_are_described_too() -> None:
    text = reference.pages()["commands.md"]
    assert "\n### paas config set\n" in text
    assert "--confirm NAME" in text.partition("\n### paas db restore\n")[2].partition("\n## ")[0]


def test_keys_of_nested_tables_are_written_as_they_are_typed() -> None:
    text = reference.pages()["paas-toml.md"]
    for key in ("build.packages", "processes.NAME.health.path", "env.KEY.generate"):
        assert f"| `{key}` |" in text
    assert "| `processes.NAME.memory` | size |" in text
    assert "| `processes.NAME.health.failures` | number | `3` |" in text


def test_a_row_is_one_line_and_thresholds_are_more_than_times() -> None:
    table = reference.pages()["paas-toml.md"].partition("\n| ")[2]
    assert [line for line in table.splitlines()[1:] if not line.startswith("| ")] == []
    for key in ("processes.NAME.autoscale.step[].upper", "alerts.NAME.above"):
        assert f"| `{key}` | number, share or time |" in table


def test_the_file_that_init_writes_shows_every_key() -> None:
    keys = re.findall(r"^\| `(?:[^`]*\.)?(\w+)` \| (?!table)", reference.pages()["paas-toml.md"], re.MULTILINE)
    assert len(keys) > 30
    assert {key for key in keys if not re.search(rf"\b{key} = ", STARTER)} - {"value"} == set()


def test_every_exit_code_is_named() -> None:
    text = reference.pages()["exit-codes.md"]
    assert "| 8 | `DeployFailed` | New replicas never became healthy" in text
    assert "| 130 | `Cancelled` |" in text
