"""What was measured → a trace and the capacity of one replica."""

from __future__ import annotations

from typing import Any

import pytest

from paas.errors import ConfigError
from paas.plan.recorded import DEFAULTS, measured, trace
from paas.plan.simulate import World


def sample(at: float, requests: float, replicas: int = 1, **values: float) -> dict[str, Any]:
    return {"at": at, "replicas": replicas, "values": {"requests": requests, **values}}


def test_samples_become_rates_and_a_gap_is_no_load() -> None:
    found = trace([sample(0, 5), sample(10, 6), sample(20, 7), sample(100, 8)], "shop")
    assert (found.times, found.rates, found.end) == ((0, 10, 20, 30, 100), (5, 6, 7, 0, 8), 110)


def test_older_samples_that_are_further_apart_are_no_gaps() -> None:
    coarse = [sample(at, 7) for at in range(0, 3600, 60)]
    fine = [sample(3600 + at, 7) for at in range(0, 3600, 5)]
    found = trace([*coarse, *fine], "shop")
    assert set(found.rates) == {7}
    lost = [one for one in [*coarse, *fine] if not (600 < one["at"] < 1200 or 4000 < one["at"] < 4100)]
    gaps = trace(lost, "shop")
    assert [at for at, rate in zip(gaps.times, gaps.rates, strict=True) if rate == 0] == [660, 4005]


def test_too_little_is_told_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="too little was measured of shop") as refused:
        trace([sample(0, 5), {"at": 5, "replicas": 1, "values": {"cpu": 0.1}}], "shop")
    assert "--trace" in refused.value.hint


def test_a_replica_serves_what_it_would_at_all_of_its_cpu() -> None:
    samples = [sample(at, 40, 2, cpu=0.5, p95=0.08) for at in range(0, 50, 5)]
    known = measured(samples)
    assert (known.world.capacity, known.world.latency) == (40.0, 0.08)
    assert known.sources["capacity"] == "measured from 10 samples, at a CPU of 100%"
    assert known.sources["latency"] == "measured from 2 samples"


def test_what_little_cpu_says_of_all_of_it_is_told_as_a_guess() -> None:
    samples = [sample(at, 12, 1, cpu=0.1, p95=0.25) for at in (0, 5)]
    known = measured(samples)
    assert known.world.capacity == pytest.approx(120)
    assert known.sources["capacity"] == (
        "measured from 2 samples, of 10% CPU at most, as if it were 100%: it may be less"
    )


def test_of_a_load_that_is_too_high_what_was_answered_counts_and_not_what_came() -> None:
    calm = [sample(at, 20, 1, cpu=0.5, p95=0.1, **{"2xx": 20.0}) for at in range(0, 50, 5)]
    flood = [sample(at, 400, 1, cpu=1.0, p95=9.0, **{"2xx": 40.0, "5xx": 99.0}) for at in range(50, 100, 5)]
    assert measured([*calm, *flood]).world.capacity == pytest.approx(40)


def test_latency_that_reaches_its_target_before_cpu_does_says_the_capacity() -> None:
    calm = [sample(at, 5, 1, cpu=0.05, p95=0.1) for at in range(0, 50, 5)]
    slow = [sample(at, 30, 1, cpu=0.3, p95=0.8) for at in range(50, 100, 5)]
    known = measured([*calm, *slow])
    assert (known.world.capacity, known.sources["capacity"]) == (
        30,
        "measured from 10 samples, where p95 reached 0.5 s",
    )
    assert measured([*calm, *slow], target=1.0).world.capacity == pytest.approx(100)
    # Slow without load says nothing about load.
    assert measured([sample(at, 1, 1, cpu=0.01, p95=0.8) for at in range(0, 50, 5)]).sources["capacity"] == "default"


def test_a_boot_is_the_median_of_those_that_were_measured() -> None:
    known = measured([sample(0, 1, boot=2.0), sample(5, 1), sample(10, 1, boot=9.0), sample(15, 1, boot=3.0)])
    assert (known.world.boot, known.sources["boot"]) == (3.0, "measured from 3 boots")


def test_an_app_that_waits_serves_what_it_was_seen_to_serve() -> None:
    samples = [sample(at, 60 + at, 1, cpu=0.02, p95=0.2) for at in range(0, 50, 5)]
    known = measured(samples)
    assert known.world.capacity == 100  # most of the time
    assert "it may be more" in known.sources["capacity"]


def test_where_nothing_says_it_the_defaults_hold() -> None:
    assert measured([]) == DEFAULTS
    assert measured([]).world == World()
