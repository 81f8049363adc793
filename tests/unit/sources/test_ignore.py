"""Ignore patterns, held against docker-py's own."""

from __future__ import annotations

import pytest
from docker.utils.build import PatternMatcher
from hypothesis import example, given
from hypothesis import strategies as st

from paas.sources.ignore import Ignore

PATHS = st.lists(st.sampled_from(["x", "y", "xy", "x.y", "y-x", ".x"]), min_size=1, max_size=4).map("/".join)
PARTS = st.sampled_from(["x", "y", "xy", "*", "?", "x*", "*.y", "**", "x?", ".", "[xz]", "[!x]", "?-x", ".x"])
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
    ],
)
def test_odd_patterns_mean_what_they_say(pattern: str, path: str) -> None:
    assert Ignore.of([pattern]).verdict(path) == "ignored"


@pytest.mark.parametrize(
    ("pattern", "path"), [("a\\*b", "axb"), ("x", "xx"), ("a.b", "acb"), ("#x", "#x"), ("?", "xy")]
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
