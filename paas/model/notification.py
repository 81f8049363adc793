"""Words of what is told to the outside: a target, what is sent to it, what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from paas.model.events import Event
from paas.model.secret import Secret


class TargetKind(StrEnum):
    """How it is told."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    EMAIL = "email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where it is told. `app_id` empty: of all apps and the platform. `topics` as in `webhooks/outgoing.py`; none: all.

    `secrets` holds `url` and `secret` (webhook), `url` (slack) or `password` (email), `mail` the rest of an e-mail's
    way: host, port, security, user, sender, recipients. `failures` were in a row; nothing is tried before `retry_at`;
    `disabled` says why nothing is tried at all.
    """

    id: str
    name: str
    kind: TargetKind
    created_at: float
    created_by: str
    app_id: str = ""
    topics: tuple[str, ...] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    mail: Mapping[str, str] = field(default_factory=dict)
    failures: int = 0
    retry_at: float = 0.0
    disabled: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One thing told to one target. `id` stays the same over all tries. `status` is pending, delivered, failed (given
    up) or dropped (too many waited); `answer` the last thing that was heard."""

    id: str
    target_id: str
    at: float
    topic: str
    message: str
    app: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    status: str = "pending"
    attempts: int = 0
    answer: str = ""
    ended_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An event with all that is kept of it."""

    serial: int
    event: Event
    app_id: str = ""
    operation_id: str = ""
    actor: str = ""
