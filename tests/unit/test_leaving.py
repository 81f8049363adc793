"""Replicas that are left to be ended outside the lock: whoever plans meanwhile sees none of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.engines.memory import Behaviour
from paas.errors import EngineUnavailable, RouterError
from paas.leaving import REMEMBERED, Leaving
from paas.model.app import ProcessSpec
from paas.model.plan import Plan
from paas.model.service import ObservedService, Replica, ServiceKey, State
from paas.reconcile import finish, plan_of, reconcile
from tests.unit.test_reconcile import APP, Place, a_release

WEB = ServiceKey(APP.id, "web", 1)


def scaled(place: Place, count: int, *, leave: bool = True) -> Plan:
    app = replace(APP, formation={"web": count})
    return reconcile(place.world, app, a_release(1), place.events.append, leave=leave)


def ids(place: Place) -> list[str]:
    return sorted(place.replicas())


@pytest.fixture
def place() -> Place:
    """An app with three replicas."""
    made = Place()
    assert not scaled(made, 3)
    return made


def test_those_that_are_too_many_lose_their_traffic_and_are_left_to_be_ended(place: Place) -> None:
    first, *others = ids(place)
    left = scaled(place, 1)
    assert [type(step).__name__ for step in left.steps] == ["Drain", "RemoveReplicas"]
    assert place.route.servers == (place.replicas()[first],)
    assert ids(place) == [first, *others], "ended already"
    assert all(place.world.leaving.is_ending(one) for one in others)
    finish(place.world, left, place.events.append)
    assert ids(place) == [first]
    assert not any(place.world.leaving.is_ending(one) for one in others)
    assert all(place.world.leaving.was_left(one) for one in others)


def test_without_leave_they_are_ended_at_once(place: Place) -> None:
    assert not scaled(place, 1, leave=False)
    assert len(ids(place)) == 1


def test_nobody_else_plans_anything_for_them(place: Place) -> None:
    scaled(place, 1)
    assert not plan_of(place.world, replace(APP, formation={"web": 1}), a_release(1))


def test_who_looked_before_they_went_plans_nothing_for_them_either(place: Place) -> None:
    left = scaled(place, 1)
    seen = place.engine.observe()
    finish(place.world, left, place.events.append)
    plan = plan_of(place.world, replace(APP, formation={"web": 1}), a_release(1), observed=seen)
    assert not plan
    more = plan_of(place.world, replace(APP, formation={"web": 3}), a_release(1), observed=seen)
    assert type(more.steps[0]).__name__ == "Apply", "those that have gone were counted"


def test_who_wants_more_meanwhile_starts_new_ones_and_leads_to_no_old_one(place: Place) -> None:
    first, *others = ids(place)
    left = scaled(place, 1)
    assert not scaled(place, 3)
    assert len(ids(place)) == 5
    routed = {id for id, address in place.replicas().items() if address in place.route.servers}
    assert (first in routed, len(routed), routed & set(others)) == (True, 3, set())
    finish(place.world, left, place.events.append)
    assert set(ids(place)) == routed
    assert not plan_of(place.world, replace(APP, formation={"web": 3}), a_release(1))


def test_a_deploy_meanwhile_switches_and_tells_those_that_end_already_nothing_more(place: Place) -> None:
    """To many workers a second stop signal means to drop the job."""
    _, *others = ids(place)
    left = scaled(place, 1)
    place.go(a_release(2))
    (old, new) = place.engine.observe()
    assert (old.key.release, sorted(one.id for one in old.replicas), new.key.release) == (1, others, 2)
    finish(place.world, left, place.events.append)
    assert [service.key.release for service in place.engine.observe()] == [2]


def test_a_version_of_which_all_leave_is_drained_by_who_left_it(place: Place) -> None:
    """A deploy does not cut them short."""
    left = scaled(place, 0)
    assert len(left.steps) == 2
    place.go(a_release(2))
    assert sorted(service.key.release for service in place.engine.observe()) == [1, 2]
    finish(place.world, left, place.events.append)
    assert [service.key.release for service in place.engine.observe()] == [2]


def test_those_that_could_not_be_ended_are_too_many_again(place: Place) -> None:
    left = scaled(place, 1)
    place.engine.down = True
    with pytest.raises(EngineUnavailable):
        finish(place.world, left, place.events.append)
    place.engine.down = False
    plan = plan_of(place.world, replace(APP, formation={"web": 1}), a_release(1))
    assert [type(step).__name__ for step in plan.steps] == ["Drain", "RemoveReplicas"]


def test_a_change_that_fails_leaves_nobody_on_the_way_out(place: Place) -> None:
    place.router.broken = True
    with pytest.raises(RouterError):
        scaled(place, 1)
    assert not place.world.leaving.all()
    assert not any(place.world.leaving.is_ending(one) for one in ids(place))


def test_what_cannot_be_done_yet_leaves_nobody_that_requests_are_still_led_to(place: Place) -> None:
    """An impatient plan stops at a worker that boots, before the routes of `web` change."""
    place.engine.behaviours["sha256:1"] = Behaviour(boots=60.0)
    release = a_release(1)
    release = replace(release, processes=(*release.processes, ProcessSpec(name="worker")))
    app = replace(APP, formation={"web": 1, "worker": 1})
    for _ in range(2):
        assert not reconcile(place.world, app, release, place.events.append, patient=False, leave=True)
        assert not place.world.leaving.all()
    assert len(place.route.servers) == 3
    place.clock.sleep(61)
    left = reconcile(place.world, app, release, place.events.append, patient=False, leave=True)
    assert len(place.route.servers) == 1
    assert len(place.world.leaving.all()) == 2
    finish(place.world, left, place.events.append)
    assert len(ids(place)) == 2


def test_what_a_plan_picked_is_picked_until_that_plan_ends_whatever_others_do() -> None:
    leaving = Leaving()
    with leaving.picking() as mine:
        mine.add(["r1"])
        with leaving.picking() as others:
            others.add(["r1", "r2"])
        assert (leaving.is_ending("r1"), leaving.is_ending("r2")) == (True, False)
    assert not leaving.is_ending("r1")


def test_of_those_that_have_gone_only_the_last_are_remembered() -> None:
    leaving = Leaving()
    leaving.leave({f"r{number}": WEB for number in range(REMEMBERED + 1)})
    leaving.done([f"r{number}" for number in range(REMEMBERED + 1)], gone=True)
    assert (leaving.was_left("r0"), leaving.was_left("r1")) == (False, True)
    leaving.done(["never"], gone=True)
    assert not leaving.was_left("never")


def test_a_service_that_has_nothing_is_shown_as_that() -> None:
    empty = ObservedService(key=WEB, fingerprint="")
    full = replace(empty, replicas=(Replica(id="r1", index=1, state=State.HEALTHY),))
    leaving = Leaving()
    assert leaving.staying([empty, full]) == [empty, full]
    leaving.leave({"r1": WEB})
    assert leaving.staying([empty, full]) == [empty]
