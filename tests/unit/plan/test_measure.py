"""Looks at counters become samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.model.metrics import Look, Machine, Series
from paas.model.route import Traffic
from paas.model.scaling import Sample
from paas.model.service import Measured, Replica, ServiceKey, State, Used
from paas.plan.measure import percentile, samples

MACHINE = Machine(cpus=4, memory=8 << 30)
WEB = Series("a1", "web")
MIB = 1 << 20


def one(index: int = 1, *, cpu: float = 0.0, memory: int = 64, state: State = State.HEALTHY, **more: int) -> Measured:
    address = f"10.0.0.{index}:8000"
    return Measured(
        key=ServiceKey("a1", "web", 1),
        replica=Replica(id=f"id{index}", index=index, state=state, address=address, started_at=1.0),
        used=Used(cpu_seconds=cpu, memory=memory * MIB, **more),
        cpus=0.5,
        memory_limit=256 * MIB,
    )


def look(at: float, *measured: Measured, **more: object) -> Look:
    return replace(Look(at=at, clock=at, measured=measured), **more)  # type: ignore[arg-type]


def passed(requests: Mapping[str, int], buckets: Mapping[float, int] | None = None) -> dict[str, Traffic]:
    return {"a1": Traffic(app_id="a1", requests=dict(requests), seconds=0.0, buckets=buckets or {})}


def web(*looks: Look) -> Sample:
    return samples(looks, MACHINE)[WEB]


def test_cpu_and_memory_are_shares_of_the_limit() -> None:
    found = web(look(0, one(cpu=1.0)), look(5, one(cpu=2.0, memory=128)))
    assert (found.at, found.replicas) == (5, 1)
    assert found.values["cpu"] == pytest.approx(0.4)
    assert found.values["cpu_cores"] == pytest.approx(0.2)
    assert found.values["memory"] == 0.5
    assert found.values["memory_bytes"] == 128 * MIB


def test_a_replica_that_only_finishes_what_it_has_is_no_part_of_its_process() -> None:
    busy = (one(), one(2, cpu=0.0)), (one(cpu=0.1), one(2, cpu=2.5))
    flying = {"10.0.0.1:8000": 1, "10.0.0.2:8000": 7}
    looks = (
        look(0, *busy[0], leaving=frozenset({"id2"})),
        look(5, *busy[1], leaving=frozenset({"id2"}), in_flight=flying),
    )
    found = samples(looks, MACHINE)
    assert (found[WEB].replicas, found[WEB].values["healthy"], found[WEB].values["in_flight"]) == (1, 1, 1)
    assert found[WEB].values["cpu"] == pytest.approx(0.04)
    assert found[Series("a1", "web.2")].values["cpu"] == pytest.approx(1.0)


def test_without_a_limit_they_are_shares_of_the_machine() -> None:
    free = replace(one(memory=1024), cpus=0.0, memory_limit=0)
    found = web(look(0, free), look(1, replace(free, used=Used(cpu_seconds=1.0, memory=1 << 30))))
    assert (found.values["cpu"], found.values["memory"]) == (0.25, 0.125)


def test_the_first_look_knows_no_rates() -> None:
    assert set(web(look(0, one())).values) == {"memory", "memory_bytes", "healthy", "unhealthy"}


def test_replicas_are_averaged_where_it_is_a_share_and_added_up_where_it_is_shared() -> None:
    before = look(0, one(1, network_in=0), one(2, network_in=0))
    found = web(before, look(1, one(1, cpu=0.5, network_in=100), one(2, cpu=0.25, network_in=50)))
    assert (found.replicas, found.values["cpu"], found.values["network_in"]) == (2, 0.75, 150)


def test_each_replica_has_its_own_samples() -> None:
    found = samples((look(0, one(1), one(2)), look(1, one(1, cpu=0.5), one(2))), MACHINE)
    assert found[Series("a1", "web.1")].values["cpu"] == 1.0
    assert found[Series("a1", "web.2")].values["cpu"] == 0.0


def test_a_replica_that_boots_counts_for_nothing_yet() -> None:
    boots = one(2, cpu=5.0, state=State.STARTING)
    found = web(look(0, one(1), one(2, state=State.STARTING)), look(5, one(1, cpu=1.0), boots))
    assert (found.replicas, found.values["cpu"], found.values["healthy"], found.values["unhealthy"]) == (1, 0.4, 1, 0)


def test_ill_replicas_count_only_when_none_is_well() -> None:
    ill = [one(1, state=State.UNHEALTHY), one(2, state=State.UNHEALTHY)]
    assert web(look(0, *ill)).replicas == 2
    assert web(look(0, ill[0], one(2))).replicas == 1
    assert web(look(0, ill[0], one(2))).values["unhealthy"] == 1


def test_a_replica_that_was_started_again_has_no_rates_until_the_next_look() -> None:
    again = replace(one(cpu=0.1), replica=replace(one().replica, started_at=3.0))
    assert "cpu" not in web(look(0, one(cpu=9.0)), look(5, again)).values


def test_a_crashed_replica_is_unhealthy_and_has_no_use() -> None:
    crashed = replace(one(), replica=replace(one().replica, state=State.CRASHED), used=None)
    found = samples((look(0, crashed),), MACHINE)
    assert list(found) == [WEB]
    assert (found[WEB].replicas, found[WEB].values["unhealthy"]) == (0, 1)


def test_requests_are_those_that_came_not_those_that_were_answered() -> None:
    before = look(0, one(), traffic=passed({"2xx": 100}), in_flight={"10.0.0.1:8000": 2})
    found = web(before, look(5, one(), traffic=passed({"2xx": 150}), in_flight={"10.0.0.1:8000": 52}))
    assert found.values["requests"] == 20
    assert found.values["2xx"] == 10
    assert found.values["in_flight"] == 52


def test_an_app_nobody_asks_has_zero_requests_and_no_latency() -> None:
    found = web(look(0, one(), traffic={}, in_flight={}), look(5, one(), traffic={}, in_flight={}))
    assert (found.values["requests"], found.values["p95"]) == (0, 0)


def test_while_all_requests_wait_the_latency_is_not_known() -> None:
    waits = {"10.0.0.1:8000": 3}
    found = web(look(0, one(), traffic={}, in_flight=waits), look(5, one(), traffic={}, in_flight=waits))
    assert "p95" not in found.values
    assert found.values["in_flight"] == 3


def test_a_look_that_cannot_see_what_is_in_flight_takes_none_of_it_for_answered() -> None:
    """40 requests/s that each wait a second, all the time."""
    looks = [
        look(at, one(), traffic=passed({"2xx": 40 * at}), in_flight=None if at == 10 else {"10.0.0.1:8000": 40})
        for at in range(0, 25, 5)
    ]
    assert [web(*looks[: last + 1]).values["requests"] for last in range(1, 5)] == [40, 40, 40, 40]
    queue = [*looks[:3], look(15, one(), traffic=passed({"2xx": 600}), in_flight={"10.0.0.1:8000": 240})]
    assert web(*queue).values["requests"] == 60  # 20 a second stay behind, over the 10 s since that was last seen


def test_while_all_wait_the_latency_is_not_known_where_one_look_did_not_see_them() -> None:
    hangs = look(5, one(), traffic={}, in_flight={"10.0.0.1:8000": 20})
    assert "p95" not in web(look(0, one(), traffic={}), hangs, look(10, one(), traffic={}, in_flight=None)).values
    never = [look(at, one(), traffic={}, in_flight=None) for at in (0, 5)]
    assert web(*never).values["p95"] == 0


def test_a_silent_router_costs_its_signals_only() -> None:
    found = web(look(0, one(), traffic={}), look(5, one(cpu=1.0), traffic=None))
    assert "requests" not in found.values
    assert "p95" not in found.values
    assert found.values["cpu"] == 0.4


def test_a_router_that_was_silent_is_counted_over_the_whole_gap() -> None:
    first, gap = look(0, one(), traffic=passed({"2xx": 0})), look(5, one(), traffic=None)
    assert web(first, gap, look(10, one(), traffic=passed({"2xx": 100}))).values["requests"] == 10


def test_a_router_that_was_started_again_counts_from_zero() -> None:
    before, now = passed({"2xx": 1000}, {1.0: 1000, math.inf: 1000}), passed({"2xx": 30}, {1.0: 30, math.inf: 30})
    found = web(look(0, one(), traffic=before), look(5, one(), traffic=now))
    assert found.values["requests"] == 6
    assert found.values["p50"] == pytest.approx(0.5)


def test_percentiles_of_few_answers_look_further_back() -> None:
    looks = [
        look(at, one(), traffic=passed({"2xx": at}, {0.1: at - at // 10, 1.0: at, math.inf: at}))
        for at in range(0, 60, 5)
    ]
    assert web(*looks).values["p99"] > 0.1  # five answers in the last 5 s, twenty in the last 20


def test_other_processes_have_no_requests() -> None:
    worker = replace(one(), key=ServiceKey("a1", "worker", 1))
    found = samples((look(0, worker, traffic={}), look(5, worker, traffic={})), MACHINE)
    assert "requests" not in found[Series("a1", "worker")].values


def test_a_clock_that_stands_still_gives_no_rates() -> None:
    assert "cpu" not in web(look(0, one()), look(0, one(cpu=1.0))).values


def test_a_percentile_lies_within_its_bucket() -> None:
    buckets = {0.1: 50, 0.3: 90, 1.0: 100, math.inf: 100}
    assert percentile(buckets, 0.5) == pytest.approx(0.1)
    assert percentile(buckets, 0.7) == pytest.approx(0.2)
    assert percentile(buckets, 0.95) == pytest.approx(0.65)
    assert percentile({0.1: 1, math.inf: 10}, 0.95) == 0.1
    assert math.isnan(percentile({}, 0.5))


@given(st.lists(st.integers(0, 1000), min_size=3, max_size=3), st.floats(0.01, 0.99))
def test_percentiles_rise_with_their_share(counts: list[int], share: float) -> None:
    first, second, third = counts
    buckets = {0.1: first, 0.5: first + second, math.inf: first + second + third}
    if buckets[math.inf]:
        assert 0 <= percentile(buckets, share) <= percentile(buckets, min(1.0, share + 0.2)) <= 0.5


def test_a_boot_is_told_once_by_the_first_sample_that_knows_it() -> None:
    first, second = replace(one(1), boot=2.0), replace(one(2), boot=4.0)
    booting = replace(one(2), boot=None)
    assert web(look(0, first, booting)).values["boot"] == 2.0
    assert web(look(0, first, booting), look(5, first, second)).values["boot"] == 4.0
    assert web(look(0, booting), look(5, first, second)).values["boot"] == 3.0
    assert "boot" not in web(look(5, first, second), look(10, first, second)).values
    again = replace(first, replica=replace(first.replica, started_at=9.0), boot=7.0)
    found = samples((look(5, first), look(10, again)), MACHINE)
    assert (found[WEB].values["boot"], found[Series("a1", "web.1")].values["boot"]) == (7.0, 7.0)
