"""What could be had at all on a trace: a plan that can be carried out, and what none can be below."""

from __future__ import annotations

import pytest

from benchmarks.autoscale import TRACES, UNSEEN
from benchmarks.foresight import cheapest, floor, foreseen
from paas.plan.hosted import hosted
from paas.plan.simulate import Trace, World, simulate

WORLD = World()


def flat(*rates: float) -> Trace:
    """A minute of each rate."""
    return Trace(tuple(60.0 * number for number in range(len(rates))), rates, 60.0 * len(rates))


def test_with_foresight_nobody_waits_and_replicas_are_there_no_longer_than_needed() -> None:
    run = simulate(flat(10, 210, 10), foreseen(flat(10, 210, 10), 1, 20, WORLD), WORLD)
    assert (run.over, run.failed, run.peak) == (0, 0, 6)
    ready = [point.ready for point in run.points]
    assert (ready[50], ready[170]) == (1, 1)
    assert ready[60] >= 4, "they are ready in the very second that the load is there"


def test_with_foresight_it_is_late_in_no_trace_of_the_benchmark() -> None:
    for load in (TRACES["gusts"], TRACES["spikes"], UNSEEN["noise'"]):
        assert simulate(load, foreseen(load, 1, 20, WORLD), WORLD).over == 0


def test_who_may_be_late_is_late_for_a_lower_bill_and_who_may_not_is_not() -> None:
    load = TRACES["spikes"]
    strict, late = (cheapest(load, seconds, 1, 20, WORLD) for seconds in (0, 1576))
    assert strict.over == 0 < late.over <= 1576
    assert floor(load, 1576, 1, 20, WORLD) <= late.replica_hours < strict.replica_hours


def test_no_plan_is_below_the_floor() -> None:
    load = TRACES["spikes"]
    for policy in (foreseen(load, 1, 20, WORLD), *hosted(1, 20, WORLD)):
        run = simulate(load, policy, WORLD)
        assert floor(load, run.over, 1, 20, WORLD) <= run.replica_hours


def test_the_floor_is_the_work_by_the_capacity_and_never_fewer_replicas_than_the_least() -> None:
    assert floor(flat(200), 0, 1, 1, WORLD) == pytest.approx((200 * 60 - 16) / 40 / 3600)
    assert floor(flat(200), 10, 1, 1, WORLD) == pytest.approx((200 * 50 - 16) / 40 / 3600)
    assert floor(flat(10), 0, 2, 20, WORLD) == pytest.approx(2 / 60)
    assert floor(flat(200), 60, 3, 20, WORLD) == pytest.approx(3 / 60)
