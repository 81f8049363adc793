"""Words of the engine: what a service version should be, and what is observed of it.

The engine's unit is a service version, `shop-web-v12` with 3 replicas, not a container.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from paas.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one replica may use. `memory` bytes, `cpus` cores, `pids` processes and threads; 0: no limit."""

    memory: int = 512 * 1024 * 1024
    cpus: float = 1.0
    pids: int = 1024


class HealthKind(StrEnum):
    """How a replica is asked whether it is well."""

    HTTP = "http"
    TCP = "tcp"
    COMMAND = "command"
    RUNNING = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """When a replica counts as healthy. Seconds throughout.

    `http`: GET `path` on the replica's port answers with a status up to `max_status` (399 where a path was asked
    for; 499 for the default check of `web`, which only proves that the app answers at all). `tcp`: the port accepts.
    `command`: exits 0 inside the replica. `running`: the process has stayed up for `settle` seconds (for processes
    without a port).
    `passes` good answers in a row make it healthy, `failures` bad ones unhealthy; before `grace` has passed since its
    start a bad answer does not count, and at the end of `grace` a replica that never passed has failed.
    While booting it is asked every `boot_interval`, later every `interval`.
    """

    kind: HealthKind = HealthKind.TCP
    path: str = "/"
    max_status: int = 399
    command: str = ""
    interval: float = 5.0
    timeout: float = 3.0
    passes: int = 1
    failures: int = 3
    grace: float = 60.0
    settle: float = 2.0
    boot_interval: float = 0.05


@dataclass(frozen=True, slots=True)
class Mount:
    """A named volume (never a host path) at an absolute path of the container."""

    volume: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One version of one process of an app, all that its replicas are created from.

    `release` is the number of the release that introduced this spec; a release that changes nothing here (a domain,
    say) carries the older number, so nothing restarts. `command` is argv; empty: the image's own. `env` holds the
    config and the platform's variables; the engine adds PAAS_PROCESS (`web.1`) to each replica.
    `port` is where it listens, 0: nowhere. `networks` are names of app networks; `alias` its name inside them.
    `stop_grace` seconds lie between SIGTERM and SIGKILL. `kind` is replica, addon or oneoff.
    `user` empty: the image's own. `read_only` and `tmpfs` harden addons and platform parts. `run` is the id of the run
    that a one-off belongs to.
    """

    app_id: str
    app_name: str
    process: str
    release: int
    image: str
    command: tuple[str, ...] = ()
    env: Mapping[str, Secret] = field(default_factory=dict)
    port: int = 0
    limits: Limits = Limits()
    health: HealthCheck = HealthCheck()
    stop_grace: float = 30.0
    stop_signal: str = "SIGTERM"
    networks: tuple[str, ...] = ()
    alias: str = ""
    mounts: tuple[Mount, ...] = ()
    user: str = ""
    kind: str = "replica"
    run: str = ""

    @property
    def key(self) -> ServiceKey:
        """What names this version on the engine."""
        return ServiceKey(self.app_id, self.process, self.release)

    @property
    def core(self) -> str:
        """16 hex digits that change when anything but the networks changes, secrets included but not shown."""
        data = {
            "image": self.image, "command": self.command, "port": self.port, "user": self.user, "kind": self.kind,
            "env": {key: value.reveal() for key, value in self.env.items()},
            "limits": [self.limits.memory, self.limits.cpus, self.limits.pids],
            "health": [getattr(self.health, name) for name in HealthCheck.__slots__],
            "stop": [self.stop_grace, self.stop_signal], "alias": self.alias,
            "mounts": [[mount.volume, mount.path] for mount in self.mounts],
        }  # fmt: skip
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change when anything of the spec changes."""
        return fingerprint(self.core, self.networks, self.app_id)


def fingerprint(core: str, networks: Iterable[str], app_id: str) -> str:
    """The fingerprint of a spec from its core and its networks.

    Apart from the core because an engine connects a running container to networks without replacing it, while the
    labels it was created with stay: what it is now is told by its core and the networks it is really in. The
    service's own network (`…-<app id>`) is implied and changes nothing.
    """
    others = sorted(network for network in networks if not network.endswith(f"-{app_id}"))
    return hashlib.sha256(json.dumps([core, others]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, order=True)
class ServiceKey:
    """`(app id, process, release that introduced it)`: the name of a service version."""

    app_id: str
    process: str
    release: int

    def __str__(self) -> str:
        return f"{self.process} v{self.release}"


class State(StrEnum):
    """What a replica is doing, as observed."""

    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    CRASHED = "crashed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One observed replica. `address` is `ip:port` (empty while it has none), `index` counts from 1.

    `started_at` is Unix time. `exit_code` is of its last exit, None while it never exited. `oom` says that the
    kernel killed it over its memory limit. `detail` is a short cause in words when it is not healthy. `ending`: it has
    had its stop signal, and runs to finish what it has.
    """

    id: str
    index: int
    state: State
    address: str = ""
    started_at: float = 0.0
    restarts: int = 0
    exit_code: int | None = None
    oom: bool = False
    detail: str = ""
    ending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedService:
    """One service version as it is on the engine. `fingerprint` is the spec's it was created from."""

    key: ServiceKey
    fingerprint: str
    app_name: str = ""
    image: str = ""
    kind: str = "replica"
    replicas: tuple[Replica, ...] = ()

    @property
    def healthy(self) -> tuple[Replica, ...]:
        """The replicas that may get traffic."""
        return tuple(replica for replica in self.replicas if replica.state is State.HEALTHY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What one replica uses now. `cpu_seconds` is a counter since its start; `connections` are established ones
    to its port (None: cannot be known)."""

    replica: str
    cpu_seconds: float
    memory: int
    pids: int = 0
    connections: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one running replica has used since it started, and holds now. `memory` is what the kernel cannot take back
    at once. Bytes, seconds of one core; None: cannot be known here."""

    cpu_seconds: float
    memory: int
    network_in: int | None = None
    network_out: int | None = None
    disk_read: int | None = None
    disk_write: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One replica with what it used, None while it does not run. `cpus` and `memory_limit` are its limits; 0: none.
    `boot` seconds lay between its start and its first good health; None: not yet, or nobody was looking."""

    key: ServiceKey
    replica: Replica
    used: Used | None = None
    cpus: float = 0.0
    memory_limit: int = 0
    boot: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of output. `at` is Unix time, `source` app, router or build, `stream` stdout or stderr.

    `process` and `replica` name where it came from (`web`, 2). `text` is raw: escape it before it meets a terminal.
    """

    at: float
    text: str
    source: str = "app"
    process: str = ""
    replica: int = 0
    stream: str = "stdout"


@dataclass(frozen=True, slots=True)
class Change:
    """Something happened to a replica on the engine: `kind` is start, die, oom, health or gone.

    `at` is when, Unix seconds of the engine's clock. `asked`: it died because somebody told the engine to end it.
    """

    kind: str
    key: ServiceKey
    replica: str
    exit_code: int | None = None
    at: float = 0.0
    asked: bool = False
