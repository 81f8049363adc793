"""The controller on real containers: what dies comes back, is out of the routes meanwhile, and is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from paas.clock import SystemClock
from paas.controller import Controller
from paas.model.app import App, ProcessSpec, Release, ReleaseKind, ReleaseStatus
from paas.model.events import silent
from paas.model.service import HealthCheck, HealthKind, Limits, Replica, State
from paas.reconcile import World, reconcile
from paas.routers.memory import MemoryRouter
from paas.settings import Settings
from paas.store.memory import MemoryStore
from paas.usecases.context import Context, Locks
from tests.contract.engine_lab import DockerLab, Pipe, docker_lab
from tests.polling import until

pytestmark = pytest.mark.docker

HTTP = HealthCheck(kind=HealthKind.HTTP, max_status=499, interval=0.5, timeout=0.5, failures=2)
SERVE = "exec httpd -f -p $PORT -h /www"
NOBODY = cast(Any, None)


class House:
    """A platform with a real engine, whose controller runs."""

    def __init__(self, lab: DockerLab) -> None:
        self.lab, self.router, self.store, clock = lab, MemoryRouter(), MemoryStore(), SystemClock()
        self.router.up(silent)
        settings: Settings = replace(lab.settings, tick=0.5)
        context = Context(
            settings=settings, store=self.store, engine=lab.engine, builder=NOBODY, stack=NOBODY, router=self.router,
            clock=clock, locks=Locks(clock),
        )  # fmt: skip
        self.world = World(lab.engine, self.router, clock, settings, self.store, context.leaving)
        self.controller = Controller(context, self.world, recover=lambda app: None)
        self.app = App(id=lab.app_id, name="shop", created_at=0.0, formation={"web": 2})

    def deploy(self, command: str = SERVE) -> None:
        self.store.add_app(self.app)
        web = ProcessSpec(name="web", command=command, health=HTTP, stop_grace=1.0, limits=Limits(memory=64 << 20))
        release = self.store.add_release(
            Release(
                app_id=self.app.id,
                number=0,
                kind=ReleaseKind.DEPLOY,
                created_at=0.0,
                actor="ann",
                description="",
                image=self.lab.image,
                processes=(web,),
                since={"web": 0},
            )
        )
        reconcile(self.world, self.app, release, silent)
        self.store.save_release(replace(release, status=ReleaseStatus.SUCCEEDED))
        self.controller.start()

    def replicas(self) -> tuple[Replica, ...]:
        return tuple(one for service in self.lab.engine.observe(self.app.id) for one in service.replicas)

    def servers(self) -> set[str]:
        return {server for route in self.router.observe() for server in route.servers}

    def is_right(self) -> bool:
        (service,) = self.lab.engine.observe(self.app.id) or (None,)
        healthy = {one.address for one in service.healthy} if service else set()
        return len(healthy) == 2 and self.servers() == healthy

    def told(self) -> list[str]:
        return [event.message for _, event in self.store.events(self.app.id) if event.kind == "crash"]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with docker_lab(tmp_path) as lab:
        house = House(lab)
        try:
            yield house
        finally:
            house.controller.stop()


def _crash(house: House, one: Replica) -> None:
    os.kill(house.lab.api.inspect_container(one.id)["State"]["Pid"], signal.SIGKILL)


def _inside(house: House, one: Replica, *command: str) -> None:
    assert house.lab.engine.exec(one.id, command, Pipe()) == 0


def test_a_replica_whose_process_dies_is_out_of_the_routes_and_then_back(house: House) -> None:
    # The Engine has it run again within a moment; it is held back, so that nobody has to look in that moment.
    house.deploy(f"while [ -e /tmp/held ]; do sleep 0.1; done; {SERVE}")
    until(house.is_right)
    one, other = house.replicas()
    _inside(house, one, "touch", "/tmp/held")
    _crash(house, one)
    until(lambda: house.servers() == {other.address}, 30)
    until(lambda: house.replicas()[0].state is State.STARTING, 30)
    _inside(house, one, "rm", "/tmp/held")
    until(house.is_right, 30)
    until(house.told, 30)
    assert house.told().count("web.1 of v1 ended: exit code 137") == 1


def test_a_replica_that_somebody_killed_or_removed_is_back(house: House) -> None:
    house.deploy()
    until(house.is_right)
    house.lab.kill(house.replicas()[0].id)
    until(lambda: not house.is_right())
    until(house.is_right, 30)
    house.lab.lose(house.replicas()[1].id)
    until(lambda: not house.is_right())
    until(house.is_right, 30)


def test_a_frozen_replica_leaves_the_routes_and_is_back_when_it_thaws(house: House) -> None:
    house.deploy()
    until(house.is_right)
    frozen, other = house.replicas()
    house.lab.api.pause(frozen.id)
    try:
        until(lambda: house.servers() == {other.address}, 30)
    finally:
        house.lab.api.unpause(frozen.id)
    until(house.is_right, 30)


def test_one_that_dies_again_and_again_is_left_to_the_engines_pauses_and_the_other_serves(house: House) -> None:
    # web.1 finds its own flag when it starts again, and exits; web.2 takes its flag away.
    house.deploy(f'[ -e /tmp/dead ] && exit 3; touch /tmp/dead; [ "$PAAS_PROCESS" = web.2 ] && rm /tmp/dead; {SERVE}')
    until(house.is_right)
    first, second = house.replicas()
    _crash(house, first)
    until(lambda: house.replicas()[0].restarts >= 3, 30)
    assert house.servers() == {second.address}
    assert house.replicas()[0].id == first.id, "it is not made anew again and again"
