"""The controller: repairs what dies, leaves alone what somebody works on, and comes back when the engine does."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from paas.clock import FakeClock, SystemClock
from paas.controller import REPAIR, Backoff, Controller
from paas.engines.memory import Behaviour, MemoryEngine
from paas.errors import PlatformError
from paas.interfaces import NoSignals
from paas.model.app import App, ProcessSpec, Release, ReleaseKind, ReleaseStatus
from paas.model.events import Event, silent
from paas.model.scaling import Sample
from paas.model.service import HealthCheck, HealthKind, Replica, ServiceKey, State
from paas.plan.liveness import EXCUSED
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
        for thread in threading.enumerate():
            if thread.name.startswith(("repair-", "ending-")):
                thread.join(10)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.controller.stop()


def started(house: House) -> None:
    """The controller runs, has looked once and follows changes."""
    house.controller.start()
    until(lambda: house.addons and house.engine._watchers)


def test_a_replica_that_was_killed_comes_back_and_gets_traffic(house: House) -> None:
    house.deploy()
    started(house)
    house.engine.crash(house.replicas()[0].id)
    until(house.is_right)


def test_a_replica_that_somebody_removed_is_made_anew(house: House) -> None:
    house.deploy()
    started(house)
    house.engine.lose(house.replicas()[1].id)
    until(house.is_right)


def test_a_dead_replica_leaves_the_routes_while_somebody_works_on_the_app(house: House) -> None:
    house.deploy()
    started(house)
    dead, alive = house.replicas()
    with house.context.locks.hold(SHOP.id, "ann: deploy", silent):
        house.engine.crash(dead.id)
        until(lambda: house.servers() == {alive.address})
        assert house.replicas()[0].state is State.STOPPED, "the repair is left to who holds the lock"
    until(house.is_right)


def test_a_crash_is_kept_as_an_event_with_its_cause(house: House) -> None:
    house.deploy()
    started(house)
    house.engine.crash(house.replicas()[1].id, 3)
    until(house.crashes)
    (event,) = house.crashes()
    assert event.message == "web.2 of v1 ended: exit code 3"
    assert event.data == {"process": "web", "replica": "web.2", "exit_code": 3, "oom": False}


def test_an_out_of_memory_kill_is_told_once_and_by_its_name(house: House) -> None:
    house.deploy()
    started(house)
    house.engine.crash(house.replicas()[0].id, 137, oom=True)
    until(house.crashes)
    until(house.is_right)
    assert [event.message for event in house.crashes()] == ["web.1 of v1 ended: over its memory limit"]


def test_what_somebody_who_works_on_the_app_ends_is_no_crash(house: House) -> None:
    house.deploy()
    started(house)
    with house.context.locks.hold(SHOP.id, "ann: restart", silent):
        before = len(house.router.history)
        house.engine.restart(house.replicas()[0].id)
        until(lambda: len(house.router.history) > before)
    assert house.crashes() == []


@pytest.mark.parametrize(
    ("code", "oom", "asked", "told"),
    [(3, False, False, True), (137, True, False, True), (137, False, False, True), (0, False, False, True),
     (143, False, True, False), (137, False, True, False)],
)  # fmt: skip
def test_a_replica_that_crashes_during_a_repair_is_told(
    house: House, code: int, oom: bool, asked: bool, told: bool
) -> None:
    house.deploy()
    started(house)
    until(lambda: house.controller._releases)
    with house.context.locks.hold(SHOP.id, REPAIR, silent):
        before = len(house.router.history)
        house.engine.crash(house.replicas()[0].id, code, oom=oom, asked=asked)
        until(lambda: len(house.router.history) > before)
        if told:
            until(house.crashes)
    until(house.is_right)
    assert bool(house.crashes()) == told


def test_a_deploy_under_way_is_left_alone(house: House) -> None:
    house.deploy(carried_out=False)
    with house.context.locks.hold(SHOP.id, "ann: deploy", silent):
        house.settle()
    assert (house.recovered, house.replicas()) == ([], ())


def test_a_release_that_a_killed_server_left_is_handed_to_recovery(house: House) -> None:
    house.settle()
    house.deploy(carried_out=False)
    house.settle()
    assert house.recovered == ["shop"]
    house.settle()
    house.settle()
    assert house.is_right()


def test_the_first_look_lets_recovery_see_every_app(house: House) -> None:
    house.deploy()
    house.settle()
    house.settle()
    assert house.recovered == ["shop"]


def test_a_failed_release_that_is_still_wanted_is_not_carried_out(house: House) -> None:
    release = house.deploy(carried_out=False)
    house.store.save_release(replace(release, status=ReleaseStatus.FAILED))
    house.settle()
    house.settle()
    assert house.replicas() == ()


def test_a_repair_that_fails_is_tried_less_and_less_often(house: House) -> None:
    house.deploy()
    house.settle()
    house.engine.behaviours["sha256:1"] = Behaviour(exits=1)
    for replica in house.replicas():
        house.engine.lose(replica.id)
    tries = []
    for _ in range(200):
        house.engine.calls.clear()
        house.settle()
        for replica in house.replicas():
            house.engine.lose(replica.id)
        tries += [house.clock.ahead] if house.engine.calls.count("apply web v1 × 2") else []
        house.clock.ahead += 1
    pauses = [round(late - early) for early, late in itertools.pairwise(tries)]
    assert pauses[:5] == sorted(pauses[:5])
    assert max(pauses) >= 60
    assert len(tries) < 15


def test_what_is_lost_again_at_once_is_held_back(house: House) -> None:
    house.deploy()
    house.settle()
    house.engine.lose(house.replicas()[0].id)
    house.settle()
    assert len(house.replicas()) == 2
    house.engine.lose(house.replicas()[0].id)
    house.settle()
    assert len(house.replicas()) == 1


def test_pauses_grow_up_to_a_minute() -> None:
    backoff = Backoff()
    assert backoff.allows(0, starts=True)
    for _ in range(9):
        backoff.tried(0)
    assert not backoff.allows(59, starts=True)
    assert backoff.allows(60, starts=True)


def test_what_starts_no_replica_is_held_back_only_after_a_failure_and_not_for_long() -> None:
    backoff = Backoff()
    for _ in range(9):
        backoff.tried(0)
    assert backoff.allows(0, starts=False)
    backoff.failed(0)
    assert not backoff.allows(0.5, starts=False)
    assert backoff.allows(1, starts=False)


def test_a_replica_that_was_started_gets_traffic_at_the_next_look(house: House) -> None:
    house.deploy()
    house.settle()
    house.engine.behaviours["sha256:1"] = Behaviour(boots=1.0)
    house.engine.lose(house.replicas()[0].id)
    house.settle()
    house.engine.behaviours["sha256:1"] = Behaviour()
    house.settle()
    assert house.is_right()


def test_a_replica_that_keeps_failing_its_checks_is_routed_away_and_started_again(house: House) -> None:
    house.deploy()
    house.settle()
    ill, well = house.replicas()
    house.engine.ail(ill.id)
    house.settle()
    assert house.servers() == {well.address}
    assert "restart web.1" not in house.engine.calls
    house.settle()
    house.clock.ahead += 60
    house.settle()
    assert house.engine.calls.count("restart web.1") == 1
    house.clock.ahead += 2
    house.settle()
    assert house.is_right()
    assert [event.message for event in house.crashes()] == [
        "web.1 fails its checks and is started again: GET / answered 500"
    ]


def test_what_is_left_to_be_ended_is_neither_a_crash_nor_ill_nor_too_many(house: House) -> None:
    """Outside the app's lock it finishes what it has, however long that takes, and ends."""
    house.deploy(replace(SHOP, formation={"web": 3}))
    house.settle()
    leaver, ill, _ = house.replicas()
    house.store.save_app(replace(house.store.app(SHOP.id), formation={"web": 2}))
    house.context.leaving.leave({leaver.id: ServiceKey(SHOP.id, "web", 1)})
    house.engine.ail(leaver.id)
    started(house)
    house.clock.ahead += 60
    until(lambda: leaver.address not in house.servers())
    house.engine.remove(ServiceKey(SHOP.id, "web", 1), [leaver.id])
    house.context.leaving.done([leaver.id], gone=True)
    house.engine.crash(ill.id)
    until(house.crashes)
    assert [event.message for event in house.crashes()] == ["web.2 of v1 ended: exit code 137"]
    until(house.is_right)
    assert "restart web.1" not in house.engine.calls


def test_what_is_left_to_be_ended_and_dies_of_itself_is_a_crash(house: House) -> None:
    """It had requests or a job to finish, and has not."""
    house.deploy(replace(SHOP, formation={"web": 3}))
    house.settle()
    asked, died, starved = house.replicas()
    house.store.save_app(replace(house.store.app(SHOP.id), formation={"web": 0}))
    house.context.leaving.leave({one.id: ServiceKey(SHOP.id, "web", 1) for one in (asked, died, starved)})
    started(house)
    house.engine.crash(asked.id, 143, asked=True)
    house.engine.crash(died.id, 1)
    house.engine.crash(starved.id, oom=True, asked=True)
    until(lambda: len(house.crashes()) == 2)
    said = [event.message for event in house.crashes()]
    assert said == ["web.2 of v1 ended: exit code 1", "web.3 of v1 ended: over its memory limit"]


def test_what_is_too_many_ends_without_the_apps_lock(house: House) -> None:
    """As after a restart of the server in the middle of a scale-in: a worker may have an hour to finish its job."""
    house.deploy()
    house.settle()
    remove, asked, may = house.engine.remove, threading.Event(), threading.Event()

    def slowly(key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        asked.set()
        assert may.wait(10)
        remove(key, replicas)

    house.engine.remove = slowly  # type: ignore[method-assign]
    house.store.save_app(replace(house.store.app(SHOP.id), formation={"web": 1}))
    house.controller.look()
    assert asked.wait(10)
    until(lambda: not house.context.locks.holder(SHOP.id))
    house.controller.look()
    assert len(house.replicas()) == 2
    may.set()
    house.settle()
    assert house.is_right(count=1)


class Told(NoSignals):
    """Samples that a test writes: requests in flight of web.1, and good answers of the app."""

    flying: Sequence[float] = ()
    answers = 0.0

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        if process == "web":
            return (Sample(0.0, 1, {"2xx": self.answers}),)
        return tuple(Sample(0.0, 1, {"in_flight": count}) for count in self.flying) if process == "web.1" else ()


def test_a_replica_whose_queue_falls_is_not_started_again_and_one_that_hangs_is(house: House) -> None:
    told = Told()
    house.controller.context = replace(house.context, signals=told)
    house.deploy()
    house.settle()
    house.engine.ail(house.replicas()[0].id)
    told.flying, told.answers = (300, 200, 100), 40.0
    for _ in range(3):
        house.clock.ahead += 60
        house.settle()
    assert "restart web.1" not in house.engine.calls
    told.flying = (100, 100, 100)
    house.clock.ahead += 60
    house.settle()
    assert house.engine.calls.count("restart web.1") == 1


def test_the_only_replica_is_not_started_again_while_it_answers(house: House) -> None:
    told = Told()
    house.controller.context = replace(house.context, signals=told)
    alone = replace(SHOP, formation={"web": 1})
    house.deploy(alone)
    house.settle()
    house.engine.ail(house.replicas()[0].id)
    told.flying, told.answers = (100, 200, 300), 40.0
    for _ in range(3):
        house.clock.ahead += EXCUSED / 4
        house.settle()
    assert "restart web.1" not in house.engine.calls
    told.answers = 0.0
    house.clock.ahead += 60
    house.settle()
    assert house.engine.calls.count("restart web.1") == 1


def test_one_that_answers_is_started_again_when_its_checks_have_failed_for_long(house: House) -> None:
    told = Told()
    house.controller.context = replace(house.context, signals=told)
    house.deploy(replace(SHOP, formation={"web": 1}))
    house.settle()
    told.flying, told.answers = (100, 200, 300), 40.0
    for starts, excused in enumerate((EXCUSED, 2 * EXCUSED)):
        house.engine.ail(house.replicas()[0].id)
        house.settle()
        for _ in range(9):
            house.clock.ahead += excused / 10
            house.settle()
        assert house.engine.calls.count("restart web.1") == starts
        house.clock.ahead += excused / 10 + 1
        house.settle()
        assert house.engine.calls.count("restart web.1") == starts + 1


def test_only_one_replica_of_an_app_is_started_again_at_a_time(house: House) -> None:
    house.deploy()
    house.settle()
    for replica in house.replicas():
        house.engine.ail(replica.id)
    house.settle()
    house.clock.ahead += 60
    house.settle()
    assert len([call for call in house.engine.calls if call.startswith("restart")]) == 1
    assert house.servers(), "the other one goes on answering as it can"


def test_an_app_that_cannot_be_repaired_holds_up_no_other(house: House) -> None:
    blog = App(id="0b0b0b0b", name="blog", created_at=0.0, formation={"web": 1})
    house.deploy()
    house.deploy(blog, image="sha256:2")
    started(house)
    house.engine.behaviours["sha256:1"] = Behaviour(boots=None)
    for replica in house.replicas():
        house.engine.lose(replica.id)
    house.engine.crash(house.replicas(blog)[0].id)
    until(lambda: house.is_right(blog, 1))


def test_a_booting_replica_does_not_keep_the_apps_lock(house: House) -> None:
    house.deploy()
    house.settle()
    house.engine.behaviours["sha256:1"] = Behaviour(boots=None)
    house.engine.lose(house.replicas()[0].id)
    house.settle()
    assert [replica.state for replica in house.replicas()] == [State.STARTING, State.HEALTHY]
    assert house.context.locks.holder(SHOP.id) == ""


def test_when_the_engine_comes_back_everything_is_looked_at(house: House) -> None:
    house.deploy()
    started(house)
    house.engine.down = True
    until(lambda: house.controller._engine_gone)
    house.engine.down = False
    house.engine.crash(house.replicas()[0].id)
    until(house.is_right)
    until(lambda: house.engine._watchers)
    house.engine.crash(house.replicas()[1].id)
    until(house.is_right)


def test_a_router_that_stays_away_is_brought_up_again_and_one_that_just_left_is_not(house: House) -> None:
    house.settle()
    house.router.down()
    house.settle()
    assert not house.router.alive()
    house.clock.ahead += 1
    house.settle()
    assert house.router.alive()


def test_routes_that_the_router_lost_are_set_again(house: House) -> None:
    house.deploy()
    house.settle()
    house.router.remove(SHOP.id)
    house.settle()
    assert house.is_right()


def test_addons_that_fail_keep_nothing_from_being_repaired(house: House) -> None:
    def fail() -> None:
        raise PlatformError("no addon today")

    house.controller.repair_addons = fail
    house.deploy()
    house.settle()
    house.engine.lose(house.replicas()[0].id)
    house.settle()
    house.clock.ahead += 2
    house.settle()
    assert house.is_right()


def test_a_quiet_platform_is_looked_at_once_a_tick_and_left_alone(house: House) -> None:
    house.deploy()
    house.settle()
    house.settle()
    house.engine.calls.clear()
    history = len(house.router.history)
    for _ in range(5):
        house.settle()
    assert house.engine.calls == []
    assert len(house.router.history) == history


def test_what_is_left_of_an_app_that_wants_nothing_is_taken_away(house: House) -> None:
    house.deploy()
    house.settle()
    house.store.want(SHOP.id, 0)
    house.settle()
    assert house.replicas() == ()
    assert house.router.observe() == ()


def test_stop_ends_all_threads(tmp_path: Path) -> None:
    house = House(tmp_path, tick=60)
    house.deploy()
    started(house)
    house.controller.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("controller_", "repair-"))]


def test_the_fake_clock_moves_only_when_somebody_sleeps_on_it() -> None:
    clock = FakeClock(10)
    clock.sleep(2.5)
    assert (clock.now(), clock.monotonic()) == (12.5, 12.5)
