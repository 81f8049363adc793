"""`[processes.NAME.autoscale]` of `paas.toml`: pydantic models → the frozen rules. Nothing but parsing and checking."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from paas.build import sizes
from paas.build.tables import Table, seconds
from paas.model import schedule
from paas.model.metrics import SLOWEST
from paas.model.scaling import (
    DEFAULT,
    SIGNALS,
    Autoscale,
    Rule,
    ScheduleRule,
    Statistic,
    StepRule,
    TargetRule,
    signal,
)

_STANDARD = Autoscale()

DECLARED = "signals"
"""Under this key of the validation's context: the names of the app's own signals."""

_FOLLOWED = tuple(name for name in SIGNALS if name not in ("healthy", "unhealthy"))
"""Signals that more replicas bring down."""

_OF_WEB = ("requests", "in_flight", "p50", "p95", "p99")
"""Signals that the router tells, of the one process that it leads requests to."""

_LATENCIES = ("p50", "p95", "p99")

_LONGEST, _FINE = 86_400.0, 3000.0
"""Seconds that a step looks back at most, and those with periods of less than a minute: of what is older than an hour
one sample a minute is kept."""

_DATAPOINT = 300.0
"""Seconds of a datapoint of byte counts at Elastic Beanstalk (its MonitoringInterval's default)."""

_MEASURES: dict[str, tuple[str, str]] = {
    "CPUUtilization": ("cpu", "share"),
    "RequestCount": ("requests", "count"),
    "Latency": ("p95", "time"),
    "TargetResponseTime": ("p95", "time"),
    "NetworkIn": ("network_in", "bytes"),
    "NetworkOut": ("network_out", "bytes"),
    "DiskReadBytes": ("disk_read", "bytes"),
    "DiskWriteBytes": ("disk_write", "bytes"),
    "HealthyHostCount": ("healthy", "count"),
    "UnhealthyHostCount": ("unhealthy", "count"),
    "UnHealthyHostCount": ("unhealthy", "count"),  # as CloudWatch writes it
}
_ELSEWHERE = {
    **dict.fromkeys(("latency", "response_time", "target_response_time"), "p95"),
    **dict.fromkeys(("rps", "rate", "throughput", "request_count"), "requests"),
    **dict.fromkeys(("concurrency", "connections"), "in_flight"),
    "ram": "memory",
}
"""What other platforms call a metric."""
_UNITS: dict[str, dict[str, float]] = {
    "share": {"Percent": 0.01},
    "count": {"Count": 1.0, "None": 1.0},
    "time": {"Seconds": 1.0, "Milliseconds": 0.001, "Microseconds": 0.000_001},
    "bytes": {"Bytes": 1.0, "Bits": 0.125, "Kilobytes": 1e3, "Megabytes": 1e6, "Gigabytes": 1e9},
}


def known(name: str, names: Iterable[str]) -> str:
    """The name, if it is one of them. Raises ValueError with the nearest."""
    among = list(names)
    if name in among:
        return name
    near = difflib.get_close_matches(name, among, n=1, cutoff=0.4)
    near = [_ELSEWHERE[name]] if _ELSEWHERE.get(name) in among else near
    raise ValueError(
        f"there is no metric {name!r}" + (f", did you mean {near[0]}?" if near else f"; there are {', '.join(among)}")
    )


def amount(metric: str, value: object, *, share: bool | None = None) -> float:
    """A target or threshold: above 0; shares as 0.7 or "70%", latencies as times. `share` says what the metric is where
    it is no signal. Raises ValueError."""
    text = str(value).strip()
    share = signal(metric).share if share is None else share
    try:
        if metric in _LATENCIES:
            found = sizes.seconds(value if isinstance(value, (int, float)) else text)
        elif share and text.endswith("%"):
            found = float(text[:-1]) / 100
        else:
            found = math.nan if isinstance(value, bool) else float(text)
    except ValueError:
        found = math.nan
    slow = metric in _LATENCIES and found >= SLOWEST
    if not (math.isfinite(found) and found > 0) or (share and found > 1) or slow:
        raise ValueError(f"{metric}: expected {_kind(metric, share=share)}, not {text}")
    return found


def _kind(metric: str, *, share: bool) -> str:
    if metric in _LATENCIES:
        return f"a time above 0 and below {SLOWEST:g} s, the longest that is measured, such as 300ms"
    return 'a share above 0 and up to 1, such as 0.7 or "70%"' if share else "a number above 0"


def _threshold(metric: str, value: object) -> float:
    """As `amount`; of what may be none at all, such as replicas that are unhealthy, also 0. Raises ValueError."""
    none = not isinstance(value, bool) and str(value).strip().removesuffix("%") in ("0", "0.0")
    return 0.0 if none else amount(metric, value)


def answerable(process: str, rules: Autoscale) -> None:
    """Raise ValueError for a rule that no sample of that process ever answers."""
    for one in rules.rules:
        if process != "web" and one.metric in _OF_WEB:
            raise ValueError(
                f"{one.metric} is measured of web alone, to which requests are led; "
                f"{process} can follow cpu, memory, network, disk and signals of your own"
            )


def target(metric: str, value: object, own: Iterable[str] = ()) -> TargetRule:
    """A target rule; `own` are the signals that the app declares. Raises ValueError."""
    if metric in SIGNALS and metric not in _FOLLOWED:
        raise ValueError(
            f"{metric} cannot be kept near a value, as more replicas do not lower it: a step can look at it"
        )
    return TargetRule(metric=known(metric, (*_FOLLOWED, *own)), target=amount(metric, value))


def declared(info: ValidationInfo) -> tuple[str, ...]:
    """The signals that the app declares: whoever validates says them, as the tables of processes cannot see them."""
    return tuple((info.context or {}).get(DECLARED, ()))


def _metric(name: str, info: ValidationInfo) -> str:
    return known(name, (*SIGNALS, *declared(info)))


def _targets(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, dict):
        raise ValueError('expected a table such as { cpu = "70%" }')  # noqa: TRY004  (pydantic's way of words)
    return {str(metric): target(str(metric), one, declared(info)).target for metric, one in value.items()}


Number = Annotated[int, Field(strict=True, ge=1, le=100)]
Metric = Annotated[str, AfterValidator(_metric)]


def _no_switch(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, not {str(value).lower()}")  # noqa: TRY004  (pydantic's way of words)
    return value


def _no_zero(value: object) -> object:
    if value == 0 and not isinstance(value, bool):
        raise ValueError("expected 1 or more, not 0: with [sleep] an app that nobody asks for runs nothing")
    return value


Least = Annotated[Number | None, BeforeValidator(_no_zero)]
Threshold = Annotated[float | str | None, BeforeValidator(_no_switch)]


class StepTable(Table):
    """`[[processes.NAME.autoscale.step]]`."""

    metric: Metric
    """What is looked at."""
    upper: Threshold = None
    """Above this there are more replicas."""
    lower: Threshold = None
    """Below this there are fewer."""
    statistic: Statistic = Statistic.AVERAGE
    """What a period comes to: average, minimum, maximum, or sum."""
    period: seconds(5, 3600) = 60.0  # type: ignore[valid-type]
    """How long one is."""
    evaluations: Annotated[int, Field(strict=True, ge=1, le=100)] = 1
    """Periods in a row that have to be beyond."""
    breach: seconds(0, 3600) = 0.0  # type: ignore[valid-type]
    """Least time for which they have to."""
    add: Number = 1
    """How many more."""
    remove: Number = 1
    """How many fewer."""
    cooldown: seconds(0, 86_400) = 300.0  # type: ignore[valid-type]
    """Time after any change in which this rule changes nothing."""


def _step(value: StepTable) -> StepTable:
    _rule(value)
    return value


def _rule(table: StepTable) -> StepRule:
    said = table.model_dump()
    for name in ("upper", "lower"):
        if said[name] is not None:
            said[name] = _threshold(table.metric, said[name])
    if said["lower"] == 0:
        raise ValueError(f"{table.metric} is never below 0: leave lower out")
    return _ordered(StepRule(**said))


def _ordered(rule: StepRule) -> StepRule:
    if rule.upper is None and rule.lower is None:
        raise ValueError("give upper, lower, or both")
    if rule.upper is not None and rule.lower is not None and rule.lower >= rule.upper:
        raise ValueError(f"lower ({rule.lower:g}) has to be below upper ({rule.upper:g})")
    if rule.statistic is Statistic.SUM and not rule.signal.shared:
        raise ValueError(f"{rule.metric} is nothing that adds up: average, minimum or maximum")
    length = max(rule.period * rule.evaluations, rule.breach)
    if length > _LONGEST:
        raise ValueError(f"{length / 3600:g} hours are looked at: a step looks back 24 hours at most")
    if length > _FINE and rule.period < 60:
        raise ValueError(
            f"periods of {rule.period:g} s are looked at for {_FINE / 60:g} minutes at most, not {length / 60:g}: "
            "of what is older there is one sample a minute"
        )
    return rule


def _local(value: object) -> object:
    """A time that TOML knows as one, as text."""
    return value.isoformat() if isinstance(value, (datetime, date)) else value


class ScheduleTable(Table):
    """`[[processes.NAME.autoscale.schedule]]`."""

    cron: str = ""
    """When, again and again: minute hour day month weekday, such as `0 8 * * mon-fri`."""
    at: Annotated[str, BeforeValidator(_local)] = ""
    """When, once: `2026-12-24T08:00`."""
    time_zone: str = "UTC"
    """Whose clock, such as `Europe/Berlin`."""
    min: Number | None = None
    """The least from then on; else as it is without the schedule."""
    max: Number | None = None
    """The most from then on."""
    lasts: seconds(60, 31_536_000) | None = None  # type: ignore[valid-type]
    """For how long. Else until another schedule begins."""

    def rule(self) -> ScheduleRule:
        """As the frozen value."""
        return ScheduleRule(
            cron=self.cron, at=self.at, time_zone=self.time_zone, least=self.min, most=self.max, lasts=self.lasts
        )


def _schedule(value: ScheduleTable) -> ScheduleTable:
    if value.min is None and value.max is None:
        raise ValueError("give min, max, or both")
    _order(value.min, value.max)
    schedule.checked(value.rule())
    return value


def _order(least: int | None, most: int | None) -> None:
    if least is not None and most is not None and least > most:
        raise ValueError(f"min ({least}) is more than max ({most})")


class TriggerTable(Table):
    """`[processes.NAME.autoscale.trigger]`: one step rule in the words of Elastic Beanstalk's `aws:autoscaling`."""

    MeasureName: str
    """CPUUtilization, RequestCount, TargetResponseTime, NetworkIn, NetworkOut…; latencies are taken as p95."""
    Statistic: Literal["Average", "Minimum", "Maximum", "Sum"] = "Average"
    """What a period comes to."""
    Unit: str = ""
    """Percent, Seconds, Milliseconds, Bytes, Count… Else the first that fits."""
    LowerThreshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Below this there are fewer replicas."""
    UpperThreshold: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Above this there are more."""
    Period: Annotated[int, Field(ge=1, le=60)] = 5
    """Minutes."""
    EvaluationPeriods: Annotated[int, Field(ge=1, le=100)] = 1
    """Periods in a row."""
    BreachDuration: Annotated[int, Field(ge=1, le=600)] = 5
    """Minutes."""
    UpperBreachScaleIncrement: Annotated[int, Field(ge=1, le=100)] = 1
    """How many more."""
    LowerBreachScaleIncrement: Annotated[int, Field(ge=-100, le=-1)] = -1
    """How many fewer, as a number below 0."""
    MinSize: Annotated[int, Field(ge=1, le=100)] | None = None
    """The same as `min`."""
    MaxSize: Annotated[int, Field(ge=1, le=100)] | None = None
    """The same as `max`."""
    Cooldown: Annotated[int, Field(ge=0, le=86_400)] = 360
    """Seconds after any change."""

    def rule(self) -> StepRule:
        """As the frozen value. Raises ValueError."""
        metric, kind = _MEASURES[known(self.MeasureName, _MEASURES)]
        units = _UNITS[kind]
        if self.Unit and self.Unit not in units:
            raise ValueError(f"Unit {self.Unit} does not fit {self.MeasureName}: {', '.join(units)}")
        if self.MeasureName == "RequestCount" and self.Statistic != "Sum":
            raise ValueError('RequestCount is counted with Statistic = "Sum"')
        factor = units[self.Unit or next(iter(units))]
        if kind == "bytes" and self.Statistic != "Sum":
            factor /= _DATAPOINT
        bounds = (self.UpperThreshold, self.LowerThreshold)
        if bounds == (None, None):
            raise ValueError("give UpperThreshold, LowerThreshold, or both")
        upper, lower = (None if one is None else one * factor for one in bounds)
        if kind == "share" and (upper or 0) > 1:
            raise ValueError(f"UpperThreshold {self.UpperThreshold:g}: {self.MeasureName} is 100 Percent at most")
        if kind == "time" and (upper or 0) >= SLOWEST:
            raise ValueError(
                f"UpperThreshold is {upper:g} s: latencies are measured up to {SLOWEST:g} s (is Unit right?)"
            )
        return _ordered(
            StepRule(
                metric=metric,
                upper=upper,
                lower=lower,
                statistic=Statistic(self.Statistic.lower()),
                period=self.Period * 60.0,
                evaluations=self.EvaluationPeriods,
                breach=self.BreachDuration * 60.0,
                add=self.UpperBreachScaleIncrement,
                remove=-self.LowerBreachScaleIncrement,
                cooldown=self.Cooldown,
            )
        )


def _trigger(value: TriggerTable) -> TriggerTable:
    value.rule()
    return value


class AutoscaleTable(Table):
    """`[processes.NAME.autoscale]`. Without targets, steps and trigger CPU is kept near a share of the
    limit: 70 % for one replica, 85 % for four, 90 % for nine."""

    min: Least = None
    """The least replicas there are, 1 to 100. Else 1."""
    max: Number | None = None
    """The most. Else 10."""
    targets: Annotated[dict[str, float], BeforeValidator(_targets)] = Field(default_factory=dict)
    """What is kept near which value: `{ cpu = "70%", requests = 30 }`; requests are those per second and replica."""
    tolerance: Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)] = _STANDARD.tolerance
    """A target that is missed by less than this share is met."""
    out_window: seconds(0, 3600) = _STANDARD.out_window  # type: ignore[valid-type]
    """How long more have to be wanted before there are more."""
    in_window: seconds(0, 86_400) = _STANDARD.in_window  # type: ignore[valid-type]
    """How long fewer have to be enough before there are fewer."""
    warm_up: seconds(0, 3600) = _STANDARD.warm_up  # type: ignore[valid-type]
    """How long after a change a latency is not believed."""
    max_alarm: seconds(0, 86_400) = _STANDARD.max_alarm  # type: ignore[valid-type]
    """How long at the maximum, with more wanted, until an event tells it."""
    scale_in: bool = True
    """Whether there may ever be fewer."""
    paused: bool = False
    """Whether only the bounds hold."""
    step: Annotated[list[Annotated[StepTable, AfterValidator(_step)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    """Rules with thresholds."""
    schedule: Annotated[list[Annotated[ScheduleTable, AfterValidator(_schedule)]], Field(max_length=50)] = Field(
        default_factory=list
    )
    """Other bounds at certain times."""
    trigger: Annotated[TriggerTable, AfterValidator(_trigger)] | None = None
    """A rule in the words of Elastic Beanstalk."""

    def rules(self) -> Autoscale:
        """As the frozen value."""
        found: list[Rule] = [TargetRule(metric=metric, target=value) for metric, value in self.targets.items()]
        found += [_rule(step) for step in self.step]
        found += [self.trigger.rule()] if self.trigger else []
        least, most = self.bounds()
        return Autoscale(
            least=least,
            most=most,
            rules=tuple(found) or (DEFAULT,),
            schedules=tuple(one.rule() for one in self.schedule),
            tolerance=self.tolerance,
            out_window=self.out_window,
            in_window=self.in_window,
            warm_up=self.warm_up,
            max_alarm=self.max_alarm,
            scale_in=self.scale_in,
            paused=self.paused,
        )

    def bounds(self) -> tuple[int, int]:
        """The least and the most, by whichever name they were said."""
        trigger = self.trigger
        least = self.min or (trigger.MinSize if trigger else None) or _STANDARD.least
        most = self.max or (trigger.MaxSize if trigger else None)
        return least, most or max(_STANDARD.most, least)


def consistent(table: AutoscaleTable) -> AutoscaleTable:
    """The table, if its parts fit together. Raises ValueError."""
    if trigger := table.trigger:
        _same("min", table.min, "MinSize", trigger.MinSize)
        _same("max", table.max, "MaxSize", trigger.MaxSize)
    _order(*table.bounds())
    if words := schedule.fight([one.rule() for one in table.schedule]):
        raise ValueError(words)
    return table


def _same(name: str, one: int | None, other_name: str, other: int | None) -> None:
    if one is not None and other is not None and one != other:
        raise ValueError(f"{name} is {one} and {other_name} is {other}: give one of them")
