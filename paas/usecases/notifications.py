"""Targets of notifications: added, listed, tried, removed. `notify.py` tells them."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, replace

from paas.egress.connect import found as resolved
from paas.egress.http import checked_url
from paas.egress.policy import Policy
from paas.errors import ConfigError, Denied, UsageError
from paas.model.notification import Notification, Target, TargetKind
from paas.model.people import at_least
from paas.model.secret import Secret
from paas.requests.notifications import (
    AddNotification,
    ListNotificationDeliveries,
    ListNotifications,
    RemoveNotification,
    TestNotification,
)
from paas.usecases.context import Act, Context
from paas.usecases.notify import sent
from paas.webhooks.outgoing import TOPICS
from paas.webhooks.signature import PREFIX

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
SECRET = re.compile(r"[\x21-\x7e]{16,200}")
PORTS = {"starttls": 587, "tls": 465, "none": 25}
MOST_TARGETS = 20
"""Of one app, and of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetShown:
    """A target. `to` is its host or its mail addresses, never a whole URL: that may be a password. `secret` is empty
    but right after it was added. `retry_at` 0: nothing failed lately; `disabled` says why nothing is tried."""

    name: str
    kind: str
    app: str
    topics: tuple[str, ...]
    to: str
    failures: int
    retry_at: float
    disabled: str
    created_at: float
    created_by: str
    secret: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationShown:
    """One thing that was told. `status` is pending, delivered, failed or dropped."""

    id: str
    at: float
    topic: str
    app: str
    message: str
    status: str
    attempts: int
    answer: str
    ended_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """How the try ended."""

    delivered: bool
    answer: str


def list_notifications(context: Context, request: ListNotifications, act: Act) -> tuple[TargetShown, ...]:
    """By name; those of one app when given. Raises Denied (see `_check_reach`)."""
    _check_reach(request.app, act)
    app_id = context.store.app(request.app).id if request.app else ""
    names = {app.id: app.name for app in context.store.apps()}
    return tuple(_shown(one, names) for one in context.store.targets() if one.app_id == (app_id or one.app_id))


def add_notification(context: Context, request: AddNotification, act: Act) -> TargetShown:
    """Raises UsageError for what cannot be, Denied for an address that the server may not reach, Conflict for a name
    that is taken."""
    _check_reach(request.app, act)
    app_id = context.store.app(request.app).id if request.app else ""
    if not NAME.fullmatch(request.name):
        raise UsageError(f"{request.name!a} cannot name a target", hint="lower-case letters, digits and dashes")
    if len([one for one in context.store.targets() if one.app_id == app_id]) >= MOST_TARGETS:
        raise UsageError(f"there are {MOST_TARGETS} targets at most", hint="remove one: paas notifications remove NAME")
    kind = TargetKind(request.kind)
    secret = _secret(request) if kind is TargetKind.WEBHOOK else ""
    target = Target(
        id=secrets.token_hex(8), name=request.name, kind=kind, app_id=app_id, topics=_topics(request.topics),
        created_at=context.clock.now(), created_by=act.actor, mail=_mail(context, request),
        secrets=_sealed(context, request, secret),
    )  # fmt: skip
    context.store.add_target(target)
    return replace(_shown(target, {app_id: request.app}), secret=secret)


def test_notification(context: Context, request: TestNotification, act: Act) -> Tested:
    """Never raises for what the target does."""
    target = _found(context, request.app, request.target, act)
    one = Notification(
        id=f"msg_test_{secrets.token_hex(8)}", target_id=target.id, at=context.clock.now(), topic="test",
        message=f"{act.actor} tries the notifications to {target.name}", app=request.app,
    )  # fmt: skip
    told = sent(context, target, one)
    if told.delivered:
        context.store.save_target(replace(target, failures=0, retry_at=0.0, disabled=""))
    return Tested(delivered=told.delivered, answer=told.answer)


def remove_notification(context: Context, request: RemoveNotification, act: Act) -> TargetShown:
    """What waits is forgotten. Raises NotFound."""
    target = _found(context, request.app, request.target, act)
    context.store.delete_target(target.id)
    return _shown(target, {target.app_id: request.app})


def list_notification_deliveries(
    context: Context, request: ListNotificationDeliveries, act: Act
) -> tuple[NotificationShown, ...]:
    """Newest first. Raises NotFound."""
    target = _found(context, request.app, request.target, act)
    return tuple(
        NotificationShown(
            id=one.id, at=one.at, topic=one.topic, app=one.app, message=one.message, status=one.status,
            attempts=one.attempts, answer=one.answer, ended_at=one.ended_at,
        )
        for one in context.store.notifications(target.id, request.limit)
    )  # fmt: skip


def _check_reach(app: str, act: Act) -> None:
    """What names no app is told of all of them, so it is for those who have a role on all of them. Raises Denied."""
    if not app and not at_least(act.access.everywhere, "operator"):
        raise Denied("only an owner of the platform has all apps told", hint="name one of yours: -a APP")


def _found(context: Context, app: str, name: str, act: Act) -> Target:
    """The target, of the app that was named: whose operator asks may not know of others."""
    _check_reach(app, act)
    return context.store.target(name, context.store.app(app).id if app else "")


def _topics(given: tuple[str, ...]) -> tuple[str, ...]:
    known = {*TOPICS, *(one.partition(".")[0] for one in TOPICS)}
    for one in given:
        if one not in known:
            raise UsageError(f"{one!a} is nothing that is told of", hint=f"there are: {', '.join(sorted(known))}")
    return tuple(dict.fromkeys(given))


def _secret(request: AddNotification) -> str:
    if request.secret and not SECRET.fullmatch(request.secret):
        raise UsageError("the secret has 16 to 200 letters, digits and signs", hint="leave it out: one is made")
    return request.secret or PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _sealed(context: Context, request: AddNotification, secret: str) -> dict[str, Secret]:
    if request.kind == "email":
        if request.url or request.secret:
            raise UsageError("mail has no URL", hint="name its server: --smtp HOST")
        return {"password": Secret(request.password)} if request.password else {}
    parts = checked_url(request.url)
    host = parts.hostname or ""
    _reachable(context, f"[{host}]" if ":" in host else host, parts.port or 443)
    return {"url": Secret(request.url), **({"secret": Secret(secret)} if secret else {})}


def _mail(context: Context, request: AddNotification) -> dict[str, str]:
    if request.kind != "email":
        if request.host or request.recipients:
            raise UsageError(f"a {request.kind} has a URL, and no mail server")
        return {}
    if not request.host or not request.recipients:
        raise UsageError("mail needs a server and whom to send to", hint="--smtp HOST --from ADDRESS --to ADDRESS")
    for address in (request.sender, *request.recipients):
        if not MAILBOX.fullmatch(address):
            raise UsageError(f"{address!a} is no mail address", hint="for example: ops@example.com")
    if request.password and request.security == "none":
        raise UsageError("a password is not sent without TLS", hint="leave --security none out")
    port = request.port or PORTS[request.security]
    _reachable(context, request.host, port)
    return {
        "host": request.host, "port": str(port), "security": request.security, "user": request.user,
        "sender": request.sender, "recipients": ", ".join(request.recipients),
    }  # fmt: skip


def _reachable(context: Context, host: str, port: int) -> None:
    """Raise Denied or UsageError for a host the server may not reach. One that has no address now may have one
    later."""
    try:
        resolved(host, port, Policy.of(context.settings.egress_allow, context.settings.subnets))
    except ConfigError as error:
        if not error.message.startswith("the host"):
            raise


def _shown(target: Target, names: dict[str, str]) -> TargetShown:
    if target.kind is TargetKind.EMAIL:
        to = target.mail["recipients"]
    else:
        to = checked_url(target.secrets["url"].reveal()).netloc
    return TargetShown(
        name=target.name, kind=target.kind.value, app=names.get(target.app_id, ""), topics=target.topics, to=to,
        failures=target.failures, retry_at=target.retry_at, disabled=target.disabled, created_at=target.created_at,
        created_by=target.created_by,
    )  # fmt: skip
