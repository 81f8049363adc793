"""What the program tells people to type exists, as what the pages tell them does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT
from tests.docs.spoken import wrong

CODE = sorted([*(ROOT / "paas").rglob("*.py"), *(ROOT / "buildpacks").rglob("*.py")])
TYPED = re.compile(r"`(paas [^`]+)`|(?:^|[;:(] )(paas [a-z:-]+[^;`]*)")
"""In backticks, or where a hint or a part of it begins."""


def said(path: Path) -> Iterator[str]:
    """The strings of a module, with X where a value stands in them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def commands(path: Path) -> list[str]:
    return [found[1] or found[2] for text in said(path) for found in TYPED.finditer(text)]


def test_every_command_that_the_program_names_exists() -> None:
    named = {path: commands(path) for path in CODE}
    assert sum(map(len, named.values())) > 300, "the hints are not where this test looks"
    found = [
        f"{path.relative_to(ROOT)}: {what}" for path, texts in named.items() for text in texts if (what := wrong(text))
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["paas deploi", "paas db forget X lists them", "paas logs --flow", "paas ps:scal web=2", "paas db --flow"]
)
def test_a_command_that_does_not_exist_is_found(text: str) -> None:
    assert wrong(text)


@pytest.mark.parametrize(
    "text", ["paas contexts shows them", "paas cron logs X -f", "paas config -a X", "paas ps -a X [--json]", "paas X"]
)
def test_what_may_be_said_is_no_mistake(text: str) -> None:
    assert wrong(text) == ""
