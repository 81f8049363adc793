"""What would fit a process, from what it used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.model.scaling import Sample
from paas.model.service import Limits
from paas.plan.recommend import BUSY, MIB, Use, propose, quantile

DAY = 86_400.0


def samples(
    *, cores: Sequence[float] = (0.1,), memory: float = 100, peak: float = 0, span: float = DAY, replicas: int = 1
) -> tuple[Sample, ...]:
    """200 samples over `span` seconds, `memory` and `peak` in MiB."""
    values = {"memory_bytes": memory * MIB} | ({"memory_bytes_max": peak * MIB} if peak else {})
    return tuple(
        Sample(span * number / 199, replicas, {**values, "cpu_cores": cores[number % len(cores)]})
        for number in range(200)
    )


def use(found: Sequence[Sample], **changes: object) -> Use:
    base = Use(samples=found, limits=Limits(memory=512 * MIB, cpus=1.0), replicas=1)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_memory_is_the_highest_use_and_a_quarter() -> None:
    fits = propose(use(samples(memory=100, peak=200)))
    assert fits.memory == 256 * MIB  # 250, in steps of 32
    assert fits.reasons[0] == "memory: 200 MiB at most, + 25%"


def test_a_limit_a_little_above_what_fits_stays() -> None:
    assert propose(use(samples(memory=384))).memory == 512 * MIB


def test_a_limit_that_is_too_tight_is_raised_however_little_is_missing() -> None:
    assert propose(use(samples(memory=500))).memory == 640 * MIB


def test_a_kill_for_memory_raises_the_limit_although_the_highest_use_seen_was_low() -> None:
    fits = propose(use(samples(memory=100), kills=2))
    assert fits.memory == 768 * MIB
    assert "ran out 2 times at 512 MiB" in fits.reasons[0]


def test_a_kill_for_memory_needs_no_day_of_measurements() -> None:
    fits = propose(use((), kills=1))
    assert (fits.memory, fits.cpus, fits.replicas) == (768 * MIB, 1.0, 1)
    assert fits.missing


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((), "0.0 h were measured; 24.0 h more are needed"),
        (samples(span=6 * 3600), "6.0 h were measured; 18.0 h more are needed"),
        (samples()[::4], "50 samples were taken; 50 more are needed"),
    ],
)
def test_too_little_says_how_much_more(found: tuple[Sample, ...], words: str) -> None:
    if len(found) == 50:  # every fourth of them ends a little before the day is over
        found = (*found[:-1], replace(found[-1], at=DAY))
    fits = propose(use(found))
    assert fits.missing == words
    assert (fits.memory, fits.cpus, fits.replicas, fits.reasons) == (512 * MIB, 1.0, 1, ())


def test_samples_without_cpu_and_memory_are_no_measurements() -> None:
    assert propose(use([Sample(at * 1000.0, 1, {"requests": 1.0}) for at in range(200)])).missing


def test_demand_beyond_one_replica_asks_for_more_of_them() -> None:
    fits = propose(use(samples(cores=(0.9,), replicas=2), replicas=2))
    assert fits.replicas == 3  # 1.8 cores ÷ 60 % of 1
    assert fits.cpus == 1.0


def test_two_replicas_stay_two_so_that_one_may_fail() -> None:
    fits = propose(use(samples(cores=(0.01,), replicas=2), replicas=2))
    assert fits.replicas == 2
    assert "one may fail" in fits.reasons[2]


def test_one_replica_gets_what_its_busiest_hundredth_needs() -> None:
    assert propose(use(samples(cores=(0.2,)))).cpus == 0.4


def test_a_number_that_rules_set_is_left_to_them() -> None:
    fits = propose(use(samples(cores=(5.0,)), by_rules=True))
    assert (fits.replicas, fits.cpus) == (1, 1.0)


def test_without_a_cpu_limit_nothing_follows_about_replicas() -> None:
    fits = propose(use(samples(), limits=Limits(cpus=0.0), replicas=3))
    assert fits.replicas == 3


def test_a_process_that_is_scaled_to_nothing_stays_so() -> None:
    assert propose(use(samples(), replicas=0)).replicas == 0


def test_an_hour_of_many_samples_weighs_no_more_than_an_hour_of_few() -> None:
    day = [Sample(at * 60.0, 1, {"memory_bytes": 100.0 * MIB, "cpu_cores": 0.1}) for at in range(1, 6 * 1440)]
    hour = [Sample(day[-1].at + at * 5.0, 1, {"memory_bytes": 100.0 * MIB, "cpu_cores": 0.9}) for at in range(1, 721)]
    assert propose(use([*day, *hour])).cpus == 0.2, "one hour of six days is less than a hundredth of the time"
    late = [Sample(hour[-1].at + 10 * 3600.0, 1, {"memory_bytes": 100.0 * MIB, "cpu_cores": 0.9})]
    assert propose(use([*day, *late])).cpus == 0.2, "nor does the first sample after a night without any"


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [
        ([(1.0, 1.0)], 0.95, 1.0),
        ([(1.0, 95.0), (2.0, 5.0)], 0.95, 1.0),
        ([(2.0, 5.1), (1.0, 94.9)], 0.95, 2.0),
        ([(float(one), 1.0) for one in range(1, 101)], 0.95, 95.0),
        ([(3.0, 0.0)], 0.5, 3.0),
    ],
)
def test_a_quantile_is_a_share_of_the_time(values: list[tuple[float, float]], share: float, found: float) -> None:
    assert quantile(values, share) == found


def test_nothing_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


@given(st.lists(st.floats(0.0, 0.6), min_size=1, max_size=50), st.floats(1, 4000))
def test_what_is_proposed_is_enough_and_proposed_again(cores: list[float], memory: float) -> None:
    found = samples(cores=cores, memory=memory)
    first = propose(use(found))
    assert first.memory >= memory * 1.25 * MIB
    busy = quantile([(one.values["cpu_cores"], 1.0) for one in found], 0.95)
    assert first.replicas * first.cpus * BUSY >= busy - 0.01
    limits = Limits(memory=first.memory, cpus=first.cpus)
    again = propose(use(found, limits=limits, replicas=first.replicas))
    assert (again.memory, again.cpus, again.replicas) == (first.memory, first.cpus, first.replicas)
