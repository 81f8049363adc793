"""The controller: repairs what dies, leaves alone what somebody works on, and comes back when the engine does."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from paas.clock import FakeClock
from paas.controller import REPAIR, Backoff
from paas.engines.memory import Behaviour
from paas.errors import PlatformError
from paas.model.app import App, ReleaseStatus
from paas.model.events import silent
from paas.model.service import State
from tests.polling import until
from tests.unit.house import SHOP, House, started


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
