"""The one way in, and the operations behind it: who may, what is noted, and that nothing ever hangs."""

from __future__ import annotations

import json
import logging
import threading

import pytest

from paas.errors import Conflict, Denied, NotFound, PaasError
from paas.model.app import Operation
from paas.model.build import Image
from paas.model.events import silent
from paas.model.people import Actor, Grant, Role, User
from paas.requests.all import all_requests
from paas.requests.apps import CreateApp, DestroyApp, ShowApp
from paas.requests.autoscale import PauseAutoscale, SetAutoscale
from paas.requests.config import ChangeConfig, PutCertificate
from paas.requests.deploys import DeployApp, Rollback, SourceRef
from paas.requests.platform import ListOperations, WatchOperation
from paas.requests.processes import ListEvents, ReadLogs
from paas.requests.sessions import ExecCommand
from paas.requests.sleep import SetSleep
from paas.usecases import door as door_module
from paas.usecases.apps import AppShown
from paas.usecases.door import Door, audited
from paas.usecases.handlers import HANDLERS, SESSIONS
from paas.usecases.logins import access_of
from paas.usecases.operations import Operations
from tests.unit.usecases.parts import GOOD, Parts, Screen


@pytest.fixture
def door(platform: Parts) -> Door:
    return Door.of(platform.context)


@pytest.fixture
def operations(door: Door) -> Operations:
    return Operations(door)


IMAGE = SourceRef(image="whoami:1")


def test_every_request_has_a_handler_of_its_shape() -> None:
    for kind in all_requests():
        if kind is WatchOperation:
            continue
        assert kind in (SESSIONS if kind.shape == "session" else HANDLERS), kind.__name__


def member(platform: Parts, role: Role, *, on: str = "") -> Actor:
    """A user with this role on the platform, or on an app."""
    user = User(id=f"0{role}", name=f"a-{role}", created_at=1.0, role="viewer" if on else role)
    platform.store.add_user(user)
    if on:
        platform.store.put_grant(Grant(app_id=on, role=role, user_id=user.id))
    return Actor(name=user.name, via="token", user_id=user.id, access=access_of(platform.context, user))


def test_a_refused_request_starts_no_operation(operations: Operations, platform: Parts) -> None:
    eve = member(platform, "operator", on=platform.app().id)
    with pytest.raises(Denied, match=r"^destroy app needs the role owner on shop; you are operator$"):
        operations.start(DestroyApp(app="shop", confirm="shop"), eve)
    assert platform.store.operations() == ()


def test_who_makes_an_app_owns_it(operations: Operations, platform: Parts) -> None:
    platform.builder.add("whoami:1", GOOD)
    eve = member(platform, "deployer")
    list(operations.follow(operations.start(DeployApp(app="shop", source=IMAGE), eve).id))
    list(operations.follow(operations.start(DeployApp(app="blog", source=IMAGE), eve).id))
    operations.door.run(CreateApp(name="empty"), eve, silent)
    assert set(platform.store.roles(eve.user_id).values()) == {"owner"}
    assert len(platform.store.roles(eve.user_id)) == 3


def test_a_deploy_that_lost_the_race_for_a_name_does_not_get_into_the_winners_app(
    operations: Operations, platform: Parts
) -> None:
    """The name was free when the door was passed, and somebody else's when the app was to be made."""
    eve = member(platform, "deployer")
    platform.builder.add("whoami:1", GOOD)
    find = platform.builder.find

    def meanwhile(ref: str) -> Image | None:
        if not platform.store.apps():
            platform.app()
        return find(ref)

    platform.builder.find = meanwhile  # type: ignore[method-assign]
    started = operations.start(DeployApp(app="shop", source=IMAGE), eve)
    last = list(operations.follow(started.id))[-1]
    assert (last.kind, last.data["code"]) == ("error", "Conflict")
    assert platform.store.releases("a1b2c3d4") == ()


def test_another_teams_image_cannot_be_deployed_by_name_nor_by_id(operations: Operations, platform: Parts) -> None:
    platform.release(platform.app())
    eve = member(platform, "deployer")
    platform.builder.labels["paas/a1b2c3d4:good"] = {"paas.app": "a1b2c3d4"}
    for ref in ("paas/a1b2c3d4:good", GOOD):
        started = operations.start(DeployApp(app="mine", source=SourceRef(image=ref)), eve)
        last = list(operations.follow(started.id))[-1]
        assert (last.kind, last.data["code"]) == ("error", "PlatformError"), ref
    assert [app.name for app in platform.store.apps()] == ["shop"]


def test_attempts_are_written_down_but_nobody_fills_the_log(door: Door, platform: Parts) -> None:
    eve = member(platform, "viewer", on=platform.app().id)
    for _ in range(100):
        with pytest.raises(Denied):
            door.run(DestroyApp(app="shop", confirm="shop"), eve, silent)
    found = platform.store.records(limit=0)
    assert {(one.actor, one.request, one.app, one.outcome) for one in found} == {
        ("a-viewer", "DestroyApp", "shop", "denied")
    }
    assert len(found) == 30
    platform.clock.sleep(3600)
    with pytest.raises(Denied):
        door.run(DestroyApp(app="shop", confirm="shop"), eve, silent)
    assert len(platform.store.records(limit=0)) == 31


def test_an_act_is_written_down_with_who_and_by_what(door: Door, platform: Parts) -> None:
    app = platform.app()
    door.run(ChangeConfig(app="shop", set={"KEY": "s3cret"}), member(platform, "deployer", on=app.id), silent)
    (one,) = platform.store.records()
    assert (one.actor, one.user_id, one.via, one.app_id, one.outcome) == (
        "a-deployer", "0deployer", "token", app.id, "allowed",
    )  # fmt: skip
    assert one.facts == {"app": "shop", "set": ["KEY"]}


def test_what_changes_something_is_noted_without_a_value(door: Door, platform: Parts) -> None:
    platform.app()
    door.run(ChangeConfig(app="shop", set={"KEY": "s3cret"}, unset=("OLD",)), "ann", silent)
    (event,) = [event for _, event in platform.store.events() if event.kind == "audit"]
    assert event.data == {"request": "ChangeConfig", "app": "shop", "set": ["KEY"], "unset": ["OLD"]}
    assert event.message.startswith("ann: ChangeConfig")


def test_reading_is_not_noted(door: Door, platform: Parts) -> None:
    platform.app()
    shown = door.run(ShowApp(app="shop"), "ann", silent)
    assert isinstance(shown, AppShown)
    assert platform.store.events() == ()


def test_a_session_is_noted_without_its_command_and_answers_the_exit_code(door: Door, platform: Parts) -> None:
    platform.release(platform.app())
    screen = Screen()
    request = ExecCommand(app="shop", command=("psql", "s3cret"))
    assert door.session(request, "ann", silent, screen) == 0
    kept = [event for _, event in platform.store.events() if event.kind == "audit"]
    assert len(kept) == 1
    assert "s3cret" not in str(kept)


def test_a_private_key_is_never_noted() -> None:
    assert audited(PutCertificate(chain="chain", key="key")) == {}


def test_what_rules_were_set_to_is_noted_in_numbers() -> None:
    assert audited(PauseAutoscale(app="shop", paused=False)) == {"app": "shop", "process": "web", "paused": False}
    assert audited(SetSleep(app="shop", after=0)) == {"app": "shop", "after": 0}
    table = {"max": 8, "min": 10**4000, "scale_in": False, "in_window": "5m", "targets": {"cpu": "70%", "jobs": {"url": "http://x/?key=s3cret"}},
             "schedule": [{"cron": "0 8 * * *", "min": 3}], "name": "free text"}  # fmt: skip
    assert audited(SetAutoscale(app="shop", table=table))["table"] == [
        "in_window=5m", "max=8", "min", "name", "scale_in=False", "schedule", "targets.cpu=70%", "targets.jobs",
    ]  # fmt: skip


# --- operations ----------------------------------------------------------------------------------------------------


def test_an_operation_ends_with_its_answer_and_can_be_followed_again(operations: Operations, platform: Parts) -> None:
    platform.builder.add("whoami:1", GOOD)
    started = operations.start(DeployApp(app="shop", source=IMAGE), "ann")
    events = list(operations.follow(started.id))
    assert events[-1].kind == "result"
    assert events[-1].data["answer"]["release"] == 1  # type: ignore[index]
    json.dumps(events[-1].data)
    operations.wait(10)
    assert list(operations.follow(started.id)) == events
    assert list(operations.door.run(WatchOperation(operation=started.id), "ann", silent)) == events  # type: ignore[call-overload]
    assert platform.store.operation(started.id).status == "succeeded"


def test_the_operation_of_a_first_deploy_belongs_to_the_app_it_creates(operations: Operations, platform: Parts) -> None:
    platform.builder.add("whoami:1", GOOD)
    started = operations.start(DeployApp(app="shop", source=IMAGE), "ann")
    list(operations.follow(started.id))
    assert started.app_id == platform.store.app("shop").id
    lines = operations.door.run(ListOperations(app="shop"), "ann", silent)
    assert [line.id for line in lines] == [started.id]  # type: ignore[attr-defined]
    built = list(operations.door.run(ReadLogs(app="shop", source="build"), "ann", silent))  # type: ignore[call-overload]
    assert not built, "an image is not built"


def test_a_failure_is_the_last_event_with_code_and_hint(operations: Operations, platform: Parts) -> None:
    platform.release(platform.app())
    started = operations.start(Rollback(app="shop", number=9), "ann")
    last = list(operations.follow(started.id))[-1]
    assert (last.kind, last.data["code"]) == ("error", "NotFound")
    operations.wait(10)
    kept = platform.store.operation(started.id)
    assert (kept.status, kept.error) == ("failed", last.message)


@pytest.mark.parametrize("error", [RuntimeError("password=s3cret"), KeyboardInterrupt(), SystemExit(3), MemoryError()])
def test_a_bug_ends_the_operation_too_and_tells_people_nothing_it_should_not(
    operations: Operations, platform: Parts, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def broken(*args: object) -> object:
        raise error

    monkeypatch.setattr(door_module, "HANDLERS", {Rollback: broken})
    started = operations.start(Rollback(app="shop"), "ann")
    last = list(operations.follow(started.id))[-1]
    assert last.kind == "error"
    assert type(error).__name__ in last.message
    assert "s3cret" not in str(last)
    assert operations.wait(10)


def test_a_store_that_fails_at_the_end_does_not_hide_the_result(
    operations: Operations, platform: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    platform.release(platform.app())

    def full(operation: Operation) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(platform.store, "save_operation", full)
    with caplog.at_level(logging.CRITICAL, "paas.operations"):
        started = operations.start(ChangeConfig(app="shop", set={"A": "1"}), "ann")
        assert list(operations.follow(started.id))[-1].kind == "result"
        operations.wait(10)


def test_the_operation_that_destroys_its_app_ends_well(operations: Operations, platform: Parts) -> None:
    platform.release(platform.app())
    started = operations.start(DestroyApp(app="shop", confirm="shop"), "ann")
    assert list(operations.follow(started.id))[-1].kind == "result"
    assert platform.store.apps() == ()


def test_what_a_killed_server_left_running_is_interrupted_and_says_so(operations: Operations, platform: Parts) -> None:
    platform.store.add_operation(Operation(id="dead", app_id="", verb="DeployApp", actor="ann", started_at=1))
    operations.interrupt()
    assert platform.store.operation("dead").status == "interrupted"
    (last,) = operations.follow("dead")
    assert last.data["code"] == "PlatformError"


def test_a_second_operation_of_an_app_waits_for_the_first_and_says_for_whom(
    operations: Operations, platform: Parts
) -> None:
    app = platform.app()
    platform.release(app)
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with platform.context.locks.hold(app.id, "bob: deploy", silent):
            held.set()
            go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    started = operations.start(ChangeConfig(app="shop", set={"A": "1"}), "ann")
    events = operations.follow(started.id)
    assert "bob: deploy" in next(events).message
    assert operations.running() == (started.id,)
    go.set()
    assert list(events)[-1].kind == "result"
    holder.join(10)
    operations.wait(10)


def test_an_operation_that_does_not_exist_is_not_found(operations: Operations) -> None:
    with pytest.raises(NotFound):
        operations.follow("nope")


def test_notable_events_can_be_read_later(operations: Operations, platform: Parts) -> None:
    app = platform.app()
    platform.release(app)
    started = operations.start(Rollback(app="shop", number=9), "ann")
    list(operations.follow(started.id))
    operations.wait(10)
    lines = operations.door.run(ListEvents(app="shop"), "ann", silent)
    kinds = [line.kind for line in lines]  # type: ignore[attr-defined]
    assert kinds == ["release", "audit", "error"]


def test_errors_of_people_are_not_bugs() -> None:
    from paas.usecases.operations import as_paas_error

    error = Conflict("taken")
    assert as_paas_error(error) is error
    assert isinstance(as_paas_error(OSError(28, "No space left")), PaasError)
    assert as_paas_error(OSError(28, "No space left")).exit_code == 9
