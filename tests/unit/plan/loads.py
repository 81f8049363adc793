"""Samples and runs of the decision for tests: a world of replicas with a capacity, without queues."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from paas.model.scaling import Autoscale, Decision, Sample, TargetRule
from paas.plan.scaling import decide

CAPACITY = 40.0
PERIOD = 5.0


def sample(at: float, replicas: int, load: float) -> Sample:
    """What `load` requests/s on so many replicas look like."""
    return Sample(at, replicas, {"requests": load, "cpu": min(1.0, load / (replicas * CAPACITY))})


def cpu(target: float = 0.85, **said: object) -> Autoscale:
    """Rules with a target for CPU."""
    return Autoscale(rules=(TargetRule(metric="cpu", target=target),), **said)  # type: ignore[arg-type]


def played(rules: Autoscale, load: Callable[[float], float | None], seconds: float, start: int = 1) -> list[Decision]:
    """All decisions, each carried out at once; a load of None is a moment without metrics."""
    replicas, samples, history = start, [], []
    for number in range(int(seconds / PERIOD)):
        at = number * PERIOD
        now = load(at)
        if now is not None:
            samples.append(sample(at, replicas, now))
        history.append(decide(rules, replicas, samples, at, history))
        replicas = history[-1].wanted
    return history


def turns(history: list[Decision]) -> list[float]:
    """When the direction changed."""
    changes = [(one.at, one.wanted > one.replicas) for one in history if one.wanted != one.replicas]
    return [after[0] for before, after in pairwise(changes) if before[1] != after[1]]
