"""Users, teams, and who may what on an app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import Gt, Le

from paas.requests.base import Name, Number, Permission, Request, Seconds

TeamRole = Literal["viewer", "owner"]


class WhoAmI(Request):
    """Who asks, by what, and what they may."""

    path, everyone = "/me", True


class ListUsers(Request):
    """Users one shares an app or a team with; all of them for the platform's owner."""

    path, everyone = "/users", True


class AddUser(Request):
    """A user without an invite: for machines, whose tokens a platform owner makes."""

    method, path, permission = "POST", "/users", "owner"
    name: Name
    role: Permission = "viewer"


class ChangeUser(Request):
    """Another role on the platform."""

    method, path, permission = "PATCH", "/users/{user}", "owner"
    user: Name
    role: Permission


class RemoveUser(Request):
    """Take a user away, with their tokens, sessions, keys and roles. Their apps stay."""

    method, path, permission = "DELETE", "/users/{user}", "owner"
    user: Name
    confirm: str


class ListTeams(Request):
    """The teams one is in; all of them for the platform's owner."""

    path, everyone = "/teams", True


class CreateTeam(Request):
    """A new team, led by whoever makes it."""

    method, path, permission = "POST", "/teams", "owner"
    name: Name


class DestroyTeam(Request):
    """Take a team away, and what its members may through it. Its apps stay."""

    method, path, permission = "DELETE", "/teams/{team}", "owner"
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "owner"}
    team: Name
    confirm: str


class ShowTeam(Request):
    """A team: its members and its apps."""

    path = "/teams/{team}"
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "viewer"}
    team: Name


class PutTeamMember(Request):
    """Have a user in a team, as a member (viewer) or to lead it (owner)."""

    method, path, permission = "PUT", "/teams/{team}/members/{user}", "owner"
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "owner"}
    team: Name
    user: Name
    role: TeamRole = "viewer"


class RemoveTeamMember(Request):
    """Have a user in a team no more."""

    method, path, permission = "DELETE", "/teams/{team}/members/{user}", "owner"
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "owner"}
    team: Name
    user: Name


class ListMembers(Request):
    """Who may what on an app, by themselves and through teams."""

    path = "/apps/{app}/members"
    app: Name


class PutMember(Request):
    """Give a user or a team a role on an app, or change it."""

    method, path, permission = "PUT", "/apps/{app}/members", "owner"
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "viewer"}
    app: Name
    user: str = ""
    team: str = ""
    role: Permission = "deployer"


class RemoveMember(Request):
    """Take a user's or a team's role on an app away."""

    method, path, permission = "DELETE", "/apps/{app}/members", "owner"
    app: Name
    user: str = ""
    team: str = ""


class LeaveApp(Request):
    """Give up one's own role on an app."""

    method, path, personal = "POST", "/apps/{app}/leave", True
    app: Name


class ListAudit(Request):
    """The log of acts: of one app for its owners, of everything for the platform's."""

    path, permission = "/audit", "owner"
    app: str = ""
    user: str = ""
    since: Seconds = 0.0
    after: Number = 0
    limit: Annotated[int, Gt(0), Le(10_000)] = 100


class VerifyAudit(Request):
    """Whether the log of acts is whole. `head` is what an earlier look answered."""

    path, permission = "/audit/verify", "owner"
    head: str = ""
