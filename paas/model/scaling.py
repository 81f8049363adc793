"""Words of autoscaling: what is measured, the rules, and what was decided from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from paas.model.custom_signal import Combine


@dataclass(frozen=True, slots=True)
class Signal:
    """Something that is measured of a process. `shared`: the value is that of all replicas together, so it falls on
    each one's part when there are more; else it is an average over them. `share`: 0 to 1, written 0.7 or "70%".
    `tracked`: it falls in proportion as there are more replicas, as shared ones and shares do and latencies do not."""

    name: str
    unit: str
    shared: bool = False
    share: bool = False
    average: bool = False

    @property
    def tracked(self) -> bool:
        return self.shared or self.share or self.average


SIGNALS: Mapping[str, Signal] = {
    one.name: one
    for one in (
        Signal("cpu", "of the limit", share=True),
        Signal("memory", "of the limit", share=True),
        Signal("requests", "requests/s per replica", shared=True),
        Signal("in_flight", "requests in flight per replica", shared=True),
        Signal("p50", "s"),
        Signal("p95", "s"),
        Signal("p99", "s"),
        Signal("network_in", "bytes/s per replica", shared=True),
        Signal("network_out", "bytes/s per replica", shared=True),
        Signal("disk_read", "bytes/s per replica", shared=True),
        Signal("disk_write", "bytes/s per replica", shared=True),
        Signal("healthy", "replicas"),
        Signal("unhealthy", "replicas"),
    )
}


def signal(metric: str, declared: str = "") -> Signal:
    """The platform's own signal of that name, else one that an app declares, of which the replicas' numbers are
    combined as `declared` says."""
    if metric in SIGNALS:
        return SIGNALS[metric]
    if declared in ("", Combine.SUM):
        return Signal(metric, "per replica", shared=True)
    return Signal(metric, "per replica", average=True)


def written(metric: str, value: float, digits: int = 6) -> str:
    """A value as a rule has it: `70%`, `800ms`, `32`; with so many digits."""
    one = signal(metric)
    if one.share:
        return f"{value * 100:.{digits}g}%"
    if one.unit == "s":
        return f"{value * 1000:.{digits}g}ms" if value < 1 else f"{value:.{digits}g}s"
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


class Statistic(StrEnum):
    """What the samples of a period come to."""

    AVERAGE = "average"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    SUM = "sum"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """Keep a signal near `target` (per replica, in the signal's unit). `declared`: how an app's own is combined.
    `pooled`, of shares: so full is one replica alone. Of several the one that is free takes the next request, so they
    may be fuller: what is left free shrinks with the root of their number, as queues before many workers need it
    (Halfin and Whitt)."""

    metric: str
    target: float
    declared: str = ""
    pooled: bool = False

    @property
    def signal(self) -> Signal:
        """What is measured."""
        return signal(self.metric, self.declared)

    def of(self, replicas: float) -> float:
        """The target of each of so many replicas."""
        return min(1 - (1 - self.target) / max(1, replicas) ** 0.5, FULL) if self.pooled else self.target


FULL = 0.95
"""The fullest that pooled replicas are kept, however many."""
DEFAULT = TargetRule(metric="cpu", target=0.7, pooled=True)
"""What a process is kept near when its table names no rule: CPU at 70 % of the limit for one replica, 79 % for two,
85 % for four, 90 % for nine."""


BY_HAND = "set by hand"
"""The cause of a change that no rule asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRule:
    """Beyond `upper` (below `lower`) for `evaluations` periods in a row and `breach` seconds: `add` replicas (`remove`
    some). Thresholds are per replica in the signal's unit; `sum` adds up what came in a period, of all replicas
    together. Nothing for `cooldown` after any change. Seconds."""

    metric: str
    upper: float | None = None
    lower: float | None = None
    statistic: Statistic = Statistic.AVERAGE
    period: float = 60.0
    evaluations: int = 1
    breach: float = 0.0
    add: int = 1
    remove: int = 1
    cooldown: float = 300.0
    declared: str = ""

    @property
    def signal(self) -> Signal:
        """What is measured."""
        return signal(self.metric, self.declared)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRule:
    """Other bounds from a moment on: by `cron`, or once `at` a local time (ISO). They hold for `lasts` seconds, else
    until another schedule begins. None: that bound stays as it is without the schedule."""

    cron: str = ""
    at: str = ""
    time_zone: str = "UTC"
    least: int | None = None
    most: int | None = None
    lasts: float | None = None


Rule = TargetRule | StepRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscale:
    """The rules of one process. Seconds.

    `out_window`: a scale-out goes to the least that was proposed within it, `in_window`: a scale-in to what was enough
    all through it. `tolerance`: a target that is missed by less than this share is met. `average`: over how long a
    signal is taken together, unless one sample is far beyond. `warm_up`: for how long after a change a latency is not
    believed. `max_alarm`: after how long at the maximum, with more wanted, that is told. `scale_in` False: only more,
    never fewer. `paused`: nothing but the bounds holds.
    """

    least: int = 1
    most: int = 10
    rules: tuple[Rule, ...] = ()
    schedules: tuple[ScheduleRule, ...] = ()
    tolerance: float = 0.0
    out_window: float = 0.0
    in_window: float = 120.0
    average: float = 15.0
    warm_up: float = 15.0
    max_alarm: float = 300.0
    scale_in: bool = True
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at `at` (Unix seconds): one value per signal, of `replicas` that had traffic. A signal that
    could not be read is not there."""

    at: float
    replicas: int
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What came out. `proposed` is what the target rules asked for at this moment, before windows and bounds; None
    when none of them had data. `why` is one sentence; `limits` are the words of what held it back (`max`, `min`,
    `window`, `cooldown`, `paused`, `scale-in off`, `no data`); `missing` are the signals of rules that have no value,
    and `alarm` says that one of them should have. `over`: the seconds for which fewer had to be enough, where fewer are
    wanted."""

    at: float
    replicas: int
    wanted: int
    why: str
    proposed: int | None = None
    limits: tuple[str, ...] = field(default=())
    alarm: bool = False
    missing: tuple[str, ...] = field(default=())
    over: float = 0.0
