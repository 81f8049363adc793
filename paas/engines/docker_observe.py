"""From what the Docker Engine tells of a container to a Replica. Pure, but for the cache that spares inspections."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import docker.errors
from docker import APIClient

from paas.engines import docker_proc
from paas.engines.docker_spec import INSTANCE, SERVICES, Listed, Tags, addresses, own_network, signalled, tags
from paas.engines.probe import Target
from paas.model.service import ObservedService, Replica, ServiceKey, State, fingerprint

KILLED = 128 + signal.SIGKILL
OOM_WINDOW = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One inspected container. Times are Unix seconds, 0.0: never. `exit_code` None while it never exited.
    `cpus` (cores) and `memory` (bytes) are its limits; 0: none. `ending`: it was sent its stop signal."""

    id: str
    image: str
    tags: Tags
    status: str
    pid: int
    networks: Mapping[str, str]
    address: str
    started_at: float
    finished_at: float
    exit_code: int | None
    oom: bool
    restarts: int
    error: str
    paused: bool = False
    cpus: float = 0.0
    memory: int = 0
    ending: bool = False

    @property
    def name(self) -> str:
        """What people call it: `web.2`."""
        return f"{self.tags.key.process}.{self.tags.index}"

    @property
    def running(self) -> bool:
        """Whether its process runs now; the Engine says "running" of a container that waits to be restarted, too."""
        return self.status == "running"


def facts(inspected: Mapping[str, Any], instance: str) -> Facts | None:
    """An inspection read; None when the container is no service's or one-off's of this instance."""
    config, state, host = (inspected.get(part) or {} for part in ("Config", "State", "HostConfig"))
    found = config.get("Labels") or {}
    read = tags(found)
    if read is None or found.get(INSTANCE) != instance:
        return None
    joined = addresses(inspected)
    started, finished = unix(state.get("StartedAt")), unix(state.get("FinishedAt"))
    ended = state.get("Status") == "exited"
    return Facts(
        id=inspected["Id"],
        image=str(config.get("Image") or ""),
        tags=read,
        status=str(state.get("Status") or ""),
        pid=int(state.get("Pid") or 0),
        networks=joined,
        address=_address(joined, own_network(read.key.app_id, instance)),
        started_at=started,
        finished_at=finished,
        # A container that runs again shows 0 until it exits again; that is no exit code of its last exit. One that ends
        # at once may be said to have started after its end.
        exit_code=int(state.get("ExitCode") or 0) if finished and (finished >= started or ended) else None,
        oom=bool(state.get("OOMKilled")),
        restarts=int(inspected.get("RestartCount") or 0),
        error=str(state.get("Error") or ""),
        paused=bool(state.get("Paused")),
        cpus=int(host.get("NanoCpus") or 0) / 1e9,
        memory=int(host.get("Memory") or 0),
        ending=signalled(str(inspected.get("Name") or ""), started) > 0,
    )


def _address(joined: Mapping[str, str], own: str) -> str:
    """Its address in its own network, else in the first one where it has any."""
    return joined.get(own) or next((joined[name] for name in sorted(joined) if joined[name]), "")


def unix(text: str | None) -> float:
    """Unix seconds of the Engine's times; 0.0 for its "never" (year 1)."""
    return nanoseconds(text) / 1e9 if text and not text.startswith("0001-") else 0.0


def nanoseconds(text: str) -> int:
    """Unix nanoseconds of an RFC 3339 time in UTC with up to nine decimals, as the Engine writes it. ValueError."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 10**9 + int(fraction[:9].ljust(9, "0"))


def exit_words(code: int | None, oom: bool, memory: int) -> str:
    """How a process ended: "exited with code 1", "was ended by SIGKILL", "was killed over its memory limit of 1G"."""
    if oom:
        return f"was killed over its memory limit of {size(memory)}" if memory else "was killed: out of memory"
    if code is None:
        return "exited"
    if 128 < code < 128 + 65:
        try:
            return f"was ended by {signal.Signals(code - 128).name}"
        except ValueError:
            pass
    meaning = {126: ": its command cannot be executed", 127: ": its command was not found"}.get(code, "")
    return f"exited with code {code}{meaning}"


def size(count: int) -> str:
    """512M, 1.5G, 100K."""
    for unit, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.4g}{unit}"
    return str(count)


def seconds(value: float) -> str:
    """0.3 s, 12 s."""
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def target(found: Facts) -> Target:
    """What the prober needs of a running container."""
    return Target(
        id=found.id,
        name=found.name,
        host=found.address,
        port=found.tags.notes.port,
        started_at=found.started_at,
        health=found.tags.notes.health,
        app_name=found.tags.app_name,
    )


def replica(found: Facts, verdict: tuple[State, str] | None) -> Replica:
    """The replica. `verdict` is the prober's, None for one that does not run."""
    state, detail = verdict if verdict else _stopped(found)
    port = found.tags.notes.port
    return Replica(
        id=found.id,
        index=found.tags.index,
        state=state,
        address=f"{found.address}:{port}" if found.address and port else found.address,
        started_at=found.started_at,
        restarts=found.restarts,
        exit_code=found.exit_code,
        oom=found.oom and not found.running,
        detail=detail,
        ending=found.ending and found.running,
    )


def _stopped(found: Facts) -> tuple[State, str]:
    """CRASHED: the Engine starts it again by itself, with back-off. STOPPED: only `apply` does."""
    if found.paused or found.status == "paused":
        return State.UNHEALTHY, "is paused"
    if found.status in ("created", "removing"):
        return State.STOPPED, found.error or ("was never started" if found.status == "created" else "is being removed")
    words = exit_words(found.exit_code, found.oom, found.tags.notes.memory)
    if found.status == "restarting":
        return State.CRASHED, f"{words}; the Engine starts it again (restart {found.restarts})"
    # The Engine restarts what ends by itself; a container it leaves alone was killed or stopped from outside.
    return State.STOPPED, words


def services(pairs: Iterable[tuple[Facts, Replica]]) -> tuple[ObservedService, ...]:
    """Replicas gathered into service versions, sorted by key, then index."""
    groups: dict[ServiceKey, list[tuple[Facts, Replica]]] = {}
    for found, one in pairs:
        groups.setdefault(found.tags.key, []).append((found, one))
    return tuple(_service(key, groups[key]) for key in sorted(groups))


def _service(key: ServiceKey, members: list[tuple[Facts, Replica]]) -> ObservedService:
    members.sort(key=lambda pair: (pair[1].index, pair[1].id))
    first = members[0][0]
    prints = {fingerprint(found.tags.core, found.networks, key.app_id) for found, _ in members}
    return ObservedService(
        key=key,
        # Replicas that differ among themselves are nobody's wish: no spec has this fingerprint, so it is applied again.
        fingerprint=prints.pop() if len(prints) == 1 else "mixed",
        app_name=first.tags.app_name,
        image=first.image,
        kind=first.tags.kind,
        replicas=tuple(one for _, one in members),
    )


class Inspections:
    """Inspections of running containers, kept as long as their process lives; the list alone tells the rest.

    An inspection costs the Engine 1.5 ms each, a look at /proc 0.02 ms.
    """

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._guard = threading.Lock()
        self._kept: dict[str, Facts] = {}

    def of(self, api: APIClient, one: Listed) -> Facts | None:
        """Facts of a listed container, inspected only when needed; None when it has gone or is not ours."""
        kept = self.kept(one.id)
        if kept and one.status == "running" and dict(kept.networks) == dict(one.networks):
            return kept
        return self.fresh(api, one.id)

    def kept(self, id: str) -> Facts | None:
        """Facts from before, if the very process they tell of is still alive."""
        with self._guard:
            found = self._kept.get(id)
        return found if found and found.running and docker_proc.alive(found.pid, id) else None

    def fresh(self, api: APIClient, id: str) -> Facts | None:
        """Facts asked for now; None when it has gone or is not ours."""
        try:
            found = facts(api.inspect_container(id), self._instance)
        except docker.errors.NotFound:
            found = None
        if found and found.exit_code == KILLED and not found.oom:
            # The kernel's message may reach the Engine after the exit, which then keeps it as an event only.
            found = replace(found, oom=oom(api, id, found.started_at, found.finished_at))
        with self._guard:
            if found is None:
                self._kept.pop(id, None)
            else:
                self._kept[id] = found
        return found

    def forget(self, id: str) -> None:
        """Ask for it anew."""
        with self._guard:
            self._kept.pop(id, None)

    def keep(self, ids: Iterable[str]) -> None:
        """Forget all but these."""
        kept = set(ids)
        with self._guard:
            self._kept = {id: found for id, found in self._kept.items() if id in kept}


def oom(api: APIClient, container: str, started_at: float, finished_at: float) -> bool:
    """Whether the kernel killed something in this container for want of memory just before it ended."""
    since = max(started_at, finished_at - OOM_WINDOW)
    return bool(events_of(api, container, "oom", since))


def last_exit(api: APIClient, found: Facts) -> Facts:
    """The facts with what the Engine's events tell of its last death, for a container that runs again already."""
    deaths = events_of(api, found.id, "die", max(0.0, found.finished_at - 1))
    code = str(deaths[-1].get("exitCode", "")) if deaths else ""
    killed = code == str(KILLED) and oom(api, found.id, 0.0, found.finished_at)
    return replace(found, exit_code=int(code) if code.isdigit() else None, oom=found.oom or killed)


def events_of(api: APIClient, container: str, event: str, since: float) -> list[Mapping[str, Any]]:
    """The attributes of past events of a container, oldest first; the Engine remembers the last 256 of all."""
    # Without an end, or with one that is still to come, the Engine would keep the stream open.
    since_text, until_text = f"{since:.6f}", f"{time.time():.6f}"
    ask: Any = api.events
    stream = ask(since=since_text, until=until_text, decode=True, filters={"container": [container], "event": [event]})
    return [(found.get("Actor") or {}).get("Attributes") or {} for found in stream]


def is_service(one: Listed) -> bool:
    """Whether it belongs to a service version."""
    return one.tags.kind in SERVICES
