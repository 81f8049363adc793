"""Ways in: invites, tokens and sessions. Secrets are made here, shown once, and kept as digests."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace

from paas.errors import Conflict, Denied, NotFound, NotLoggedIn, UsageError
from paas.model import names
from paas.model.people import (
    Actor,
    Grant,
    Invite,
    Membership,
    Role,
    Token,
    User,
    at_least,
    digest_of,
    new_secret,
    split_secret,
)
from paas.requests.logins import (
    AcceptInvite,
    CreateInvite,
    CreateToken,
    ListInvites,
    ListTokens,
    Logout,
    RevokeInvite,
    RevokeToken,
    RotateToken,
)
from paas.requests.people import PutMember
from paas.store import words
from paas.usecases.audit import note
from paas.usecases.context import Act, Context
from paas.usecases.domains import server_url
from paas.usecases.logins import PREFIX, name_of
from paas.usecases.people import new_user

INVITE_PREFIX = "paasinvite"
SESSION_DAYS = 90.0
DAY = 86_400.0
MOST_TOKENS = 200
"""Tokens and sessions of one user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token with its text, which is shown this once. `apps` are names; None: all."""

    token: str
    id: str
    name: str
    user: str
    role: Role
    apps: tuple[str, ...] | None
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLine:
    """A token or a session in a list. `current`: the one that asks. Times are Unix seconds, 0: never."""

    id: str
    name: str
    kind: str
    user: str
    role: Role
    apps: tuple[str, ...] | None
    created_by: str
    created_at: float
    expires_at: float
    used_at: float
    used_from: str
    current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewInvite:
    """An invite with its code, which is shown this once. `server` is where to log in with it: the platform's own https
    address, empty when it has none."""

    code: str
    id: str
    name: str
    role: Role
    app: str
    app_role: Role
    team: str
    expires_at: float
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteLine:
    """An invite nobody has taken yet."""

    id: str
    name: str
    role: Role
    app: str
    team: str
    created_by: str
    created_at: float
    expires_at: float


# --- invites --------------------------------------------------------------------------------------------------------


def create_invite(context: Context, request: CreateInvite, act: Act) -> NewInvite:
    """Raises Denied for more than the inviter has, Conflict for a name somebody else has already.

    Only an owner of the platform may make a code for a user that exists: it lets whoever has it be that user.
    """
    name, platform = names.user_name(request.name), act.access.on_platform()
    if not at_least(platform, request.role):
        raise Denied(f"you cannot give the role {request.role} on the platform; you are {platform or 'nobody'}")
    known = _user(context, name)
    if known is not None and platform != "owner":
        raise Conflict(f"there is a user {name!r} already", hint=f"paas members add {name}, or choose another name")
    app = context.store.app(request.app) if request.app else None
    team = context.store.team(request.team) if request.team else None
    invite_id, code, digest = new_secret(INVITE_PREFIX)
    now = context.clock.now()
    invite = Invite(
        id=invite_id, digest=digest, name=name, created_by=_inviter(act), created_at=now,
        expires_at=now + request.hours * 3600, role=request.role, user_id=known.id if known else "",
        app_id=app.id if app else "", app_role=request.app_role, team_id=team.id if team else "",
    )  # fmt: skip
    _refuse_others(context, invite, act)
    context.store.add_invite(invite)
    return NewInvite(
        code=code, id=invite.id, name=name, role=invite.role, app=app.name if app else "", app_role=invite.app_role,
        team=team.name if team else "", expires_at=invite.expires_at, server=server_url(context.settings),
    )  # fmt: skip


def list_invites(context: Context, request: ListInvites, act: Act) -> tuple[InviteLine, ...]:
    """Newest first; those that have expired are cleared away. None for a token with limits."""
    apps = {app.id: app.name for app in context.store.apps()}
    teams = {team.id: team.name for team in context.store.teams()}
    _expire_invites(context)
    return tuple(
        InviteLine(
            id=one.id, name=one.name, role=one.role, app=apps.get(one.app_id, ""), team=teams.get(one.team_id, ""),
            created_by=one.created_by, created_at=one.created_at, expires_at=one.expires_at,
        )
        for one in context.store.invites()
        if _mine(one, act) and act.access.whole
    )  # fmt: skip


def revoke_invite(context: Context, request: RevokeInvite, act: Act) -> None:
    """Raises NotFound, also for one that somebody else made."""
    found = context.store.invite(request.invite)
    if not _mine(found, act):
        raise words.no_invite()
    context.store.delete_invite(found.id)


def accept_invite(context: Context, request: AcceptInvite, act: Act) -> NewToken:
    """The user, made if need be, and a session. Raises NotLoggedIn with the same words whatever is wrong with a code:
    unknown, taken, expired; UsageError for a label that names nothing, before the code is used up. Of two who come at
    once, one gets in."""
    label = names.token_name(request.label or "login")
    invite = _invited(context, request.code)
    _check_still_good(context, invite)
    if not context.store.delete_invite(invite.id):
        raise _no_code()
    user = context.store.user(invite.user_id) if invite.user_id else new_user(context, invite.name, invite.role)
    if invite.app_id:
        context.store.put_grant(Grant(app_id=invite.app_id, role=invite.app_role, user_id=user.id))
        _note_came(context, invite, user, act)
    if invite.team_id:
        context.store.put_membership(Membership(team_id=invite.team_id, user_id=user.id, role="viewer"))
    return _session(context, user, label)


# --- tokens ---------------------------------------------------------------------------------------------------------


def list_tokens(context: Context, request: ListTokens, act: Act) -> tuple[TokenLine, ...]:
    """Newest first: one's own; of a user, or of all, for the platform's owner; a token with limits sees itself."""
    everything = act.access.on_platform() == "owner" and not (act.who and act.who.user_id and not request.user)
    if request.user and not everything:
        raise Denied("only an owner of the platform sees others' tokens")
    wanted = context.store.user(request.user).id if request.user else ("" if everything else _me(act))
    listed = everything or (wanted and act.access.whole)
    found = context.store.tokens(user_id=wanted) if listed else _itself(context, act)
    users = {user.id: user.name for user in context.store.users()}
    return tuple(_line(context, one, users.get(one.user_id, ""), act) for one in found)


def create_token(context: Context, request: CreateToken, act: Act) -> NewToken:
    """For oneself; for a user, or for none, by the platform's owner. It may never more than whoever it is of."""
    user = _token_user(context, request, act)
    if user is not None and len(context.store.tokens(user_id=user.id)) >= MOST_TOKENS:
        raise Conflict(f"{user.name} has {MOST_TOKENS} tokens", hint="revoke some: paas tokens")
    apps = [context.store.app(name) for name in dict.fromkeys(request.apps)]
    now = context.clock.now()
    token_id, text, digest = new_secret(PREFIX)
    token = Token(
        id=token_id, digest=digest, name=names.token_name(request.name), kind="personal", created_by=act.actor,
        created_at=now, user_id=user.id if user else "", role=request.role,
        apps=tuple(app.id for app in apps) if apps else None,
        expires_at=now + request.days * DAY if request.days else 0.0,
    )  # fmt: skip
    context.store.add_token(token)
    return _new(token, text, user.name if user else "", tuple(app.name for app in apps) or None)


def rotate_token(context: Context, request: RotateToken, act: Act) -> NewToken:
    """The same token with another secret: what it may stays. Raises NotFound, also for others' tokens, UsageError for
    one that has expired and would stay so."""
    token, now = _owned(context, request.token, act), context.clock.now()
    expires = now + request.days * DAY if request.days else token.expires_at
    if expires and expires <= now:
        raise UsageError("this token has expired", hint=f"say for how long: paas tokens rotate {token.id} --days 90")
    _, _, digest = fresh = new_secret(PREFIX)
    text = fresh[1].replace(fresh[0], token.id, 1)
    changed = replace(token, digest=digest, expires_at=expires)
    context.store.save_token(changed)
    user = context.store.user(token.user_id).name if token.user_id else ""
    return _new(changed, text, user, _app_names(context, changed, act))


def revoke_token(context: Context, request: RevokeToken, act: Act) -> None:
    """It counts no more from now on; what it has open ends, and what a token of no user invited. Raises NotFound, also
    for others' tokens."""
    token = _owned(context, request.token, act)
    context.store.delete_token(token.id)
    for invite in context.store.invites() if not token.user_id else ():
        if invite.created_by == name_of(token):
            context.store.delete_invite(invite.id)


def logout(context: Context, request: Logout, act: Act) -> None:
    """Give up the token that asks. Raises UsageError where it is none of the store's."""
    if not (act.who and act.who.token_id):
        raise UsageError("you did not come with a token of your own", hint="there is nothing to end")
    context.store.delete_token(act.who.token_id)


def _invited(context: Context, code: str) -> Invite:
    invite_id, secret = split_secret(INVITE_PREFIX, code.strip())
    try:
        found = context.store.invite(invite_id)
    except NotFound:
        found = None
    good = hmac.compare_digest(digest_of(secret), found.digest if found else digest_of(""))
    if found is None or not good or found.expires_at <= context.clock.now():
        raise _no_code()
    return found


def _note_came(context: Context, invite: Invite, user: User, act: Act) -> None:
    """In the app's own log, for its owners: the record of the code itself is no app's."""
    who = Actor(name=user.name, via="invite", user_id=user.id, peer=act.who.peer if act.who else "")
    app = context.store.app(invite.app_id)
    note(context, who, PutMember, app, {"user": user.name, "role": invite.app_role})


def _check_still_good(context: Context, invite: Invite) -> None:
    """Raise before the code is used up where it could not be taken."""
    if not invite.user_id and _user(context, invite.name) is not None:
        raise Conflict(f"there is a user {invite.name!r} by now", hint="ask for another invite")


def _no_code() -> NotLoggedIn:
    return NotLoggedIn("this code does not count (any more)", hint="ask for another invite: each is for once")


def _session(context: Context, user: User, label: str) -> NewToken:
    token_id, text, digest = new_secret(PREFIX)
    now = context.clock.now()
    token = Token(
        id=token_id, digest=digest, name=label, kind="session", created_by=user.name,
        created_at=now, user_id=user.id, expires_at=now + SESSION_DAYS * DAY,
    )  # fmt: skip
    context.store.add_token(token)
    return _new(token, text, user.name, None)


def _token_user(context: Context, request: CreateToken, act: Act) -> User | None:
    me = _me(act)
    if act.access.on_platform() == "owner" and act.access.whole:
        return context.store.user(request.user or me) if request.user or me else None
    if request.user and context.store.user(me).name != request.user and me != request.user:
        raise Denied("only an owner of the platform makes tokens for others")
    if not me:
        raise Denied("a token of no user makes no tokens")
    return context.store.user(me)


def _owned(context: Context, token_id: str, act: Act) -> Token:
    """One's own, or any for the platform's owner. Raises NotFound."""
    token = context.store.token(token_id)
    mine = bool(_me(act)) and token.user_id == _me(act)
    if not mine and act.access.on_platform() != "owner":
        raise words.no_token()
    return token


def _itself(context: Context, act: Act) -> tuple[Token, ...]:
    return (context.store.token(act.who.token_id),) if act.who and act.who.token_id else ()


def _me(act: Act) -> str:
    return act.who.user_id if act.who else ""


def _inviter(act: Act) -> str:
    """A user by name. Who is at the server's socket must not be taken for a user who is called the same."""
    return f"{act.actor} at the server" if act.who and act.who.via == "socket" else act.actor


def _mine(invite: Invite, act: Act) -> bool:
    return act.access.on_platform() == "owner" or invite.created_by == _inviter(act)


def _refuse_others(context: Context, invite: Invite, act: Act) -> None:
    """A new invite replaces an older one for the same name: only one's own, and never a platform owner's."""
    for one in context.store.invites():
        if one.name == invite.name and one.expires_at > invite.created_at and not _mine(one, act):
            raise Conflict(f"{invite.name!r} is invited already", hint="choose another name")


def _expire_invites(context: Context) -> None:
    for one in context.store.invites():
        if one.expires_at <= context.clock.now():
            context.store.delete_invite(one.id)


def _user(context: Context, name: str) -> User | None:
    return next((user for user in context.store.users() if user.name == name), None)


def _app_names(context: Context, token: Token, act: Act) -> tuple[str, ...] | None:
    """Those that who asks may see: a token may be for an app that its user has no role on any more."""
    if token.apps is None:
        return None
    known = {app.id: app.name for app in context.store.apps() if act.may(app.id)}
    return tuple(known[one] for one in token.apps if one in known)


def _new(token: Token, text: str, user: str, apps: tuple[str, ...] | None) -> NewToken:
    return NewToken(
        token=text, id=token.id, name=token.name, user=user, role=token.role, apps=apps, expires_at=token.expires_at
    )


def _line(context: Context, token: Token, user: str, act: Act) -> TokenLine:
    return TokenLine(
        id=token.id, name=token.name, kind=token.kind, user=user, role=token.role, apps=_app_names(context, token, act),
        created_by=token.created_by, created_at=token.created_at, expires_at=token.expires_at, used_at=token.used_at,
        used_from=token.used_from, current=act.who is not None and act.who.token_id == token.id,
    )  # fmt: skip
