"""Names of review apps: readable where they can be, never two of one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.model import names
from paas.model.reviews import review_key, review_name


@pytest.mark.parametrize(
    ("branch", "number", "name"),
    [("", 12, "shop-pr-12"), ("anything", 12, "shop-pr-12"), ("better", 0, "shop-better"), ("a-b-1", 0, "shop-a-b-1")],
)
def test_what_fits_is_said_plainly(branch: str, number: int, name: str) -> None:
    assert review_name("shop", branch, number, ()) == name


@pytest.mark.parametrize("branch", ["feature/login", "Better", "a_b", "日本", "x" * 60, "pr-12", "better."])
def test_what_does_not_fit_gets_a_mark(branch: str) -> None:
    name = review_name("shop", branch, 0, ())
    assert name.startswith("shop-")
    assert name.rpartition("-")[2].isalnum()
    assert len(name.rpartition("-")[2]) == 6
    assert name == review_name("shop", branch, 0, ())


def test_branches_that_look_alike_have_names_of_their_own() -> None:
    branches = ["a/b", "a-b", "A-b", "a_b", "a--b", "a/b/", "pr-1", "x" * 60, "x" * 61]
    found = {review_name("shop", branch, 0, ()) for branch in branches} | {review_name("shop", "", 1, ())}
    assert len(found) == len(branches) + 1


def test_a_name_that_is_taken_is_another_one() -> None:
    first = review_name("shop", "", 12, {"shop-pr-12"})
    assert first.startswith("shop-pr-12-")
    assert review_name("shop", "", 12, {"shop-pr-12", first}) not in ("shop-pr-12", first)


def test_a_long_parent_leaves_room_for_the_number() -> None:
    parent = "a" * 40
    assert "-pr-987654321-" in review_name(parent, "", 987654321, ())
    assert review_name(parent, "", 1, ()) != review_name(parent, "", 2, ())


@given(
    st.from_regex(names.APP, fullmatch=True),
    st.text(min_size=1, max_size=80),
    st.integers(min_value=0, max_value=10**9),
    st.booleans(),
)
def test_every_name_can_name_an_app(parent: str, branch: str, number: int, taken: bool) -> None:
    used = {review_name(parent, branch, number, ())} if taken else set()
    name = review_name(parent, branch, number, used)
    assert names.APP.fullmatch(name)
    assert name not in used


def test_a_pull_request_is_known_by_its_number_alone() -> None:
    assert review_key("a", 1) == review_key("b", 1) != review_key("a", 0)
    assert review_key("a", 0) != review_key("b", 0)
