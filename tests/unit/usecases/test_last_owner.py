"""Owners who take each other away in the same moment: one of them stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from paas.errors import Conflict
from paas.interfaces import Store
from paas.model.events import silent
from paas.model.people import Access, Actor, Grant, Membership, Role, Team, User
from paas.requests.people import LeaveApp, PutMember, RemoveMember, RemoveTeamMember
from paas.usecases import people
from paas.usecases.context import Act, Context
from tests.unit.usecases.parts import Parts

APP, TEAM = "0a0a0a0a", "0team"
ON_DISK = True


class Meeting:
    """The store, at which two who have looked who owns what wait for each other, so that neither has acted yet."""

    def __init__(self, store: Store) -> None:
        self.store, self.both = store, threading.Barrier(2)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def _looked(self, found: Any) -> Any:
        with suppress(threading.BrokenBarrierError):
            self.both.wait(0.3)  # who is alone in there goes on: the other one waits outside
        return found

    def grants(self, **asked: str) -> Any:
        return self._looked(self.store.grants(**asked))

    def memberships(self, **asked: str) -> Any:
        return self._looked(self.store.memberships(**asked))


def act(name: str) -> Act:
    """Somebody who is no owner of the platform."""
    return Act(name, silent, "", Actor(name=name, user_id=f"0{name}", access=Access(platform="viewer")))


def remove(context: Context, by: str, whom: str) -> None:
    people.remove_member(context, RemoveMember(app="shop", user=whom), act(by))


def lower(context: Context, by: str, whom: str) -> None:
    people.put_member(context, PutMember(app="shop", user=whom, role="viewer"), act(by))


def leave(context: Context, by: str, whom: str) -> None:
    people.leave_app(context, LeaveApp(app="shop"), act(by))


def leave_team(context: Context, by: str, whom: str) -> None:
    people.remove_team_member(context, RemoveTeamMember(team="web", user=whom), act(by))


def tried(work: Callable[[], None]) -> bool:
    try:
        work()
    except Conflict:
        return False
    return True


@pytest.mark.parametrize("way", [remove, lower, leave, leave_team], ids=lambda way: way.__name__)
def test_two_owners_at_once_leave_one(platform: Parts, way: Callable[[Context, str, str], None]) -> None:
    store, role = platform.store, cast(Role, "owner")
    app = platform.app("shop", APP)
    store.add_team(Team(id=TEAM, name="web", created_at=1.0))
    for name in ("ann", "bob"):
        store.add_user(User(id=f"0{name}", name=name, created_at=1.0))
        if way is leave_team:
            store.put_membership(Membership(team_id=TEAM, user_id=f"0{name}", role=role))
        else:
            store.put_grant(Grant(app_id=app.id, role=role, user_id=f"0{name}"))
    if way is leave_team:
        store.put_grant(Grant(app_id=app.id, role=role, team_id=TEAM))
    context = replace(platform.context, store=cast(Store, Meeting(store)))
    with ThreadPoolExecutor(2) as both:
        ended = list(both.map(tried, (partial(way, context, "ann", "bob"), partial(way, context, "bob", "ann"))))
    assert sorted(ended) == [False, True]
    owners = [one for one in store.grants(app_id=app.id) if one.role == "owner"]
    assert len(owners) == 1
    assert way is not leave_team or len(store.memberships(team_id=TEAM)) == 1
