"""Which servers rest after others came to their side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.model.route import Route
from paas.routers.traefik import render
from paas.routers.traefik.easing import PATIENCE, WINDOW, Easing, grown, resting

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"
ROUTE = Route(app_id="shop1", app_name="shop", hosts=("shop.localhost",), servers=(A,))
FACTS = render.Facts("paas")


def weights(found: frozenset[str]) -> dict[str, int]:
    whole = render.document([replace(ROUTE, servers=(A, B, C))], (), replace(FACTS, resting=found))
    servers = whole["http"]["services"]["app-shop1"]["loadBalancer"]["servers"]
    return {server["url"].removeprefix("http://"): server.get("weight", 1) for server in servers}


def test_one_with_a_long_queue_rests_beside_new_ones() -> None:
    assert resting({A: 1100, B: 0, C: 3}, ()) == {A}


def test_two_that_were_overrun_one_after_the_other_both_rest() -> None:
    assert resting({A: 1100, B: 160, "c": 0, "d": 1, "e": 0}, ()) == {A, B}


@pytest.mark.parametrize("flying", [{A: 500, B: 400, C: 300}, {A: 15, B: 0}, {A: 1000}, {}])
def test_nobody_rests_where_all_are_alike_or_none_has_much_or_one_is_alone(flying: dict[str, int]) -> None:
    assert resting(flying, ()) == frozenset()


def test_one_rests_until_it_has_caught_up() -> None:
    assert resting({A: 15, B: 4, C: 4}, {A}) == {A}
    assert resting({A: 9, B: 4, C: 4}, {A}) == frozenset()
    assert resting({A: 15, B: 4, C: 4}, ()) == frozenset()


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 5000), max_size=20), st.booleans())
def test_at_least_half_of_them_always_work_and_the_idlest_is_among_them(flying: dict[str, int], all_did: bool) -> None:
    found = resting(flying, flying if all_did else ())
    assert len(found) <= len(flying) / 2
    if flying:
        assert min(flying.values()) in [count for server, count in flying.items() if server not in found]


def test_servers_are_looked_at_only_for_a_while_after_others_came() -> None:
    easing = Easing()
    easing.applied(None, ROUTE, 0.0)
    assert not easing.apps(0.0)
    easing.applied(ROUTE, replace(ROUTE, servers=(A, B)), 10.0)
    assert easing.apps(10.0 + WINDOW - 1) == {"shop1"}
    assert not easing.apps(10.0 + WINDOW)


@pytest.mark.parametrize(
    ("before", "after", "is_so"),
    [((A,), (A, B), True), ((A, B), (A,), False), ((A,), (B,), False), ((), (A,), False), ((A,), (A,), False)],
)
def test_only_servers_beside_others_that_stay_are_help(
    before: tuple[str, ...], after: tuple[str, ...], is_so: bool
) -> None:
    assert grown(replace(ROUTE, servers=before), replace(ROUTE, servers=after)) is is_so


def test_one_whose_requests_do_not_end_is_not_behind() -> None:
    easing = Easing()
    assert easing.look([{A: 500, B: 0}], 0.0) == {A}
    assert easing.look([{A: 499, B: 0}], PATIENCE) == {A}
    assert easing.look([{A: 498, B: 0}], PATIENCE + 1) == frozenset()


def test_one_that_still_got_more_when_its_rest_began_has_to_come_down_from_there() -> None:
    easing = Easing()
    counts = [*range(1000, 1480, 120), *range(1480, 400, -40)]  # Traefik obeys after four seconds; 40 are answered each
    found = [easing.look([{A: count, B: 5}], float(second)) for second, count in enumerate(counts)]
    assert found == [{A}] * len(counts)


def test_requests_that_do_not_end_are_told_from_a_queue_although_some_more_came_at_first() -> None:
    easing = Easing()
    for second in range(5):
        assert easing.look([{A: 500 + second, B: 0}], float(second)) == {A}
    found = [easing.look([{A: 500 + second, B: 0}], float(second)) for second in range(5, 20)]
    assert found[-1] == frozenset(), "ever more are no reason to wait for ever"


def test_one_that_gets_on_rests_for_as_long_as_it_takes() -> None:
    easing = Easing()
    found = [easing.look([{A: 1200 - 5 * second, B: 5}], float(second)) for second in range(230)]
    assert found == [{A}] * 230
    assert easing.look([{A: 9, B: 5}], 231.0) == frozenset()


def test_one_that_rests_has_the_weight_zero() -> None:
    assert weights(frozenset((A,))) == {A: 0, B: 1, C: 1}
    assert weights(frozenset()) == {A: 1, B: 1, C: 1}


def test_where_all_would_rest_none_does() -> None:
    assert weights(frozenset((A, B, C))) == {A: 1, B: 1, C: 1}
