"""What every store does with people, their roles and the audit log, on disk and in memory."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import Conflict, NotFound
from paas.interfaces import Store
from paas.model.app import App
from paas.model.audit import Record, verified
from paas.model.people import Grant, Invite, KeyOwner, Membership, Team, Token, User
from paas.store.memory import MemoryStore
from paas.store.sql import SqlStore

SHOP, BLOG = App(id="0a0a0a0a", name="shop", created_at=1.0), App(id="0b0b0b0b", name="blog", created_at=1.0)
ANN = User(id="u-ann", name="ann", created_at=2.0, role="owner")
BOB = User(id="u-bob", name="bob", created_at=3.0)
WEB = Team(id="t-web", name="web", created_at=4.0)
TOKEN = Token(
    id="1a2b3c", digest="d" * 64, name="ci", kind="personal", created_by="ann", created_at=5.0, user_id=BOB.id,
    role="deployer", apps=(SHOP.id,), expires_at=99.0,
)  # fmt: skip
INVITE = Invite(
    id="9f9f", digest="e" * 64, name="eve", created_by="ann", created_at=6.0, expires_at=60.0, role="viewer",
    app_id=SHOP.id, app_role="operator",
)  # fmt: skip
RECORD = Record(
    serial=0, at=7.5, actor="bob", user_id=BOB.id, via="token", request="Scale", app="shop", app_id=SHOP.id,
    outcome="allowed", facts={"counts": {"web": 2}, "names": ("a", "b")},
)  # fmt: skip


@pytest.fixture
def store(any_store: Store) -> Store:
    for app in (SHOP, BLOG):
        any_store.add_app(app)
    for user in (ANN, BOB):
        any_store.add_user(user)
    any_store.add_team(WEB)
    return any_store


def test_users_and_teams_are_found_by_name_and_id(store: Store) -> None:
    assert store.user("bob") == store.user(BOB.id) == BOB
    assert store.team("web") == store.team(WEB.id) == WEB
    assert store.users() == (ANN, BOB)
    assert store.teams() == (WEB,)


def test_a_name_is_taken_once_and_is_no_others_id(store: Store) -> None:
    for user in (replace(BOB, id="u-2"), User(id="u-3", name=ANN.id, created_at=1.0)):
        with pytest.raises(Conflict):
            store.add_user(user)
    with pytest.raises(Conflict):
        store.add_team(replace(WEB, id="t-2"))


def test_who_is_not_there_is_told_without_naming_others(store: Store) -> None:
    with pytest.raises(NotFound) as caught:
        store.user("bobb")
    assert "'bob'" not in caught.value.hint
    for look in (store.token, store.invite):
        with pytest.raises(NotFound) as one:
            look("aaaa")
        with pytest.raises(NotFound) as other:
            look("bbbb")
        assert one.value.as_dict() == other.value.as_dict()


def test_a_role_is_the_highest_of_a_users_own_and_those_of_their_teams(store: Store) -> None:
    store.put_grant(Grant(app_id=SHOP.id, role="viewer", user_id=BOB.id))
    assert store.roles(BOB.id) == {SHOP.id: "viewer"}
    store.put_grant(Grant(app_id=SHOP.id, role="operator", team_id=WEB.id))
    store.put_grant(Grant(app_id=BLOG.id, role="deployer", team_id=WEB.id))
    assert store.roles(BOB.id) == {SHOP.id: "viewer"}, "not in the team yet"
    store.put_membership(Membership(team_id=WEB.id, user_id=BOB.id, role="viewer"))
    assert store.roles(BOB.id) == {SHOP.id: "operator", BLOG.id: "deployer"}
    store.put_grant(Grant(app_id=SHOP.id, role="owner", user_id=BOB.id))
    assert store.roles(BOB.id)[SHOP.id] == "owner"
    assert len(store.grants(app_id=SHOP.id)) == 2, "a second one replaces the first"
    store.delete_membership(WEB.id, BOB.id)
    assert store.roles(BOB.id) == {SHOP.id: "owner"}
    store.delete_grant(SHOP.id, user_id=BOB.id)
    store.delete_grant(SHOP.id, user_id=BOB.id)
    assert store.roles(BOB.id) == {}
    assert store.grants(team_id=WEB.id) == store.grants(team_id=WEB.id)
    assert store.roles(ANN.id) == {}


def test_nothing_is_granted_to_nobody_or_on_nothing(store: Store) -> None:
    for grant in (
        Grant(app_id="none", role="viewer", user_id=BOB.id),
        Grant(app_id=SHOP.id, role="viewer", user_id="none"),
        Grant(app_id=SHOP.id, role="viewer", team_id="none"),
    ):
        with pytest.raises(NotFound):
            store.put_grant(grant)
    with pytest.raises(NotFound):
        store.add_token(replace(TOKEN, user_id="none"))


def test_a_user_takes_everything_of_theirs_along(store: Store) -> None:
    store.put_grant(Grant(app_id=SHOP.id, role="owner", user_id=BOB.id))
    store.put_membership(Membership(team_id=WEB.id, user_id=BOB.id, role="owner"))
    store.add_token(TOKEN)
    store.add_invite(replace(INVITE, user_id=BOB.id))
    store.put_key_owner(KeyOwner(name="laptop@bob", user_id=BOB.id))
    store.delete_user(BOB.id)
    store.delete_user(BOB.id)
    assert store.users() == (ANN,)
    assert (store.grants(), store.memberships(), store.tokens(), store.invites(), store.key_owners()) == ((),) * 5
    store.add_user(replace(BOB, id="u-new"))
    assert store.roles("u-new") == {}, "somebody else of that name begins with nothing"


def test_an_app_and_a_team_take_their_roles_along(store: Store) -> None:
    store.put_grant(Grant(app_id=SHOP.id, role="owner", user_id=BOB.id))
    store.put_grant(Grant(app_id=BLOG.id, role="viewer", team_id=WEB.id))
    store.put_membership(Membership(team_id=WEB.id, user_id=BOB.id, role="viewer"))
    store.add_invite(INVITE)
    store.delete_app(SHOP.id)
    assert [one.app_id for one in store.grants()] == [BLOG.id]
    assert store.invites() == ()
    store.delete_team(WEB.id)
    assert store.grants() == store.memberships() == ()
    assert store.users() == (ANN, BOB)


def test_the_last_owner_of_the_platform_stays_and_stays_owner(store: Store) -> None:
    with pytest.raises(Conflict, match="last owner"):
        store.delete_user(ANN.id)
    with pytest.raises(Conflict, match="last owner"):
        store.save_user(replace(ANN, role="viewer"))
    store.save_user(replace(BOB, role="owner"))
    store.save_user(replace(ANN, role="viewer"))
    assert store.user("ann").role == "viewer"
    store.delete_user(ANN.id)


def test_a_token_is_kept_as_it_was_made_and_touched(store: Store) -> None:
    free = Token(id="2b", digest="f" * 64, name="x", kind="session", created_by="root", created_at=9.0)
    for token in (TOKEN, free):
        store.add_token(token)
    assert store.token(TOKEN.id) == TOKEN
    assert store.tokens() == (free, TOKEN)
    assert store.tokens(user_id=BOB.id) == (TOKEN,)
    store.touch_token(TOKEN.id, 50.0, "10.0.0.1")
    store.touch_token("none", 50.0, "10.0.0.1")
    store.save_token(replace(TOKEN, digest="0" * 64, expires_at=0.0))
    assert store.token(TOKEN.id) == replace(TOKEN, digest="0" * 64, expires_at=0.0, used_at=50.0, used_from="10.0.0.1")
    store.delete_token(TOKEN.id)
    store.delete_token(TOKEN.id)
    with pytest.raises(NotFound):
        store.save_token(TOKEN)


def test_an_invite_is_taken_once(store: Store) -> None:
    store.add_invite(INVITE)
    assert store.invite(INVITE.id) == INVITE
    taken: list[bool] = []
    threads = [threading.Thread(target=lambda: taken.append(store.delete_invite(INVITE.id))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def test_a_new_invite_for_a_name_replaces_the_one_before(store: Store) -> None:
    store.add_invite(INVITE)
    store.add_invite(replace(INVITE, id="8e8e", created_at=7.0))
    assert [one.id for one in store.invites()] == ["8e8e"]


def test_a_key_has_one_owner(store: Store) -> None:
    store.put_key_owner(KeyOwner(name="laptop", user_id=ANN.id))
    store.put_key_owner(KeyOwner(name="laptop", user_id=BOB.id))
    assert store.key_owners() == (KeyOwner(name="laptop", user_id=BOB.id),)
    store.delete_key_owner("laptop")
    assert store.key_owners() == ()


# --- the audit log -------------------------------------------------------------------------------------------------


def test_records_are_numbered_chained_and_outlive_their_app(store: Store) -> None:
    for at in range(3):
        store.add_record(replace(RECORD, at=float(at)))
    store.delete_app(SHOP.id)
    store.delete_user(BOB.id)
    found = store.records(limit=0)
    assert [record.serial for record in found] == [1, 2, 3]
    assert found[0].facts == {"counts": {"web": 2}, "names": ["a", "b"]}
    assert len({record.digest for record in found}) == 3
    assert verified(found, store.last_serial()).broken == 0


def test_records_are_found_by_app_user_and_time(store: Store) -> None:
    store.add_record(RECORD)
    store.add_record(replace(RECORD, actor="ann", user_id=ANN.id, at=20.0))
    store.add_record(replace(RECORD, app="blog", app_id=BLOG.id, at=30.0))

    def serials(**asked: object) -> list[int]:
        return [record.serial for record in store.records(**asked)]  # type: ignore[arg-type]

    assert serials(app_id=SHOP.id) == serials(app="shop") == [1, 2]
    assert serials(user="bob") == serials(user=BOB.id) == [1, 3]
    assert serials(since=20.0) == [2, 3]
    assert serials(limit=2) == [2, 3]
    assert serials(after=1, limit=1) == [2]


def test_records_that_come_at_once_make_one_chain(store: Store) -> None:
    threads = [threading.Thread(target=store.add_record, args=(RECORD,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verified(store.records(limit=0), store.last_serial()).records == 20


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("UPDATE audit SET actor = 'ann' WHERE serial = 3", 3),
        ("UPDATE audit SET facts = '{}' WHERE serial = 1", 1),
        ("UPDATE audit SET at = at + 1 WHERE serial = 5", 5),
        ("DELETE FROM audit WHERE serial = 2", 2),
        ("DELETE FROM audit WHERE serial = 5", 5),
        ("DELETE FROM audit WHERE serial < 3", 1),
        ("UPDATE audit SET serial = serial + 10", 1),
    ],
)
def test_a_log_that_was_changed_behind_our_back_is_found_out(tmp_path: Path, change: str, broken: int) -> None:
    store = SqlStore.open(tmp_path)
    for _ in range(5):
        store.add_record(RECORD)
    head = verified(store.records(limit=0), store.last_serial()).head
    with closing(sqlite3.connect(tmp_path / "paas.db")) as database:
        database.execute(change)
        database.commit()
    found = verified(store.records(limit=0), store.last_serial())
    assert found.broken == broken, found
    store.close()
    assert head.startswith("5:")


def test_a_log_that_was_written_anew_does_not_have_the_head_that_was_kept(tmp_path: Path) -> None:
    honest, forged = MemoryStore(), MemoryStore()
    for store, actor in ((honest, "eve"), (forged, "bob")):
        for _ in range(3):
            store.add_record(replace(RECORD, actor=actor))
    head = verified(honest.records(limit=0), 3).head
    honest.add_record(RECORD)
    assert verified(honest.records(limit=0), 4, head).broken == 0
    assert verified(forged.records(limit=0), 3).broken == 0, "its chain holds by itself"
    assert verified(forged.records(limit=0), 3, head).broken == 1
