"""What was measured of a process → a load trace, and what one replica serves. Pure.

One replica's capacity is what it served at a CPU of 100 %: the median of requests per CPU over the busier samples. An
app that waits more than it computes serves less; then the most that one replica was seen to serve counts at least, and
`--capacity` says it better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from paas.errors import ConfigError
from paas.plan.simulate import Trace, World

BUSY = 0.1
"""CPU share from which a sample says something about the cost of a request."""
QUIET = 0.25
"""Share of the samples, those with the least load per replica, whose latency is that of an idle replica."""

Samples = Sequence[Mapping[str, Any]]


def trace(samples: Samples, name: str) -> Trace:
    """Requests/s over time. What was not measured counts as nothing. Raises ConfigError for fewer than two samples."""
    known = [(float(one["at"]), float(one["values"]["requests"])) for one in samples if "requests" in one["values"]]
    if len(known) < 2:
        raise ConfigError(
            f"too little was measured of {name} in that time", hint="wait some minutes, or give --trace FILE"
        )
    usual = median(after[0] - before[0] for before, after in pairwise(known))
    times, rates = [known[0][0]], [known[0][1]]
    for (before, _), (at, rate) in pairwise(known):
        if at - before > 3 * usual:
            times.append(before + usual)
            rates.append(0.0)
        times.append(at)
        rates.append(max(0.0, rate))
    return Trace(tuple(times), tuple(rates), times[-1] + usual)


def measured(samples: Samples) -> World:
    """What one replica serves, and how quickly when idle; the defaults where nothing says it."""
    standard = World()
    rates = [(_each(one), one["values"]) for one in samples if one["values"].get("requests", 0.0) > 0]
    costs = [each / values["cpu"] for each, values in rates if values.get("cpu", 0.0) >= BUSY]
    most = max((each for each, _ in rates), default=0.0)
    capacity = max(median(costs), most) if costs else max(standard.capacity, most)
    latencies = sorted((each, values["p95"]) for each, values in rates if values.get("p95", 0.0) > 0)
    quiet = latencies[: max(1, int(len(latencies) * QUIET))]
    latency = median(p95 for _, p95 in quiet) if quiet else standard.latency
    # Less than one worker there is not.
    return World(capacity=capacity, latency=max(latency, 1 / capacity))


def _each(sample: Mapping[str, Any]) -> float:
    return float(sample["values"]["requests"]) / max(1, int(sample["replicas"]))
