"""A load trace against rules: what the number of replicas, the latency and the bill would have been. Pure.

The model, a second at a time: every replica answers `capacity` requests/s with as many workers as that takes at
`latency`. What comes beyond that waits in one queue; a request that would wait longer than `timeout` fails. Below
capacity the wait is that of an M/M/c queue (Erlang C), above it the queue's length over what is served. A new replica
answers after `boot` seconds and is paid from its first; one that is let go finishes what it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice, pairwise

from paas.model.scaling import Autoscale, Decision, Sample
from paas.plan.scaling import decide

KEPT = 90_000.0
"""Seconds of samples and decisions that a policy sees: as long as the longest window there is, and more."""
SHOWN = 86_400
"""Points that a run has at most: every second of a day."""
YEAR = 31_536_000.0
"""Seconds of a year: times of a trace that begin later are moments, those before seconds from its start."""
_MANY = 1000
"""Workers from which on the waits are taken from the limit of many."""
_SMOOTHED = 0.1
"""Share of the newest second in the load that a queue feels: ten seconds or so."""

SIMULATED = ("cpu", "requests", "in_flight", "p95")
"""Signals that a trace of requests says something about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """`capacity` requests/s of one replica, `latency` its p95 when idle, `boot` from start to traffic, `timeout` the
    longest wait, `target` the p95 that counts as good. Seconds."""

    capacity: float = 40.0
    latency: float = 0.1
    boot: float = 1.0
    timeout: float = 30.0
    target: float = 0.5


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests/s from each time on, in order; the last rate holds until `end`. Unix times, or seconds from a start."""

    times: Sequence[float]
    rates: Sequence[float]
    end: float

    @property
    def dated(self) -> bool:
        """Whether the times are moments, in which schedules fire; not seconds from some start."""
        return self.times[0] >= YEAR

    def seconds(self) -> Iterator[tuple[float, float]]:
        """Every second, and how many requests came in it, however many rates it had."""
        index, at, last = 0, self.times[0], len(self.times) - 1
        while at < self.end:
            while index < last and self.times[index + 1] <= at:
                index += 1
            to = at + 1.0
            if to <= self.end and (index == last or self.times[index + 1] >= to):
                yield at, self.rates[index]
            else:
                yield at, self._within(index, at, min(to, self.end))
            at = to

    def _within(self, index: int, begin: float, end: float) -> float:
        """Requests between two moments, the first of them in this place of the trace."""
        came = 0.0
        while index + 1 < len(self.times) and self.times[index + 1] < end:
            came += self.rates[index] * (self.times[index + 1] - begin)
            begin, index = self.times[index + 1], index + 1
        return came + self.rates[index] * (end - begin)


Decide = Callable[[int, Sequence[Sample], float, Sequence[Decision]], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Something that decides every `period` seconds, between `least` and `most` replicas."""

    name: str
    period: float
    least: int
    most: int
    decide: Decide


@dataclass(frozen=True, slots=True)
class Point:
    """One second, or of a long trace the highest values of some. `p95` in seconds; infinite when nobody answers."""

    at: float
    load: float
    replicas: int
    ready: int
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a policy came to. `over`: seconds with p95 over the target; `flaps`: changes of direction; `failed`:
    requests that waited too long; `peak`: the most replicas at once; `changes`: decisions that changed the number."""

    policy: str
    points: tuple[Point, ...]
    seconds: int
    over: int
    replica_hours: float
    flaps: int
    failed: int
    requests: int
    peak: int
    changes: tuple[Decision, ...]


EASY = 0.8
"""How full replicas are when a run begins."""
PERIOD = 5.0
"""Seconds between two decisions of ours."""


def ours(rules: Autoscale, name: str = "paas") -> Policy:
    """The rules, decided as the platform decides."""

    def made(replicas: int, samples: Sequence[Sample], now: float, history: Sequence[Decision]) -> Decision:
        return decide(rules, replicas, samples, now, history)

    return Policy(name=name, period=PERIOD, least=rules.least, most=rules.most, decide=made)


def begun(trace: Trace, policy: Policy, world: World) -> int:
    """The replicas a run begins with: those that hold the first minute of the trace with a fifth to spare, as the load
    was there before it. So no policy pays for a cold start that is none."""
    rates = [rate for _, rate in islice(trace.seconds(), 60)]
    needed = math.ceil(sum(rates) / len(rates) / (EASY * world.capacity) - 1e-9)
    return min(max(needed, policy.least), policy.most)


def simulate(trace: Trace, policy: Policy, world: World) -> Run:
    """The trace, second by second."""
    lab, points = _Lab(world, policy, begun(trace, policy, world)), list[Point]()
    seconds, over, paid, requests = 0, 0, 0, 0.0
    width = math.ceil((trace.end - trace.times[0]) / SHOWN)
    for at, rate in trace.seconds():
        point = lab.second(at, rate)
        points.append(point if seconds % width == 0 else _higher(points.pop(), point))
        seconds, over, paid = seconds + 1, over + (point.p95 > world.target), paid + point.replicas
        requests += rate
    return Run(
        policy=policy.name,
        points=tuple(points),
        seconds=seconds,
        over=over,
        replica_hours=paid / 3600,
        flaps=flaps(lab.changes),
        failed=round(lab.failed),
        requests=round(requests),
        peak=max(point.replicas for point in points),
        changes=tuple(lab.changes),
    )


def _higher(one: Point, other: Point) -> Point:
    return Point(
        one.at, max(one.load, other.load), max(one.replicas, other.replicas), max(one.ready, other.ready),
        max(one.p95, other.p95),
    )  # fmt: skip


def flaps(changes: Sequence[Decision]) -> int:
    """How often the direction changed."""
    up = [one.wanted > one.replicas for one in changes]
    return sum(before != after for before, after in pairwise(up))


@dataclass(slots=True)
class _Lab:
    """The state of one simulation."""

    world: World
    policy: Policy
    start: int
    ready_at: list[float] = field(default_factory=list)
    queue: float = 0.0
    failed: float = 0.0
    felt: float = 0.0
    next_look: float = -math.inf
    since_look: list[tuple[float, float, float]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    changes: list[Decision] = field(default_factory=list)

    def second(self, at: float, rate: float) -> Point:
        """What happens in the second from `at` on."""
        if self.next_look == -math.inf:
            self.ready_at = [at] * self.start
            self.next_look, self.felt = at + self.policy.period, rate
        if at >= self.next_look:
            self._look(at)
        ready = sum(one <= at for one in self.ready_at)
        p95, served = self._serve(rate, ready)
        self.since_look.append((rate, served / max(ready * self.world.capacity, 1e-9), min(p95, self.world.timeout)))
        return Point(at, rate, len(self.ready_at), ready, p95)

    def _serve(self, rate: float, ready: int) -> tuple[float, float]:
        """The p95 of this second, and how many were answered in it."""
        capacity = ready * self.world.capacity
        served = min(self.queue + rate, capacity)
        self.queue += rate - served
        most = max(capacity, self.world.capacity) * self.world.timeout
        self.failed += max(0.0, self.queue - most)
        self.queue = min(self.queue, most)
        self.felt += (rate - self.felt) * _SMOOTHED
        if not capacity:
            return (math.inf if rate or self.queue else self.world.latency), 0.0
        if self.queue > 1e-6:
            return self.world.latency + self.queue / capacity, served
        busy = min(self.felt / capacity, 0.99)
        return self.world.latency + queued(ready, round(busy, 3), self.world), served

    def _look(self, at: float) -> None:
        """Measure since the last time, decide, and carry it out."""
        self.next_look = at + self.policy.period
        ready = sum(one <= at for one in self.ready_at)
        self.samples.append(self._sample(at, ready))
        now = len(self.ready_at)
        made = self.policy.decide(now, self.samples, at, self.decisions)
        self.decisions.append(made)
        self.changes += [made] if made.wanted != now else []
        if self.samples[0].at < at - 2 * KEPT:
            self.samples = [one for one in self.samples if one.at >= at - KEPT]
            self.decisions = [one for one in self.decisions if one.at >= at - KEPT]
        if made.wanted > now:
            self.ready_at += [at + self.world.boot] * (made.wanted - now)
        del self.ready_at[made.wanted :]  # the youngest go first: one that still boots answers nobody

    def _sample(self, at: float, ready: int) -> Sample:
        rates, busy, p95 = (sum(column) / len(column) for column in zip(*self.since_look, strict=True))
        self.since_look.clear()
        in_flight = self.queue + rates * self.world.latency
        return Sample(at, ready, {"requests": rates, "cpu": busy, "p95": p95, "in_flight": in_flight})


@lru_cache(maxsize=65536)
def queued(replicas: int, busy: float, world: World) -> float:
    """The p95 of the wait before one of the workers is free, all of them taken together (M/M/c)."""
    workers = replicas * max(1, round(world.capacity * world.latency))
    waits = _erlang_c(workers, busy)
    if waits <= 0.05:
        return 0.0
    return math.log(waits / 0.05) / (replicas * world.capacity * (1 - busy))


def _erlang_c(workers: int, busy: float) -> float:
    """The share of requests that find all workers taken; of many by Halfin and Whitt's limit, which takes no time."""
    if workers > _MANY:
        spare = (1 - busy) * math.sqrt(workers)
        below, at = (1 + math.erf(spare / math.sqrt(2))) / 2, math.exp(-spare * spare / 2) / math.sqrt(2 * math.pi)
        return at / (at + spare * below) if at else 0.0
    load, blocked = workers * busy, 1.0
    for number in range(1, workers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked / (1 - busy * (1 - blocked))
