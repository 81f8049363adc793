"""A whole platform of memory parts: the shipped engine, router and store; a builder and a stack that only remember."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from paas.clock import FakeClock
from paas.engines.memory import Behaviour, MemoryEngine
from paas.errors import BuildFailed, PlatformError
from paas.interfaces import Resize, Store
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.autoscaling import Override
from paas.model.build import Base, Image, Runtime
from paas.model.events import Emit, Event
from paas.model.service import HealthCheck, HealthKind, ServiceKey
from paas.routers.memory import MemoryRouter
from paas.settings import Settings
from paas.store.memory import MemoryStore
from paas.usecases.context import Act, Context, Locks
from paas.usecases.readings import Readings
from paas.usecases.releases import change_release

GOOD, BETTER, BAD = "sha256:good", "sha256:better", "sha256:bad"
HTTP = HealthCheck(kind=HealthKind.HTTP, max_status=499)


class MemoryBuilder:
    """Images in a dictionary by name. An image's id comes from its Dockerfile and the files it is built over."""

    def __init__(self) -> None:
        self.named: dict[str, Image] = {}
        self.labels: dict[str, Mapping[str, str]] = {}
        self.builds: list[str] = []
        self.pulls: list[str] = []
        self.fails: Exception | None = None
        self.while_building: Callable[[], None] = lambda: None

    def add(self, ref: str, image_id: str, app_id: str = "", command: tuple[str, ...] = ("run",)) -> None:
        """Have an image, labelled as an app's when `app_id` is given."""
        self.named[ref] = Image(id=image_id, ref=ref, command=command)
        self.labels[ref] = {"paas.app": app_id}

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
        self.builds.append(ref)
        emit(Event(kind="output", message="Step 1", data={"stream": "stdout"}))
        self.while_building()
        if self.fails is not None:
            raise self.fails
        files = sorted(path for path in context.rglob("*") if path.is_file()) if context else []
        content = dockerfile.encode() + b"".join(path.read_bytes() for path in files)
        image = Image(id=f"sha256:{hashlib.sha256(content).hexdigest()}", ref=ref, command=("run",))
        self.named[ref], self.labels[ref] = image, labels
        return image

    def find(self, ref: str) -> Image | None:
        found = self.named.get(ref)
        return found or next((image for image in self.named.values() if image.id == ref), None)

    def pull(self, ref: str, emit: Emit) -> Image:
        self.pulls.append(ref)
        raise PlatformError(f"{ref} cannot be pulled")

    def tag(self, image: str, ref: str) -> None:
        found = self.find(image)
        assert found is not None
        self.named[ref] = replace(found, ref=ref)

    def load(self, archive: Iterable[bytes], ref: str, changes: Sequence[str] = ()) -> Image:
        raise NotImplementedError

    def images(self, app_id: str) -> tuple[Image, ...]:
        return tuple(i for ref, i in self.named.items() if self.labels.get(ref, {}).get("paas.app") == app_id)

    def remove(self, ref: str) -> None:
        self.named.pop(ref, None)

    def reachable(self, name: str) -> bool:
        return False

    def buildkit(self) -> bool:
        return True


class MemoryStack:
    """Answers every runtime with images that the builder has."""

    name = "memory"

    def __init__(self, builder: MemoryBuilder) -> None:
        self._builder = builder

    def answer(self, runtime: Runtime) -> Base:
        version = runtime.version or self.offers(runtime.name)[0]
        name = f"paas-base/{runtime.name}"
        return Base(runtime=runtime, image=f"{name}:{version}", build_image=f"{name}-build:{version}", version=version)

    def offers(self, runtime: str) -> tuple[str, ...]:
        return {"python": ("3.13", "3.12"), "node": ("22", "20"), "postgres": ("17",)}.get(runtime, ("1",))

    def prepare(self, base: Base, emit: Emit) -> None:
        for ref in (base.image, base.build_image):
            self._builder.add(ref, f"sha256:{ref}")


class Screen:
    """A terminal that keeps what it is shown."""

    tty = False
    interactive = False

    def __init__(self) -> None:
        self.shown = b""

    def read(self) -> bytes | Resize | None:
        return None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        self.shown += data


@dataclass
class Parts:
    """A platform in memory, and what it said."""

    context: Context
    engine: MemoryEngine
    router: MemoryRouter
    store: Store
    builder: MemoryBuilder
    clock: FakeClock
    events: list[Event] = field(default_factory=list)

    @property
    def act(self) -> Act:
        return Act("ann", self.events.append)

    def app(self, name: str = "shop", app_id: str = "a1b2c3d4", **formation: int) -> App:
        """A new app in the store."""
        self.store.add_app(App(id=app_id, name=name, created_at=1.0, formation=formation))
        return self.store.app(app_id)

    def release(self, app: App, image: str = GOOD, *processes: str, release_command: bool = False) -> Release:
        """Deploy an image as `deploy` does once it is built."""
        names = processes or ("web",)
        ref = f"paas/{app.id}:{image.removeprefix('sha256:')}"
        self.builder.add(ref, image, app.id)

        def change(base: Release) -> Release:
            specs = tuple(
                base.process(name) or ProcessSpec(name=name, command=f"run {name}", health=HTTP) for name in names
            )
            return replace(base, image=image, image_ref=ref, processes=specs)

        return change_release(
            self.context, app, self.act, kind=ReleaseKind.DEPLOY, description=f"deploy {image}", change=change,
            release_command=release_command,
        )  # fmt: skip

    def serving(self, app: App) -> set[str]:
        """Images that the app's live route leads to."""
        route = next((route for route in self.router.observe() if route.app_id == app.id), None)
        return {
            service.image
            for service in self.engine.observe(app.id)
            for replica in service.replicas
            if route is not None and replica.address in route.servers
        }

    def running(self, app: App) -> dict[str, int]:
        """Replicas by `process vN`."""
        return {str(service.key): len(service.replicas) for service in self.engine.observe(app.id)}

    def said(self, kind: str) -> list[str]:
        """Messages of that kind."""
        return [event.message for event in self.events if event.kind == kind]


class Slow:
    """An engine of which the first single replicas that are to end, of one process or of any, take their time: until
    `may` is set."""

    def __init__(self, engine: MemoryEngine, process: str = "") -> None:
        self._engine, self._process = engine, process
        self.may, self.asked = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def remove(self, key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        """Waits, and removes them."""
        if replicas and self._process in ("", key.process) and not self.asked.is_set():
            self.asked.set()
            assert self.may.wait(30)
        self._engine.remove(key, replicas)


class Unreadable:
    """The store, with one app of which neither releases nor rules set by command can be read."""

    def __init__(self, store: Store, app_id: str) -> None:
        self.store, self.app_id = store, app_id

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def release(self, app_id: str, number: int) -> Release:
        if app_id == self.app_id:
            raise PlatformError("its config cannot be decrypted")
        return self.store.release(app_id, number)

    def overrides(self, app_id: str = "") -> tuple[Override, ...]:
        """As on disk: reading those of all apps meets the one that is damaged."""
        if app_id in ("", self.app_id):
            raise PlatformError("the store holds something unreadable")
        return self.store.overrides(app_id)


def parts(home: Path, kept: Store | None = None, **settings: object) -> Parts:
    """A fresh platform whose image `sha256:bad` exits at once."""
    clock = FakeClock()
    engine, router, store, builder = MemoryEngine(clock), MemoryRouter(), kept or MemoryStore(), MemoryBuilder()
    engine.behaviours[BAD] = Behaviour(exits=3, says=("Traceback", "KeyError: DATABASE_URL"))
    router.up(lambda event: None)
    context = Context(
        settings=replace(Settings(), home=home, **settings),  # type: ignore[arg-type]
        store=store,
        engine=engine,
        builder=builder,
        stack=MemoryStack(builder),
        router=router,
        clock=clock,
        locks=Locks(clock),
        readings=Readings(clock),
    )
    return Parts(context, engine, router, store, builder, clock)


def failing_build() -> BuildFailed:
    """What a builder raises when a step fails."""
    return BuildFailed("step 3 failed: pip install", details=("no matching distribution",))
