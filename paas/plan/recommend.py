"""Pure: what a process used → limits and a number of replicas that would fit it, and why.

The rules, which `RULES` says for people: memory is the highest seen and a quarter on top, more after a kill for memory;
CPU demand (the sum over replicas, below which 95 % of the time lies) may keep replicas busy to 60 %; where one replica
is enough, its CPU limit follows the 99th percentile by the same 60 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from paas.model.scaling import Sample
from paas.model.service import Limits

MIB = 1024 * 1024
STEP, LEAST_MEMORY = 32 * MIB, 64 * MIB
"""Memory limits are multiples of STEP, and at least LEAST_MEMORY. Bytes."""
MEMORY_HEADROOM, AFTER_KILL = 1.25, 1.5
"""Times the highest use seen; times the limit that was not enough."""
BUSY = 0.6
"""Share of its CPU that a replica should be busy with, so that there is room for what comes suddenly."""
LEAST_CPUS = 0.1
"""Cores; limits are multiples of it."""
ENOUGH = 86_400.0
"""Seconds between the first and the last sample below which nothing is proposed: a day has its busy hours."""
FEWEST = 100
"""Samples below which nothing is proposed."""
LONGEST_STEP = 300.0
"""Seconds that one sample stands for at most; what lies before it beyond that was not measured."""
ROOM = 0.1
"""A limit that differs by a smaller share than this from what fits is left as it is."""

RULES = (
    f"memory: highest use + {MEMORY_HEADROOM - 1:.0%}; at least {AFTER_KILL:g} × the limit after a kill for memory",
    f"replicas: CPU of all (p95) ÷ {BUSY:.0%} of one's limit; two or more stay at least two, so that one may fail",
    f"CPU: where one replica is enough, p99 ÷ {BUSY:.0%}; else as it is",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What is known of a process: samples of it (oldest first), its limits and replicas now, how often memory ran
    out in that time, and whether rules set the number of its replicas."""

    samples: Sequence[Sample]
    limits: Limits
    replicas: int
    kills: int = 0
    by_rules: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What would fit. `memory` bytes, `cpus` cores; 0: no limit. `missing` says how much more must be measured; then
    nothing is proposed and the numbers are those of now. `reasons` are sentences, one per number."""

    memory: int
    cpus: float
    replicas: int
    reasons: tuple[str, ...] = ()
    missing: str = ""


def propose(use: Use) -> Proposal:
    """The proposal for one process."""
    missing = lacks(use.samples)
    now = Proposal(memory=use.limits.memory, cpus=use.limits.cpus, replicas=use.replicas)
    # A kill for memory is no matter of statistics: it says at once that the limit was too low.
    if missing and not (use.kills and use.limits.memory):
        return Proposal(memory=now.memory, cpus=now.cpus, replicas=now.replicas, missing=missing)
    memory, of_memory = _memory(use)
    if missing:
        return Proposal(memory=memory, cpus=now.cpus, replicas=now.replicas, reasons=(of_memory,), missing=missing)
    replicas, of_replicas = _replicas(use)
    cpus, of_cpus = _cpus(use, replicas)
    return Proposal(memory=memory, cpus=cpus, replicas=replicas, reasons=(of_memory, of_cpus, of_replicas))


def lacks(samples: Sequence[Sample]) -> str:
    """What is missing for a proposal, in words; empty: enough was measured."""
    known = [one for one in samples if "memory_bytes" in one.values and "cpu_cores" in one.values]
    span = known[-1].at - known[0].at if known else 0.0
    if span < ENOUGH:
        return f"{span / 3600:.1f} h were measured; {(ENOUGH - span) / 3600:.1f} h more are needed"
    if len(known) < FEWEST:
        return f"{len(known)} samples were taken; {FEWEST - len(known)} more are needed"
    return ""


def quantile(values: Iterable[tuple[float, float]], share: float) -> float:
    """The smallest of the values that is not exceeded for at least this share of the time. `values`: each with the
    seconds that it lasted. Raises ValueError without any."""
    found = sorted(values)
    if not found:
        raise ValueError("no values")
    # A part in a million less is rounding, not a reason for the next one.
    left = share * sum(seconds for _, seconds in found) * (1 - 1e-6)
    for value, seconds in found:
        left -= seconds
        if left <= 0:
            return value
    return found[-1][0]


def _memory(use: Use) -> tuple[int, str]:
    highest = max(_highs(use.samples, "memory_bytes"), default=0.0)
    fits = max(LEAST_MEMORY, _up(highest * MEMORY_HEADROOM, STEP))
    words = f"memory: {_mib(highest)} at most, + {MEMORY_HEADROOM - 1:.0%}"
    if use.kills and use.limits.memory:
        fits = max(fits, _up(use.limits.memory * AFTER_KILL, STEP))
        times = "once" if use.kills == 1 else f"{use.kills} times"
        words = f"memory: ran out {times} at {_mib(use.limits.memory)}, × {AFTER_KILL:g}"
        return fits, words
    if _near(fits, use.limits.memory):
        return use.limits.memory, f"{words}: fits"
    return fits, words


def _replicas(use: Use) -> tuple[int, str]:
    if use.by_rules:
        return use.replicas, "replicas: follow the load by rules; see paas autoscale simulate"
    if not use.replicas or not use.limits.cpus:
        return use.replicas, "replicas: as they are" + ("" if use.replicas else ", none are wanted")
    demand = quantile(_demand(use.samples), 0.95)
    # A part in a thousand more than fits is measuring, not a reason for one more.
    needed = max(1, math.ceil(demand / (BUSY * use.limits.cpus) - 1e-3))
    words = f"replicas: {demand:.2f} cores (p95 of all) ÷ {BUSY:.0%} of {use.limits.cpus:g}"
    least = min(use.replicas, 2)
    return (least, f"{words}, but one may fail") if needed < least else (needed, words)


def _cpus(use: Use, replicas: int) -> tuple[float, str]:
    if replicas != 1 or use.by_rules:
        return use.limits.cpus, "CPU: as it is, the number of replicas follows the demand"
    demand = quantile(_demand(use.samples), 0.99)
    fits = round(max(1, math.ceil(demand / BUSY / LEAST_CPUS - 1e-6)) * LEAST_CPUS, 3)
    words = f"CPU: {demand:.2f} cores (p99) ÷ {BUSY:.0%}"
    return (use.limits.cpus, f"{words}: fits") if _near(fits, use.limits.cpus) else (fits, words)


def _demand(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """Cores of all replicas together, per sample, with the seconds that it stands for: those since the one before.
    The last hour has many samples and the days before have few."""
    known = [one for one in samples if "cpu_cores" in one.values]
    steps = [min(after.at - before.at, LONGEST_STEP) for before, after in pairwise(known)]
    first = steps[0] if steps else 1.0
    return [
        (one.values["cpu_cores"] * max(1, one.replicas), seconds)
        for one, seconds in zip(known, [first, *steps], strict=True)
    ]


def _highs(samples: Sequence[Sample], name: str) -> list[float]:
    """Peaks where samples were taken together, else the values."""
    found = (one.values.get(f"{name}_max", one.values.get(name)) for one in samples)
    return [value for value in found if value is not None]


def _up(value: float, step: int) -> int:
    return math.ceil(value / step) * step


def _near(fits: float, now: float) -> bool:
    return now > 0 and fits <= now and (now - fits) / now < ROOM


def _mib(size: float) -> str:
    return f"{size / MIB:.0f} MiB"
