"""Who may what, as it is kept: users, teams, roles, tokens, invites, keys. And the audit log, which only grows."""

from __future__ import annotations

from typing import Protocol

from paas.model.audit import Record
from paas.model.people import Grant, Invite, KeyOwner, Membership, Role, Team, Token, User


class PeopleStore(Protocol):
    """Every method is one transaction. What belongs to a user goes with the user, what belongs to an app with it."""

    def people_changes(self) -> int:
        """A number that changes whenever any of this does (but for uses of tokens), in this process."""

    def add_user(self, user: User) -> None:
        """Raises Conflict when the name is taken."""

    def user(self, name_or_id: str) -> User:
        """Raises NotFound."""

    def users(self) -> tuple[User, ...]:
        """All, by name."""

    def save_user(self, user: User) -> None:
        """Replace the role. Raises NotFound, and Conflict when the platform would have no owner among its users."""

    def delete_user(self, user_id: str) -> None:
        """The user, their tokens, grants, memberships, invites and keys' owners. Idempotent.

        Raises Conflict for the last owner of the platform.
        """

    def add_team(self, team: Team) -> None:
        """Raises Conflict when the name is taken."""

    def team(self, name_or_id: str) -> Team:
        """Raises NotFound."""

    def teams(self) -> tuple[Team, ...]:
        """All, by name."""

    def delete_team(self, team_id: str) -> None:
        """The team, its memberships and grants. Idempotent."""

    def put_membership(self, membership: Membership) -> None:
        """Join, or change the role. Raises NotFound."""

    def delete_membership(self, team_id: str, user_id: str) -> None:
        """Idempotent."""

    def memberships(self, *, team_id: str = "", user_id: str = "") -> tuple[Membership, ...]:
        """Of a team, of a user, or all."""

    def put_grant(self, grant: Grant) -> None:
        """Give a role on an app, or change it. Raises NotFound."""

    def delete_grant(self, app_id: str, *, user_id: str = "", team_id: str = "") -> None:
        """Idempotent."""

    def grants(self, *, app_id: str = "", user_id: str = "", team_id: str = "") -> tuple[Grant, ...]:
        """Of an app, of a user (direct ones), of a team, or all."""

    def roles(self, user_id: str) -> dict[str, Role]:
        """The user's highest role on each app, by id: direct ones and those of their teams."""

    def add_token(self, token: Token) -> None:
        """Raises NotFound for an unknown user."""

    def token(self, token_id: str) -> Token:
        """Raises NotFound, with the same words for every id."""

    def tokens(self, *, user_id: str = "") -> tuple[Token, ...]:
        """Newest first; of a user when given."""

    def save_token(self, token: Token) -> None:
        """Replace digest and expiry. Raises NotFound."""

    def touch_token(self, token_id: str, at: float, peer: str) -> None:
        """Note a use: not worth waiting for the disk."""

    def delete_token(self, token_id: str) -> None:
        """Idempotent."""

    def add_invite(self, invite: Invite) -> None:
        """One a name: an older one for the same name goes."""

    def invite(self, invite_id: str) -> Invite:
        """Raises NotFound, with the same words for every id."""

    def invites(self) -> tuple[Invite, ...]:
        """Newest first."""

    def delete_invite(self, invite_id: str) -> bool:
        """Whether it was there: of two who take it at once, one hears True."""

    def put_key_owner(self, key: KeyOwner) -> None:
        """Whose the key of this name is. Raises NotFound for an unknown user."""

    def delete_key_owner(self, name: str) -> None:
        """Idempotent."""

    def key_owners(self) -> tuple[KeyOwner, ...]:
        """By name."""


class AuditStore(Protocol):
    """The log of acts. Nothing of it is ever changed or removed."""

    def add_record(self, record: Record) -> Record:
        """Append; its `serial` and `digest` are given here."""

    def records(
        self, *, app_id: str = "", app: str = "", user: str = "", since: float = 0.0, after: int = 0, limit: int = 100
    ) -> tuple[Record, ...]:
        """Oldest first: the last `limit` that fit (0: all); with `after`, the first `limit` that follow it.

        `app` is a name as it was at the time, for apps that are gone.
        """

    def last_serial(self) -> int:
        """The highest serial number that was ever given."""
