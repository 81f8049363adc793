"""A trace against rules: latency, bill and failures by the model, and what others would have done."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from paas.model.scaling import DEFAULT, Autoscale, TargetRule
from paas.plan.advice import advice
from paas.plan.hosted import ecs, elastic_beanstalk, heroku, hosted, kubernetes
from paas.plan.simulate import Policy, Trace, World, flaps, ours, queued, simulate
from tests.unit.plan.loads import played

WORLD = World()


def flat(*parts: tuple[float, float]) -> Trace:
    """(rate, seconds)… one after another."""
    times, at = [], 0.0
    for _, seconds in parts:
        times.append(at)
        at += seconds
    return Trace(tuple(times), tuple(rate for rate, _ in parts), at)


def still(count: int) -> Policy:
    """A policy that never changes anything."""
    return ours(Autoscale(least=count, most=count))


def test_the_bill_is_every_replica_from_its_start() -> None:
    run = simulate(flat((10, 3600)), still(3), WORLD)
    assert run.replica_hours == pytest.approx(3)
    assert (run.over, run.failed, run.flaps, run.requests, run.peak) == (0, 0, 0, 36_000, 3)


def test_beyond_capacity_requests_queue_and_then_fail() -> None:
    run = simulate(flat((80, 300)), still(1), WORLD)
    assert run.points[0].p95 == pytest.approx(0.1 + 40 / 40)
    assert run.points[10].p95 == pytest.approx(0.1 + 11)
    assert run.failed == 300 * 40 - 30 * 40  # all that does not fit a queue of 30 s
    assert run.over == 300


def test_a_queue_is_worked_off_before_latency_is_well_again() -> None:
    run = simulate(flat((80, 10), (20, 60)), still(1), WORLD)
    over = [point.at for point in run.points if point.p95 > WORLD.target]
    assert over[0] == 0
    assert over[-1] == pytest.approx(10 + 400 / 20 - 2, abs=1.5)


def test_waiting_is_that_of_a_queue_before_many_workers() -> None:
    # M/M/1 with one worker: P(W > t) = busy × e^(-(1 - busy) × rate × t)
    one = World(capacity=10, latency=0.1)
    assert queued(1, 0.8, one) == pytest.approx(math.log(0.8 / 0.05) / (10 * 0.2))
    assert queued(1, 0.04, one) == 0
    assert queued(4, 0.8, one) < queued(1, 0.8, one)


def test_the_limit_of_many_workers_is_that_of_fewer_and_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = [queued(10, busy, World(capacity=1000, latency=0.1)) for busy in (0.9, 0.97, 0.98, 0.99)]
    queued.cache_clear()
    monkeypatch.setattr("paas.plan.simulate._MANY", 10)
    limit = [queued(10, busy, World(capacity=1000, latency=0.1)) for busy in (0.9, 0.97, 0.98, 0.99)]
    queued.cache_clear()
    assert limit == pytest.approx(exact, rel=0.05, abs=1e-6)
    assert exact[-1] > 0
    assert 0 <= queued(1000, 0.99, World(capacity=100_000, latency=30)) < 1e-3


def test_a_new_replica_answers_after_it_has_booted() -> None:
    run = simulate(flat((10, 60), (200, 60)), ours(Autoscale(rules=(DEFAULT,))), World(boot=7))
    change = run.changes[0]
    before, after = (next(p for p in run.points if p.at == change.at + wait) for wait in (6, 7))
    assert (before.ready, before.replicas, after.ready) == (1, change.wanted, change.wanted)


def test_a_step_of_twenty_times_the_load_is_routed_within_half_a_minute_and_fails_nothing() -> None:
    run = simulate(flat((10, 600), (200, 600), (10, 600)), ours(Autoscale(rules=(DEFAULT,))), WORLD)
    enough = next(point.at for point in run.points if point.ready * WORLD.capacity >= 200)
    assert enough - 600 <= 30
    assert all(point.p95 <= WORLD.target for point in run.points if 645 <= point.at < 1800)
    assert run.failed == 0
    assert run.points[1200 + 120 + 30].replicas == 1


def test_flaps_are_changes_of_direction() -> None:
    history = played(Autoscale(rules=(DEFAULT,)), lambda at: 300 if 100 < at < 300 else 10, 900)
    assert flaps([one for one in history if one.wanted != one.replicas]) == 1


# --- others --------------------------------------------------------------------------------------------------------

STEP = flat((10, 1800), (200, 3600), (10, 3600))


def when(policy: Policy, *, up: bool) -> list[float]:
    changes = simulate(STEP, policy, WORLD).changes
    return [one.at for one in changes if one.at >= (1800 if up else 5400) and (one.wanted > one.replicas) == up]


def test_elastic_beanstalk_waits_for_its_breach_and_goes_one_by_one() -> None:
    up = when(elastic_beanstalk(1, 20), up=True)
    assert 120 <= up[0] - 1800 <= 360
    assert min(after - before for before, after in pairwise(up)) >= 360
    down = when(elastic_beanstalk(1, 20), up=False)
    assert down, "samples a minute apart are no gap to it"
    assert down[0] - 5400 <= 660


def test_ecs_waits_for_three_minutes_up_and_fifteen_down() -> None:
    assert when(ecs(1, 20), up=True)[0] - 1800 == pytest.approx(180, abs=60)
    assert when(ecs(1, 20), up=False)[0] - 5400 >= 840


def test_heroku_goes_one_by_one_a_minute_apart() -> None:
    changes = simulate(STEP, heroku(1, 20, WORLD), WORLD).changes
    assert {abs(one.wanted - one.replicas) for one in changes} == {1}
    assert min(b.at - a.at for a, b in pairwise(changes)) >= 60


def test_kubernetes_doubles_or_adds_four_and_lets_go_after_five_minutes() -> None:
    changes = simulate(STEP, kubernetes(1, 20), WORLD).changes
    assert all(one.wanted <= max(2 * one.replicas, one.replicas + 4) for one in changes)
    assert when(kubernetes(1, 20), up=True)[0] - 1800 <= 15
    assert when(kubernetes(1, 20), up=False)[0] - 5400 == pytest.approx(300, abs=30)


@pytest.mark.parametrize("policy", hosted(2, 6, WORLD), ids=lambda one: one.name)
def test_all_others_get_the_same_bounds(policy: Policy) -> None:
    run = simulate(STEP, policy, WORLD)
    assert {2 <= point.replicas <= 6 for point in run.points} == {True}


def test_ours_is_late_for_less_and_costs_less_than_kubernetes_on_a_step() -> None:
    mine, theirs = (
        simulate(STEP, one, WORLD) for one in (ours(Autoscale(most=20, rules=(DEFAULT,))), kubernetes(1, 20))
    )
    assert mine.over < theirs.over
    assert mine.replica_hours <= theirs.replica_hours


def test_advice_has_room_for_the_trace_and_holds_its_target() -> None:
    found = advice(STEP, Autoscale(), WORLD)
    assert found.least == 1
    assert found.most * found.target >= 200
    assert 0 < found.target < WORLD.capacity
    assert found.run.over <= 30
    again = simulate(
        STEP, ours(Autoscale(most=found.most, rules=(TargetRule(metric="requests", target=found.target),))), WORLD
    )
    assert again.replica_hours == found.run.replica_hours


def test_advice_is_what_paas_toml_takes_however_small_or_large_the_numbers() -> None:
    slow = advice(flat((0.05, 120)), Autoscale(), World(capacity=0.1, latency=10, target=20))
    assert 0 < slow.target < 0.1
    assert (slow.least >= 1, slow.needed) == (True, 0)
    huge = advice(flat((60_000, 120)), Autoscale(), WORLD)
    assert (huge.least, huge.most) == (100, 100)
    assert huge.needed >= 60_000 * 1.3 / WORLD.capacity


def test_of_a_long_trace_all_is_counted_and_the_busiest_day_is_advised_by() -> None:
    day = 86_400
    load = flat((10, day), (100, day / 2), (200, day / 2), (20, day / 4))
    run = simulate(load, still(6), WORLD)
    assert run.seconds == 2.25 * day
    assert len(run.points) <= day
    assert run.replica_hours == pytest.approx(2.25 * 24 * 6)
    found = advice(load, Autoscale(), WORLD)
    assert found.run.seconds == day
    assert found.run.requests == day * 150
    assert (found.least, found.most * found.target >= 200) == (1, True)


@pytest.mark.parametrize(
    "policy", [ours(Autoscale(most=20, rules=(DEFAULT,))), *hosted(1, 20, WORLD)], ids=lambda one: one.name
)
def test_a_run_begins_with_what_the_first_minute_takes_whoever_decides(policy: Policy) -> None:
    assert simulate(flat((128, 60)), policy, WORLD).points[0].replicas == 4
    assert simulate(flat((129, 60)), policy, WORLD).points[0].replicas == 5
    assert simulate(flat((9000, 60)), policy, WORLD).points[0].replicas == 20
    assert simulate(flat((0, 60)), policy, WORLD).points[0].replicas == 1
