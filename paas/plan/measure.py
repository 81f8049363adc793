"""Pure: looks at counters → samples of processes and replicas.

Counters that went back (a replica or the router was started again) say nothing about what was before: a replica's
rates are left out until the next look, the router's count from zero. A signal that cannot be known is not there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from paas.model.metrics import BOOT, STATUS, Look, Machine, Series
from paas.model.route import Traffic
from paas.model.scaling import Sample
from paas.model.service import Measured, State, Used

WEB = "web"
"""The process that the router leads requests to."""

ANSWERS = 20
"""Answers that a percentile is taken of at least, where the last `PATIENCE` seconds have as many."""

PATIENCE = 30.0

_RATES = ("network_in", "network_out", "disk_read", "disk_write")
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_NOTHING = Traffic(app_id="", requests={}, seconds=0.0)


def samples(looks: Sequence[Look], machine: Machine) -> dict[Series, Sample]:
    """Samples at the last of these looks, which are in the order of time; rates are those since the look before.

    `p50` and so on go back further where few were answered, so `looks` should span PATIENCE seconds.
    """
    now, before = looks[-1], looks[-2] if len(looks) > 1 else None
    earlier = {one.replica.id: one for one in before.measured} if before else {}
    seconds = now.clock - before.clock if before else 0.0
    found: dict[Series, Sample] = {}
    groups: dict[Series, list[tuple[Measured, dict[str, float]]]] = {}
    for one in now.measured:
        values = _replica(one, earlier.get(one.replica.id), seconds, machine)
        if now.in_flight is not None and one.replica.address in now.in_flight:
            values["in_flight"] = float(now.in_flight[one.replica.address])
        values |= _booted(one, earlier.get(one.replica.id))
        if one.replica.id not in now.leaving:
            groups.setdefault(Series(one.key.app_id, one.key.process), []).append((one, values))
        if one.used:
            name = f"{one.key.process}.{one.replica.index}"
            found[Series(one.key.app_id, name)] = Sample(now.at, 1, values)
    for series, members in groups.items():
        values = _process(members) | (_requests(series.app_id, looks) if series.name == WEB else {})
        found[series] = Sample(now.at, _count(members), values)
    return found


def _replica(now: Measured, before: Measured | None, seconds: float, machine: Machine) -> dict[str, float]:
    """What one replica uses: shares of its limits, cores, bytes, bytes/s."""
    used = now.used
    if used is None:
        return {}
    values = {
        "memory": used.memory / (now.memory_limit or machine.memory or math.inf),
        "memory_bytes": float(used.memory),
    }
    if before is None or before.used is None or before.replica.started_at != now.replica.started_at or seconds <= 0:
        return values
    cores = (used.cpu_seconds - before.used.cpu_seconds) / seconds
    if cores >= 0:
        values |= {"cpu": cores / (now.cpus or machine.cpus or math.inf), "cpu_cores": cores}
    return values | dict(_rates(before.used, used, seconds))


def _booted(now: Measured, before: Measured | None) -> dict[str, float]:
    """How long it took to be healthy, once: in the first sample that can say it."""
    known = before is not None and before.replica.started_at == now.replica.started_at and before.boot is not None
    return {} if now.boot is None or known else {BOOT: now.boot}


def _rates(before: Used, now: Used, seconds: float) -> Iterator[tuple[str, float]]:
    for name in _RATES:
        first, last = getattr(before, name), getattr(now, name)
        if first is not None and last is not None and last >= first:
            yield name, (last - first) / seconds


def _process(members: Sequence[tuple[Measured, Mapping[str, float]]]) -> dict[str, float]:
    """Averages of what is a share, sums of what is shared, over the replicas that have traffic."""
    working = [values for one, values in members if one in _working(members)]
    values: dict[str, float] = {}
    for name in ("cpu", "memory", "cpu_cores", "memory_bytes"):
        values |= _folded(name, working, average=True)
    for name in _RATES:
        values |= _folded(name, [values for _, values in members], average=False)
    values |= _folded("in_flight", [values for _, values in members], average=False)
    values |= _folded(BOOT, [values for _, values in members], average=True)
    states = [one.replica.state for one, _ in members]
    ill = (State.UNHEALTHY, State.CRASHED)
    return values | {
        "healthy": float(states.count(State.HEALTHY)),
        "unhealthy": float(sum(state in ill for state in states)),
    }


def _working(members: Iterable[tuple[Measured, object]]) -> list[Measured]:
    """The healthy replicas; those that at least run when none is, as the router has it."""
    running = [one for one, _ in members if one.used and one.replica.state is not State.STARTING]
    return [one for one in running if one.replica.state is State.HEALTHY] or running


def _count(members: Iterable[tuple[Measured, object]]) -> int:
    return len(_working(members))


def _folded(name: str, values: Iterable[Mapping[str, float]], *, average: bool) -> dict[str, float]:
    known = [one[name] for one in values if name in one]
    if not known:
        return {}
    return {name: sum(known) / (len(known) if average else 1)}


# --- requests --------------------------------------------------------------------------------------------------------


def _requests(app_id: str, looks: Sequence[Look]) -> dict[str, float]:
    """Arrivals/s, answers/s by status class, and latencies, as far as the router told."""
    told = [look for look in looks if look.traffic is not None]
    if looks[-1].traffic is None or len(told) < 2:
        return {}
    before, now = _both(told)
    seconds = now.clock - before.clock
    if seconds <= 0:
        return {}
    answered = _answered(_of(before, app_id), _of(now, app_id))
    came = sum(answered.values()) + _waiting(now, app_id) - _waiting(before, app_id)
    values = {status: answered.get(status, 0) / seconds for status in STATUS if answered.get(status)}
    values["requests"] = max(0.0, came / seconds)
    return values | _latencies(app_id, told)


def _both(told: Sequence[Look]) -> tuple[Look, Look]:
    """The last look and one before: both of them know what is in flight or, where that is not to be had, neither. What
    was answered is then taken for what came."""
    knowing = [look for look in told if look.in_flight is not None]
    if told[-1].in_flight is not None and len(knowing) > 1:
        return knowing[-2], knowing[-1]
    return replace(told[-2], in_flight=None), replace(told[-1], in_flight=None)


def _of(look: Look, app_id: str) -> Traffic:
    return (look.traffic or {}).get(app_id, _NOTHING)


def _answered(before: Traffic, now: Traffic) -> dict[str, int]:
    """Answers in between by status class. Counters that went back count from zero."""
    again = any(now.requests.get(status, 0) < count for status, count in before.requests.items())
    return {status: count - (0 if again else before.requests.get(status, 0)) for status, count in now.requests.items()}


def _waiting(look: Look, app_id: str) -> int:
    """Requests in flight to all replicas of an app, those that drain included: they will be counted as answered."""
    flying = look.in_flight or {}
    return sum(flying.get(one.replica.address, 0) for one in look.measured if one.key.app_id == app_id)


def _latencies(app_id: str, looks: Sequence[Look]) -> dict[str, float]:
    """Percentiles of the shortest span that has enough answers; zero where nobody asked, nothing where all wait."""
    now = looks[-1]
    found: dict[float, int] = {}
    for before in reversed(looks[:-1]):
        if found and now.clock - before.clock > PATIENCE:
            break
        last = found
        found = _between(_of(before, app_id).buckets, _of(now, app_id).buckets)
        if max(found.values(), default=0) < max(last.values(), default=0):
            found = last  # the router was started again in between
            break
        if found.get(math.inf, 0) >= ANSWERS:
            break
    if found.get(math.inf, 0):
        return {name: percentile(found, share) for name, share in _PERCENTILES.items()}
    knowing = next((look for look in reversed(looks) if look.in_flight is not None), now)
    return {} if _waiting(knowing, app_id) else dict.fromkeys(_PERCENTILES, 0.0)


def _between(before: Mapping[float, int], now: Mapping[float, int]) -> dict[float, int]:
    again = now.get(math.inf, 0) < before.get(math.inf, 0)
    return {bound: count - (0 if again else before.get(bound, 0)) for bound, count in now.items()}


def percentile(buckets: Mapping[float, int], share: float) -> float:
    """Below how many seconds that share was answered, taken as evenly spread within a bucket, as Prometheus does.

    Beyond the last bound there is no more to tell than that bound. NaN without answers.
    """
    total = buckets.get(math.inf, 0)
    if not total:
        return math.nan
    rank, lower, below = share * total, 0.0, 0
    for bound in sorted(buckets):
        count = buckets[bound]
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / max(1, count - below)
        lower, below = bound, count
    return lower
