"""An engine that only remembers: replicas with scripted behaviour and no containers. For logic tests.

What a replica does is scripted per image: `engine.behaviours["sha256:bad"] = Behaviour(exits=1)`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from paas.errors import DeployFailed, EngineUnavailable, NotFound
from paas.interfaces import Clock, EngineInfo, LogQuery, Stop, Terminal
from paas.model.events import Emit
from paas.model.secret import Secret
from paas.model.service import Change, LogLine, ObservedService, Replica, ServiceKey, ServiceSpec, State, Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What replicas of an image do: healthy after `boots` seconds (None: never), or exit with `exits` at once.

    `once` is the exit code of one-offs, `says` the lines they and the replicas print, `busy` the connections they keep.
    """

    boots: float | None = 0.0
    exits: int | None = None
    once: int = 0
    says: tuple[str, ...] = ()
    busy: int = 0


@dataclass(slots=True)
class _Version:
    spec: ServiceSpec
    replicas: dict[int, Replica] = field(default_factory=dict)


class MemoryEngine:
    """The Engine protocol over dictionaries. `ran` lists one-off specs, `calls` the verbs in order."""

    def __init__(self, clock: Clock, behaviours: Mapping[str, Behaviour] | None = None) -> None:
        self.behaviours = dict(behaviours or {})
        self.ran: list[ServiceSpec] = []
        self.calls: list[str] = []
        self.volumes: set[str] = set()
        self.down = False
        self._clock = clock
        self._versions: dict[ServiceKey, _Version] = {}
        self._ids = itertools.count(1)
        self._changes: list[Change] = []
        self._lock = threading.RLock()

    def observe(self, app_id: str = "") -> tuple[ObservedService, ...]:
        """What is remembered, with boots that ended by now."""
        with self._lock:
            self._reach()
            return tuple(
                self._seen(version) for key, version in sorted(self._versions.items()) if app_id in ("", key.app_id)
            )

    def apply(self, spec: ServiceSpec, replicas: int, emit: Emit) -> None:
        """Fill missing indexes, start dead ones, replace what has another fingerprint."""
        with self._lock:
            self._reach()
            self.calls.append(f"apply {spec.key} × {replicas}")
            version = self._versions.get(spec.key)
            if version is None or version.spec.fingerprint != spec.fingerprint:
                version = self._versions[spec.key] = _Version(spec)
            self.volumes.update(mount.volume for mount in spec.mounts)
            alive = [r for r in version.replicas.values() if r.state not in (State.CRASHED, State.STOPPED)]
            for index in itertools.count(1):
                if len(alive) >= replicas:
                    return
                if version.replicas.get(index) in alive:
                    continue
                version.replicas[index] = self._new(spec, index)
                alive.append(version.replicas[index])

    def wait_healthy(self, spec: ServiceSpec, replicas: int, timeout: float, emit: Emit) -> tuple[Replica, ...]:
        """Moves the clock on until they are healthy, or fails as the real one does."""
        deadline = self._clock.monotonic() + min(timeout, spec.health.grace)
        while True:
            version = self._versions.get(spec.key)
            found = self._seen(version).replicas if version else ()
            for replica in found:
                if replica.state is State.CRASHED:
                    raise DeployFailed(
                        f"{spec.process}.{replica.index} exited with {replica.exit_code}",
                        details=self._says(spec.image),
                    )
            healthy = tuple(replica for replica in found if replica.state is State.HEALTHY)
            if len(healthy) >= replicas:
                return healthy
            if self._clock.monotonic() >= deadline:
                raise DeployFailed(f"{spec.process} was not healthy in time", details=self._says(spec.image))
            self._clock.sleep(spec.health.boot_interval)

    def remove(self, key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        """Forget these, or the whole version."""
        with self._lock:
            self._reach()
            self.calls.append(f"remove {key}" + (f" {len(replicas)}" if replicas else ""))
            version = self._versions.get(key)
            if version is None:
                return
            version.replicas = {i: r for i, r in version.replicas.items() if replicas and r.id not in replicas}
            if not version.replicas:
                del self._versions[key]

    def run_once(self, spec: ServiceSpec, timeout: float, terminal: Terminal) -> int:
        """Print what the image says and return its scripted exit code."""
        self._reach()
        self.calls.append(f"run {spec.process}")
        self.ran.append(spec)
        for line in self._says(spec.image):
            terminal.write(line.encode() + b"\n")
        return self._behaviour(spec.image).once

    def exec(
        self, replica: str, command: Sequence[str], terminal: Terminal, env: Mapping[str, Secret] | None = None
    ) -> int:
        """Print the command and return 0. Raises NotFound for a replica that is not there."""
        version, found = self._find(replica)
        self.calls.append(f"exec {version.spec.process}.{found.index}")
        terminal.write(" ".join(command).encode() + b"\n")
        return 0

    def logs(self, app_id: str, query: LogQuery) -> Iterator[LogLine]:
        """What the images say, once a replica."""
        for service in self.observe(app_id):
            if query.process not in ("", service.key.process):
                continue
            for replica in service.replicas:
                if query.replica in (0, replica.index):
                    for text in self._says(service.image):
                        yield LogLine(
                            at=replica.started_at, text=text, process=service.key.process, replica=replica.index
                        )

    def stats(self, app_id: str = "") -> tuple[Stats, ...]:
        """A fixed use for each replica."""
        return tuple(
            Stats(replica=replica.id, cpu_seconds=1.0, memory=50 << 20, pids=3)
            for service in self.observe(app_id)
            for replica in service.replicas
        )

    def connections(self, key: ServiceKey, port: int) -> Mapping[str, int]:
        """The scripted number of each replica."""
        version = self._versions.get(key)
        found = version.replicas.values() if version else ()
        return {replica.id: self._behaviour(version.spec.image).busy for replica in found if version}

    def watch(self, stop: Stop) -> Iterator[Change]:
        """What `crash` made happen."""
        while not stop.is_set():
            if self.down:
                return
            if self._changes:
                yield self._changes.pop(0)
            else:
                time.sleep(0.005)

    def forget(self, app_id: str) -> None:
        """Forget all of the app's versions."""
        for key in [key for key in self._versions if key.app_id == app_id]:
            self.remove(key)

    def remove_volume(self, volume: str) -> None:
        """Forget it."""
        self.volumes.discard(volume)

    def restart(self, replica: str) -> None:
        """Start it anew under the same id and address."""
        version, found = self._find(replica)
        self.calls.append(f"restart {version.spec.process}.{found.index}")
        fresh = self._new(version.spec, found.index)
        version.replicas[found.index] = replace(fresh, id=found.id, address=found.address)

    def info(self) -> EngineInfo:
        """What it is. Raises EngineUnavailable while `down`."""
        self._reach()
        return EngineInfo(
            name="memory", version="1", api_version="1.41", buildkit=True, cpus=2, memory=8 << 30, data_root=""
        )

    def crash(self, replica: str, exit_code: int = 137) -> None:
        """Let a replica die, as a test or an out-of-memory kill does."""
        version, found = self._find(replica)
        dead = replace(found, state=State.STOPPED, exit_code=exit_code, detail=f"exited with {exit_code}")
        version.replicas[found.index] = dead
        self._changes.append(Change("die", version.spec.key, replica, exit_code))

    def _find(self, replica: str) -> tuple[_Version, Replica]:
        for version in self._versions.values():
            for found in version.replicas.values():
                if found.id == replica:
                    return version, found
        raise NotFound(f"there is no replica {replica}")

    def _new(self, spec: ServiceSpec, index: int) -> Replica:
        number = next(self._ids)
        return Replica(
            id=f"r{number}",
            index=index,
            state=State.STARTING,
            address=f"10.0.{number // 250}.{number % 250 + 1}:{spec.port}" if spec.port else "",
            started_at=self._clock.now(),
        )

    def _seen(self, version: _Version) -> ObservedService:
        """The version as it is now: boots end and exits happen as the clock moves."""
        for index, replica in version.replicas.items():
            version.replicas[index] = self._aged(version.spec, replica)
        spec = version.spec
        return ObservedService(
            key=spec.key,
            fingerprint=spec.fingerprint,
            app_name=spec.app_name,
            image=spec.image,
            kind=spec.kind,
            replicas=tuple(version.replicas[index] for index in sorted(version.replicas)),
        )

    def _aged(self, spec: ServiceSpec, replica: Replica) -> Replica:
        if replica.state is not State.STARTING:
            return replica
        does = self._behaviour(spec.image)
        if does.exits is not None:
            return replace(replica, state=State.CRASHED, exit_code=does.exits, detail=f"exited with {does.exits}")
        if does.boots is not None and self._clock.now() - replica.started_at >= does.boots:
            return replace(replica, state=State.HEALTHY)
        return replica

    def _behaviour(self, image: str) -> Behaviour:
        return self.behaviours.get(image, Behaviour())

    def _says(self, image: str) -> tuple[str, ...]:
        return self._behaviour(image).says

    def _reach(self) -> None:
        if self.down:
            raise EngineUnavailable("the memory engine is switched off")
