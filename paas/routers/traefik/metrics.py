"""Pure: Traefik's Prometheus text → counters per app."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
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

_REQUESTS = "traefik_router_requests_total{"
_SUM = "traefik_router_request_duration_seconds_sum{"
_BUCKET = "traefik_router_request_duration_seconds_bucket{"
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_UPGRADED = "101"


@dataclass(frozen=True, slots=True)
class Page:
    """What a page tells: traffic sorted by app id, and how many series of latencies each app has."""

    traffic: tuple[Traffic, ...]
    series: Mapping[str, int]


@dataclass(slots=True)
class _Counters:
    """Of one app. Buckets by their bound as it is written."""

    requests: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    buckets: dict[str, int] = field(default_factory=dict)
    series: int = 0


def read(pieces: Iterable[str]) -> Page:
    """Requests by status class (`2xx` …), the seconds they took and their latencies, out of pieces of whole lines.

    Redirects to https are no requests to an app. Lines that cannot be read are passed over.
    """
    found: dict[str, _Counters] = {}
    for piece in pieces:
        _read(piece, found)
    return Page(
        traffic=tuple(_traffic(app_id, found[app_id]) for app_id in sorted(found)),
        series={app_id: counters.series for app_id, counters in found.items()},
    )


def _read(piece: str, found: dict[str, _Counters]) -> None:
    """Add up the lines of one piece.

    Those of buckets are nearly all there are, and stand together for each series, the bound last: the series is looked
    at once.
    """
    series, counters = "", _Counters()
    for line in piece.splitlines():
        if line.startswith(_BUCKET):
            labels, _, end = line.rpartition(',le="')
            if labels != series:
                series, counters = labels, _counters(labels[len(_BUCKET) :], found, latency=True)
            bound, _, value = end.partition('"} ')
            count = int(value) if value.isdigit() else int(_number(value) or 0)  # from a million on it is 1.234567e+06
            counters.buckets[bound] = counters.buckets.get(bound, 0) + count
        elif line.startswith((_REQUESTS, _SUM)):
            _add(line, found)


def _add(line: str, found: dict[str, _Counters]) -> None:
    """Count a line of requests or of their seconds."""
    rest = line.partition("{")[2]
    labels, _, text = rest.rpartition("} ")
    value = _number(text)
    if value is None:
        return
    if line.startswith(_SUM):
        counters = _counters(labels, found, latency=True)
        counters.seconds += value
        counters.series += 1
    else:
        counters, status = _counters(labels, found), _facts(labels)[1]
        counters.requests[status] = counters.requests.get(status, 0) + int(value)


def _counters(labels: str, found: dict[str, _Counters], *, latency: bool = False) -> _Counters:
    """Where what is told of this series is added up: nowhere, for what is no app's, and for how long connections lasted
    that became something else than HTTP."""
    app_id, _, code = _facts(labels)
    if not app_id:
        return _Counters()
    counters = found.setdefault(app_id, _Counters())
    return _Counters() if latency and code == _UPGRADED else counters


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _traffic(app_id: str, counters: _Counters) -> Traffic:
    buckets: dict[float, int] = {}
    for text, count in counters.buckets.items():
        try:
            bound = float(text)
        except ValueError:
            continue
        if not math.isnan(bound):
            buckets[bound] = buckets.get(bound, 0) + count
    return Traffic(
        app_id=app_id,
        requests=dict(sorted(counters.requests.items())),
        seconds=counters.seconds,
        buckets=dict(sorted(buckets.items())),
    )


@lru_cache(maxsize=100_000)
def _facts(labels: str) -> tuple[str, str, str]:
    """App id (empty: no app's), status class and status. The same labels come every few seconds."""
    facts = dict(_LABEL.findall(labels))
    router = facts.get("router", "")
    app_id = "" if "-redirect" in router else render.app_of(router)
    code = facts.get("code", "0")
    return app_id, f"{code[:1]}xx", code
