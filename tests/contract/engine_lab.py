"""What the engine suite needs of each engine: specs that behave in a known way, faults, and a clean end."""

from __future__ import annotations

import queue
import random
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import docker
import docker.errors

from paas.clock import SystemClock
from paas.engines.docker import DockerEngine
from paas.engines.memory import Behaviour, MemoryEngine
from paas.interfaces import Engine, Resize
from paas.model.events import Event
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Limits, ServiceSpec
from paas.settings import Settings, load
from tests.contract.images import busybox

PORT = 8000
MEGABYTE = 1 << 20
WELL = ("httpd", "-f", "-p", str(PORT), "-h", "/www")
TCP = HealthCheck(kind=HealthKind.TCP, grace=10.0, interval=0.2, timeout=2.0, failures=2)


def sh(script: str) -> tuple[str, ...]:
    """The command line of a shell script."""
    return ("sh", "-c", script)


class Pipe:
    """A terminal for programs: gives what it was filled with, keeps what it is told."""

    def __init__(
        self, *inputs: bytes | Resize, tty: bool = False, interactive: bool = True, ended: bool = True
    ) -> None:
        self.tty, self.interactive = tty, interactive
        self._inputs: queue.Queue[bytes | Resize | None] = queue.Queue()
        self.chunks: list[tuple[str, bytes]] = []
        for data in inputs:
            self._inputs.put(data)
        if ended:
            self.end()

    def type(self, data: bytes | Resize) -> None:
        self._inputs.put(data)

    def end(self) -> None:
        self._inputs.put(None)

    def read(self) -> bytes | Resize | None:
        return self._inputs.get(timeout=120)

    def write(self, data: bytes, stream: str = "stdout") -> None:
        self.chunks.append((stream, data))

    @property
    def out(self) -> bytes:
        return b"".join(data for stream, data in self.chunks if stream == "stdout")

    @property
    def err(self) -> bytes:
        return b"".join(data for stream, data in self.chunks if stream == "stderr")


class Events:
    """An Emit that keeps what it was given."""

    def __init__(self) -> None:
        self.all: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.all.append(event)


class Lab(Protocol):
    """What the suite needs of an engine beside the engine itself."""

    name: str
    engine: Engine
    instance: str

    def spec(self, behaviour: str = "well", **changes: Any) -> ServiceSpec:
        """A spec that is `well`, `exits` with 3 at once, is `never` healthy, or whose `sleep 1000` `hangs`."""

    def kill(self, replica: str) -> None:
        """The replica's process dies; it stays dead until somebody starts it."""

    def lose(self, replica: str) -> None:
        """Somebody removes the replica behind the platform's back."""


class MemoryLab:
    """The memory engine on the machine's clock, its behaviours named by images."""

    name = "memory"
    instance = "t-memory"

    def __init__(self) -> None:
        says = ("about to fail",)
        behaviours = {"exits": Behaviour(exits=3, says=says), "never": Behaviour(boots=None, once=9, says=("one",))}
        behaviours["hangs"] = Behaviour(hangs=True)
        self.memory = MemoryEngine(SystemClock(), behaviours)
        self.engine: Engine = self.memory

    def spec(self, behaviour: str = "well", **changes: Any) -> ServiceSpec:
        return replace(_spec(behaviour, "0123abcd", self.instance), **({"image": behaviour} | changes))

    def kill(self, replica: str) -> None:
        self.memory.crash(replica, 137)

    def lose(self, replica: str) -> None:
        for service in self.engine.observe():
            self.engine.remove(service.key, [one.id for one in service.replicas if one.id == replica] or ["none"])


def _spec(behaviour: str, app_id: str, instance: str) -> ServiceSpec:
    commands = {
        "well": WELL,
        "hangs": WELL,
        "exits": ("sh", "-c", "echo about to fail; echo to stderr >&2; exit 3"),
        "never": ("sleep", "1000"),
    }
    return ServiceSpec(
        app_id=app_id,
        app_name="shop",
        process="web",
        release=1,
        image="",
        command=commands[behaviour],
        port=PORT,
        limits=Limits(memory=64 << 20, cpus=1.0, pids=64),
        health=TCP if behaviour != "never" else replace(TCP, grace=0.5),
        stop_grace=2.0 if behaviour != "never" else 0.0,
        env={"GREETING": Secret("hello")},
        networks=(f"{instance}-{app_id}",),
    )


class DockerLab:
    """Real containers under an instance of their own; `api` looks behind the engine's back."""

    name = "docker"

    def __init__(self, settings: Settings, image: str) -> None:
        self.settings, self.image = settings, image
        self.instance = settings.instance
        self.engine = DockerEngine(settings)
        self.api: Any = docker.APIClient(base_url=settings.docker, version="auto")
        self.app_id = secrets.token_hex(4)

    def spec(self, behaviour: str = "well", **changes: Any) -> ServiceSpec:
        return replace(_spec(behaviour, self.app_id, self.instance), **({"image": self.image} | changes))

    def kill(self, replica: str) -> None:
        self.api.kill(replica)

    def lose(self, replica: str) -> None:
        self.api.remove_container(replica, force=True, v=True)

    def containers(self) -> list[Any]:
        wanted = {"label": f"paas.instance={self.settings.instance}"}
        return list(self.api.containers(all=True, filters=wanted))

    def networks(self) -> list[str]:
        wanted = {"label": f"paas.instance={self.settings.instance}"}
        return sorted(network["Name"] for network in self.api.networks(filters=wanted))

    def close(self) -> None:
        """Remove all that this lab made."""
        wanted = {"label": f"paas.instance={self.settings.instance}"}
        for one in self.containers():
            try:
                self.api.remove_container(one["Id"], force=True, v=True)
            except docker.errors.APIError:
                continue
        for network in self.api.networks(filters=wanted):
            self.api.remove_network(network["Id"])
        for volume in self.api.volumes(filters=wanted)["Volumes"] or ():
            self.api.remove_volume(volume["Name"], force=True)
        self.engine.close()
        self.api.close()


@contextmanager
def docker_lab(home: Path) -> Iterator[DockerLab]:
    """A lab on the machine's Engine, gone afterwards."""
    subnets = f"10.{random.randint(100, 199)}.{random.randint(0, 255)}.0/24"
    settings = load(home=home, instance=f"t-{secrets.token_hex(3)}", subnets=subnets)
    lab = DockerLab(settings, busybox(settings.docker))
    try:
        yield lab
    finally:
        lab.close()


def ids(engine: Engine, spec: ServiceSpec) -> Sequence[str]:
    """The ids of a spec's replicas, by index."""
    return [one.id for service in engine.observe(spec.app_id) if service.key == spec.key for one in service.replicas]
