"""Ignore patterns, held against docker-py's own."""

from __future__ import annotations

import pytest
from docker.utils.build import PatternMatcher
from hypothesis import example, given
from hypothesis import strategies as st

from paas.errors import ConfigError
from paas.sources.ignore import Ignore
from paas.sources.patterns import MOST, MOST_TEXT

PATHS = st.lists(st.sampled_from(["x", "y", "xy", "x.y", "y-x", ".x"]), min_size=1, max_size=4).map("/".join)
PARTS = st.sampled_from(
    [
        "x",
        "y",
        "xy",
        "*",
        "?",
        "x*",
        "*.y",
        "**",
        "x?",
        ".",
        "[xz]",
        "[!x]",
        "?-x",
        ".x",
        "*y*",
        "x*y*x",
        "***",
        "**y",
        "*?",
    ]
)
BODIES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
PATTERN = st.tuples(st.sampled_from(["", "!", "/"]), BODIES, st.sampled_from(["", "/"])).map("".join)
PATTERNS = st.lists(PATTERN, min_size=1, max_size=4)


def dockers(patterns: list[str], path: str) -> bool:
    """What docker-py says of the path or, as Docker does, of a folder it is in: the last match decides."""
    parts = path.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    last = False
    for pattern in PatternMatcher(patterns).patterns[:-1]:
        if any(pattern.match(folder) for folder in above):
            last = not pattern.exclusion
    return last


@given(PATTERNS, PATHS)
@example(["**/x"], "y/y/x")
@example(["x/**", "!x/y"], "x/y/x")
@example(["!/x"], "x")
def test_every_verdict_is_dockers(patterns: list[str], path: str) -> None:
    assert (Ignore.of(patterns).verdict(path) == "ignored") == dockers(patterns, path)


@given(st.text(max_size=30), PATHS)
def test_no_pattern_is_an_error(pattern: str, path: str) -> None:
    assert Ignore.of([pattern]).verdict(path) in ("keep", "ignored")


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 40 + "b",
        "a*" * 40 + "b",
        "**/a" * 20 + "/b",
        "**/*a*" * 20 + "b",
        "**/" + "?*" * 40 + "b",
        "[a]*" * 30 + "b",
    ],
)
def test_no_pattern_can_hold_up_who_matches_it(pattern: str) -> None:
    rules = Ignore.of([pattern] * 20)
    for path in ("a" * 250, "/".join(["a" * 30] * 40), "/".join("a" * 2000)):
        assert rules.verdict(path) == "keep"


@pytest.mark.parametrize("lines", [["a"] * (MOST + 1), ["a" * (MOST_TEXT + 1)], ["[ab]" * 1000]])
def test_a_list_has_bounds(lines: list[str]) -> None:
    with pytest.raises(ConfigError, match="too long"):
        Ignore.of(lines)


def test_a_path_may_be_asked_for_in_any_order() -> None:
    rules = Ignore.of(["x", "!x/y", "*/z"])
    asked = ["x/y/z", "x/a", "z", "y/x", "x/y", "y/z/x", "x/y/z", "x/b"]
    assert [rules.verdict(path) for path in asked] == [
        *("keep", "ignored", "keep", "keep", "keep", "ignored", "keep", "ignored")
    ]


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a\\*b", "a*b"),
        ("[[]x", "[x"),
        ("x]", "x]"),
        ("[x", "[x"),
        ("a+(b)", "a+(b)"),
        ("../x", "x"),
        ("a/../x/.", "x"),
        ("é*", "éa\nb"),
        ("[a-cx]y", "by"),
        ("[]a]", "]"),
        ("[]", "[]"),
        ("[!]", "[!]"),
        ("[^a]b", "éb"),
        ("[a&&b]", "&"),
    ],
)
def test_odd_patterns_mean_what_they_say(pattern: str, path: str) -> None:
    assert Ignore.of([pattern]).verdict(path) == "ignored"


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a\\*b", "axb"),
        ("x", "xx"),
        ("a.b", "acb"),
        ("#x", "#x"),
        ("?", "xy"),
        ("[z-a]", "m"),
        ("a[!b]c", "a/c"),
        ("[!a-c]", "b"),
    ],
)
def test_and_not_more(pattern: str, path: str) -> None:
    assert Ignore.of([pattern]).verdict(path) == "keep"


@pytest.mark.parametrize("name", ["Dockerfile", "Procfile", "paas.toml", "app.json", ".dockerignore", ".paasignore"])
def test_what_the_platform_reads_is_never_left_out(name: str) -> None:
    assert Ignore.of(["*", name]).verdict(name) == "keep"
    assert Ignore.of(["*"]).verdict(f"sub/{name}") == "ignored"


def test_folders_are_entered_only_when_something_in_them_may_come_along() -> None:
    rules = Ignore.of(["*", "!src/app", "!**/keep"])
    assert rules.descends("src")
    assert rules.descends("other")
    assert not Ignore.of(["*", "!src/app"]).descends("node_modules")
