"""Pure: samples → the value of an alert, and whether it fires. Touches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from paas.model.alert import ERRORS, Alert, Standing
from paas.model.metrics import STATUS
from paas.model.scaling import SIGNALS, Sample

WINDOW = 60.0
"""Seconds that a value is averaged over, or as long as the alert lasts where that is less."""

LATENCIES = ("p50", "p95", "p99")
BLIND = 300.0
"""Seconds without a value after which an alert that fires is no longer kept up."""


def window(alert: Alert) -> float:
    """Seconds of samples that its value is made of: three of them at the least, at the default period."""
    return min(WINDOW, max(alert.lasts, 15.0))


def value(alert: Alert, samples: Sequence[Sample]) -> float | None:
    """What the samples of its window come to; None: they do not say. Where nobody asked nothing failed."""
    if alert.metric == ERRORS:
        return _errors(samples)
    if alert.metric in STATUS:  # a class that nobody got is not there
        samples = [
            replace(one, values={alert.metric: 0.0, **one.values}) for one in samples if "requests" in one.values
        ]
    found = [one.values[alert.metric] for one in samples if alert.metric in one.values]
    return sum(found) / len(found) if found else None


def judged(alert: Alert, before: Standing, found: float | None, now: float) -> Standing:
    """How it is now. Without a value it stays as it was for a while: no news is neither good nor bad."""
    if found is None:
        lost = now - before.seen > BLIND
        return Standing(seen=before.seen) if lost else replace(before, value=None)
    if not _beyond(alert, found):
        return Standing(value=found, seen=now)
    since = now if before.since is None else min(before.since, now)  # a clock that was set back
    return Standing(value=found, since=since, firing=before.firing or now - since >= alert.lasts, seen=now)


def _beyond(alert: Alert, found: float) -> bool:
    above = alert.above is not None and found > alert.above
    return above or (alert.below is not None and found < alert.below)


def _errors(samples: Sequence[Sample]) -> float | None:
    known = [one.values for one in samples if "requests" in one.values]
    if not known:
        return None
    answers = sum(values.get(status, 0.0) for values in known for status in STATUS)
    failed = sum(values.get("5xx", 0.0) for values in known)
    return failed / answers if answers else 0.0


def condition(alert: Alert) -> str:
    """`p95 of web above 800 ms for 5 min`."""
    bounds = [
        f"{word} {amount(alert.metric, level)}"
        for word, level in (("above", alert.above), ("below", alert.below))
        if level is not None
    ]
    return f"{alert.metric} of {alert.process} {' or '.join(bounds)} for {lasting(alert.lasts)}"


def bound(alert: Alert, found: float) -> str:
    """`above 800 ms`: the bound that this value is beyond, or the one it would be beyond first."""
    if alert.above is not None and (found > alert.above or alert.below is None):
        return f"above {amount(alert.metric, alert.above)}"
    return f"below {amount(alert.metric, alert.below or 0.0)}"


def amount(metric: str, found: float) -> str:
    """A value as people say it: `1.2 s`, `35 ms`, `5.1 %`, `200 requests/s`."""
    if metric in LATENCIES:
        return f"{found * 1000:.3g} ms" if found < 1 else f"{found:.3g} s"
    signal = SIGNALS.get(metric)
    if metric == ERRORS or (signal and signal.share):
        return f"{found * 100:.3g} %"
    unit = "answers/s" if metric in STATUS else signal.unit.removesuffix(" per replica") if signal else ""
    number = f"{found:.4g}" if abs(found) < 10_000 else f"{found:,.0f}".replace(",", " ")
    return f"{number} {unit}".rstrip()


def lasting(seconds: float) -> str:
    """`5 min`, `90 s`, `2 h`."""
    for length, unit in ((3600, "h"), (60, "min")):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s"
