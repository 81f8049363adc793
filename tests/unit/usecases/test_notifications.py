"""Notifications: what happens is told once, tried again for hours, and a slow target delays nobody."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from paas.errors import Conflict, Denied, NotFound, UsageError
from paas.model.app import Addon, Operation
from paas.model.events import Event
from paas.model.notification import Notification, Target
from paas.model.people import Access, Actor
from paas.model.secret import Secret
from paas.requests.notifications import (
    AddNotification,
    ListNotificationDeliveries,
    ListNotifications,
    RemoveNotification,
    TestNotification,
)
from paas.usecases import notifications
from paas.usecases.backup_watch import BackupWatch
from paas.usecases.context import Act
from paas.usecases.notifications import TargetShown
from paas.usecases.notify import Notifier, Told
from paas.webhooks.outgoing import BACKOFF
from paas.webhooks.signature import standard_headers
from tests.unit.egress.test_http import receiver
from tests.unit.usecases.parts import Parts, parts

ON_DISK = True

URL = "http://127.0.0.1:1/hook?token=s3cret"
GOOD = Told("200", delivered=True)


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    made = parts(tmp_path / "home", egress_allow="127.0.0.0/8, localhost")
    made.app()
    return made


def added(platform: Parts, name: str = "ops", kind: str = "webhook", **changes: Any) -> TargetShown:
    given = {"name": name, "kind": kind, "url": "" if kind == "email" else URL, **changes}
    return notifications.add_notification(platform.context, AddNotification(**given), platform.act)


@dataclass
class Line:
    """A way out that answers as it is told."""

    platform: Parts
    answers: list[Told] = field(default_factory=list)
    sent: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.notifier = Notifier(self.platform.context, self.send)
        self.notifier.step()

    def send(self, target: Target, one: Notification) -> Told:
        self.sent.append((target.name, one.topic, one.id))
        return self.answers.pop(0) if self.answers else GOOD

    def step(self) -> None:
        self.notifier.step()
        self.notifier.wait(20)

    def later(self, seconds: float) -> None:
        self.platform.clock.sleep(seconds)
        self.step()

    def status(self, name: str = "ops") -> list[str]:
        request = ListNotificationDeliveries(target=name)
        found = notifications.list_notification_deliveries(self.platform.context, request, self.platform.act)
        return [one.status for one in found]


@pytest.fixture
def line(platform: Parts) -> Line:
    return Line(platform)


def crash(platform: Parts, app_id: str = "a1b2c3d4", *, oom: bool = False) -> None:
    data = {"process": "web", "replica": "web.1", "exit_code": 3, "oom": oom, "details": "PASSWORD=s3cret"}
    event = Event(kind="crash", message="web.1 of v1 ended: exit code 3", at=platform.clock.now(), data=data)
    platform.store.add_event(event, app_id)


# --- targets ------------------------------------------------------------------------------------------------------


def test_a_target_shows_its_secret_once_and_never_its_address(platform: Parts) -> None:
    made = added(platform)
    assert made.secret.startswith("whsec_")
    (shown,) = notifications.list_notifications(platform.context, ListNotifications(), platform.act)
    assert (shown.secret, shown.to) == ("", "127.0.0.1:1")
    assert "s3cret" not in repr(shown)


MAIL = {"kind": "email", "host": "127.0.0.1", "sender": "a@example.com", "recipients": ("b@example.com",)}


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "file:///etc/passwd"}, {"url": ""}, {"url": "http://me:s3cret@127.0.0.1/"}, {"url": "http://2130706433/"},
        {"name": "No"}, {"name": ""}, {"topics": ("deploi",)}, {"secret": "short"}, {"host": "mail.example.com"},
        {**MAIL, "recipients": ()}, {**MAIL, "recipients": ("b@example.com\nBcc: c@example.com",)},
        {**MAIL, "sender": "nobody"}, {**MAIL, "host": ""}, {**MAIL, "password": "x", "security": "none"},
        {**MAIL, "url": URL}, {**MAIL, "host": "127.1"},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(platform: Parts, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as refused:
        added(platform, **changes)
    assert "s3cret" not in str(refused.value.as_dict())
    assert platform.store.targets() == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://169.254.169.254/latest"}, {"url": "http://[::1]:9000/"}, {"url": "https://10.0.0.1/"},
        {"url": "http://[::ffff:10.0.0.1]/"}, {**MAIL, "host": "10.0.0.1"}, {**MAIL, "host": "192.168.1.1"},
    ],
)  # fmt: skip
def test_addresses_inside_are_refused(platform: Parts, changes: dict[str, Any]) -> None:
    with pytest.raises(Denied):
        added(platform, **changes)


def test_an_apps_operator_does_not_see_the_targets_of_others(platform: Parts) -> None:
    platform.app("blog", "b1b2b3b4")
    added(platform, "all")
    added(platform, "shops", app="shop")
    shown = notifications.list_notifications(platform.context, ListNotifications(app="blog"), platform.act)
    assert shown == ()
    for name in ("all", "shops", "nobody"):
        with pytest.raises(NotFound) as refused:
            notifications.remove_notification(
                platform.context, RemoveNotification(target=name, app="blog"), platform.act
            )
        assert refused.value.message == f"no target {name!r}"


def test_who_has_no_role_on_all_apps_has_not_all_of_them_told(platform: Parts) -> None:
    added(platform)
    who = Actor(name="bob", access=Access(platform="operator", apps={"a1b2c3d4": "operator"}))
    act = Act("bob", platform.events.append, "", who)
    context = platform.context
    for ask in (
        lambda: notifications.list_notifications(context, ListNotifications(), act),
        lambda: notifications.add_notification(context, AddNotification(name="x", kind="webhook", url=URL), act),
        lambda: notifications.test_notification(context, TestNotification(target="ops"), act),
        lambda: notifications.remove_notification(context, RemoveNotification(target="ops"), act),
        lambda: notifications.list_notification_deliveries(context, ListNotificationDeliveries(target="ops"), act),
    ):
        with pytest.raises(Denied, match="all apps"):
            ask()
    mine = AddNotification(name="mine", kind="webhook", url=URL, app="shop")
    assert notifications.add_notification(context, mine, act).app == "shop"


def test_a_name_of_another_app_is_neither_taken_nor_told_of(platform: Parts) -> None:
    platform.app("blog", "b1b2b3b4")
    for app in ("", "shop", "blog"):
        assert added(platform, "ops", app=app).app == app
    with pytest.raises(Conflict):
        added(platform, "ops", app="blog")
    gone = RemoveNotification(target="ops", app="blog")
    assert notifications.remove_notification(platform.context, gone, platform.act).app == "blog"
    assert sorted(one.app_id for one in platform.store.targets()) == ["", "a1b2c3d4"]


def test_without_an_app_the_target_of_all_apps_is_meant(platform: Parts) -> None:
    added(platform, "ops", app="shop")
    with pytest.raises(NotFound, match="of all apps") as refused:
        notifications.remove_notification(platform.context, RemoveNotification(target="ops"), platform.act)
    assert "-a APP" in refused.value.hint


def test_one_app_cannot_take_all_the_room(platform: Parts) -> None:
    for number in range(20):
        added(platform, f"t{number}", app="shop")
    with pytest.raises(UsageError, match="at most"):
        added(platform, "t20", app="shop")
    added(platform, "all")


# --- what is told -------------------------------------------------------------------------------------------------


def test_what_happened_before_is_not_told_and_what_happens_is_told_once(platform: Parts) -> None:
    crash(platform)
    added(platform)
    line = Line(platform)
    line.step()
    assert line.sent == []
    crash(platform)
    line.step()
    line.step()
    assert [topic for _, topic, _ in line.sent] == ["crash"]


def test_each_target_gets_what_it_asked_for(platform: Parts, line: Line) -> None:
    platform.app("blog", "b1b2b3b4")
    added(platform, "all")
    added(platform, "oom", topics=("crash.oom",))
    added(platform, "blogs", app="blog")
    crash(platform)
    crash(platform, "b1b2b3b4", oom=True)
    line.step()
    told = {name: [topic for whom, topic, _ in line.sent if whom == name] for name in ("all", "oom", "blogs")}
    assert told == {"all": ["crash", "crash.oom"], "oom": ["crash.oom"], "blogs": ["crash.oom"]}


def test_a_deploy_that_fails_before_its_release_is_told_and_one_that_fails_after_only_once(
    platform: Parts, line: Line
) -> None:
    added(platform)
    for number, code in enumerate(("BuildFailed", "DeployFailed")):
        platform.store.add_operation(
            Operation(id=f"op{number}", app_id="a1b2c3d4", verb="DeployApp", actor="ann", started_at=1)
        )
        error = Event(kind="error", message="no", at=1.0, data={"code": code, "details": ["PASSWORD=s3cret"]})
        platform.store.add_event(error, "a1b2c3d4", f"op{number}", "ann")
    line.step()
    assert [topic for _, topic, _ in line.sent] == ["deploy.failed"]


def test_a_target_that_fails_is_tried_again_with_the_same_id_in_growing_steps(platform: Parts, line: Line) -> None:
    added(platform)
    crash(platform)
    line.answers = [Told("503"), Told("503"), GOOD]
    line.step()
    line.step()
    assert len(line.sent) == 1
    line.later(BACKOFF[0])
    line.later(BACKOFF[0])
    assert len(line.sent) == 2
    line.later(BACKOFF[1])
    assert len({message_id for _, _, message_id in line.sent}) == 1
    assert (len(line.sent), line.status()) == (3, ["delivered"])
    assert platform.store.target("ops").failures == 0


def test_order_is_kept_while_a_target_is_away(platform: Parts, line: Line) -> None:
    added(platform)
    line.answers = [Told("away")]
    for oom in (False, True, False):
        crash(platform, oom=oom)
    line.step()
    line.later(BACKOFF[0])
    assert [topic for _, topic, _ in line.sent] == ["crash", "crash", "crash.oom", "crash"]


def test_a_target_that_is_away_for_a_day_is_disabled_and_says_so_elsewhere(platform: Parts, line: Line) -> None:
    added(platform)
    added(platform, "other", topics=("notification",))
    crash(platform)
    line.answers = [Told("away")] * 11
    line.step()
    for seconds in BACKOFF:
        line.later(seconds)
    assert len([name for name, _, _ in line.sent if name == "ops"]) == 11
    assert "away" in platform.store.target("ops").disabled
    line.step()
    assert ("other", "notification.disabled") in [(name, topic) for name, topic, _ in line.sent]
    crash(platform)
    line.later(1e6)
    assert [name for name, _, _ in line.sent].count("ops") == 11
    assert line.status()[0] == "pending", "what happens meanwhile waits"


def test_that_an_apps_target_is_disabled_is_told_to_one_of_the_same_name(platform: Parts, line: Line) -> None:
    added(platform, app="shop")
    added(platform, topics=("notification",))
    crash(platform)
    line.answers = [Told("410", gone=True)]
    line.step()
    line.step()
    assert [topic for _, topic, _ in line.sent] == ["crash", "notification.disabled"]


def test_one_that_is_gone_is_disabled_at_once(platform: Parts, line: Line) -> None:
    added(platform)
    crash(platform)
    line.answers = [Told("410 Gone", gone=True)]
    line.step()
    assert platform.store.target("ops").disabled


def test_what_a_target_refuses_does_not_hold_up_the_rest(platform: Parts, line: Line) -> None:
    added(platform)
    crash(platform)
    crash(platform, oom=True)
    line.answers = [Told("400", refused=True)] * 3
    line.step()
    for seconds in (*BACKOFF[:3],):
        line.later(seconds)
    assert line.status() == ["delivered", "failed"]


def test_a_slow_target_delays_no_other(platform: Parts) -> None:
    added(platform, "slow")
    added(platform, "fast")
    let_go, reached = threading.Event(), threading.Event()

    def send(target: Target, one: Notification) -> Told:
        if target.name == "slow":
            let_go.wait(30)
        else:
            reached.set()
        return GOOD

    notifier = Notifier(platform.context, send)
    notifier.step()
    crash(platform)
    notifier.step()
    try:
        assert reached.wait(20)
        notifier.step()
    finally:
        let_go.set()
        notifier.wait(20)


def test_a_way_out_that_breaks_is_survived(platform: Parts) -> None:
    added(platform)

    def send(target: Target, one: Notification) -> Told:
        raise RuntimeError("a bug")

    notifier = Notifier(platform.context, send)
    notifier.step()
    crash(platform)
    notifier.step()
    notifier.wait(20)
    assert platform.store.next_notification(platform.store.target("ops").id) is not None
    assert platform.store.target("ops").failures == 1


# --- the ways out -------------------------------------------------------------------------------------------------


@pytest.fixture
def receiving() -> Iterator[tuple[int, list[tuple[dict[str, str], bytes]]]]:
    seen: list[tuple[dict[str, str], bytes]] = []

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        seen.append(({name.lower(): value for name, value in request.headers.items()}, body))
        request.send_response(204)
        request.end_headers()

    with receiver(handle) as port:
        yield port, seen


Seen = tuple[int, list[tuple[dict[str, str], bytes]]]


def test_a_webhook_is_signed_and_holds_no_secret(platform: Parts, receiving: Seen) -> None:
    port, seen = receiving
    made = added(platform, url=f"http://127.0.0.1:{port}/x")
    notifier = Notifier(platform.context)
    notifier.step()
    crash(platform)
    notifier.step()
    notifier.wait(20)
    ((headers, body),) = seen
    expected = standard_headers(Secret(made.secret), headers["webhook-id"], platform.clock.now(), body)
    assert headers["webhook-signature"] == expected["Webhook-Signature"]
    value = json.loads(body)
    assert (value["type"], value["data"]["app"], value["data"]["exit_code"]) == ("crash", "shop", 3)
    assert b"s3cret" not in body
    assert Line(platform).status() == ["delivered"]


def test_a_test_says_what_came_back_and_wakes_a_disabled_target(platform: Parts, receiving: Seen) -> None:
    port, seen = receiving
    added(platform, kind="slack", url=f"http://127.0.0.1:{port}/services/s3cret")
    target = platform.store.target("ops")
    platform.store.save_target(Target(**{**as_fields(target), "disabled": "gone", "failures": 11}))
    tested = notifications.test_notification(platform.context, TestNotification(target="ops"), platform.act)
    assert (tested.delivered, tested.answer) == (True, "204")
    assert "text" in json.loads(seen[0][1])
    assert (platform.store.target("ops").disabled, platform.store.target("ops").failures) == ("", 0)


def as_fields(target: Target) -> dict[str, Any]:
    return {name: getattr(target, name) for name in Target.__slots__}


@pytest.mark.parametrize(
    ("status", "delivered", "refused", "gone"),
    [(200, True, False, False), (302, False, True, False), (400, False, True, False), (410, False, True, True),
     (429, False, False, False), (500, False, False, False)],
)  # fmt: skip
def test_what_an_answer_means(platform: Parts, status: int, delivered: bool, refused: bool, gone: bool) -> None:
    from paas.usecases.notify import sent

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers["Content-Length"]))
        request.send_response(status)
        request.send_header("Location", "http://127.0.0.1:1/")
        request.end_headers()

    with receiver(handle) as port:
        added(platform, url=f"http://127.0.0.1:{port}/s3cret")
        one = Notification(id="m", target_id="", at=1.0, topic="crash", message="x")
        told = sent(platform.context, platform.store.target("ops"), one)
    assert (told.delivered, told.refused, told.gone) == (delivered, refused, gone)
    assert "s3cret" not in told.answer


def test_a_name_that_begins_to_mean_something_inside_is_refused_when_it_is_told(tmp_path: Path) -> None:
    """What was allowed when it was added is asked again each time."""
    platform = parts(tmp_path / "home", egress_allow="localhost")
    platform.app()
    added(platform, url="http://localhost:1/")
    strict = parts(tmp_path / "home2")
    for target in platform.store.targets():
        strict.store.add_target(target)
    tested = notifications.test_notification(strict.context, TestNotification(target="ops"), strict.act)
    assert not tested.delivered
    assert "does not connect" in tested.answer


# --- backups ------------------------------------------------------------------------------------------------------


@pytest.fixture
def watch(platform: Parts) -> Callable[[], list[str]]:
    now = platform.clock.now()
    platform.store.add_addon(
        Addon(id="d1", name="shop-postgres", kind="postgres", version="17", image="i", volume="v", created_at=now,
              owner_app="a1b2c3d4")
    )  # fmt: skip
    look = BackupWatch(platform.context)

    def looked() -> list[str]:
        look()
        return [event.message for _, event in platform.store.events(limit=0) if event.kind == "backup.silence"]

    return looked


def test_silence_is_told_once_a_day(platform: Parts, watch: Callable[[], list[str]]) -> None:
    assert watch() == []
    platform.clock.sleep(47 * 3600)
    assert watch() == []
    platform.clock.sleep(3600)
    assert len(watch()) == len(watch()) == 1
    assert "48 hours" in watch()[0]
    assert "paas db backup --addon shop-postgres" in watch()[0]
    platform.clock.sleep(24 * 3600)
    assert len(watch()) == 2
    BackupWatch(platform.context)()
    assert len(watch()) == 2, "a server that starts again does not tell it again"


def test_nobody_is_told_when_it_is_switched_off(tmp_path: Path) -> None:
    platform = parts(tmp_path, backup_silence=0)
    platform.store.add_addon(
        Addon(id="d1", name="db", kind="postgres", version="17", image="i", volume="v", created_at=1.0)
    )
    BackupWatch(platform.context)()
    assert platform.store.events() == ()
