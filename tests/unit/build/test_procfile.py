"""The Procfile's grammar: what is accepted as it is, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas.build import procfile
from paas.errors import ConfigError
from paas.model.build import Process

EXAMPLE = Path(__file__).parents[3] / "Procfile.example"


def test_a_line_is_a_name_a_colon_and_a_command() -> None:
    assert procfile.parse("web: gunicorn app:app\nworker:\tpython w.py\n") == (
        Process("web", "gunicorn app:app"),
        Process("worker", "python w.py"),
    )


def test_windows_line_ends_a_byte_order_mark_comments_and_empty_lines_are_fine() -> None:
    text = "\ufeff# what runs\r\n\r\nweb: node server.js --flag=a:b # not a comment\r\n  \t\r\n"
    assert procfile.parse(text) == (Process("web", "node server.js --flag=a:b # not a comment"),)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("web: x\nworker python w.py\n", "Procfile:2", "name: command"),
        ("web:\n", "Procfile:1", "empty"),
        ("# c\nweb : x\n", "Procfile:2", "before the colon"),
        ("web: x\n\nweb: y\n", "Procfile:3", "twice"),
        ("a/b: x\n", "Procfile:1", "name a process"),
        ("---\nweb: x\n", "Procfile:1", "YAML"),
        ("- web\n", "Procfile:1", "YAML"),
        ("web: |\n  python app.py\n", "Procfile:1", "YAML"),
        ("web: a\x0bb\n", "Procfile:1", "one line"),
        ("web: a\rb\n", "Procfile:1", "one line"),
        (f"web: {'x' * 10_000}\n", "Procfile:1", "10000 bytes"),
        ("\n".join(f"p{i}: x" for i in range(200)), "Procfile:101", "100 process types"),
        ("x" * 100_000, "Procfile", "larger than 64 KiB"),
        ("# nothing\n", "Procfile", "names no process"),
    ],
)
def test_everything_else_is_refused_with_its_line(text: str, place: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        procfile.parse(text)
    assert caught.value.where == place
    assert words in caught.value.message


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_processes_of_one_line_each_or_a_config_error(text: str) -> None:
    try:
        found = procfile.parse(text)
    except ConfigError:
        return
    assert found
    assert all(process.command.strip() and "\n" not in process.command for process in found)


def test_the_example_is_a_procfile_with_web_and_release() -> None:
    found = {process.name: process.command for process in procfile.parse(EXAMPLE.read_text(), EXAMPLE.name)}
    assert list(found) == ["release", "web", "worker", "clock"]
    assert "$PORT" in found["web"]
