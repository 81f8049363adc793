"""What somebody has open ends with what allowed it: sessions, streams, downloads."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest

from paas.errors import Denied, NotLoggedIn, ServerUnavailable
from paas.model.app import Operation
from paas.model.events import Event
from paas.model.people import Grant, User
from paas.requests import apps, git, platform
from paas.requests.addons import FetchBackup
from tests.unit.permissions.world import BOSS, MINE, Waiting, World, ask, client
from tests.unit.server.stub import eventually

LARGE = 64 << 20
"""Bytes that no connection's buffers hold."""


class Slow(io.RawIOBase):
    """A file that takes its first bytes and then waits until it may `go` on."""

    def __init__(self) -> None:
        self.size, self.go = 0, threading.Event()

    def write(self, data: Any) -> int:
        self.size += len(data)
        self.go.wait(30)
        return len(data)


def fetching(server: World, user: User, ended: list[Denied]) -> tuple[threading.Thread, Waiting]:
    """Somebody who fetches, and goes on until what they see ends; how it is refused then comes into `ended`."""
    token, terminal = server.token(user), Waiting()

    def fetch() -> None:
        try:
            client(server, token).session(git.GitSession(app="mine", service="upload-pack"), terminal)
        except Denied as error:
            ended.append(error)

    person = threading.Thread(target=fetch, daemon=True)
    person.start()
    eventually(lambda: b"0000" in terminal.shown)
    return person, terminal


def test_an_open_session_ends_with_the_role_that_allowed_it(server: World) -> None:
    user, ended = server.user("zoe"), list[Denied]()
    server.store.put_grant(Grant(app_id=MINE.id, role="deployer", user_id=user.id))
    person, terminal = fetching(server, user, ended)
    server.door.review()
    assert person.is_alive(), "nothing has changed"
    server.store.put_grant(Grant(app_id=MINE.id, role="viewer", user_id=user.id))
    server.door.review()
    person.join(20)
    terminal.left.set()
    assert [type(error) for error in ended] == [NotLoggedIn]


def test_a_rename_keeps_nobody_in_whose_role_goes(server: World) -> None:
    user, ended = server.user("zoe"), list[Denied]()
    server.store.put_grant(Grant(app_id=MINE.id, role="deployer", user_id=user.id))
    person, terminal = fetching(server, user, ended)
    ask(server, BOSS, apps.RenameApp(app="mine", name="other"))
    server.door.review()
    assert person.is_alive(), "the role is still there"
    server.store.delete_grant(MINE.id, user_id=user.id)
    server.door.review()
    person.join(20)
    terminal.left.set()
    assert [type(error) for error in ended] == [NotLoggedIn]


def test_an_open_stream_ends_with_the_token_or_the_user(server: World) -> None:
    operation = Operation(id="feedfeed", app_id=MINE.id, verb="Restart", actor="x", started_at=1.0)
    server.store.add_operation(operation)
    journal = server.door.journals.open(operation.id)
    journal.append(Event(kind="note", message="begun"))
    user = server.user("zoe")
    server.store.put_grant(Grant(app_id=MINE.id, role="viewer", user_id=user.id))
    seen: list[str] = []

    def watch(token: str) -> None:
        events = client(server, token).follow(platform.WatchOperation(operation=operation.id))
        seen.append(next(events).message)
        with pytest.raises(NotLoggedIn, match="has ended"):
            list(events)

    people_ = [threading.Thread(target=watch, args=(server.token(user),), daemon=True) for _ in range(2)]
    for one in people_:
        one.start()
    eventually(lambda: len(seen) == 2)
    server.store.delete_token(server.store.tokens(user_id=user.id)[0].id)
    server.door.review()
    eventually(lambda: sum(one.is_alive() for one in people_) == 1)
    server.store.delete_user(user.id)
    server.door.review()
    for one in people_:
        one.join(20)
        assert not one.is_alive()
    server.door.journals.close(operation.id)


def test_a_download_of_a_backup_ends_with_the_role_that_allowed_it(server: World) -> None:
    (addon,) = [one for one in server.store.addons() if one.name == "mine-db"]
    folder = server.settings.home / "backups" / f"mine-db-{addon.id}"
    folder.mkdir(parents=True)
    with (folder / "20260101T000000Z.dump").open("wb") as dump:
        dump.truncate(LARGE)
    line = {"addon": "mine-db", "addon_id": addon.id, "kind": "postgres", "at": 1.0, "size": LARGE, "sha256": "x"}
    (folder / "20260101T000000Z.json").write_text(json.dumps(line))
    user = server.user("zoe")
    server.store.put_grant(Grant(app_id=MINE.id, role="operator", user_id=user.id))
    request, into = FetchBackup(addon="mine-db", backup="20260101T000000Z"), Slow()
    broke: list[Exception] = []

    def fetch() -> None:
        try:
            client(server, server.token(user)).download(request, into)
        except ServerUnavailable as error:
            broke.append(error)

    person = threading.Thread(target=fetch, daemon=True)
    person.start()
    eventually(lambda: into.size > 0)
    server.store.put_grant(Grant(app_id=MINE.id, role="deployer", user_id=user.id))
    server.door.review()
    into.go.set()
    person.join(30)
    assert len(broke) == 1
    assert 0 < into.size < LARGE
