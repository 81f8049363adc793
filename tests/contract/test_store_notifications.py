"""What every store does with notifications, on disk and in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import Conflict, NotFound
from paas.interfaces import Store
from paas.model.app import App
from paas.model.events import Event
from paas.model.notification import Happened, Notification, Target, TargetKind
from paas.model.secret import Secret
from paas.store.sql import SqlStore

SHOP = App(id="0a0a0a0a", name="shop", created_at=1.0)
HOOK = Target(
    id="t1", name="ops", kind=TargetKind.WEBHOOK, created_at=2.0, created_by="ann", topics=("deploy", "crash.oom"),
    secrets={"url": Secret("https://never-seen.example/x"), "secret": Secret("never-seen-secret")},
)  # fmt: skip
MAIL = Target(
    id="t2", name="mail", kind=TargetKind.EMAIL, created_at=2.0, created_by="ann", app_id=SHOP.id,
    mail={"host": "mail.example", "port": "587", "security": "starttls"}, secrets={"password": Secret("never-seen")},
)  # fmt: skip


def told(number: int, target: Target = HOOK, **changes: object) -> Notification:
    made = Notification(
        id=f"msg_{number}_{target.id}", target_id=target.id, at=float(number), topic="crash", message="web.1 ended",
        app="shop", facts={"exit_code": 3, "process": "wéb"},
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(any_store: Store) -> Store:
    any_store.add_app(SHOP)
    any_store.add_target(HOOK)
    any_store.add_target(MAIL)
    return any_store


def test_targets_come_back_as_they_were(store: Store) -> None:
    assert store.targets() == (MAIL, HOOK)
    assert store.target("ops") == HOOK
    assert store.target("mail", SHOP.id) == MAIL


def test_a_name_is_taken_once_and_an_app_must_be_there(store: Store) -> None:
    with pytest.raises(Conflict, match="ops"):
        store.add_target(replace(HOOK, id="t3"))
    with pytest.raises(Conflict, match="mail"):
        store.add_target(replace(MAIL, id="t3"))
    with pytest.raises(NotFound):
        store.add_target(replace(HOOK, id="t3", name="new", app_id="nobody"))
    with pytest.raises(NotFound) as refused:
        store.target("oops")
    assert "ops" not in refused.value.hint.replace("oops", "")


def test_every_app_and_the_platform_have_names_of_their_own(store: Store) -> None:
    blog = App(id="0b0b0b0b", name="blog", created_at=1.0)
    store.add_app(blog)
    shops, blogs = replace(HOOK, id="t3", app_id=SHOP.id), replace(HOOK, id="t4", app_id=blog.id)
    store.add_target(shops)
    store.add_target(blogs)
    found = (store.target("ops"), store.target("ops", SHOP.id), store.target("ops", blog.id))
    assert found == (HOOK, shops, blogs)
    for name, app_id in (("mail", ""), ("mail", blog.id), ("ops", "nobody")):
        with pytest.raises(NotFound):
            store.target(name, app_id)
    store.delete_target("t3")
    assert store.target("ops") == HOOK


def test_only_how_it_went_is_changed(store: Store) -> None:
    store.save_target(replace(HOOK, name="other", failures=3, retry_at=9.5, disabled="gone", secrets={}))
    assert store.target("ops") == replace(HOOK, failures=3, retry_at=9.5, disabled="gone")


def test_events_are_read_on_with_all_that_is_kept_of_them(store: Store) -> None:
    assert store.notified() == -1
    store.add_event(Event(kind="crash", message="x", at=1.0, data={"oom": True}), SHOP.id, "op1", "")
    store.add_event(Event(kind="note", at=2.0))
    first, second = store.happened(0)
    assert (first.app_id, first.operation_id, first.event.data) == (SHOP.id, "op1", {"oom": True})
    assert store.happened(first.serial) == (second,)
    assert store.happened(0, limit=1) == (first,)
    assert isinstance(second, Happened)


def test_what_waits_and_how_far_was_read_are_kept_at_once(store: Store) -> None:
    store.queue_notifications(7, (told(1), told(2), told(1, MAIL), told(1, replace(HOOK, id="gone"))))
    assert store.notified() == 7
    assert store.targets_waited_for() == {"t1", "t2"}
    assert store.next_notification("t1") == told(1)
    store.queue_notifications(8, (told(2),))
    assert store.notifications("t1") == (told(2), told(1)), "the same again is the same"
    assert store.next_notification("gone") is None


def test_what_ended_waits_no_more(store: Store) -> None:
    store.queue_notifications(1, (told(1), told(2)))
    ended = told(1, status="delivered", attempts=2, answer="200", ended_at=5.0)
    store.save_notification(ended)
    assert store.next_notification("t1") == told(2)
    assert store.notifications("t1") == (told(2), ended)


def test_a_queue_is_bounded_and_drops_the_oldest(store: Store) -> None:
    store.queue_notifications(1, [told(number) for number in range(10)], most=3)
    waiting = [one.id for one in store.notifications("t1") if one.status == "pending"]
    assert waiting == [told(number).id for number in (9, 8, 7)]
    dropped = [one for one in store.notifications("t1") if one.status == "dropped"]
    assert (len(dropped), dropped[0].answer) == (7, "too many were waiting")
    store.queue_notifications(2, [told(20)], most=3, keep=2)
    assert [one.status for one in store.notifications("t1")] == ["pending"] * 3 + ["dropped"] * 2


def test_a_target_goes_with_all_of_it_and_with_its_app(store: Store) -> None:
    store.queue_notifications(1, (told(1), told(1, MAIL)))
    store.delete_target("t1")
    store.delete_target("t1")
    store.delete_app(SHOP.id)
    assert (store.targets(), store.targets_waited_for(), store.notifications("t1")) == ((), frozenset(), ())
    store.save_target(HOOK)
    assert store.targets() == ()


def test_addresses_and_secrets_are_sealed_and_survive_a_new_key(tmp_path: Path) -> None:
    store = SqlStore.open(tmp_path)
    store.add_app(SHOP)
    store.add_target(HOOK)
    store.add_target(MAIL)
    store.rotate()
    store.close()
    assert not any(b"never-seen" in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    again = SqlStore.open(tmp_path)
    assert again.targets() == (MAIL, HOOK)
    again.close()
