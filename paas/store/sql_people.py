"""Who may what, on disk: the part of the store that keeps users, teams, roles, tokens, invites and keys' owners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, delete, insert, or_, select, union_all, update

from paas.model.people import Grant, Invite, KeyOwner, Membership, Role, Team, Token, User, highest
from paas.store import words
from paas.store.file import SqlFile, first, rows_of
from paas.store.rows import readable
from paas.store.tables import apps
from paas.store.tables_people import grants, invites, key_owners, memberships, teams, tokens, users


class SqlPeople(SqlFile):
    """A `PeopleStore`."""

    _changes = 0

    def people_changes(self) -> int:
        return self._changes

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """A transaction after which what was known of people is old. Before it too: a reader in between may be late."""
        self._changes += 1
        try:
            with self._write() as db:
                yield db
        finally:
            self._changes += 1

    # --- users and teams ----------------------------------------------------------------------------------------

    def add_user(self, user: User) -> None:
        with self._changing() as db:
            _free(db, users, "user", user.name, user.id)
            db.execute(insert(users).values(id=user.id, name=user.name, created_at=user.created_at, role=user.role))

    def user(self, name_or_id: str) -> User:
        with self._read() as db:
            return _user(_named(db, users, "user", name_or_id))

    def users(self) -> tuple[User, ...]:
        with self._read() as db:
            return tuple(_user(row) for row in rows_of(db, select(users).order_by(users.c.name)))

    def save_user(self, user: User) -> None:
        with self._changing() as db:
            before = _named(db, users, "user", user.id)
            if user.role != "owner":
                _refuse_last(db, before)
            db.execute(update(users).where(users.c.id == user.id).values(role=user.role))

    def delete_user(self, user_id: str) -> None:
        with self._changing() as db:
            if (row := first(db, select(users).where(users.c.id == user_id))) is not None:
                _refuse_last(db, row)
                db.execute(delete(users).where(users.c.id == user_id))

    def add_team(self, team: Team) -> None:
        with self._changing() as db:
            _free(db, teams, "team", team.name, team.id)
            db.execute(insert(teams).values(id=team.id, name=team.name, created_at=team.created_at))

    def team(self, name_or_id: str) -> Team:
        with self._read() as db:
            return _team(_named(db, teams, "team", name_or_id))

    def teams(self) -> tuple[Team, ...]:
        with self._read() as db:
            return tuple(_team(row) for row in rows_of(db, select(teams).order_by(teams.c.name)))

    def delete_team(self, team_id: str) -> None:
        with self._changing() as db:
            db.execute(delete(teams).where(teams.c.id == team_id))

    def put_membership(self, membership: Membership) -> None:
        with self._changing() as db:
            team = _named(db, teams, "team", membership.team_id)["id"]
            user = _named(db, users, "user", membership.user_id)["id"]
            _delete(db, memberships, team_id=team, user_id=user)
            db.execute(insert(memberships).values(team_id=team, user_id=user, role=membership.role))

    def delete_membership(self, team_id: str, user_id: str) -> None:
        with self._changing() as db:
            _delete(db, memberships, team_id=team_id, user_id=user_id)

    def memberships(self, *, team_id: str = "", user_id: str = "") -> tuple[Membership, ...]:
        query = select(memberships).order_by(memberships.c.team_id, memberships.c.user_id)
        for column, value in ((memberships.c.team_id, team_id), (memberships.c.user_id, user_id)):
            query = query.where(column == value) if value else query
        with self._read() as db:
            return tuple(_membership(row) for row in rows_of(db, query))

    # --- roles on apps ------------------------------------------------------------------------------------------

    def put_grant(self, grant: Grant) -> None:
        with self._changing() as db:
            _there(db, apps, "app", grant.app_id)
            _there(db, users, "user", grant.user_id)
            _there(db, teams, "team", grant.team_id)
            whose = {"app_id": grant.app_id, "user_id": grant.user_id or None, "team_id": grant.team_id or None}
            _delete(db, grants, **whose)
            db.execute(insert(grants).values(**whose, role=grant.role))

    def delete_grant(self, app_id: str, *, user_id: str = "", team_id: str = "") -> None:
        with self._changing() as db:
            _delete(db, grants, app_id=app_id, user_id=user_id or None, team_id=team_id or None)

    def grants(self, *, app_id: str = "", user_id: str = "", team_id: str = "") -> tuple[Grant, ...]:
        query = select(grants).order_by(grants.c.serial)
        for column, value in ((grants.c.app_id, app_id), (grants.c.user_id, user_id), (grants.c.team_id, team_id)):
            query = query.where(column == value) if value else query
        with self._read() as db:
            return tuple(_grant(row) for row in rows_of(db, query))

    def roles(self, user_id: str) -> dict[str, Role]:
        direct = select(grants.c.app_id, grants.c.role).where(grants.c.user_id == user_id)
        member = memberships.c.team_id == grants.c.team_id
        shared = (
            select(grants.c.app_id, grants.c.role).join(memberships, member).where(memberships.c.user_id == user_id)
        )
        found: dict[str, Role] = {}
        with self._read() as db:
            for app_id, role in db.execute(union_all(direct, shared)):
                found[app_id] = highest((role, found.get(app_id, ""))) or role
        return found

    # --- tokens -------------------------------------------------------------------------------------------------

    def add_token(self, token: Token) -> None:
        with self._changing() as db:
            _there(db, users, "user", token.user_id)
            db.execute(insert(tokens).values(**_token_values(token)))

    def token(self, token_id: str) -> Token:
        with self._read() as db:
            row = first(db, select(tokens).where(tokens.c.id == token_id))
        if row is None:
            raise words.no_token()
        return _token(row)

    def tokens(self, *, user_id: str = "") -> tuple[Token, ...]:
        query = select(tokens).order_by(tokens.c.created_at.desc(), tokens.c.id)
        with self._read() as db:
            found = rows_of(db, query.where(tokens.c.user_id == user_id) if user_id else query)
            return tuple(_token(row) for row in found)

    def save_token(self, token: Token) -> None:
        with self._changing() as db:
            values = {"digest": token.digest, "expires_at": token.expires_at}
            if not db.execute(update(tokens).where(tokens.c.id == token.id).values(**values)).rowcount:
                raise words.no_token()

    def touch_token(self, token_id: str, at: float, peer: str) -> None:
        with self._write(fleeting=True) as db:
            db.execute(update(tokens).where(tokens.c.id == token_id).values(used_at=at, used_from=peer[:255]))

    def delete_token(self, token_id: str) -> None:
        with self._changing() as db:
            db.execute(delete(tokens).where(tokens.c.id == token_id))

    # --- invites and keys ---------------------------------------------------------------------------------------

    def add_invite(self, invite: Invite) -> None:
        with self._changing() as db:
            _there(db, users, "user", invite.user_id)
            _there(db, apps, "app", invite.app_id)
            _there(db, teams, "team", invite.team_id)
            db.execute(delete(invites).where(invites.c.name == invite.name))
            db.execute(insert(invites).values(**_invite_values(invite)))

    def invite(self, invite_id: str) -> Invite:
        with self._read() as db:
            row = first(db, select(invites).where(invites.c.id == invite_id))
        if row is None:
            raise words.no_invite()
        return _invite(row)

    def invites(self) -> tuple[Invite, ...]:
        with self._read() as db:
            return tuple(_invite(row) for row in rows_of(db, select(invites).order_by(invites.c.created_at.desc())))

    def delete_invite(self, invite_id: str) -> bool:
        with self._changing() as db:
            return db.execute(delete(invites).where(invites.c.id == invite_id)).rowcount == 1

    def put_key_owner(self, key: KeyOwner) -> None:
        with self._changing() as db:
            _there(db, users, "user", key.user_id)
            db.execute(delete(key_owners).where(key_owners.c.name == key.name))
            db.execute(insert(key_owners).values(name=key.name, user_id=key.user_id))

    def delete_key_owner(self, name: str) -> None:
        with self._changing() as db:
            db.execute(delete(key_owners).where(key_owners.c.name == name))

    def key_owners(self) -> tuple[KeyOwner, ...]:
        with self._read() as db:
            found = rows_of(db, select(key_owners).order_by(key_owners.c.name))
            return tuple(KeyOwner(name=row["name"], user_id=row["user_id"]) for row in found)


def _named(db: Connection, table: Table, what: str, name_or_id: str) -> RowMapping:
    row = first(db, select(table).where(or_(table.c.name == name_or_id, table.c.id == name_or_id)))
    if row is None:
        raise words.nobody(what, name_or_id)
    return row


def _there(db: Connection, table: Table, what: str, row_id: str) -> None:
    """Raise NotFound unless the row is there; an empty id asks for none."""
    if row_id and first(db, select(table.c.id).where(table.c.id == row_id)) is None:
        raise words.no_app(row_id, ()) if what == "app" else words.nobody(what, row_id)


def _free(db: Connection, table: Table, what: str, name: str, row_id: str) -> None:
    asked = [name, row_id]
    if first(db, select(table.c.id).where(or_(table.c.name.in_(asked), table.c.id.in_(asked)))) is not None:
        raise words.name_taken(what, name)


def _refuse_last(db: Connection, user: RowMapping) -> None:
    """Raise Conflict when this is the only owner of the platform."""
    if user["role"] == "owner" and len(db.execute(select(users.c.id).where(users.c.role == "owner")).all()) == 1:
        raise words.last_owner(user["name"])


def _delete(db: Connection, table: Table, **same: str | None) -> None:
    db.execute(delete(table).where(*(table.c[name].is_(None) if v is None else table.c[name] == v
                                     for name, v in same.items())))  # fmt: skip


def _token_values(token: Token) -> dict[str, Any]:
    return {
        "id": token.id, "digest": token.digest, "name": token.name, "kind": token.kind,
        "user_id": token.user_id or None, "role": token.role,
        "apps": None if token.apps is None else list(token.apps), "created_by": token.created_by,
        "created_at": token.created_at, "expires_at": token.expires_at, "used_at": token.used_at,
        "used_from": token.used_from,
    }  # fmt: skip


def _invite_values(invite: Invite) -> dict[str, Any]:
    return {
        "id": invite.id, "digest": invite.digest, "name": invite.name, "created_by": invite.created_by,
        "created_at": invite.created_at, "expires_at": invite.expires_at, "role": invite.role,
        "user_id": invite.user_id or None, "app_id": invite.app_id or None, "app_role": invite.app_role,
        "team_id": invite.team_id or None,
    }  # fmt: skip


def _filled(row: Mapping[Any, Any], *names: str) -> dict[str, Any]:
    """The row with empty texts for references to nothing."""
    return {**row, **{name: row[name] or "" for name in names}}


@readable
def _user(row: RowMapping) -> User:
    return User(**row)


@readable
def _team(row: RowMapping) -> Team:
    return Team(**row)


@readable
def _membership(row: RowMapping) -> Membership:
    return Membership(**row)


@readable
def _grant(row: RowMapping) -> Grant:
    found = _filled(row, "user_id", "team_id")
    del found["serial"]
    return Grant(**found)


@readable
def _token(row: RowMapping) -> Token:
    allowed = None if row["apps"] is None else tuple(str(app_id) for app_id in row["apps"])
    return Token(**{**_filled(row, "user_id"), "apps": allowed})


@readable
def _invite(row: RowMapping) -> Invite:
    return Invite(**_filled(row, "user_id", "app_id", "team_id"))
