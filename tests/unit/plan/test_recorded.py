"""What was measured → a trace and the capacity of one replica."""

from __future__ import annotations

from typing import Any

import pytest

from paas.errors import ConfigError
from paas.plan.recorded import measured, trace
from paas.plan.simulate import World


def sample(at: float, requests: float, replicas: int = 1, **values: float) -> dict[str, Any]:
    return {"at": at, "replicas": replicas, "values": {"requests": requests, **values}}


def test_samples_become_rates_and_a_gap_is_no_load() -> None:
    found = trace([sample(0, 5), sample(10, 6), sample(20, 7), sample(100, 8)], "shop")
    assert (found.times, found.rates, found.end) == ((0, 10, 20, 30, 100), (5, 6, 7, 0, 8), 110)


def test_too_little_is_told_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="too little was measured of shop") as refused:
        trace([sample(0, 5), {"at": 5, "replicas": 1, "values": {"cpu": 0.1}}], "shop")
    assert "--trace" in refused.value.hint


def test_a_replica_serves_what_it_would_at_all_of_its_cpu() -> None:
    samples = [sample(at, 40, 2, cpu=0.5, p95=0.08) for at in range(0, 50, 5)]
    world = measured(samples)
    assert (world.capacity, world.latency) == (40.0, 0.08)


def test_an_app_that_waits_serves_what_it_was_seen_to_serve() -> None:
    samples = [sample(at, 60 + at, 1, cpu=0.02, p95=0.2) for at in range(0, 50, 5)]
    assert measured(samples).capacity == 105


def test_where_nothing_says_it_the_defaults_hold() -> None:
    assert measured([]) == World()
