"""The hands of the platform as Protocols: engine, builder, stack, router, clock.

Small, no optional methods: who cannot do a thing raises Unsupported with a hint. One contract suite
(`tests/contract/`) runs against every implementation, the memory ones included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from paas.interfaces.runs import RunEngine
from paas.model.build import Base, Image, Runtime
from paas.model.events import Emit
from paas.model.metrics import Machine
from paas.model.route import Certificate, Requested, Route, Traffic
from paas.model.secret import Secret
from paas.model.service import Change, LogLine, Measured, ObservedService, Replica, ServiceKey, ServiceSpec, Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which lines: the last `lines` of each replica (0: all), then new ones while `follow`.

    `process` and `replica` empty/0: all. `since` is Unix time.
    """

    lines: int = 100
    follow: bool = False
    process: str = ""
    replica: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Resize:
    """The person's terminal has a new size."""

    rows: int
    columns: int


class Terminal(Protocol):
    """The person's end of an interactive command. `tty` False: plain pipes, stdout and stderr apart."""

    tty: bool
    interactive: bool

    def read(self) -> bytes | Resize | None:
        """The next input, blocking; None at its end."""

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Output of the command; `stream` is stdout or stderr."""


class Clock(Protocol):
    """Time as an argument."""

    def now(self) -> float:
        """Unix seconds."""

    def monotonic(self) -> float:
        """Seconds that never jump."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class Engine(RunEngine, Protocol):
    """What runs service versions. Every method touches only what carries this platform's instance label."""

    def observe(self, app_id: str = "") -> tuple[ObservedService, ...]:
        """All service versions of the app (empty: of all apps), one-offs left out, sorted by key."""

    def apply(self, spec: ServiceSpec, replicas: int, emit: Emit, besides: Sequence[str] = ()) -> None:
        """Have at least `replicas` replicas of this version started, networks and volumes included. Those with ids in
        `besides` are on their way out: they do not count, and nothing is done to them.

        Idempotent: existing replicas with this fingerprint stay, dead ones start again, missing indexes are filled.
        A replica of the key with another fingerprint is replaced in place (addons only meet this).
        Surplus replicas stay: RemoveReplicas ends them. Raises PlatformError.
        """

    def wait_healthy(
        self, spec: ServiceSpec, replicas: int, timeout: float, emit: Emit, passed: Sequence[str] = ()
    ) -> tuple[Replica, ...]:
        """The replicas that were waited for, once all of them are healthy: those of the lowest indexes, so many that
        there are `replicas` of them with those of the ids in `passed`, which may be as they like.

        Raises DeployFailed as soon as one has exited, or at the end of grace or timeout: message with the cause
        in words (exit code, "listens on 127.0.0.1:8000, expected 0.0.0.0:$PORT", "GET /health answered 500"),
        details with the last log lines of the replica that failed.
        """

    def remove(self, key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        """Stop (SIGTERM, the spec's grace, SIGKILL) and remove these replicas, or all of the version. Idempotent."""

    def run_once(self, spec: ServiceSpec, timeout: float, terminal: Terminal) -> int:
        """Run the spec in one container of its own and return its exit code; it is removed whatever happens.

        Raises PlatformError when it cannot start, DeployFailed when `timeout` ran out (it is killed first).
        """

    def exec(
        self,
        replica: str,
        command: Sequence[str],
        terminal: Terminal,
        env: Mapping[str, Secret] | None = None,
        *,
        timeout: float = 0.0,
    ) -> int:
        """Run a command inside a running replica (its id), return its exit code.

        When `timeout` seconds (0: for ever) are over, or the terminal raises, the command is ended. Raises
        PlatformError when time ran out.
        """

    def logs(self, app_id: str, query: LogQuery) -> Iterator[LogLine]:
        """Lines of all matching replicas merged by time; with follow, replicas that appear later join in."""

    def stats(self, app_id: str = "") -> tuple[Stats, ...]:
        """What each running replica uses now."""

    def measure(self) -> tuple[Measured, ...]:
        """All replicas of all apps with what each used so far, sorted by key and index. Cheap enough for every few
        seconds: health is what was last known, nobody is asked."""

    def connections(self, key: ServiceKey, port: int) -> Mapping[str, int]:
        """Established connections to `port` of each running replica (id → count). Drain is over at zero."""

    def watch(self, stop: Stop, since: float = 0.0) -> Iterator[Change]:
        """Changes as they happen, until `stop` is set or the engine goes away (then it ends; the caller reopens).

        Those after `since` (Unix seconds) come first, as far as the engine remembers; 0: from now on.
        """

    def gateways(self) -> Mapping[str, str]:
        """This machine's own address on each app's network, by app id; where it has none, the app is not there."""

    def addresses(self, app_id: str) -> Addresses:
        """Those of the app's network, or of the one that it would get."""

    def forget(self, app_id: str) -> None:
        """Remove all of an app but volumes: replicas, one-offs, its network."""

    def volumes(self) -> frozenset[str]:
        """Names of this platform's volumes that are there."""

    def remove_volume(self, volume: str) -> None:
        """Remove a named volume of this platform. Idempotent."""

    def restart(self, replica: str) -> None:
        """Stop one replica gracefully and start it again in place."""

    def info(self) -> EngineInfo:
        """What the engine is, asked anew. Raises EngineUnavailable."""

    def machine(self) -> Machine:
        """What its machine has, as of the last `info`: that does not change while it runs, and a look at the room for
        replicas needs it each time. Raises EngineUnavailable where it was never asked."""


class Stop(Protocol):
    """Anything that can say it is time to end (threading.Event fits)."""

    def is_set(self) -> bool:
        """Whether to end."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """So many containers a network has addresses for, and so many run on it, whoever they belong to."""

    total: int
    taken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What the engine is: versions, and abilities that were tried rather than derived from versions."""

    name: str
    version: str
    api_version: str
    buildkit: bool
    cpus: int
    memory: int
    data_root: str = ""

    @property
    def machine(self) -> Machine:
        """What there is for replicas."""
        return Machine(cpus=float(self.cpus), memory=self.memory)


class Builder(Protocol):
    """Makes images."""

    def build(
        self,
        context: Path | None,
        dockerfile: str,
        ref: str,
        *,
        labels: Mapping[str, str],
        emit: Emit,
        build_args: Mapping[str, str] | None = None,
        target: str = "",
        no_cache: bool = False,
    ) -> Image:
        """Build `dockerfile` (text) over the folder `context` (None: empty) and name the result `ref`.

        Output lines are emitted live as `output` events. Raises BuildFailed with the failing step and its last
        lines, PlatformError when the disk is full or the engine goes away. BuildKit where the engine has it.
        """

    def find(self, ref: str) -> Image | None:
        """The image of that name or id, None when there is none here. Never pulls."""

    def pull(self, ref: str, emit: Emit) -> Image:
        """Get it from its registry. Raises PlatformError."""

    def tag(self, image: str, ref: str) -> None:
        """Give an image one more name."""

    def load(self, archive: Iterable[bytes], ref: str, changes: Sequence[str] = ()) -> Image:
        """Import a root filesystem tar stream as an image (`docker import`), with Dockerfile `changes`."""

    def images(self, app_id: str) -> tuple[Image, ...]:
        """Images labelled as this app's."""

    def remove(self, ref: str) -> None:
        """Take a name away; the image goes when nothing else uses it. Idempotent; never forced."""

    def reachable(self, name: str) -> bool:
        """Whether a registry answers the Engine when asked for the image of that name; a few seconds at most.

        Asking for a login is an answer. Never raises: an Engine that is away reaches nothing.
        """

    def buildkit(self) -> bool:
        """Whether builds have cache mounts."""


class Stack(Protocol):
    """Answers a Runtime with base images."""

    name: str

    def answer(self, runtime: Runtime) -> Base:
        """The base for this runtime; touches nothing. Raises ConfigError listing the versions it can give."""

    def offers(self, runtime: str) -> tuple[str, ...]:
        """The versions it can give, best first; empty: it does not know this runtime."""

    def prepare(self, base: Base, emit: Emit) -> None:
        """Make sure both images of the base exist on this engine; makes or pulls them (idempotent, may take 60 s)."""


class Router(Protocol):
    """What leads requests to replicas. A method that changes routes returns only when they are live."""

    def up(self, emit: Emit) -> None:
        """Have the router run and answer, with the routes it last had. Idempotent. Raises RouterError."""

    def down(self) -> None:
        """Stop it. Routes are kept for the next `up`."""

    def alive(self) -> bool:
        """Whether it answers."""

    def observe(self) -> tuple[Route, ...]:
        """The routes as they are live, sorted by app id."""

    def apply(self, route: Route) -> None:
        """Make this the app's route, the others untouched; confirmed by the router itself.

        Raises RouterError when it is not live within some seconds; the routes before then stay in force.
        """

    def remove(self, app_id: str) -> None:
        """Forget the app's route. Idempotent; confirmed."""

    def certificates(self, certificates: Sequence[Certificate]) -> None:
        """Make these the certificates that are served. Apply routes with their tls_hosts afterwards."""

    def requested(self) -> tuple[Requested, ...]:
        """The hosts whose certificates it gets by itself, by host; those of `certificates` are served before these.

        Looks anew: hosts that got theirs since answer by https from then on.
        """

    def request_again(self) -> None:
        """Ask at once for the certificates that could not be had."""

    def traffic(self) -> tuple[Traffic, ...]:
        """Counters per app since the router started."""

    def in_flight(self, servers: Collection[str]) -> Mapping[str, int]:
        """Requests that each of these `ip:port` works on or has not accepted yet, upgraded connections included.

        Raises RouterError where that cannot be known.
        """

    def ease(self) -> None:
        """Called every second: for a while after servers were added to an app's route, those that are far behind the
        others get no new requests. `observe` shows them all the same. Raises RouterError where `in_flight` does."""

    def logs(self, app_id: str, query: LogQuery) -> Iterator[LogLine]:
        """Access log lines of the app (empty: the router's own log), as text for people."""
