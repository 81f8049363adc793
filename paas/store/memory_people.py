"""Who may what, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar

from paas.model.app import App
from paas.model.people import Grant, Invite, KeyOwner, Membership, Role, Team, Token, User, highest
from paas.store import words
from paas.store.memory_parts import MemoryParts, People, transaction

Named = TypeVar("Named", User, Team)
P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound="MemoryPeople")


def changing(method: Callable[Concatenate[M, P], T]) -> Callable[Concatenate[M, P], T]:
    """A transaction after which what was known of people is old."""

    def run(self: M, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return transaction(method)(self, *args, **kwargs)
        finally:
            self._changes += 1

    run.__doc__, run.__name__ = method.__doc__, method.__name__
    return run


class MemoryPeople(MemoryParts):
    """A `PeopleStore` of dictionaries."""

    _changes = 0

    def people_changes(self) -> int:
        return self._changes

    @property
    def _people(self) -> People:
        return self.state.people

    # --- users and teams ----------------------------------------------------------------------------------------

    @changing
    def add_user(self, user: User) -> None:
        _free(self._people.users.values(), "user", user.name, user.id)
        self._people.users[user.id] = user

    def user(self, name_or_id: str) -> User:
        return _named(self._people.users, "user", name_or_id)

    def users(self) -> tuple[User, ...]:
        return tuple(sorted(self._people.users.values(), key=lambda user: user.name))

    @changing
    def save_user(self, user: User) -> None:
        before = self.user(user.id)
        if user.role != "owner":
            self._refuse_last(before)
        self._people.users[user.id] = replace(before, role=user.role)

    @changing
    def delete_user(self, user_id: str) -> None:
        people = self._people
        if user_id not in people.users:
            return
        self._refuse_last(people.users[user_id])
        del people.users[user_id]
        people.memberships = {key: one for key, one in people.memberships.items() if one.user_id != user_id}
        people.grants = {key: one for key, one in people.grants.items() if one.user_id != user_id}
        people.tokens = {key: one for key, one in people.tokens.items() if one.user_id != user_id}
        people.invites = {key: one for key, one in people.invites.items() if one.user_id != user_id}
        people.keys = {key: one for key, one in people.keys.items() if one.user_id != user_id}

    @changing
    def add_team(self, team: Team) -> None:
        _free(self._people.teams.values(), "team", team.name, team.id)
        self._people.teams[team.id] = team

    def team(self, name_or_id: str) -> Team:
        return _named(self._people.teams, "team", name_or_id)

    def teams(self) -> tuple[Team, ...]:
        return tuple(sorted(self._people.teams.values(), key=lambda team: team.name))

    @changing
    def delete_team(self, team_id: str) -> None:
        people = self._people
        people.teams.pop(team_id, None)
        people.memberships = {key: one for key, one in people.memberships.items() if one.team_id != team_id}
        people.grants = {key: one for key, one in people.grants.items() if one.team_id != team_id}
        people.invites = {key: one for key, one in people.invites.items() if one.team_id != team_id}

    @changing
    def put_membership(self, membership: Membership) -> None:
        team, user = self.team(membership.team_id), self.user(membership.user_id)
        kept = replace(membership, team_id=team.id, user_id=user.id)
        self._people.memberships[team.id, user.id] = kept

    @changing
    def delete_membership(self, team_id: str, user_id: str) -> None:
        self._people.memberships.pop((team_id, user_id), None)

    def memberships(self, *, team_id: str = "", user_id: str = "") -> tuple[Membership, ...]:
        return tuple(
            one for _, one in sorted(self._people.memberships.items())
            if one.team_id == (team_id or one.team_id) and one.user_id == (user_id or one.user_id)
        )  # fmt: skip

    # --- roles on apps ------------------------------------------------------------------------------------------

    @changing
    def put_grant(self, grant: Grant) -> None:
        self._there(self.state.apps, "app", grant.app_id)
        self._there(self._people.users, "user", grant.user_id)
        self._there(self._people.teams, "team", grant.team_id)
        key = (grant.app_id, grant.user_id, grant.team_id)
        self._people.grants.pop(key, None)
        self._people.grants[key] = grant

    @changing
    def delete_grant(self, app_id: str, *, user_id: str = "", team_id: str = "") -> None:
        self._people.grants.pop((app_id, user_id, team_id), None)

    def grants(self, *, app_id: str = "", user_id: str = "", team_id: str = "") -> tuple[Grant, ...]:
        return tuple(
            one for one in list(self._people.grants.values())
            if one.app_id == (app_id or one.app_id) and one.user_id == (user_id or one.user_id)
            and one.team_id == (team_id or one.team_id)
        )  # fmt: skip

    def roles(self, user_id: str) -> dict[str, Role]:
        teams = {one.team_id for one in self.memberships(user_id=user_id)}
        found: dict[str, Role] = {}
        for one in self.grants():
            if one.user_id == user_id or one.team_id in teams:
                found[one.app_id] = highest((one.role, found.get(one.app_id, ""))) or one.role
        return found

    # --- tokens -------------------------------------------------------------------------------------------------

    @changing
    def add_token(self, token: Token) -> None:
        self._there(self._people.users, "user", token.user_id)
        self._people.tokens[token.id] = token

    def token(self, token_id: str) -> Token:
        found = self._people.tokens.get(token_id)
        if found is None:
            raise words.no_token()
        return found

    def tokens(self, *, user_id: str = "") -> tuple[Token, ...]:
        found = [one for one in list(self._people.tokens.values()) if one.user_id == (user_id or one.user_id)]
        return tuple(sorted(found, key=lambda one: (-one.created_at, one.id)))

    @changing
    def save_token(self, token: Token) -> None:
        before = self.token(token.id)
        self._people.tokens[token.id] = replace(before, digest=token.digest, expires_at=token.expires_at)

    @transaction
    def touch_token(self, token_id: str, at: float, peer: str) -> None:
        if token_id in self._people.tokens:
            self._people.tokens[token_id] = replace(self._people.tokens[token_id], used_at=at, used_from=peer[:255])

    @changing
    def delete_token(self, token_id: str) -> None:
        self._people.tokens.pop(token_id, None)

    # --- invites and keys ---------------------------------------------------------------------------------------

    @changing
    def add_invite(self, invite: Invite) -> None:
        people = self._people
        self._there(people.users, "user", invite.user_id)
        self._there(self.state.apps, "app", invite.app_id)
        self._there(people.teams, "team", invite.team_id)
        people.invites = {key: one for key, one in people.invites.items() if one.name != invite.name}
        people.invites[invite.id] = invite

    def invite(self, invite_id: str) -> Invite:
        found = self._people.invites.get(invite_id)
        if found is None:
            raise words.no_invite()
        return found

    def invites(self) -> tuple[Invite, ...]:
        return tuple(sorted(self._people.invites.values(), key=lambda one: -one.created_at))

    @changing
    def delete_invite(self, invite_id: str) -> bool:
        return self._people.invites.pop(invite_id, None) is not None

    @changing
    def put_key_owner(self, key: KeyOwner) -> None:
        self._there(self._people.users, "user", key.user_id)
        self._people.keys[key.name] = key

    @changing
    def delete_key_owner(self, name: str) -> None:
        self._people.keys.pop(name, None)

    def key_owners(self) -> tuple[KeyOwner, ...]:
        return tuple(one for _, one in sorted(self._people.keys.items()))

    # --- what goes with an app, and what must be there ----------------------------------------------------------

    def _forget_app(self, app_id: str) -> None:
        """Roles on an app, and invites to it, go with it."""
        self._changes += 1
        people = self._people
        people.grants = {key: one for key, one in people.grants.items() if one.app_id != app_id}
        people.invites = {key: one for key, one in people.invites.items() if one.app_id != app_id}

    def _there(self, known: Mapping[str, App | User | Team], what: str, row_id: str) -> None:
        if row_id and row_id not in known:
            raise words.no_app(row_id, ()) if what == "app" else words.nobody(what, row_id)

    def _refuse_last(self, user: User) -> None:
        if user.role == "owner" and sum(one.role == "owner" for one in self._people.users.values()) == 1:
            raise words.last_owner(user.name)


def _named(known: dict[str, Named], what: str, name_or_id: str) -> Named:
    found = known.get(name_or_id) or next((one for one in list(known.values()) if one.name == name_or_id), None)
    if found is None:
        raise words.nobody(what, name_or_id)
    return found


def _free(known: Iterable[User | Team], what: str, name: str, row_id: str) -> None:
    if any({one.id, one.name} & {name, row_id} for one in known):
        raise words.name_taken(what, name)
