"""What was measured of a process → a load trace, and what one replica serves. Pure.

One replica's capacity is what it served when CPU or latency reached their limits, whichever came first: the median of
answers per CPU over the busier samples, and of answers where the latency was over its target though CPU was not. It is
no less than what one was seen to answer within the target most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from paas.errors import ConfigError
from paas.model.metrics import BOOT, STATUS
from paas.plan.simulate import Trace, World

STANDARD = World()

BUSY = 0.1
"""CPU share from which a sample says something about the cost of a request."""
SATURATED = 0.9
"""CPU share from which on it is CPU that makes a replica slow."""
HALF = 0.5
"""Highest CPU share that was seen, below which what a replica serves at all of it is a guess."""
QUIET = 0.25
"""Share of the samples, those with the least load per replica, whose latency is that of an idle replica."""

NEIGHBOURS = 5
"""Steps to each side by which a step is found to be a gap: samples of the last hour are closer together than others."""

SLOW = 5
"""Samples over the latency target that say where it is reached; fewer may be chance."""

Samples = Sequence[Mapping[str, Any]]


def trace(samples: Samples, name: str) -> Trace:
    """Requests/s over time. What was not measured counts as nothing. Raises ConfigError for fewer than two samples."""
    known = [(float(one["at"]), float(one["values"]["requests"])) for one in samples if "requests" in one["values"]]
    if len(known) < 2:
        raise ConfigError(
            f"too little was measured of {name} in that time", hint="wait some minutes, or give --trace FILE"
        )
    steps = [after[0] - before[0] for before, after in pairwise(known)]
    times, rates = [known[0][0]], [known[0][1]]
    for number, ((before, _), (at, rate)) in enumerate(pairwise(known)):
        usual = _usual(steps, number)
        if at - before > 3 * usual:
            times.append(before + usual)
            rates.append(0.0)
        times.append(at)
        rates.append(max(0.0, rate))
    return Trace(tuple(times), tuple(rates), times[-1] + _usual(steps, len(steps) - 1))


def _usual(steps: Sequence[float], number: int) -> float:
    """How far apart samples are around there."""
    return median(steps[max(0, number - NEIGHBOURS) : number + NEIGHBOURS + 1])


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one replica; `sources` says in words where `capacity`, `latency` and `boot` come from."""

    world: World
    sources: Mapping[str, str]


DEFAULTS = Known(STANDARD, dict.fromkeys(("capacity", "latency", "boot"), "default"))


def measured(samples: Samples, target: float = STANDARD.target) -> Known:
    """What one replica serves, how quickly when idle, and how long it boots; the defaults where nothing says it.
    `target` is the p95 that counts as good, seconds."""
    served = [(_each(one), one["values"]) for one in samples if one["values"].get("requests", 0.0) > 0]
    capacity, of_capacity = _capacity(served, target)
    latency, of_latency = _latency(served)
    boots = [float(one["values"][BOOT]) for one in samples if BOOT in one["values"]]
    # Less than one worker there is not.
    world = World(
        capacity=capacity,
        latency=max(latency, 1 / capacity),
        boot=median(boots) if boots else STANDARD.boot,
        target=target,
    )
    sources = {"capacity": of_capacity, "latency": of_latency, "boot": _from(len(boots), "boots")}
    return Known(world, sources)


Served = Sequence[tuple[float, Mapping[str, float]]]
"""Answers/s of one replica, and all values of the sample."""


def _capacity(served: Served, target: float) -> tuple[float, str]:
    """By CPU, or by latency where that is reached before CPU is."""
    costs = [each / values["cpu"] for each, values in served if values.get("cpu", 0.0) >= BUSY]
    good = sorted(each for each, values in served if values.get("p95", 0.0) <= target)
    usual = good[int(len(good) * 0.95) - 1] if len(good) > 1 else 0.0
    slow = [each for each, values in served if values.get("p95", 0.0) > target and values.get("cpu", 1.0) < SATURATED]
    if len(slow) >= SLOW and good and median(slow) > median(good):
        knee = median(slow)
        if not costs or knee < median(costs):
            return max(knee, usual), f"{_from(len(slow), 'samples')}, where p95 reached {target:g} s"
    if costs:
        return max(median(costs), usual), f"{_from(len(costs), 'samples')}, {_at_full(served)}"
    if usual > STANDARD.capacity:
        return usual, f"{_from(len(good), 'samples')}, the most it was seen to serve: it may be more"
    return STANDARD.capacity, "default"


def _at_full(served: Served) -> str:
    """How sure it is what one serves at all of its CPU: what else it waits for, little CPU does not show."""
    highest = max(values.get("cpu", 0.0) for _, values in served)
    if highest >= HALF:
        return "at a CPU of 100%"
    return f"of {highest:.0%} CPU at most, as if it were 100%: it may be less"


def _latency(served: Served) -> tuple[float, str]:
    """Of the samples with the least load."""
    known = sorted((each, values["p95"]) for each, values in served if values.get("p95", 0.0) > 0)
    quiet = known[: max(1, int(len(known) * QUIET))]
    return (median(p95 for _, p95 in quiet) if quiet else STANDARD.latency), _from(len(quiet), "samples")


def _from(count: int, what: str) -> str:
    return f"measured from {count} {what}" if count else "default"


def _each(sample: Mapping[str, Any]) -> float:
    """What was answered, not what came: of a load that is too high, one serves what it can. Failures are no answers."""
    values = sample["values"]
    answered = sum(float(values.get(status, 0.0)) for status in STATUS if status != "5xx")
    return (answered or float(values["requests"])) / max(1, int(sample["replicas"]))
