"""An engine that only remembers: replicas with scripted behaviour and no containers, for tests of all that decides.

What replicas do is scripted per image, `engine.behaviours["sha256:bad"] = Behaviour(exits=1)`, and what happens to
one of them by a call: `crash`, `ail`, `heal`, `lose`. It keeps the rules of the real one that plans rest on: the
replicas of the lowest indexes are the ones that are applied and waited for, a stopped one starts again under its id
with another address, a crashed one is started again by the engine itself.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from paas.engines.memory_runs import Kept, MemoryRuns
from paas.errors import DeployFailed, EngineUnavailable, NotFound, PlatformError
from paas.interfaces import Addresses, Clock, EngineInfo, LogQuery, Stop, Terminal
from paas.model.events import Emit, Event
from paas.model.metrics import Machine
from paas.model.secret import Secret
from paas.model.service import (
    Change,
    LogLine,
    Measured,
    ObservedService,
    Replica,
    ServiceKey,
    ServiceSpec,
    State,
    Stats,
    Used,
)

DEAD = (State.CRASHED, State.STOPPED)

_USED = Used(cpu_seconds=1.0, memory=50 << 20)

REMEMBERED = 256
"""Changes that can be asked for afterwards."""

RESTART = 1.0
"""Seconds after which a crashed replica is started again, unless its image exits at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What replicas of an image do: healthy after `boots` seconds (None: never), or exit with `exits` at once.

    `once` is the exit code of one-offs, `says` the lines they and the replicas print, `busy` the connections they keep,
    `lasts` the seconds until a run that nobody is connected to ends (None: not by itself), `hangs` whether commands
    inside a replica never end.
    """

    boots: float | None = 0.0
    exits: int | None = None
    once: int = 0
    says: tuple[str, ...] = ()
    busy: int = 0
    lasts: float | None = 0.0
    hangs: bool = False


@dataclass(slots=True)
class _Version:
    spec: ServiceSpec
    replicas: dict[int, Replica] = field(default_factory=dict)
    cores: dict[int, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The spec's; nobody's when replicas of different specs share the key."""
        return self.spec.fingerprint if set(self.cores.values()) <= {self.spec.core} else "mixed"


class MemoryEngine(MemoryRuns):
    """The Engine protocol over dictionaries.

    `ran` lists one-off specs, `calls` the verbs in order. `down` makes it answer as an Engine that is gone.
    `busy` scripts the answers of `connections` per replica id, one a call; the last one stays.
    `used` is what `measure` says per replica id, `memory` what `info` says the machine has.
    """

    def __init__(self, clock: Clock, behaviours: Mapping[str, Behaviour] | None = None) -> None:
        self.behaviours = dict(behaviours or {})
        self.memory = 8 << 30
        self.places = 61
        """Addresses of each app's network."""
        self.gates: dict[str, str] | None = None
        """What `gateways` answers; None: an address for each app whose network was made."""
        self._networks: dict[str, str] = {}
        self.network = "10.0"
        self.ran: list[ServiceSpec] = []
        self.codes: dict[str, int] = {}
        """Exit codes of one-offs by process, before what the image does."""
        self.calls: list[str] = []
        self._volumes: set[str] = set()
        self._runs: dict[str, Kept] = {}
        self.busy: dict[str, list[int]] = {}
        self.used: dict[str, Used] = {}
        self.during_exec: Callable[[], None] = lambda: None
        """What goes on while a command runs inside a replica."""
        self.down = False
        self._clock = clock
        self._versions: dict[ServiceKey, _Version] = {}
        self._ids = itertools.count(1)
        self._watchers: list[list[Change]] = []
        self._told: deque[Change] = deque(maxlen=REMEMBERED)
        self._lock = threading.RLock()

    # --- seeing -------------------------------------------------------------------------------------------------

    def observe(self, app_id: str = "") -> tuple[ObservedService, ...]:
        """What is remembered, with boots that ended by now."""
        with self._lock:
            self._reach()
            return tuple(
                self._seen(version) for key, version in sorted(self._versions.items()) if app_id in ("", key.app_id)
            )

    def stats(self, app_id: str = "") -> tuple[Stats, ...]:
        """A fixed use for each replica that runs."""
        return tuple(
            Stats(replica=replica.id, cpu_seconds=1.0, memory=50 << 20, pids=3)
            for service in self.observe(app_id)
            for replica in service.replicas
            if replica.state not in DEAD
        )

    def measure(self) -> tuple[Measured, ...]:
        """What `used` says of each replica that runs; else a fixed use."""
        with self._lock:
            self._reach()
            specs = {key: version.spec for key, version in self._versions.items()}
        return tuple(
            Measured(
                key=service.key,
                replica=replica,
                used=self.used.get(replica.id, _USED) if replica.state not in DEAD else None,
                cpus=specs[service.key].limits.cpus,
                memory_limit=specs[service.key].limits.memory,
                boot=self._behaviour(service.image).boots if replica.state is State.HEALTHY else None,
            )
            for service in self.observe()
            if service.kind == "replica"
            for replica in service.replicas
        )

    def connections(self, key: ServiceKey, port: int) -> Mapping[str, int]:
        """The scripted number of each replica that runs."""
        with self._lock:
            self._reach()
            version = self._versions.get(key)
            running = [replica for replica in version.replicas.values() if replica.state not in DEAD] if version else []
            return {replica.id: self._connected(replica.id, version.spec.image) for replica in running if version}

    def logs(self, app_id: str, query: LogQuery) -> Iterator[LogLine]:
        """What the images say, once a replica."""
        for service in self.observe(app_id):
            if query.process not in ("", service.key.process):
                continue
            for replica in service.replicas:
                if query.replica in (0, replica.index):
                    said = self._says(service.image)
                    for text in said[-query.lines :] if query.lines else said:
                        yield LogLine(
                            at=replica.started_at, text=text, process=service.key.process, replica=replica.index
                        )

    def watch(self, stop: Stop, since: float = 0.0) -> Iterator[Change]:
        """What happens to replicas from now on, or has happened since then."""
        with self._lock:
            changes = [one for one in self._told if since and one.at > since]
            self._watchers.append(changes)
        try:
            while not stop.is_set() and not self.down:
                if changes:
                    yield changes.pop(0)
                else:
                    time.sleep(0.005)
        finally:
            with self._lock:
                self._watchers = [other for other in self._watchers if other is not changes]

    def info(self) -> EngineInfo:
        """What it is. Raises EngineUnavailable while `down`."""
        self._reach()
        return EngineInfo(
            name="memory", version="1", api_version="1.41", buildkit=True, cpus=2, memory=self.memory, data_root=""
        )

    def machine(self) -> Machine:
        """What it has now. Raises EngineUnavailable while `down`."""
        return self.info().machine

    # --- making it so -------------------------------------------------------------------------------------------

    def apply(self, spec: ServiceSpec, replicas: int, emit: Emit, besides: Sequence[str] = ()) -> None:
        """Have the replicas of the lowest indexes started, others' specs replaced, and new ones at free indexes."""
        with self._lock:
            self._reach()
            self.calls.append(f"apply {spec.key} × {replicas}")
            version = self._versions.setdefault(spec.key, _Version(spec))
            version.spec = spec
            self._volumes.update(mount.volume for mount in spec.mounts)
            for network in spec.networks or (spec.app_id,):
                self._networks.setdefault(network.rpartition("-")[2], f"10.255.{len(self._networks)}.1")
            leave = {index for index, one in version.replicas.items() if one.id in besides}
            kept = sorted(version.replicas.keys() - leave)[:replicas]
            free = (index for index in itertools.count(1) if index not in leave.union(kept))
            for index in (*kept, *itertools.islice(free, replicas - len(kept))):
                self._have(version, index)

    def wait_healthy(
        self, spec: ServiceSpec, replicas: int, timeout: float, emit: Emit, passed: Sequence[str] = ()
    ) -> tuple[Replica, ...]:
        """Moves the clock on until the lowest indexes are healthy, or fails as the real one does."""
        deadline = self._clock.monotonic() + min(timeout, spec.health.grace)
        while True:
            found = self._lowest(spec, replicas, passed)
            for replica in found:
                if replica.state in DEAD:
                    raise DeployFailed(
                        f"{spec.process}.{replica.index} {replica.detail}", details=self._details(spec, replica)
                    )
            if all(replica.state is State.HEALTHY for replica in found):
                for replica in found:
                    emit(Event(kind="note", message=f"{spec.process}.{replica.index} is healthy"))
                return found
            if self._clock.monotonic() >= deadline:
                late = next(replica for replica in found if replica.state is not State.HEALTHY)
                raise DeployFailed(
                    f"{spec.process}.{late.index} did not become healthy in time", details=self._details(spec, late)
                )
            self._clock.sleep(spec.health.boot_interval)

    def remove(self, key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        """Forget these, or the whole version."""
        with self._lock:
            self._reach()
            self.calls.append(f"remove {key}" + (f" {len(replicas)}" if replicas else ""))
            version = self._versions.get(key)
            if version is None:
                return
            for index, replica in list(version.replicas.items()):
                if not replicas or replica.id in replicas:
                    self._forget(version, index)

    def restart(self, replica: str) -> None:
        """Start it anew under the same id."""
        with self._lock:
            self._reach()
            version, found = self._find(replica)
            self.calls.append(f"restart {version.spec.process}.{found.index}")
            self._tell("die", version, found, 143, asked=True)
            self._start(version, found.index, found.id)

    def gateways(self) -> Mapping[str, str]:
        """What `gates` says, else those of the networks there are."""
        with self._lock:
            self._reach()
            return dict(self._networks if self.gates is None else self.gates)

    def addresses(self, app_id: str) -> Addresses:
        """`places`, and what runs of the app."""
        replicas = [replica for service in self.observe(app_id) for replica in service.replicas]
        return Addresses(self.places, sum(replica.state not in DEAD for replica in replicas))

    def forget(self, app_id: str) -> None:
        """Forget all of the app's versions and runs."""
        with self._lock:
            self._forget_runs(app_id)
            self._networks.pop(app_id, None)
            for key in [key for key in self._versions if key.app_id == app_id]:
                self.remove(key)

    def volumes(self) -> frozenset[str]:
        """Those that were mounted once."""
        return frozenset(self._volumes)

    def remove_volume(self, volume: str) -> None:
        """Forget it."""
        self._volumes.discard(volume)

    def run_once(self, spec: ServiceSpec, timeout: float, terminal: Terminal) -> int:
        """Print what the image says and return its scripted exit code."""
        self._reach()
        self.calls.append(f"run {spec.process}")
        self.ran.append(spec)
        for line in self._says(spec.image):
            terminal.write(line.encode() + b"\n")
        return self.codes.get(spec.process, self._behaviour(spec.image).once)

    def exec(
        self,
        replica: str,
        command: Sequence[str],
        terminal: Terminal,
        env: Mapping[str, Secret] | None = None,
        *,
        timeout: float = 0.0,
    ) -> int:
        """Print the command and return 0. Raises NotFound for a replica that is not there."""
        version, found = self._find(replica)
        self.calls.append(f"exec {version.spec.process}.{found.index}")
        self.during_exec()
        if timeout and self._behaviour(version.spec.image).hangs:
            self._clock.sleep(timeout)
            raise PlatformError(f"the command took longer than {timeout:g} s and was ended")
        terminal.write(" ".join(command).encode() + b"\n")
        return 0

    # --- what a test lets happen --------------------------------------------------------------------------------

    def crash(
        self, replica: str, exit_code: int = 137, *, oom: bool = False, restarts: bool = False, asked: bool = False
    ) -> None:
        """Let a replica die. It stays dead until somebody starts it, or with `restarts` the engine does. `asked`:
        because somebody told the engine to end it."""
        with self._lock:
            version, found = self._find(replica)
            state = State.CRASHED if restarts else State.STOPPED
            version.replicas[found.index] = self._died(found, exit_code, state, oom=oom)
            if oom:
                self._tell("oom", version, found)
            self._tell("die", version, found, exit_code, asked=asked)

    def ail(self, replica: str, detail: str = "GET / answered 500") -> None:
        """Let a replica run on and fail its checks until it is restarted."""
        with self._lock:
            version, found = self._find(replica)
            version.replicas[found.index] = replace(found, state=State.UNHEALTHY, detail=detail)

    def lose(self, replica: str) -> None:
        """Let somebody remove it behind the platform's back."""
        with self._lock:
            version, found = self._find(replica)
            self._forget(version, found.index)

    # --- remembering --------------------------------------------------------------------------------------------

    def _have(self, version: _Version, index: int) -> None:
        found = version.replicas.get(index)
        if found and version.cores[index] != version.spec.core:
            self._forget(version, index)
            found = None
        if found is None:
            self._start(version, index, f"r{next(self._ids)}")
        elif found.state is State.STOPPED:
            self._start(version, index, found.id)

    def _start(self, version: _Version, index: int, id: str) -> None:
        number, port = next(self._ids), version.spec.port
        self._versions[version.spec.key] = version
        version.cores[index] = version.spec.core
        version.replicas[index] = Replica(
            id=id,
            index=index,
            state=State.STARTING,
            address=f"{self.network}.{number // 250}.{number % 250 + 1}:{port}" if port else "",
            started_at=self._clock.now(),
        )
        self._tell("start", version, version.replicas[index])

    def _forget(self, version: _Version, index: int) -> None:
        found = version.replicas.pop(index)
        version.cores.pop(index)
        if not version.replicas:
            self._versions.pop(version.spec.key, None)
        self._tell("gone", version, found)

    def _tell(
        self, kind: str, version: _Version, replica: Replica, exit_code: int | None = None, *, asked: bool = False
    ) -> None:
        change = Change(kind, version.spec.key, replica.id, exit_code, at=self._clock.now(), asked=asked)
        self._told.append(change)
        for changes in self._watchers:
            changes.append(change)

    def _find(self, replica: str) -> tuple[_Version, Replica]:
        with self._lock:
            for version in self._versions.values():
                for found in self._seen(version).replicas:
                    if found.id == replica:
                        return version, found
        raise NotFound(f"there is no replica {replica}")

    def _lowest(self, spec: ServiceSpec, replicas: int, passed: Sequence[str]) -> tuple[Replica, ...]:
        with self._lock:
            self._reach()
            version = self._versions.get(spec.key)
            found = self._seen(version).replicas if version else ()
        found = tuple(one for one in found if one.id not in passed)[: replicas - len(passed)]
        if len(found) + len(passed) < replicas:
            raise DeployFailed(f"{spec.process} has {len(found) + len(passed)} of {replicas} replicas")
        return found

    def _seen(self, version: _Version) -> ObservedService:
        """The version as it is now: boots end and exits happen as the clock moves."""
        for index, replica in version.replicas.items():
            version.replicas[index] = self._aged(version.spec, replica)
        spec = version.spec
        return ObservedService(
            key=spec.key,
            fingerprint=version.fingerprint,
            app_name=spec.app_name,
            image=spec.image,
            kind=spec.kind,
            replicas=tuple(version.replicas[index] for index in sorted(version.replicas)),
        )

    def _aged(self, spec: ServiceSpec, replica: Replica) -> Replica:
        does = self._behaviour(spec.image)
        if replica.state is State.CRASHED and does.exits is None and self._clock.now() >= replica.started_at + RESTART:
            now = self._clock.now()
            replica = replace(replica, state=State.STARTING, started_at=now, restarts=replica.restarts + 1, detail="")
        if replica.state is not State.STARTING:
            return replica
        if does.exits is not None:
            return self._died(replica, does.exits, State.CRASHED)
        if does.boots is not None and self._clock.now() - replica.started_at >= does.boots:
            return replace(replica, state=State.HEALTHY)
        return replica

    def _died(self, replica: Replica, exit_code: int, state: State, *, oom: bool = False) -> Replica:
        """The replica after its end; `started_at` then counts the time until the engine starts it again."""
        words = {137: "was ended by SIGKILL", 143: "was ended by SIGTERM"}
        detail = "was killed over its memory limit" if oom else words.get(exit_code, f"exited with code {exit_code}")
        return replace(replica, state=state, exit_code=exit_code, oom=oom, detail=detail, started_at=self._clock.now())

    def _connected(self, replica: str, image: str) -> int:
        script = self.busy.get(replica)
        if not script:
            return self._behaviour(image).busy
        return script.pop(0) if len(script) > 1 else script[0]

    def _behaviour(self, image: str) -> Behaviour:
        return self.behaviours.get(image, Behaviour())

    def _says(self, image: str) -> tuple[str, ...]:
        return self._behaviour(image).says

    def _details(self, spec: ServiceSpec, replica: Replica) -> tuple[str, ...]:
        return tuple(f"{spec.process}.{replica.index} | {line}" for line in self._says(spec.image))

    def _reach(self) -> None:
        if self.down:
            raise EngineUnavailable("the memory engine is switched off")
