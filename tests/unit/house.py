"""A platform of memory parts with a controller."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from paas.clock import SystemClock
from paas.controller import Controller
from paas.engines.memory import MemoryEngine
from paas.model.app import App, ProcessSpec, Release, ReleaseKind, ReleaseStatus
from paas.model.events import Event, silent
from paas.model.service import HealthCheck, HealthKind, Replica, State
from paas.reconcile import World, reconcile
from paas.routers.memory import MemoryRouter
from paas.settings import Settings
from paas.store.memory import MemoryStore
from paas.usecases.context import Context, Locks
from tests.polling import until

SHOP = App(id="0a0a0a0a", name="shop", created_at=0.0, formation={"web": 2})
HTTP = HealthCheck(kind=HealthKind.HTTP, max_status=499)
NOBODY = cast(Any, None)


class Skewed(SystemClock):
    """The machine's clock, moved on at will: patience of minutes without waiting for them."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class House:
    """A platform of memory parts with a controller, and what it was asked to do."""

    def __init__(self, home: Path, tick: float = 0.05) -> None:
        self.clock = Skewed()
        self.engine, self.router, self.store = MemoryEngine(self.clock), MemoryRouter(), MemoryStore()
        self.router.up(silent)
        settings = replace(Settings(), home=home, tick=tick)
        self.context = Context(
            settings=settings, store=self.store, engine=self.engine, builder=NOBODY, stack=NOBODY, router=self.router,
            clock=self.clock, locks=Locks(self.clock),
        )  # fmt: skip
        self.world = World(self.engine, self.router, self.clock, settings, self.store, self.context.leaving)
        self.recovered: list[str] = []
        self.addons = 0
        self.controller = Controller(self.context, self.world, recover=self.recover, repair_addons=self.look_at_addons)

    def recover(self, app: App) -> None:
        self.recovered.append(app.name)
        if not app.wanted:
            return
        release = self.store.release(app.id, app.wanted)
        if release.status is ReleaseStatus.PENDING:
            self.store.save_release(replace(release, status=ReleaseStatus.SUCCEEDED))

    def look_at_addons(self) -> None:
        self.addons += 1

    def deploy(self, app: App = SHOP, *, carried_out: bool = True, image: str = "sha256:1") -> Release:
        self.store.add_app(app)
        release = self.store.add_release(
            Release(
                app_id=app.id,
                number=0,
                kind=ReleaseKind.DEPLOY,
                created_at=0.0,
                actor="ann",
                description="",
                image=image,
                processes=(ProcessSpec(name="web", health=HTTP),),
                since={"web": 0},
            )
        )
        if carried_out:
            reconcile(self.world, app, release, silent)
            self.store.save_release(replace(release, status=ReleaseStatus.SUCCEEDED))
        return release

    def replicas(self, app: App = SHOP) -> tuple[Replica, ...]:
        return tuple(replica for service in self.engine.observe(app.id) for replica in service.replicas)

    def servers(self, app: App = SHOP) -> set[str]:
        return {server for route in self.router.observe() if route.app_id == app.id for server in route.servers}

    def is_right(self, app: App = SHOP, count: int = 2) -> bool:
        replicas = self.replicas(app)
        healthy = {replica.address for replica in replicas if replica.state is State.HEALTHY}
        return len(replicas) == count == len(healthy) and self.servers(app) == healthy

    def crashes(self, app: App = SHOP) -> list[Event]:
        return [event for _, event in self.store.events(app.id) if event.kind == "crash"]

    def settle(self) -> None:
        """One look, and the end of the repairs it began."""
        self.controller.look()
        for name in ("repair-", "ending-"):  # a repair begins ends
            for thread in threading.enumerate():
                if thread.name.startswith(name):
                    thread.join(10)


def started(house: House) -> None:
    """The controller runs, has looked once and follows changes."""
    house.controller.start()
    until(lambda: house.addons and house.engine._watchers)
