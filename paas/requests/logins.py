"""Ways in: invites, tokens, sessions of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le, MaxLen

from paas.requests.base import Name, Permission, Request

Label = Annotated[str, MaxLen(63)]


class CreateInvite(Request):
    """A code that makes somebody a user, once. It may bring a role on `app`, or a place in `team`.

    A platform owner's code for a user that exists lets them log in anew.
    """

    method, path, permission, personal = "POST", "/invites", "owner", True
    app_fields: ClassVar[Mapping[str, Permission]] = {"app": "owner"}
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "owner"}
    name: Name
    role: Permission = "deployer"
    app: str = ""
    app_role: Permission = "deployer"
    team: str = ""
    hours: Annotated[float, Gt(0), Le(720)] = 72.0


class ListInvites(Request):
    """Invites nobody has taken yet: those one made; all of them for the platform's owner."""

    path, everyone = "/invites", True


class RevokeInvite(Request):
    """Have an invite count no more."""

    method, path, everyone, personal = "DELETE", "/invites/{invite}", True, True
    invite: Name


class AcceptInvite(Request):
    """Become a user, or log in as one, by a code: answers a token."""

    method, path, anyone = "POST", "/login", True
    code: Annotated[str, MaxLen(200)] = field(repr=False)
    label: Label = ""


class ListTokens(Request):
    """Tokens and sessions: one's own; `user` names another, for the platform's owner."""

    path, everyone = "/tokens", True
    user: str = ""


class CreateToken(Request):
    """A token for a program. It may at most `role`, on `apps` alone when any is named, for `days` (0: for ever)."""

    method, path, everyone, personal = "POST", "/tokens", True, True
    app_fields: ClassVar[Mapping[str, Permission]] = {"apps": "viewer"}
    name: Name
    role: Permission = "deployer"
    apps: tuple[str, ...] = ()
    days: Annotated[float, Ge(0), Le(3650)] = 365.0
    user: str = ""


class RotateToken(Request):
    """A new secret for a token; the old one counts no more. `days` from now (0: as long as it had)."""

    method, path, everyone, personal = "POST", "/tokens/{token}/rotate", True, True
    token: Name
    days: Annotated[float, Ge(0), Le(3650)] = 0.0


class RevokeToken(Request):
    """Have a token or a session count no more."""

    method, path, everyone, personal = "DELETE", "/tokens/{token}", True, True
    token: Name


class Logout(Request):
    """End what one is logged in by: a token may always give itself up."""

    method, path, everyone = "POST", "/logout", True
