"""Users, teams, and roles on apps. Who may call this is the door's business; what it may lead to is decided here."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from paas.errors import Conflict, UsageError
from paas.model import names
from paas.model.app import App
from paas.model.people import Access, Grant, Invite, Membership, Role, Standing, Team, User, at_least
from paas.requests.people import (
    AddUser,
    ChangeUser,
    CreateTeam,
    DestroyTeam,
    LeaveApp,
    ListMembers,
    ListTeams,
    ListUsers,
    PutMember,
    PutTeamMember,
    RemoveMember,
    RemoveTeamMember,
    RemoveUser,
    ShowTeam,
    WhoAmI,
)
from paas.store import words
from paas.usecases import keys
from paas.usecases.context import Act, Context
from paas.usecases.logins import access_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who asks. `via` socket, token or key; `role` the one on the platform (empty: none), `apps` and `teams` roles by
    name. A token lowers them: `most` is its highest role, `only` the apps it is for (None: all). `expires_at` 0: never.
    """

    name: str
    user: str
    via: str
    role: Standing
    apps: Mapping[str, Role]
    teams: Mapping[str, Role]
    token: str = ""
    token_name: str = ""
    kind: str = ""
    most: Role = "owner"
    only: tuple[str, ...] | None = None
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLine:
    """A user in a list. `role` is the one on the platform."""

    name: str
    id: str
    role: Role
    created_at: float
    teams: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamLine:
    """A team in a list. `role` is one's own in it."""

    name: str
    id: str
    role: Standing
    members: int
    apps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamShown:
    """A team: roles of its members (viewer: member, owner: leads it) and on its apps, by name."""

    name: str
    id: str
    members: Mapping[str, Role]
    apps: Mapping[str, Role]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLine:
    """Who may what on an app. `through` are teams; `role` the highest of all; `direct` the user's own, if any."""

    name: str
    kind: str
    role: Role
    direct: Standing = ""
    through: tuple[str, ...] = ()


def who_am_i(context: Context, request: WhoAmI, act: Act) -> Me:
    """What the login is good for, as of now."""
    access = act.access
    visible = {app.id: app.name for app in context.store.apps() if access.on_app(app.id)}
    teams = {team.id: team.name for team in context.store.teams()}
    token = context.store.token(act.who.token_id) if act.who and act.who.token_id else None
    return Me(
        name=act.actor,
        user=act.who.user_id if act.who else "",
        via=act.who.via if act.who else "server",
        role=access.on_platform(),
        apps={name: role for app_id, name in visible.items() if (role := access.on_app(app_id))},
        teams={name: role for team_id, name in teams.items() if (role := access.on_team(team_id))},
        token=token.id if token else "",
        token_name=token.name if token else "",
        kind=token.kind if token else "",
        most=access.most,
        only=None if access.only is None else tuple(sorted(visible[one] for one in access.only if one in visible)),
        expires_at=token.expires_at if token else 0.0,
    )


# --- users ----------------------------------------------------------------------------------------------------------


def list_users(context: Context, request: ListUsers, act: Act) -> tuple[UserLine, ...]:
    """By name. Members see those they share an app or a team with."""
    teams = {team.id: team.name for team in context.store.teams()}
    memberships = context.store.memberships()
    seen = _seen_users(context, act)
    return tuple(
        UserLine(
            name=user.name, id=user.id, role=user.role, created_at=user.created_at,
            teams=tuple(sorted(teams[one.team_id] for one in memberships if one.user_id == user.id
                               and act.access.on_team(one.team_id))),
        )
        for user in context.store.users()
        if seen is None or user.id in seen
    )  # fmt: skip


def add_user(context: Context, request: AddUser, act: Act) -> UserLine:
    """A user who cannot log in until somebody makes a token or an invite for them."""
    user = new_user(context, request.name, request.role)
    return UserLine(name=user.name, id=user.id, role=user.role, created_at=user.created_at, teams=())


def change_user(context: Context, request: ChangeUser, act: Act) -> UserLine:
    """Raises Conflict for the last owner of the platform."""
    user = context.store.user(request.user)
    context.store.save_user(replace(user, role=request.role))
    _end_invites(context, {user.id})
    return UserLine(name=user.name, id=user.id, role=request.role, created_at=user.created_at, teams=())


def remove_user(context: Context, request: RemoveUser, act: Act) -> UserLine:
    """The keys first: what sshd reads must not outlive the user. Raises Conflict for the platform's last owner."""
    user = context.store.user(request.user)
    if request.confirm != user.name:
        raise UsageError(f"to remove {user.name}, confirm with the name", hint=f"--confirm {user.name}")
    if user.role == "owner" and _owners(context) == 1:
        raise words.last_owner(user.name)
    keys.remove_of(context, user.id)
    for invite in context.store.invites():
        if invite.created_by == user.name:
            context.store.delete_invite(invite.id)
    context.store.delete_user(user.id)
    return UserLine(name=user.name, id=user.id, role=user.role, created_at=user.created_at, teams=())


def new_user(context: Context, name: str, role: Role) -> User:
    """Store a new user. Raises UsageError, Conflict."""
    user = User(id=new_id(), name=names.user_name(name), created_at=context.clock.now(), role=role)
    context.store.add_user(user)
    return user


def new_id() -> str:
    """12 hex digits, in which no name of a user or a team can be."""
    return f"0{secrets.token_hex(6)}"


# --- teams ----------------------------------------------------------------------------------------------------------


def list_teams(context: Context, request: ListTeams, act: Act) -> tuple[TeamLine, ...]:
    """By name: one's own."""
    grants, memberships = context.store.grants(), context.store.memberships()
    return tuple(
        TeamLine(
            name=team.name,
            id=team.id,
            role=act.access.on_team(team.id),
            members=sum(one.team_id == team.id for one in memberships),
            apps=sum(one.team_id == team.id for one in grants),
        )
        for team in context.store.teams()
        if act.access.on_team(team.id)
    )


def create_team(context: Context, request: CreateTeam, act: Act) -> TeamShown:
    """Raises UsageError, Conflict."""
    team = Team(id=new_id(), name=names.team_name(request.name), created_at=context.clock.now())
    context.store.add_team(team)
    if act.who and act.who.user_id:
        context.store.put_membership(Membership(team_id=team.id, user_id=act.who.user_id, role="owner"))
    return _shown(context, team)


def show_team(context: Context, request: ShowTeam, act: Act) -> TeamShown:
    """Its members and its apps: whoever is in it may use those."""
    return _shown(context, context.store.team(request.team))


def destroy_team(context: Context, request: DestroyTeam, act: Act) -> TeamShown:
    """Its apps stay; their owners stay owners. Raises Conflict when one of them would have none."""
    team = context.store.team(request.team)
    if request.confirm != team.name:
        raise UsageError(f"to destroy the team {team.name}, confirm with its name", hint=f"--confirm {team.name}")
    with context.locks.owners:
        _keep_owners(context, team, act)
        shown, members = _shown(context, team), _members(context, team.id)
        context.store.delete_team(team.id)
    _end_invites(context, members)
    return shown


def put_team_member(context: Context, request: PutTeamMember, act: Act) -> TeamShown:
    """Join, or another role. Raises NotFound for an unknown user."""
    team, user = context.store.team(request.team), context.store.user(request.user)
    context.store.put_membership(Membership(team_id=team.id, user_id=user.id, role=request.role))
    _end_invites(context, {user.id})
    return _shown(context, team)


def remove_team_member(context: Context, request: RemoveTeamMember, act: Act) -> TeamShown:
    """What the user may by other ways stays. Raises Conflict for the last one of a team that alone owns an app."""
    team, user = context.store.team(request.team), context.store.user(request.user)
    with context.locks.owners:
        if _members(context, team.id) == {user.id}:
            _keep_owners(context, team, act)
        context.store.delete_membership(team.id, user.id)
    _end_invites(context, {user.id})
    return _shown(context, team)


# --- roles on an app ------------------------------------------------------------------------------------------------


def list_members(context: Context, request: ListMembers, act: Act) -> tuple[MemberLine, ...]:
    """Teams first, then users with the highest role they have. Owners of the platform are not listed: they may all."""
    app = context.store.app(request.app)
    grants = context.store.grants(app_id=app.id)
    teams = {team.id: team.name for team in context.store.teams()}
    lines = [MemberLine(name=teams[one.team_id], kind="team", role=one.role) for one in grants if one.team_id]
    for user in context.store.users():
        if role := context.store.roles(user.id).get(app.id):
            lines.append(_member(context, user, role, grants, teams))
    return tuple(lines)


def put_member(context: Context, request: PutMember, act: Act) -> tuple[MemberLine, ...]:
    """Raises Conflict when the app would have no owner left, NotFound for an unknown user or team."""
    app = context.store.app(request.app)
    user_id, team_id = _whose(context, request.user, request.team)
    with context.locks.owners:
        if request.role != "owner":
            _keep_an_owner(context, app, act, user_id=user_id, team_id=team_id)
        context.store.put_grant(Grant(app_id=app.id, role=request.role, user_id=user_id, team_id=team_id))
    _end_invites(context, {user_id} if user_id else _members(context, team_id))
    return list_members(context, ListMembers(app=app.id), act)


def remove_member(context: Context, request: RemoveMember, act: Act) -> tuple[MemberLine, ...]:
    """Raises Conflict when the app would have no owner left, NotFound for a team that has no role on it: which others
    there are is for those who are in them."""
    app = context.store.app(request.app)
    user_id, team_id = _whose(context, request.user, request.team)
    if team_id and not any(one.team_id == team_id for one in context.store.grants(app_id=app.id)):
        raise words.nobody("team", request.team)
    with context.locks.owners:
        _keep_an_owner(context, app, act, user_id=user_id, team_id=team_id)
        context.store.delete_grant(app.id, user_id=user_id, team_id=team_id)
    _end_invites(context, {user_id} if user_id else _members(context, team_id))
    return list_members(context, ListMembers(app=app.id), act)


def leave_app(context: Context, request: LeaveApp, act: Act) -> tuple[MemberLine, ...]:
    """One's own role goes; what a team gives stays. Answers nothing: it may not be one's to see any more."""
    app = context.store.app(request.app)
    user_id = act.who.user_id if act.who else ""
    if not user_id:
        raise UsageError("you are the platform's owner: there is no role to give up")
    with context.locks.owners:
        _keep_an_owner(context, app, act, user_id=user_id)
        context.store.delete_grant(app.id, user_id=user_id)
    _end_invites(context, {user_id})
    return ()


def _seen_users(context: Context, act: Act) -> frozenset[str] | None:
    """Ids of those one shares an app or a team with; None: all there are."""
    if act.access.on_platform() == "owner":
        return None
    grants = [one for one in context.store.grants() if act.access.on_app(one.app_id)]
    teams = {one.team_id for one in grants if one.team_id}
    members = [one for one in context.store.memberships() if one.team_id in teams or act.access.on_team(one.team_id)]
    me = act.who.user_id if act.who else ""
    return frozenset({me, *(one.user_id for one in grants), *(one.user_id for one in members)})


def _owners(context: Context) -> int:
    return sum(user.role == "owner" for user in context.store.users())


def _shown(context: Context, team: Team) -> TeamShown:
    users = {user.id: user.name for user in context.store.users()}
    apps = {app.id: app.name for app in context.store.apps()}
    members = context.store.memberships(team_id=team.id)
    grants = context.store.grants(team_id=team.id)
    return TeamShown(
        name=team.name,
        id=team.id,
        members={users[one.user_id]: one.role for one in members if one.user_id in users},
        apps={apps[one.app_id]: one.role for one in grants if one.app_id in apps},
    )


def _member(
    context: Context, user: User, role: Role, grants: tuple[Grant, ...], teams: Mapping[str, str]
) -> MemberLine:
    own = {one.team_id for one in context.store.memberships(user_id=user.id)}
    direct: Standing = next((one.role for one in grants if one.user_id == user.id), "")
    through = tuple(sorted(teams[one.team_id] for one in grants if one.team_id in own))
    return MemberLine(name=user.name, kind="user", role=role, direct=direct, through=through)


def _whose(context: Context, user: str, team: str) -> tuple[str, str]:
    if bool(user) == bool(team):
        raise UsageError("name one user or one team", hint="paas members add USER ROLE, or --team TEAM")
    return (context.store.user(user).id, "") if user else ("", context.store.team(team).id)


def _keep_an_owner(context: Context, app: App, act: Act, *, user_id: str = "", team_id: str = "") -> None:
    """Raise Conflict when nobody but this one owns the app. The platform's owner owns it anyway, and may."""
    if act.access.on_platform() == "owner":
        return
    grants = context.store.grants(app_id=app.id)
    owners = [one for one in grants if one.role == "owner" and (one.user_id or _peopled(context, one.team_id))]
    mine = [one for one in owners if (one.user_id, one.team_id) == (user_id, team_id)]
    if mine and len(owners) == 1:
        raise Conflict(f"{app.name} would have no owner", hint="make somebody else owner first: paas members add")


def _keep_owners(context: Context, team: Team, act: Act) -> None:
    """Raise Conflict when an app is owned by nobody but this team, which goes or will be empty."""
    for grant in context.store.grants(team_id=team.id):
        if grant.role == "owner":
            _keep_an_owner(context, context.store.app(grant.app_id), act, team_id=team.id)


def _end_invites(context: Context, user_ids: Collection[str]) -> None:
    """Those of people who could not make them any more: a code would bring back what was taken away."""
    changed = {user.name: user for user in context.store.users() if user.id in user_ids}
    for invite in context.store.invites():
        inviter = changed.get(invite.created_by)
        if inviter is not None and not _may_give(access_of(context, inviter), invite):
            context.store.delete_invite(invite.id)


def _may_give(access: Access, invite: Invite) -> bool:
    platform = access.on_platform()
    if invite.user_id or not (invite.app_id or invite.team_id):
        return platform == "owner"
    on_app = not invite.app_id or at_least(access.on_app(invite.app_id), "owner")
    on_team = not invite.team_id or at_least(access.on_team(invite.team_id), "owner")
    return on_app and on_team and at_least(platform, invite.role)


def _members(context: Context, team_id: str) -> frozenset[str]:
    return frozenset(one.user_id for one in context.store.memberships(team_id=team_id))


def _peopled(context: Context, team_id: str) -> bool:
    return bool(_members(context, team_id))
