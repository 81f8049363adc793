"""Words of who may what: people, teams, their roles, and the ways they come in.

One ladder of roles, on three things. On an **app** it says what somebody may do with it, on a **team** whether they
belong to it (viewer) or lead it (owner), on the **platform** what they may beside their apps: a deployer makes apps,
an operator keeps certificates and shared services, an owner may everything, on every app.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["viewer", "deployer", "operator", "owner"]
Standing = Literal["", "viewer", "deployer", "operator", "owner"]
"""A role, or none."""

ROLES: tuple[Role, ...] = ("viewer", "deployer", "operator", "owner")
"""Each may what those before it may."""

TokenKind = Literal["session", "personal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person, or a machine that must outlive people. `role` is the one on the platform. Times are Unix seconds."""

    id: str
    name: str
    created_at: float
    role: Role = "deployer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """People who share apps."""

    id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Somebody in a team: viewer is a member, owner leads it."""

    team_id: str
    user_id: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role on an app, for one user or for a whole team: exactly one of both ids is set."""

    app_id: str
    role: Role
    user_id: str = ""
    team_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """A way to become a user, or to log in as one (`user_id`), once and for a while.

    `digest` is of the code's secret. `role` is the one on the platform; with it comes `app_role` on `app_id`, or a
    place in `team_id`.
    """

    id: str
    digest: str
    name: str
    created_by: str
    created_at: float
    expires_at: float
    role: Role = "deployer"
    user_id: str = ""
    app_id: str = ""
    app_role: Role = "deployer"
    team_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a program shows to come in. A session is what `login` made, a personal one what `tokens create` made.

    It may what its user may, at most `role`, and only on `apps` (ids; None: all). Without a user it was made by a
    platform owner and may that by itself. `expires_at` 0: never. `digest` is of its secret.
    """

    id: str
    digest: str
    name: str
    kind: TokenKind
    created_by: str
    created_at: float
    user_id: str = ""
    role: Role = "owner"
    apps: tuple[str, ...] | None = None
    expires_at: float = 0.0
    used_at: float = 0.0
    used_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOwner:
    """Whose an SSH key is, by its name in the file that sshd reads. Keys of no user are the platform's owner's."""

    name: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What somebody may, as of now: a value, so that one request is judged by one state.

    `platform` is the role there, `apps` and `teams` the roles by id. `everywhere` counts on every app. A token lowers
    all of it to `most` and keeps it to the apps `only`, if not None.
    """

    platform: Standing = ""
    everywhere: Standing = ""
    apps: Mapping[str, Role] = field(default_factory=dict)
    teams: Mapping[str, Role] = field(default_factory=dict)
    most: Role = "owner"
    only: frozenset[str] | None = None

    def on_app(self, app_id: str) -> Standing:
        """The role on this app; empty: it does not exist for them."""
        if self.only is not None and app_id not in self.only:
            return ""
        return lowest(self.most, highest((self.everywhere, self.apps.get(app_id, ""))))

    def on_team(self, team_id: str) -> Standing:
        """The role in this team. A token that is kept to some apps has none."""
        if self.only is not None:
            return ""
        own: Standing = "owner" if self.platform == "owner" else self.teams.get(team_id, "")
        return lowest(self.most, own)

    def on_platform(self) -> Standing:
        """The role there. A token that is kept to some apps only looks around."""
        return lowest("viewer" if self.only is not None else self.most, self.platform)

    @property
    def deploys(self) -> bool:
        """Whether there is anything, or may come to be, that they may deploy to."""
        apps = (self.on_app(one) for one in (*self.apps, *(self.only or ())))
        everywhere = "" if self.only is not None else lowest(self.most, self.everywhere)
        return any(at_least(one, "deployer") for one in (self.on_platform(), everywhere, *apps))

    @property
    def whole(self) -> bool:
        """Whether no token's limits lower it: only then may it make more tokens and keys."""
        return self.most == "owner" and self.only is None


EVERYTHING = Access(platform="owner", everywhere="owner")
NOTHING = Access()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts. `name` goes into records. `via` is socket, token, key, invite or server (by itself).

    `user_id` empty: the platform's owner, or a token of no user. `acting` says the same to this machine's socket,
    for programs that go on in their name (git's hook).
    """

    name: str
    via: str = "server"
    user_id: str = ""
    token_id: str = ""
    key: str = ""
    peer: str = ""
    access: Access = field(default=EVERYTHING, compare=False)

    @property
    def acting(self) -> str:
        """`token 1a2b`, `key alice-laptop`, or the name."""
        if self.token_id:
            return f"token {self.token_id}"
        return f"key {self.key}" if self.key else self.name


def owner(name: str, via: str = "server") -> Actor:
    """The platform's owner: the person at the socket, the server itself, the bootstrap token."""
    return Actor(name=name, via=via)


def at_least(standing: Standing, needed: Role) -> bool:
    """Whether a role is enough."""
    return bool(standing) and ROLES.index(_role(standing)) >= ROLES.index(needed)


def highest(standings: Iterable[Standing]) -> Standing:
    """The highest of some roles; empty when there is none."""
    return max(standings, key=_rank, default="")


def lowest(*standings: Standing) -> Standing:
    """The lowest of some roles; empty when one is."""
    return min(standings, key=_rank)


def new_secret(prefix: str) -> tuple[str, str, str]:
    """A new code or token: its id, its text (shown once) and the digest that is kept.

    256 random bits: nobody finds them by trying, so a plain SHA-256 keeps them as well as a slow hash keeps a
    password.
    """
    secret_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return secret_id, f"{prefix}_{secret_id}_{secret}", digest_of(secret)


def split_secret(prefix: str, text: str) -> tuple[str, str]:
    """Id and secret of a code or token; both empty for what is none."""
    head, _, rest = text.partition("_")
    secret_id, _, secret = rest.partition("_")
    good = head == prefix and secret_id.isalnum() and secret_id.isascii() and 20 < len(secret) <= 100
    return (secret_id, secret) if good else ("", "")


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _rank(standing: Standing) -> int:
    return ROLES.index(_role(standing)) if standing else -1


def _role(standing: Standing) -> Role:
    assert standing
    return standing
