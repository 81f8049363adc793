"""What every store does, on disk and in memory."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from paas.errors import Conflict, NotFound
from paas.interfaces import Store
from paas.model.app import (
    Addon,
    App,
    Attachment,
    Operation,
    ProcessSpec,
    Release,
    ReleaseKind,
    ReleaseStatus,
    Source,
)
from paas.model.events import Event
from paas.model.route import Certificate
from paas.model.scripts import Scripts
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Limits

SHOP = App(id="0a0a0a0a", name="shop", created_at=1.5, formation={"web": 2})
BLOG = App(id="0b0b0b0b", name="blog", created_at=2.5)
DATABASE = Addon(
    id="0d0d0d0d", name="shop-postgres", kind="postgres", version="17", image="sha256:1", volume="v-1", created_at=3.0,
    owner_app=SHOP.id, secrets={"password": Secret("s3cr3t ünïcode \udce4"), "user": Secret("u")},
)  # fmt: skip


def a_release(app: App = SHOP, *domains: str, **changes: object) -> Release:
    release = Release(
        app_id=app.id, number=0, kind=ReleaseKind.DEPLOY, created_at=4.0, actor="ann", description="first",
        domains=domains,
    )  # fmt: skip
    return replace(release, **changes)  # type: ignore[arg-type]


FULL = a_release(
    image="sha256:2", image_ref="paas/0a0a0a0a:1", buildpack="python",
    source=Source(kind="git", id="f" * 64, version="abc", origin="https://example.com/a.git", message="fix"),
    processes=(
        ProcessSpec(
            name="web", command="gunicorn 'a b'", limits=Limits(memory=1, cpus=0.5, pids=9), stop_grace=5.0,
            health=HealthCheck(kind=HealthKind.HTTP, path="/up", grace=3.0),
        ),
        ProcessSpec(name="worker"),
    ),
    config={"A": Secret("line\nbreak $X {{y}} \0"), "B": Secret("")}, domains=("www.example.com",),
    addons=("DATABASE",), scripts={"": Scripts(postdeploy="seed"), "review": Scripts(predestroy="tidy")},
    since={"web": 0, "worker": 7}, port=5000, drain=1.5, deploy_timeout=2.0, release_timeout=3.0,
)  # fmt: skip


@pytest.fixture
def store(any_store: Store) -> Store:
    return any_store


def test_after_a_write_it_has_another_revision(store: Store) -> None:
    seen = {store.revision()}
    store.add_app(SHOP)
    seen.add(store.revision())
    store.add_event(Event(kind="note", message="x"), SHOP.id)
    seen.add(store.revision())
    store.delete_app(SHOP.id)
    seen.add(store.revision())
    assert len(seen) == 4


# --- apps ---------------------------------------------------------------------------------------------------------


def test_an_app_is_found_by_name_and_by_id(store: Store) -> None:
    store.add_app(SHOP)
    assert store.app("shop") == store.app(SHOP.id) == SHOP


def test_apps_are_listed_by_name(store: Store) -> None:
    store.add_app(SHOP)
    store.add_app(BLOG)
    assert [app.name for app in store.apps()] == ["blog", "shop"]


def test_an_unknown_app_is_refused_with_the_nearest_name(store: Store) -> None:
    store.add_app(SHOP)
    with pytest.raises(NotFound) as refused:
        store.app("shopp")
    assert "shop" in refused.value.hint


def test_a_name_is_taken_once(store: Store) -> None:
    store.add_app(SHOP)
    with pytest.raises(Conflict, match="shop"):
        store.add_app(replace(BLOG, name="shop"))
    assert len(store.apps()) == 1


def test_a_name_may_not_be_another_apps_id(store: Store) -> None:
    store.add_app(replace(SHOP, id="abcdef01"))
    store.add_app(BLOG)
    with pytest.raises(Conflict):
        store.add_app(replace(BLOG, id="0c0c0c0c", name="abcdef01"))
    with pytest.raises(Conflict):
        store.save_app(replace(BLOG, name="abcdef01"))


def test_saving_an_app_changes_name_wanted_and_formation(store: Store) -> None:
    store.add_app(SHOP)
    store.add_release(a_release())
    changed = replace(SHOP, name="store", wanted=1, formation={"web": 3, "worker": 1})
    store.save_app(changed)
    assert store.app("store") == changed
    with pytest.raises(NotFound):
        store.app("shop")


def test_renaming_to_a_taken_name_changes_nothing(store: Store) -> None:
    store.add_app(SHOP)
    store.add_app(BLOG)
    with pytest.raises(Conflict):
        store.save_app(replace(BLOG, name="shop", formation={"web": 9}))
    assert store.app("blog") == BLOG


def test_saving_an_app_that_is_gone_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        store.save_app(SHOP)


def test_deleting_an_app_takes_its_history_and_leaves_addons_and_audit(store: Store) -> None:
    store.add_app(SHOP)
    store.add_app(BLOG)
    store.add_release(a_release(SHOP, "www.example.com"))
    store.add_addon(DATABASE)
    store.attach(Attachment(addon_id=DATABASE.id, app_id=SHOP.id, alias="DATABASE"))
    store.attach(Attachment(addon_id=DATABASE.id, app_id=BLOG.id, alias="DATABASE"))
    store.add_operation(Operation(id="op1", app_id=SHOP.id, verb="deploy", actor="ann", started_at=1, status="failed"))
    store.add_operation(Operation(id="op2", app_id=SHOP.id, verb="destroy", actor="ann", started_at=2))
    for kind, operation in (("step", "op1"), ("step", "op2"), ("crash", ""), ("audit", "")):
        store.add_event(Event(kind=kind, message=operation), SHOP.id, operation)
    store.add_event(Event(kind="crash"), BLOG.id)
    store.delete_app(SHOP.id)
    store.delete_app(SHOP.id)
    assert [app.name for app in store.apps()] == ["blog"]
    assert store.releases(SHOP.id) == ()
    assert store.domain_owner("www.example.com") is None
    assert [attachment.app_id for attachment in store.attachments()] == [BLOG.id]
    assert store.addon(DATABASE.id) == DATABASE
    assert [operation.id for operation in store.operations()] == ["op2"], "the one that deletes it goes on"
    assert [event.kind for _, event in store.events()] == ["step", "audit", "crash"]


def test_an_app_of_an_old_name_starts_with_nothing(store: Store) -> None:
    store.add_app(SHOP)
    store.add_release(a_release(config={"A": Secret("old")}))
    store.delete_app(SHOP.id)
    again = replace(SHOP, id="0e0e0e0e")
    store.add_app(again)
    assert store.releases(again.id) == ()
    assert store.app("shop").wanted == 0


# --- releases -----------------------------------------------------------------------------------------------------


def test_a_release_comes_back_as_it_was(store: Store) -> None:
    store.add_app(SHOP)
    stored = store.add_release(FULL)
    assert stored == replace(FULL, number=1, since={"web": 1, "worker": 7})
    assert store.release(SHOP.id, 1) == stored
    assert store.releases(SHOP.id) == (stored,)


def test_a_release_without_anything_comes_back_as_it_was(store: Store) -> None:
    store.add_app(SHOP)
    assert store.release(SHOP.id, 1) if store.add_release(a_release()) == replace(a_release(), number=1) else False
    assert store.release(SHOP.id, 1) == replace(a_release(), number=1)


def test_releases_count_up_per_app_and_are_wanted(store: Store) -> None:
    store.add_app(SHOP)
    store.add_app(BLOG)
    assert [store.add_release(a_release(app)).number for app in (SHOP, SHOP, BLOG)] == [1, 2, 1]
    assert store.app("shop").wanted == 2
    assert [release.number for release in store.releases(SHOP.id)] == [2, 1]
    assert [release.number for release in store.releases(SHOP.id, limit=1)] == [2]


def test_wanting_an_older_release_does_not_give_its_number_again(store: Store) -> None:
    store.add_app(SHOP)
    store.add_release(a_release())
    store.add_release(a_release())
    store.want(SHOP.id, 1)
    assert store.app("shop").wanted == 1
    assert store.add_release(a_release()).number == 3


def test_only_status_and_failure_of_a_release_ever_change(store: Store) -> None:
    store.add_app(SHOP)
    stored = store.add_release(FULL)
    store.save_release(replace(stored, status=ReleaseStatus.FAILED, failure="no", image="other", config={}, port=1))
    assert store.release(SHOP.id, 1) == replace(stored, status=ReleaseStatus.FAILED, failure="no")


def test_an_unknown_release_is_refused_with_those_that_exist(store: Store) -> None:
    store.add_app(SHOP)
    store.add_release(a_release())
    for refused in (lambda: store.release(SHOP.id, 7), lambda: store.want(SHOP.id, 7)):
        with pytest.raises(NotFound) as error:
            refused()
        assert "v1" in error.value.hint
    with pytest.raises(NotFound):
        store.save_release(replace(a_release(), number=7))
    assert store.app("shop").wanted == 1


def test_a_release_of_no_app_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        store.add_release(a_release())


def test_two_threads_never_get_one_number(store: Store) -> None:
    store.add_app(SHOP)
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.extend(store.add_release(a_release()).number for _ in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 41))


# --- domains ------------------------------------------------------------------------------------------------------


def test_a_release_claims_its_domains_and_gives_back_the_others(store: Store) -> None:
    store.add_app(SHOP)
    store.add_release(a_release(SHOP, "a.example.com", "b.example.com"))
    owner = store.domain_owner("a.example.com")
    assert owner is not None
    assert owner.name == "shop"
    store.add_release(a_release(SHOP, "b.example.com"))
    assert store.domain_owner("a.example.com") is None
    store.want(SHOP.id, 1)
    assert store.domain_owner("a.example.com") is not None
    store.want(SHOP.id, 0)
    assert store.domain_owner("b.example.com") is None


def test_a_domain_of_another_app_is_refused_and_nothing_is_written(store: Store) -> None:
    store.add_app(SHOP)
    store.add_app(BLOG)
    store.add_release(a_release(SHOP, "www.example.com"))
    store.add_release(a_release(BLOG, "blog.example.com"))
    with pytest.raises(Conflict, match="belongs to another app"):
        store.add_release(a_release(BLOG, "new.example.com", "www.example.com"))
    assert [release.number for release in store.releases(BLOG.id)] == [1]
    assert store.app("blog").wanted == 1
    assert store.domain_owner("new.example.com") is None
    owner = store.domain_owner("blog.example.com")
    assert owner is not None
    assert owner.id == BLOG.id
    assert store.add_release(a_release(BLOG)).number == 2


def test_going_back_to_a_domain_that_went_to_another_app_is_refused(store: Store) -> None:
    store.add_app(SHOP)
    store.add_app(BLOG)
    store.add_release(a_release(SHOP, "www.example.com"))
    store.add_release(a_release(SHOP))
    store.add_release(a_release(BLOG, "www.example.com"))
    with pytest.raises(Conflict, match="belongs to another app"):
        store.want(SHOP.id, 1)
    assert store.app("shop").wanted == 2


def test_of_many_claims_at_once_one_wins(store: Store) -> None:
    owners = [App(id=f"0000000{n}", name=f"app-{n}", created_at=0.0) for n in range(4)]
    for app in owners:
        store.add_app(app)
    won: list[str] = []

    def claim(app: App) -> None:
        try:
            store.add_release(a_release(app, "www.example.com"))
            won.append(app.name)
        except Conflict:
            pass

    threads = [threading.Thread(target=claim, args=(app,)) for app in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    owner = store.domain_owner("www.example.com")
    assert owner is not None
    assert won == [owner.name]


# --- addons -------------------------------------------------------------------------------------------------------


def test_an_addon_comes_back_as_it_was_by_name_and_id(store: Store) -> None:
    store.add_addon(DATABASE)
    assert store.addon("shop-postgres") == store.addon(DATABASE.id) == DATABASE
    assert store.addons() == (DATABASE,)


def test_addon_names_are_taken_once_and_unknown_ones_refused(store: Store) -> None:
    store.add_addon(DATABASE)
    with pytest.raises(Conflict):
        store.add_addon(replace(DATABASE, id="0e0e0e0e"))
    with pytest.raises(NotFound) as refused:
        store.addon("shop-postgre")
    assert "shop-postgres" in refused.value.hint


def test_an_alias_of_an_app_is_used_once(store: Store) -> None:
    store.add_app(SHOP)
    store.add_app(BLOG)
    store.add_addon(DATABASE)
    store.add_addon(replace(DATABASE, id="0e0e0e0e", name="other"))
    first = Attachment(addon_id=DATABASE.id, app_id=SHOP.id, alias="DATABASE")
    store.attach(first)
    with pytest.raises(Conflict, match="DATABASE"):
        store.attach(replace(first, addon_id="0e0e0e0e"))
    store.attach(replace(first, addon_id="0e0e0e0e", alias="OTHER"))
    store.attach(replace(first, app_id=BLOG.id))
    assert [attachment.alias for attachment in store.attachments(app_id=SHOP.id)] == ["DATABASE", "OTHER"]
    assert [attachment.app_id for attachment in store.attachments(addon_id=DATABASE.id)] == [SHOP.id, BLOG.id]
    assert len(store.attachments()) == 3
    store.detach(replace(first, addon_id="0e0e0e0e"))
    assert len(store.attachments()) == 3, "what is attached otherwise stays"
    store.detach(first)
    store.detach(first)
    assert [attachment.alias for attachment in store.attachments(app_id=SHOP.id)] == ["OTHER"]


def test_attaching_needs_both_ends(store: Store) -> None:
    with pytest.raises(NotFound):
        store.attach(Attachment(addon_id=DATABASE.id, app_id=SHOP.id, alias="DATABASE"))
    store.add_app(SHOP)
    with pytest.raises(NotFound):
        store.attach(Attachment(addon_id=DATABASE.id, app_id=SHOP.id, alias="DATABASE"))


def test_deleting_an_addon_takes_its_attachments(store: Store) -> None:
    store.add_app(SHOP)
    store.add_addon(DATABASE)
    store.attach(Attachment(addon_id=DATABASE.id, app_id=SHOP.id, alias="DATABASE"))
    store.delete_addon(DATABASE.id)
    store.delete_addon(DATABASE.id)
    assert store.addons() == ()
    assert store.attachments() == ()


# --- certificates, operations, events -----------------------------------------------------------------------------


def test_an_addon_gets_another_image_and_volume_and_keeps_all_else(store: Store) -> None:
    store.add_addon(DATABASE)
    store.save_addon(replace(DATABASE, image="sha256:other", volume="other", name="not-this"))
    assert store.addon(DATABASE.id) == replace(DATABASE, image="sha256:other", volume="other")
    with pytest.raises(NotFound):
        store.save_addon(replace(DATABASE, id="ffffffff"))


def test_a_host_has_one_certificate(store: Store) -> None:
    first = Certificate(host="b.example.com", chain="C1", key=Secret("K1"), names=("b.example.com",), not_after=9.0)
    store.put_certificate(first)
    store.put_certificate(replace(first, host="a.example.com"))
    store.put_certificate(replace(first, chain="C2", key=Secret("K2"), issuer="me"))
    assert store.certificates() == (
        replace(first, host="a.example.com"),
        replace(first, chain="C2", key=Secret("K2"), issuer="me"),
    )
    store.delete_certificate("a.example.com")
    store.delete_certificate("a.example.com")
    assert len(store.certificates()) == 1


def test_operations_are_listed_newest_first(store: Store) -> None:
    one = Operation(id="op1", app_id=SHOP.id, verb="deploy", actor="ann", started_at=5.0)
    two = Operation(
        id="op2", app_id="", verb="up", actor="bob", started_at=5.0, user_id="0bob", others=(SHOP.id, BLOG.id)
    )  # fmt: skip
    store.add_operation(one)
    store.add_operation(two)
    ended = replace(one, status="failed", ended_at=7.0, error="no")
    store.save_operation(replace(ended, verb="other"))
    assert store.operation("op1") == ended
    assert store.operations() == (two, ended)
    assert store.operations(limit=1) == (two,)
    assert store.operations(app_id=SHOP.id) == (ended,)
    assert store.operations(status="running") == (two,)
    with pytest.raises(Conflict):
        store.add_operation(one)
    with pytest.raises(NotFound):
        store.operation("op3")
    with pytest.raises(NotFound):
        store.save_operation(replace(one, id="op3"))


def test_events_are_read_from_the_end_or_on_from_a_serial_number(store: Store) -> None:
    for number in range(5):
        store.add_event(Event(kind="note", message=str(number), app="shop", at=number, data={"n": [number]}), SHOP.id)
    store.add_event(Event(kind="note", message="other"), BLOG.id)

    def said(**query: object) -> list[str]:
        return [event.message for _, event in store.events(**query)]  # type: ignore[arg-type]

    assert said(app_id=SHOP.id, limit=2) == ["3", "4"]
    assert said(app_id=SHOP.id, limit=0) == ["0", "1", "2", "3", "4"]
    second = store.events(SHOP.id)[1][0]
    assert said(app_id=SHOP.id, limit=2, after=second) == ["2", "3"]
    assert said()[-1] == "other"
    assert store.events(SHOP.id, limit=1)[0][1] == Event(kind="note", message="4", app="shop", at=4, data={"n": [4]})
    serials = [serial for serial, _ in store.events()]
    assert serials == sorted(set(serials))


def test_events_of_an_operation_are_found(store: Store) -> None:
    store.add_event(Event(kind="step", message="a"), SHOP.id, "op1", "ann")
    store.add_event(Event(kind="step", message="b"), SHOP.id, "op2", "ann")
    assert [event.message for _, event in store.events(operation_id="op2")] == ["b"]


def test_a_secret_in_an_events_data_is_masked(store: Store) -> None:
    store.add_event(Event(kind="note", data={"value": Secret("hunter2")}))
    assert "hunter2" not in repr(store.events())
    assert store.events()[0][1].data == {"value": "••••"}
