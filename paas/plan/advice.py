"""What bounds and target a load trace asks for: candidates are tried, the cheapest of the best is taken. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from paas.model.scaling import Autoscale, TargetRule
from paas.plan.simulate import Run, Trace, World, ours, simulate

SHARES = (0.3, 0.45, 0.6, 0.7, 0.8, 0.87)
"""Shares of a replica's capacity that are tried as targets."""
ALLOWED = 0.001
"""Share of the trace by which the target of the latency may be missed for a cheaper choice; of a short one"""
ANYWAY = 10
"""so many seconds."""
MOST = 100
"""Replicas that `paas.toml` allows."""
DAY = 86_400
SPARE = 1.3
"""Room over the trace's highest minute: tomorrow is not today."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`target`: requests/s per replica; `run`: what the trace comes to with it; `needed`: the replicas that its highest
    minute and some room would take, where those are more than `most`, else 0."""

    least: int
    most: int
    target: float
    run: Run
    needed: int = 0


def advice(trace: Trace, rules: Autoscale, world: World) -> Advice:
    """Bounds by the lowest and the highest minute, and the target that costs least among those that hold; of a long
    trace on its busiest day."""
    minutes, trace = list(_minutes(trace)), _busiest(trace)
    runs = []
    for share in SHARES:
        target = _rounded(world.capacity * share)
        needed = max(1, math.ceil(max(minutes) * SPARE / target))
        most = min(needed, MOST)
        least = min(max(1, math.ceil(min(minutes) / target)), most)
        tried = replace(
            rules, least=least, most=most, schedules=(), rules=(TargetRule(metric="requests", target=target),)
        )
        run = simulate(trace, ours(tried, "advice"), world)
        runs.append(Advice(least=least, most=most, target=target, run=run, needed=needed if needed > most else 0))
    fewest = min(one.run.over for one in runs)
    allowed = max(ALLOWED * (trace.end - trace.times[0]), ANYWAY)
    good = [one for one in runs if one.run.over <= fewest + allowed]
    return min(good, key=lambda one: one.run.replica_hours)


def _rounded(target: float) -> float:
    """As people write it, and never nothing."""
    return round(target, 1) if target >= 1 else float(f"{target:.2g}")


def _minutes(trace: Trace) -> Iterator[float]:
    """The mean rate of each minute."""
    rates = (rate for _, rate in trace.seconds())
    while part := list(islice(rates, 60)):
        yield sum(part) / len(part)


def _busiest(trace: Trace) -> Trace:
    """The 24 hours with the most requests, counted from the start of the trace; the trace itself if it has no more."""
    start, loads = trace.times[0], defaultdict[int, float](float)
    for at, rate in trace.seconds():
        loads[int((at - start) // DAY)] += rate
    if len(loads) < 2:
        return trace
    begin = start + max(loads, key=lambda day: loads[day]) * DAY
    end = min(begin + DAY, trace.end)
    first = bisect_right(trace.times, begin) - 1
    last = bisect_left(trace.times, end)
    return Trace((begin, *trace.times[first + 1 : last]), tuple(trace.rates[first:last]), end)
