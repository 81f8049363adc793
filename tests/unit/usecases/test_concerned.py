"""An operation that touches several apps is for who may see all of them; what it says of one is not told at another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import cast

import pytest

from paas.errors import NotFound
from paas.interfaces import Store
from paas.model.app import Operation
from paas.model.events import silent
from paas.model.people import Access, Actor, Grant, Role, User
from paas.model.pipeline import Place, Stage
from paas.requests.apps import CloneApp
from paas.requests.base import Request
from paas.requests.pipelines import PromoteApp
from paas.requests.platform import ListOperations, WatchOperation
from paas.requests.processes import ListEvents
from paas.usecases.door import Door
from paas.usecases.logins import access_of
from paas.usecases.operations import Operations
from tests.unit.usecases.parts import BAD, GOOD, Parts

TRIED, LIVE = "0a0a0a0a", "0b0b0b0b"


@pytest.fixture
def operations(platform: Parts) -> Iterator[Operations]:
    """Of an app `tried`, which is promoted to `live`."""
    platform.release(platform.app("tried", TRIED, web=1), GOOD)
    platform.release(platform.app("live", LIVE, web=1), "sha256:older")
    for app_id, stage in ((TRIED, Stage.STAGING), (LIVE, Stage.PRODUCTION)):
        platform.store.put_place(Place(app_id=app_id, pipeline="way", stage=stage))
    found = Operations(Door.of(platform.context))
    yield found
    assert found.wait(20)


def person(platform: Parts, name: str, **roles: Role) -> Actor:
    """Somebody with these roles on apps, who may make more."""
    user = User(id=f"0{name}", name=name, created_at=1.0, role="deployer")
    platform.store.add_user(user)
    for app, role in roles.items():
        platform.store.put_grant(Grant(app_id=platform.store.app(app).id, role=role, user_id=user.id))
    return again(platform, name)


def again(platform: Parts, name: str) -> Actor:
    """The same person, with what they may by now."""
    user = platform.store.user(name)
    return Actor(name=name, via="token", user_id=user.id, access=access_of(platform.context, user))


def done(operations: Operations, request: Request, who: Actor) -> str:
    """Its id, once it has ended."""
    started = operations.start(request, who)
    list(operations.follow(started.id))
    assert operations.wait(20)
    return started.id


def seen(operations: Operations, operation: str, who: Actor) -> bool:
    """Whether it is in their list, and theirs to watch: always both."""
    listed = operations.door.run(ListOperations(app="tried"), who, silent)
    there = operation in [one.id for one in listed]  # type: ignore[attr-defined]
    try:
        operations.door.check(WatchOperation(operation=operation), who)
    except NotFound:
        assert not there
        return False
    assert there
    return True


def told(operations: Operations, app: str, who: Actor) -> str:
    """All that the events of an app say to them."""
    return json.dumps([asdict(one) for one in operations.door.run(ListEvents(app=app), who, silent)])  # type: ignore[attr-defined]


@pytest.mark.parametrize("to", [(), ("live",)])
def test_a_promotion_is_for_who_may_see_its_targets(
    platform: Parts, operations: Operations, to: tuple[str, ...]
) -> None:
    maker = person(platform, "ann", tried="deployer", live="deployer")
    operation = done(operations, PromoteApp(app="tried", to=to), maker)
    assert platform.store.operation(operation).status == "succeeded"
    viewer = person(platform, "vic", tried="viewer")
    assert seen(operations, operation, maker)
    assert not seen(operations, operation, viewer)
    assert seen(operations, operation, person(platform, "wes", tried="viewer", live="viewer"))
    assert "live" not in told(operations, "tried", viewer)
    assert "serves" in told(operations, "live", maker)


def test_a_promotion_that_failed_tells_of_its_target_there_alone(platform: Parts, operations: Operations) -> None:
    maker = person(platform, "ann", tried="deployer", live="deployer")
    platform.release(platform.store.app("live"), "sha256:other")
    platform.builder.add("paas/bad", BAD, TRIED)
    release = platform.store.release(TRIED, platform.store.app("tried").wanted)
    platform.engine.behaviours[release.image] = platform.engine.behaviours[BAD]
    operation = done(operations, PromoteApp(app="tried"), maker)
    assert platform.store.operation(operation).status == "failed"
    viewer = person(platform, "vic", tried="viewer")
    assert not seen(operations, operation, viewer)
    assert "live" not in told(operations, "tried", viewer)
    assert '"error"' in told(operations, "live", maker)


def test_a_clone_is_for_who_may_see_it(platform: Parts, operations: Operations) -> None:
    maker = person(platform, "ann", tried="operator")
    operation = done(operations, CloneApp(app="tried", name="copy"), maker)
    assert platform.store.operation(operation).status == "succeeded"
    assert platform.store.operation(operation).others == (platform.store.app("copy").id,)
    viewer = person(platform, "vic", tried="viewer")
    assert seen(operations, operation, again(platform, "ann"))
    assert not seen(operations, operation, viewer)
    assert "copy" not in told(operations, "tried", viewer)


def test_a_clone_that_failed_is_for_who_asked_for_it(platform: Parts, operations: Operations) -> None:
    maker = person(platform, "ann", tried="operator")
    operation = done(operations, CloneApp(app="tried", name="live"), maker)
    assert platform.store.operation(operation).status == "failed"
    viewer = person(platform, "vic", tried="viewer")
    assert seen(operations, operation, again(platform, "ann"))
    assert not seen(operations, operation, viewer)
    assert "live" not in told(operations, "tried", viewer)


def test_a_first_deploy_is_watched_by_who_began_it_and_nobody_of_their_name(
    platform: Parts, operations: Operations
) -> None:
    operation = Operation(
        id="feed", app_id="0c0c0c0c", verb="DeployApp", actor="bob", started_at=1.0, user_id="0first"
    )  # fmt: skip
    platform.store.add_operation(operation)
    for user_id, may in (("0first", True), ("0second", False), ("", False)):
        bob = Actor(name="bob", via="token", user_id=user_id, access=Access(platform="deployer"))
        listed = operations.door.run(ListOperations(), bob, silent)
        assert [one.id for one in listed] == (["feed"] if may else [])  # type: ignore[attr-defined]
        if may:
            operations.door.check(WatchOperation(operation="feed"), bob)
            continue
        with pytest.raises(NotFound):
            operations.door.check(WatchOperation(operation="feed"), bob)


def test_a_token_for_one_app_is_none_for_what_belongs_to_no_app(platform: Parts, operations: Operations) -> None:
    platform.store.add_operation(Operation(id="up", app_id="", verb="PlatformUp", actor="root", started_at=1.0))
    limited = Access(platform="owner", everywhere="owner", only=frozenset({TRIED}))
    with pytest.raises(NotFound):
        operations.door.check(WatchOperation(operation="up"), Actor(name="ann", user_id="0ann", access=limited))


class Counting:
    """The store, which remembers what was listed."""

    def __init__(self, store: Store) -> None:
        self.store, self.listed = store, list[str]()

    def __getattr__(self, name: str) -> object:
        if name in ("apps", "addons"):
            self.listed.append(name)
        return getattr(self.store, name)


def test_the_nearest_name_is_looked_for_only_where_there_is_none_and_among_ones_own(
    platform: Parts, operations: Operations
) -> None:
    viewer = person(platform, "vic", tried="viewer")
    store = Counting(platform.store)
    door = Door.of(replace(platform.context, store=cast(Store, store)))
    door.check(ListEvents(app="tried"), viewer)
    assert store.listed == []
    for typed, named in (("trie", True), ("liv", False)):
        with pytest.raises(NotFound) as caught:
            door.check(ListEvents(app=typed), viewer)
        assert ("tried" in caught.value.hint, "live" in caught.value.hint) == (named, False)
