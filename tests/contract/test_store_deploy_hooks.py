"""What every store does with deploy hooks, on disk and in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from paas.errors import Conflict, NotFound
from paas.interfaces import Store
from paas.model.app import App
from paas.model.deploy_hook import (
    Check,
    DeployHook,
    HookDelivery,
    HookState,
    Left,
    PendingDeploy,
    PendingReview,
    Provider,
)
from paas.model.secret import Secret
from paas.store.sql import SqlStore

SHOP, BLOG = App(id="0a0a0a0a", name="shop", created_at=1.0), App(id="0b0b0b0b", name="blog", created_at=1.0)
HOOK = DeployHook(
    id="f" * 32, app_id=SHOP.id, name="github", provider=Provider.GITHUB, created_at=2.0, created_by="ann",
    source=Secret("https://me:never-seen-source@example.org/team/shop.git"), secret=Secret("never-seen-secret"),
    repository="team/shop", branch="main", paths=("src/**",), wait=True, checks=("build", "lint"), reviews="own",
)  # fmt: skip
STATE = HookState(
    waiting=("a" * 40, "b" * 40), checks={"a" * 40: {"build": Check("success", 7.5)}}, running="op1",
    pending=PendingDeploy(commit="a" * 40, deliveries=("d1", "d2"), again=True),
    began=PendingDeploy(left=Left("", "x")), left=Left("b" * 40, "src/ä.py"),
    reviews=(PendingReview(close=True, number=7), PendingReview(close=False, branch="b", fork=True, deliveries=("d",))),
    reviewing="op2", review=PendingReview(close=False, number=8, commit="c" * 40, again=True),
)  # fmt: skip


def delivery(number: int, status: str = "accepted", **changes: object) -> HookDelivery:
    made = HookDelivery(
        id=f"d{number}", hook_id=HOOK.id, at=float(number), status=status, reason="pushed", said=f"s{number}",
        event="push", branch="main", commit="a" * 40, notice={"kind": "push", "files": ["a", "ü"]},
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def store(any_store: Store) -> Store:
    for app in (SHOP, BLOG):
        any_store.add_app(app)
    any_store.add_deploy_hook(HOOK)
    return any_store


def test_a_hook_comes_back_as_it_was(store: Store) -> None:
    assert store.deploy_hook(HOOK.id) == HOOK
    assert store.deploy_hooks() == store.deploy_hooks(SHOP.id) == (HOOK,)
    assert store.deploy_hooks(BLOG.id) == ()


def test_what_a_hook_does_may_change_and_the_rest_stays(store: Store) -> None:
    store.save_hook_state(HOOK.id, STATE)
    changes: dict[str, Any] = {
        "branch": "live",
        "paths": (),
        "wait": False,
        "reviews": "forks",
        "secret": Secret("n" * 20),
    }
    store.save_deploy_hook(replace(HOOK, name="other", **changes))
    assert store.deploy_hook(HOOK.id) == replace(HOOK, **changes)
    assert store.hook_state(HOOK.id) == STATE
    store.save_deploy_hook(replace(HOOK, id="e" * 32))
    assert len(store.deploy_hooks()) == 1


def test_a_hook_with_review_apps_to_see_to_is_busy(store: Store) -> None:
    for state in (replace(HookState(), reviews=STATE.reviews), replace(HookState(), reviewing="op")):
        store.save_hook_state(HOOK.id, state)
        assert store.hook_states() == {HOOK.id: state}


def test_a_name_is_taken_once_an_app(store: Store) -> None:
    with pytest.raises(Conflict, match="github"):
        store.add_deploy_hook(replace(HOOK, id="e" * 32))
    store.add_deploy_hook(replace(HOOK, id="e" * 32, app_id=BLOG.id))
    with pytest.raises(NotFound):
        store.add_deploy_hook(replace(HOOK, id="d" * 32, app_id="nobody"))


def test_a_hook_that_is_not_there_says_nothing_of_others(store: Store) -> None:
    with pytest.raises(NotFound) as refused:
        store.deploy_hook("e" * 32)
    assert "github" not in str(refused.value.as_dict())


def test_a_state_is_kept_and_only_busy_hooks_are_looked_at(store: Store) -> None:
    assert store.hook_state(HOOK.id) == HookState()
    assert store.hook_states() == {}
    store.save_hook_state(HOOK.id, STATE)
    assert store.hook_state(HOOK.id) == STATE
    assert store.hook_states() == {HOOK.id: STATE}
    store.save_hook_state(HOOK.id, replace(STATE, pending=None, running="", reviews=(), reviewing=""))
    assert store.hook_states() == {}


def test_checks_that_an_older_version_kept_have_no_time(tmp_path: Path) -> None:
    store = SqlStore.open(tmp_path)
    store.add_app(SHOP)
    store.add_deploy_hook(HOOK)
    with store._write() as db:
        db.execute(text("UPDATE deploy_hooks SET state = :state"), {"state": '{"checks": {"c": {"build": "success"}}}'})
    assert store.hook_state(HOOK.id).checks == {"c": {"build": Check("success", 0.0)}}
    store.close()


def test_a_hook_that_is_gone_keeps_nothing(store: Store) -> None:
    store.save_hook_state(HOOK.id, STATE)
    store.add_hook_delivery(delivery(1), ("m1",))
    store.delete_deploy_hook(HOOK.id)
    store.delete_deploy_hook(HOOK.id)
    store.save_hook_state(HOOK.id, STATE)
    store.add_hook_delivery(delivery(2), ("m2",))
    assert (store.deploy_hooks(), store.hook_states(), store.hook_deliveries(HOOK.id)) == ((), {}, ())
    assert not store.hook_has_seen(HOOK.id, ("m1", "m2"))


def test_a_hook_goes_with_its_app(store: Store) -> None:
    store.save_hook_state(HOOK.id, STATE)
    store.add_hook_delivery(delivery(1))
    store.delete_app(SHOP.id)
    assert (store.deploy_hooks(), store.hook_states(), store.hook_deliveries(HOOK.id)) == ((), {}, ())


def test_deliveries_are_listed_newest_first_with_what_came_of_them(store: Store) -> None:
    for number in (1, 2, 3):
        store.add_hook_delivery(delivery(number))
    store.set_hook_operation(HOOK.id, ("d1", "d3"), "op9")
    listed = store.hook_deliveries(HOOK.id, limit=2)
    assert listed == (delivery(3, operation="op9"), delivery(2))
    assert store.hook_delivery(HOOK.id, "d1") == delivery(1, operation="op9")
    with pytest.raises(NotFound):
        store.hook_delivery("e" * 32, "d1")


def test_what_anybody_can_send_does_not_push_out_what_was_signed(store: Store) -> None:
    store.add_hook_delivery(delivery(1), keep=3)
    for number in range(10, 20):
        store.add_hook_delivery(delivery(number, "refused"), keep=3)
    store.add_hook_delivery(delivery(2), keep=3)
    assert [one.id for one in store.hook_deliveries(HOOK.id)] == ["d2", "d19", "d18", "d17", "d1"]


def test_marks_outlive_deliveries(store: Store) -> None:
    for number in range(10):
        store.add_hook_delivery(delivery(number), (f"id:{number}", f"body:{number}"), keep=2)
    store.add_hook_delivery(delivery(11), ("id:1",), keep=2)
    assert store.hook_has_seen(HOOK.id, ("other", "body:0"))
    assert not store.hook_has_seen(HOOK.id, ("other",))
    assert not store.hook_has_seen("e" * 32, ("body:0",))


def test_secret_and_source_are_sealed_and_survive_a_new_key(tmp_path: Path) -> None:
    store = SqlStore.open(tmp_path)
    store.add_app(SHOP)
    store.add_deploy_hook(HOOK)
    store.rotate()
    store.close()
    assert not any(b"never-seen" in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    again = SqlStore.open(tmp_path)
    assert again.deploy_hooks() == (HOOK,)
    again.close()
