"""From a ServiceSpec to what the Docker Engine is told, and back from its labels. Pure: values in, values out."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from paas.model.service import HealthCheck, HealthKind, ServiceKey, ServiceSpec

INSTANCE = "paas.instance"
APP = "paas.app"
APP_NAME = "paas.app-name"
PROCESS = "paas.process"
RELEASE = "paas.release"
FINGERPRINT = "paas.fingerprint"
CORE = "paas.core"
KIND = "paas.kind"
REPLICA = "paas.replica"
SPEC = "paas.spec"
UNTIL = "paas.until"
RUN = "paas.run"

SERVICES = frozenset({"replica", "addon"})
"""The kinds that make up service versions; one-offs and the router are none."""

ADDON_CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID")
"""What a database needs to take over its volume as root and then to become its own user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """What must be known of a running replica without its spec: kept as JSON in its `paas.spec` label.

    Never anything secret. `memory` is the limit in bytes.
    """

    port: int = 0
    alias: str = ""
    stop_grace: float = 30.0
    memory: int = 0
    health: HealthCheck = HealthCheck(kind=HealthKind.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """The labels of a container of ours."""

    key: ServiceKey
    app_name: str
    kind: str
    index: int
    core: str
    notes: Notes


def notes(spec: ServiceSpec) -> Notes:
    """The notes for a spec."""
    return Notes(
        port=spec.port,
        alias=spec.alias,
        stop_grace=spec.stop_grace,
        memory=spec.limits.memory,
        health=spec.health,
    )


def labels(spec: ServiceSpec, index: int, instance: str) -> dict[str, str]:
    """The labels of one replica."""
    return {
        INSTANCE: instance,
        APP: spec.app_id,
        APP_NAME: spec.app_name,
        PROCESS: spec.process,
        RELEASE: str(spec.release),
        FINGERPRINT: spec.fingerprint,
        CORE: spec.core,
        KIND: spec.kind,
        REPLICA: str(index),
        SPEC: json.dumps(asdict(notes(spec)), separators=(",", ":")),
        **({RUN: spec.run} if spec.run else {}),
    }


def tags(found: Mapping[str, str]) -> Tags | None:
    """The labels read back; None when they are not a service's or one-off's (the router's, say)."""
    if not found.get(APP) or not found.get(PROCESS):
        return None
    return Tags(
        key=ServiceKey(found[APP], found[PROCESS], _number(found.get(RELEASE, ""))),
        app_name=found.get(APP_NAME, ""),
        kind=found.get(KIND, ""),
        index=_number(found.get(REPLICA, "")),
        core=found.get(CORE, ""),
        notes=_read_notes(found.get(SPEC, "")),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _read_notes(text: str) -> Notes:
    """Notes of another version of this program may have more or fewer fields; unreadable ones are the defaults."""
    try:
        data = dict(json.loads(text))
        health = {f.name: data["health"][f.name] for f in fields(HealthCheck) if f.name in data["health"]}
        known = {f.name: data[f.name] for f in fields(Notes) if f.name in data}
        return Notes(**(known | {"health": HealthCheck(**(health | {"kind": HealthKind(health["kind"])}))}))
    except (ValueError, TypeError, KeyError):
        return Notes()


def own_network(app_id: str, instance: str) -> str:
    """The name of an app's network."""
    return f"{instance}-{app_id}"


def networks(spec: ServiceSpec, instance: str) -> tuple[str, ...]:
    """The networks of its containers. A service that names none gets one of its own, never the shared bridge."""
    if spec.networks:
        return tuple(dict.fromkeys(spec.networks))
    return () if spec.kind == "oneoff" else (own_network(spec.app_id, instance),)


def container_name(spec: ServiceSpec, index: int, instance: str) -> str:
    """What a replica's container is called, for people; the labels say what it is."""
    return f"{instance}-{spec.app_name}-{spec.process}-v{spec.release}-{index}"


_STOPPING = re.compile(r"-stopping-(\d{1,12})$")


def stopping_name(name: str, now: float) -> str:
    """What a container is called once it was sent its stop signal."""
    return f"{plain_name(name)}-stopping-{int(now)}"


def plain_name(name: str) -> str:
    """What it is called while nobody has told it to stop."""
    return _STOPPING.sub("", name)


def signalled(name: str, started_at: float) -> int:
    """Unix seconds at which this run of a container was sent its stop signal, by its name; 0: it was not.

    `started_at`, Unix seconds: one that was started again since is a container like all others.
    """
    found = _STOPPING.search(name)
    at = int(found.group(1)) if found else 0
    return at if at >= int(started_at) else 0


def container(spec: ServiceSpec, index: int, instance: str, *, api: str = "") -> dict[str, Any]:
    """The body of `POST /containers/create` for one replica. `api`: where it reaches the platform (empty: nowhere)."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Env": environment(spec, str(index), api),
        "Labels": labels(spec, index, instance),
        "StopSignal": spec.stop_signal,
        "StopTimeout": math.ceil(spec.stop_grace),
        "HostConfig": host_config(spec, instance),
    }
    if spec.command:
        body["Cmd"] = list(spec.command)
    if spec.user:
        body["User"] = spec.user
    if joined := networks(spec, instance):
        # The Engine takes one network at creation before API 1.44; the others are connected before the start.
        body["NetworkingConfig"] = {"EndpointsConfig": {joined[0]: endpoint(spec.alias)}}
    return body


def oneoff(spec: ServiceSpec, mark: str, instance: str, *, tty: bool, stdin: bool, until: int) -> dict[str, Any]:
    """The body for a container that runs once. `until`: Unix time after which it is a leftover, 0: never."""
    body = container(spec, 0, instance)
    return body | {
        "Env": environment(spec, mark),
        "Labels": body["Labels"] | {UNTIL: str(until)},
        "Tty": tty,
        "OpenStdin": stdin,
        "StdinOnce": stdin,
        "AttachStdin": stdin,
        "AttachStdout": True,
        "AttachStderr": True,
    }


def environment(spec: ServiceSpec, mark: str, api: str = "") -> list[str]:
    """`KEY=value` strings, sorted; `mark` tells this container from its siblings."""
    env = {key: value.reveal() for key, value in spec.env.items()}
    env["PAAS_PROCESS"] = f"{spec.process}.{mark}"
    if api:
        env["PAAS_API"] = api
    return [f"{key}={value}" for key, value in sorted(env.items())]


def host_config(spec: ServiceSpec, instance: str) -> dict[str, Any]:
    """Limits, hardening, restart policy, log limits and mounts."""
    once = spec.kind == "oneoff"
    joined = networks(spec, instance)
    config: dict[str, Any] = {
        "Init": True,
        "RestartPolicy": {"Name": "no" if once else "unless-stopped"},
        # A one-off's output goes to whoever runs it; a database dump has no business in a log file.
        "LogConfig": {"Type": "none", "Config": {}} if once else log_config(),
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "NetworkMode": joined[0] if joined else "none",
        "Mounts": [{"Type": "volume", "Source": m.volume, "Target": m.path} for m in spec.mounts],
    }
    if spec.kind == "addon":
        config["CapAdd"] = list(ADDON_CAPABILITIES)
    if spec.limits.memory:
        # Without MemorySwap a container gets the limit once more as swap.
        config |= {"Memory": spec.limits.memory, "MemorySwap": spec.limits.memory}
    if spec.limits.cpus:
        config["NanoCpus"] = round(spec.limits.cpus * 1e9)
    if spec.limits.pids:
        config["PidsLimit"] = spec.limits.pids
    return config


def log_config() -> dict[str, Any]:
    """At most 30 MB of log per container."""
    return {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}


def endpoint(alias: str) -> dict[str, Any]:
    """How a container joins a network."""
    return {"Aliases": [alias]} if alias else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A container of ours as the Engine's list shows it. `networks`: name → address ("" while it does not run)."""

    id: str
    status: str
    tags: Tags
    networks: Mapping[str, str]
    created_at: int = 0
    until: int = 0


def listed(entry: Mapping[str, Any]) -> Listed | None:
    """One entry of `GET /containers/json`; None when it is no container of a service."""
    found = entry.get("Labels") or {}
    read = tags(found)
    if read is None:
        return None
    return Listed(
        id=entry["Id"],
        status=str(entry.get("State", "")),
        tags=read,
        networks=addresses(entry),
        created_at=int(entry.get("Created") or 0),
        until=_number(found.get(UNTIL, "")),
    )


def addresses(entry: Mapping[str, Any]) -> dict[str, str]:
    """Network name → address, from a list entry or an inspection."""
    joined = (entry.get("NetworkSettings") or {}).get("Networks") or {}
    return {name: str((data or {}).get("IPAddress") or "") for name, data in joined.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What `apply` does about one index: keep, start, create, or replace (stop, remove, create).

    `connect` and `disconnect` name networks of a kept or started container that are missing or too many.
    """

    index: int
    verb: str
    container: str = ""
    connect: tuple[str, ...] = ()
    disconnect: tuple[str, ...] = ()


def acts(
    spec: ServiceSpec, replicas: int, present: Iterable[Listed], instance: str, besides: Collection[str] = ()
) -> tuple[Act, ...]:
    """What it takes to have `replicas` replicas started with this spec: those of the lowest indexes, then new ones.
    Of those `besides` nothing but their index is taken.

    A container whose core is the spec's is kept even when its networks differ: those are changed while it runs.
    """
    there = sorted((one for one in present if one.status != "removing"), key=lambda one: (one.tags.index, one.id))
    kept = [one for one in there if one.id not in besides][:replicas]
    used = {one.tags.index for one in there if one in kept or one.id in besides}
    free = (index for index in itertools.count(1) if index not in used)
    created = [Act(index=index, verb="create") for index in itertools.islice(free, replicas - len(kept))]
    return (*(_act(spec, one.tags.index, one, instance) for one in kept), *created)


def _act(spec: ServiceSpec, index: int, present: Listed, instance: str) -> Act:
    if present.tags.core != spec.core or present.status == "dead":
        return Act(index=index, verb="replace", container=present.id)
    wanted = networks(spec, instance)
    return Act(
        index=index,
        verb="start" if present.status in ("created", "exited") else "keep",
        container=present.id,
        connect=tuple(name for name in wanted if name not in present.networks),
        disconnect=tuple(sorted(name for name in present.networks if name not in wanted)),
    )
