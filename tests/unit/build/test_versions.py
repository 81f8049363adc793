"""Which offer fits what an app asks for, in every way it can ask."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas.build import versions
from paas.build.files import Files
from paas.build.versions import Asked
from paas.errors import ConfigError

PYTHON = ("3.13", "3.12", "3.11")
NODE = ("24", "22", "20", "26")


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ("3.12", "3.12"),
        ("3.12.4", "3.12"),
        ("python-3.11.9", "3.11"),
        ("cpython-3.11", "3.11"),
        ("3", "3.13"),
        (">=3.11", "3.13"),
        (">=3.11,<3.13", "3.12"),
        ("==3.11.*", "3.11"),
        ("~=3.11", "3.13"),
        ("~=3.11.2", "3.11"),
        (">=3.12.7", "3.13"),
        ("!=3.13.*", "3.12"),
        ("==3.12.3", "3.12"),
        (">3.13.1", "3.13"),
        ("^3.11", "3.13"),
        ("~3.11", "3.11"),
        ("^3.9 || ~2.7", "3.13"),
        ("*", "3.13"),
        (">= 3.11, < 4", "3.13"),
    ],
)
def test_a_python_version_or_constraint_gets_the_best_offer_that_fits(asked: str, version: str) -> None:
    assert versions.python(Asked(asked, "file"), PYTHON).version == version


@pytest.mark.parametrize(
    ("asked", "version"),
    [
        ("22", "22"),
        ("v22.3.0", "22"),
        ("20.x", "20"),
        (">=18", "24"),
        ("^20", "20"),
        ("^20.9.0", "20"),
        ("~22.1", "22"),
        (">=20 <22", "20"),
        ("18 || 20", "20"),
        (">=20.9.0 || >=22.1.0", "24"),
        ("20 - 22", "22"),
        ("lts/*", "24"),
        ("lts/jod", "22"),
        ("lts/Iron", "20"),
        ("node", "26"),
        ("latest", "26"),
        ("*", "24"),
        (">=22.5.0", "24"),
    ],
)
def test_a_node_version_or_range_gets_the_best_offer_that_fits(asked: str, version: str) -> None:
    assert versions.node(Asked(asked, "file"), NODE).version == version


def test_an_app_that_says_nothing_gets_the_stacks_best() -> None:
    assert versions.python(None, PYTHON).version == "3.13"
    assert versions.node(None, NODE).version == "24"


@pytest.mark.parametrize(
    "text", ["3.99", "2.7", "latest", "3.12; rm", "3.x.y", "$(id)", "3.13\x00", "pypy3", ">=4", "3.²"]
)
def test_a_python_the_stack_cannot_give_is_refused_with_those_it_can(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        versions.python(Asked(text, "runtime.txt"), PYTHON)
    assert caught.value.where == "runtime.txt"
    assert "3.13, 3.12, 3.11" in caught.value.hint
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("text", ["16", "lts/argon", "22; rm", "<18", "twenty", "99999999999999999999", "²"])
def test_a_node_the_stack_cannot_give_is_refused_with_those_it_can(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        versions.node(Asked(text, ".nvmrc"), NODE)
    assert caught.value.where == ".nvmrc"
    assert "24, 22, 20, 26" in caught.value.hint


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_gets_an_offer_or_a_config_error(text: str) -> None:
    for choose, offers in ((versions.python, PYTHON), (versions.node, NODE)):
        try:
            assert choose(Asked(text, "file"), offers).version in offers
        except ConfigError:
            continue


@pytest.mark.parametrize("content", ["", "# only a comment\n", "3.12\n3.13\n", "3.1".encode("utf-16"), "x" * 1_000_000])
def test_a_version_file_with_anything_but_one_line_is_refused(content: str | bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        versions.line_of(Files.from_mapping({".python-version": content}), ".python-version")
    assert caught.value.where.startswith(".python-version")


def test_comments_and_spaces_around_the_one_line_are_fine() -> None:
    files = Files.from_mapping({".nvmrc": "# ours\r\n\r\n  v22 \r\n"})
    assert versions.line_of(files, ".nvmrc") == Asked("v22", ".nvmrc")
