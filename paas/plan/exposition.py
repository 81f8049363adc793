"""Pure: the latest measurements → Prometheus's text format (version 0.0.4)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from paas.model.custom_signal import Reading, Standing
from paas.model.metrics import Look, Series, is_custom
from paas.model.scaling import Sample
from paas.model.service import Measured

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FRESH = 60.0
"""Seconds after which a look says nothing about now, and is left out."""

Labels = Mapping[str, str]
Values = Sequence[tuple[Labels, float]]


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    kind: str
    help: str
    values: Values


def text(
    look: Look | None,
    last: Mapping[Series, Sample],
    names: Mapping[str, str],
    *,
    version: str,
    now: float,
    readings: Mapping[str, Sequence[Reading]] | None = None,
) -> str:
    """The page. `names` are the apps that may be told of, id → name; `readings` the signals that they declare."""
    fresh = look if look and now - look.at <= FRESH else None
    families: list[_Family] = [
        _Family("paas_build_info", "gauge", "The platform's version.", [({"version": version}, 1.0)])
    ]
    families.append(_Family("paas_apps", "gauge", "Apps there are.", [({}, float(len(names)))]))
    if look:
        families.append(
            _Family("paas_measured_seconds", "gauge", "When was measured last, Unix time.", [({}, look.at)])
        )
    if fresh:
        measured = [one for one in fresh.measured if one.key.app_id in names]
        families += [*_replicas(measured, names), *_states(measured, names), *_in_flight(fresh, measured, names)]
        families += [*_traffic(fresh, names), *_custom(last, names, now)]
    families.append(_readable(readings or {}, names))
    return "".join(line for family in families if family.values for line in _lines(family))


def _lines(family: _Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}\n"
    for labels, value in family.values:
        # A histogram's samples say in a label of ours which of its three series they belong to.
        name = family.name + labels.get("__suffix__", "")
        said = ",".join(f'{key}="{_escaped(one)}"' for key, one in labels.items() if key != "__suffix__")
        yield f"{name}{{{said}}} {_number(value)}\n" if said else f"{name} {_number(value)}\n"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


# --- replicas --------------------------------------------------------------------------------------------------------


def _labels(one: Measured, names: Mapping[str, str]) -> dict[str, str]:
    return {
        "app": names[one.key.app_id],
        "process": one.key.process,
        "replica": str(one.replica.index),
        "release": str(one.key.release),
    }


def _replicas(measured: Iterable[Measured], names: Mapping[str, str]) -> Iterator[_Family]:
    running = [(_labels(one, names), one, one.used) for one in measured if one.used]
    cpu = [(labels, used.cpu_seconds) for labels, _, used in running]
    memory = [(labels, float(used.memory)) for labels, _, used in running]
    yield _Family("paas_replica_cpu_seconds_total", "counter", "CPU time since its start.", cpu)
    yield _Family("paas_replica_memory_bytes", "gauge", "Memory that cannot be taken back at once.", memory)
    limits = [(labels, float(one.memory_limit)) for labels, one, _ in running if one.memory_limit]
    yield _Family("paas_replica_memory_limit_bytes", "gauge", "What it may use.", limits)
    cores = [(labels, one.cpus) for labels, one, _ in running if one.cpus]
    yield _Family("paas_replica_cpu_limit_cores", "gauge", "Cores it may use.", cores)
    for name, field, help in (
        ("paas_replica_network_receive_bytes_total", "network_in", "Bytes that came in."),
        ("paas_replica_network_transmit_bytes_total", "network_out", "Bytes that went out."),
        ("paas_replica_disk_read_bytes_total", "disk_read", "Bytes read from disks."),
        ("paas_replica_disk_written_bytes_total", "disk_write", "Bytes written to disks."),
    ):
        known = [(labels, float(value)) for labels, _, used in running if (value := getattr(used, field)) is not None]
        yield _Family(name, "counter", help, known)


def _states(measured: Sequence[Measured], names: Mapping[str, str]) -> Iterator[_Family]:
    counts: dict[tuple[str, str, str], int] = {}
    for one in measured:
        key = (names[one.key.app_id], one.key.process, one.replica.state.value)
        counts[key] = counts.get(key, 0) + 1
    values = [
        ({"app": app, "process": process, "state": state}, float(count))
        for (app, process, state), count in counts.items()
    ]
    yield _Family("paas_replicas", "gauge", "Replicas by state.", values)
    restarts = [(_labels(one, names), float(one.replica.restarts)) for one in measured]
    yield _Family("paas_replica_restarts_total", "counter", "Times it was started again.", restarts)


def _in_flight(look: Look, measured: Iterable[Measured], names: Mapping[str, str]) -> Iterator[_Family]:
    flying = look.in_flight or {}
    found = [
        (_labels(one, names), float(flying[one.replica.address])) for one in measured if one.replica.address in flying
    ]
    yield _Family("paas_replica_in_flight_requests", "gauge", "Requests on their way to it.", found)


# --- requests --------------------------------------------------------------------------------------------------------


def _traffic(look: Look, names: Mapping[str, str]) -> Iterator[_Family]:
    told = [(names[app_id], one) for app_id, one in sorted((look.traffic or {}).items()) if app_id in names]
    requests = [
        ({"app": app, "status": status}, float(count)) for app, one in told for status, count in one.requests.items()
    ]
    yield _Family("paas_requests_total", "counter", "Requests that were answered, by class of status.", requests)
    buckets: list[tuple[Labels, float]] = []
    for app, one in told:
        if math.inf not in one.buckets:
            continue
        for bound, count in one.buckets.items():
            buckets.append(({"__suffix__": "_bucket", "app": app, "le": _number(bound)}, float(count)))
        buckets.append(({"__suffix__": "_sum", "app": app}, one.seconds))
        buckets.append(({"__suffix__": "_count", "app": app}, float(one.buckets[math.inf])))
    yield _Family("paas_request_duration_seconds", "histogram", "Time until requests were answered.", buckets)


def _custom(last: Mapping[Series, Sample], names: Mapping[str, str], now: float) -> Iterator[_Family]:
    """Signals that apps declared themselves."""
    values = [
        ({"app": names[series.app_id], "process": series.name, "signal": name}, value)
        for series, sample in sorted(last.items())
        if series.app_id in names and now - sample.at <= FRESH
        for name, value in sample.values.items()
        if is_custom(name)
    ]
    yield _Family("paas_custom_signal", "gauge", "Signals that apps declare.", values)


def _readable(readings: Mapping[str, Sequence[Reading]], names: Mapping[str, str]) -> _Family:
    """Whether they can be read; of those that nobody is to be asked for nothing is said."""
    values = [
        ({"app": names[app_id], "signal": one.name}, 0.0 if one.value is None else 1.0)
        for app_id, ones in sorted(readings.items())
        for one in ones
        if app_id in names and one.state not in (Standing.OFF, Standing.WAITING)
    ]
    return _Family("paas_custom_signal_readable", "gauge", "Whether a signal that an app declares has a value.", values)
