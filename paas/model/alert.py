"""Words of alerts: a number of an app that somebody wants to hear of once it has been beyond a bound for a while."""

from __future__ import annotations

from dataclasses import dataclass

from paas.model.metrics import STATUS
from paas.model.scaling import SIGNALS

ERRORS = "errors"
"""The share of answers that are 5xx, 0 to 1; 0 while nobody asks."""

METRICS = (*SIGNALS, ERRORS, *STATUS)
"""What an alert can look at, beside the app's own signals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`metric` of a process above `above`, or below `below`, for `lasts` seconds. Values are those of all replicas
    together where `model/scaling.py` says shared; shares are 0 to 1, latencies seconds."""

    name: str
    metric: str
    process: str = "web"
    above: float | None = None
    below: float | None = None
    lasts: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an alert is. `since` is when the value went beyond its bound (Unix seconds), None: it is not beyond.
    `firing`: it has been for long enough. `seen` is when there last was a value, 0: never."""

    value: float | None = None
    since: float | None = None
    firing: bool = False
    seen: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """An alert that was told, and since when (Unix seconds) its value is beyond its bound."""

    app_id: str
    name: str
    since: float
