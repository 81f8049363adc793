"""Pure: Traefik's Prometheus text → counters per app."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from paas.model.metrics import SLOWEST
from paas.model.route import Traffic
from paas.routers.traefik import render

BUCKETS = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8,
    1, 1.5, 2, 3, 5, 10, SLOWEST,
)  # fmt: skip
"""Seconds between which Traefik tells latencies apart: a half more each, so that a percentile is off by less than that
where it lies between two, and nothing where a target is one of them."""

_PREFIX = "traefik_router_request"
_REQUESTS, _SUM, _BUCKET = "s_total", "_duration_seconds_sum", "_duration_seconds_bucket"
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_UPGRADED = "101"


@dataclass(slots=True)
class _Counters:
    requests: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    buckets: dict[float, int] = field(default_factory=dict)


def traffic(text: str) -> tuple[Traffic, ...]:
    """Requests by status class (`2xx` …), the seconds they took and their latencies, sorted by app id.

    Redirects to https are no requests to an app. Lines that cannot be read are passed over.
    """
    found: dict[str, _Counters] = {}
    for metric, labels, value in _lines(text):
        app_id, status, code, bound = _facts(labels)
        if not app_id:
            continue
        counters = found.setdefault(app_id, _Counters())
        if metric == _REQUESTS:
            counters.requests[status] = counters.requests.get(status, 0) + int(value)
        elif code == _UPGRADED:
            continue
        elif metric == _SUM:
            counters.seconds += value
        elif metric == _BUCKET and not math.isnan(bound):
            counters.buckets[bound] = counters.buckets.get(bound, 0) + int(value)
    return tuple(
        Traffic(
            app_id=app_id,
            requests=dict(sorted(found[app_id].requests.items())),
            seconds=found[app_id].seconds,
            buckets=dict(sorted(found[app_id].buckets.items())),
        )
        for app_id in sorted(found)
    )


def _lines(text: str) -> Iterator[tuple[str, str, float]]:
    """What follows the prefix in the metric's name, its labels and its value."""
    for line in text.splitlines():
        if not line.startswith(_PREFIX):
            continue
        name, _, rest = line.partition("{")
        labels, _, value = rest.rpartition("} ")
        try:
            number = float(value)
        except ValueError:
            continue
        if labels and math.isfinite(number):
            yield name[len(_PREFIX) :], labels, number


@lru_cache(maxsize=100_000)
def _facts(labels: str) -> tuple[str, str, str, float]:
    """App id (empty: no app's), status class, status and upper bound. The same labels come every few seconds."""
    facts = dict(_LABEL.findall(labels))
    router = facts.get("router", "")
    app_id = "" if "-redirect" in router else render.app_of(router)
    code = facts.get("code", "0")
    try:
        bound = float(facts.get("le", "nan"))
    except ValueError:
        bound = math.nan
    return app_id, f"{code[:1]}xx", code, bound
