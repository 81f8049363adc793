"""The controller and replicas that are ill, on their way out, or too many."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from paas.engines.memory import Behaviour
from paas.errors import PlatformError
from paas.interfaces import NoSignals
from paas.model.scaling import Sample
from paas.model.service import ServiceKey
from paas.plan.liveness import EXCUSED
from tests.polling import until
from tests.unit.house import SHOP, House, started


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


def test_an_end_that_fails_is_tried_again_after_a_pause(house: House) -> None:
    """Nobody is at its end before it fails: the next look begins it anew."""
    house.deploy()
    house.settle()
    tried: list[Sequence[str]] = []

    def fails(key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        tried.append(replicas)
        raise PlatformError("device or resource busy")

    house.engine.remove = fails  # type: ignore[method-assign]
    house.store.save_app(replace(house.store.app(SHOP.id), formation={"web": 1}))
    for times in (1, 2):
        for _ in range(3):
            house.settle()
        assert len(tried) == times
        house.clock.ahead += 2


def test_a_replica_that_is_ill_and_left_to_be_ended_is_not_started_again(house: House) -> None:
    """It was due when the controller looked, and left while the controller waited for its turn."""
    house.deploy()
    house.settle()
    ill, _ = house.replicas()
    house.engine.ail(ill.id)
    ill, _ = house.replicas()
    house.context.leaving.leave({ill.id: ServiceKey(SHOP.id, "web", 1)})
    house.controller._restart(SHOP.id, ill)
    assert "restart web.1" not in house.engine.calls
    assert house.crashes() == []


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
    """The next one when the one before is well, or has had its time to boot."""
    house.deploy()
    house.settle()
    house.engine.behaviours["sha256:1"] = Behaviour(boots=20.0)
    for replica in house.replicas():
        house.engine.ail(replica.id)
    house.settle()
    house.clock.ahead += 60
    for _ in range(3):
        house.settle()
        assert [call for call in house.engine.calls if call.startswith("restart")] == ["restart web.1"]
    assert house.servers(), "the other one goes on answering as it can"
    house.engine.behaviours["sha256:1"] = Behaviour()
    house.settle()
    house.settle()
    assert [call for call in house.engine.calls if call.startswith("restart")] == ["restart web.1", "restart web.2"]
