"""The log of acts: who did, or tried to do, what. Written by the door, read here, never changed."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from paas.errors import PaasError
from paas.model.app import App
from paas.model.audit import Record, Verdict, verified
from paas.model.people import Actor
from paas.requests.apps import CreateApp
from paas.requests.autoscale import SetAutoscale
from paas.requests.base import Request
from paas.requests.people import ListAudit, VerifyAudit
from paas.usecases.context import Act, Context

DENIED_BURST, DENIED_PERIOD = 30, 60.0
"""That many denied attempts a person are written down, then one every so many seconds: nobody may fill the log."""
MOST_PEOPLE = 1000

SETTINGS = 50
"""Of so many settings of scaling rules it is written down that they were said."""
_AMOUNT = re.compile(r"[0-9.]{1,16}(%|[A-Za-z]{0,3})")
"""Of a setting the value is written down, too, where it looks like this."""

LINES = 1000
"""Records that are looked through at a time."""


@dataclass(slots=True)
class AuditLog:
    """Writes records. One per server."""

    context: Context
    _tried: dict[str, tuple[float, float]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def allowed(self, actor: Actor, request: Request, app_id: str) -> None:
        """Note an act before it is done. What cannot be written down is not done: raises PlatformError."""
        self._add(actor, request, app_id, "allowed")

    def denied(self, actor: Actor, request: Request, app_id: str = "") -> None:
        """Note an attempt, unless there were many from the same person."""
        if self._room(actor.user_id or actor.token_id or f"{actor.name} {actor.peer}"):
            self._add(actor, request, app_id, "denied")

    def _add(self, actor: Actor, request: Request, app_id: str, outcome: str) -> None:
        # What somebody tried to name is not what there is: only the app, whose owners may see this.
        facts = audited(request) if outcome == "allowed" else {}
        app = _name_of(self.context, app_id) or str(getattr(request, "app", ""))
        if actor.peer:
            facts["peer"] = actor.peer
        if actor.token_id:
            facts["token"] = actor.token_id
        self.context.store.add_record(
            Record(
                serial=0, at=self.context.clock.now(), actor=actor.name, user_id=actor.user_id, via=actor.via,
                request=type(request).__name__, app=app[:63], app_id=app_id, outcome=outcome, facts=facts,
            )
        )  # fmt: skip

    def _room(self, who: str) -> bool:
        """A bucket a person. Those that are full again say nothing and are forgotten first."""
        now = self.context.clock.monotonic()
        with self._guard:
            left, at = self._tried.pop(who, (float(DENIED_BURST), now))
            left = min(float(DENIED_BURST), left + (now - at) / DENIED_PERIOD)
            self._tried[who] = (max(0.0, left - 1), now)
            if len(self._tried) > MOST_PEOPLE:
                self._tried.pop(next(iter(self._tried)))
        return left >= 1


def note_new_app(context: Context, actor: Actor, app: App, source: str = "") -> None:
    """Note that an app is about to be made, however that was asked for: under its id, so that its owners see it. It is
    a clone of the app `source`."""
    note(context, actor, CreateApp, app, {"name": app.name} | ({"source": source} if source else {}))


def note(context: Context, actor: Actor, request: type[Request], app: App, facts: Mapping[str, object]) -> None:
    """Note what is done to an app without a request of its own at the door."""
    known = dict(facts) | ({"peer": actor.peer} if actor.peer else {})
    known |= {"token": actor.token_id} if actor.token_id else {}
    context.store.add_record(
        Record(
            serial=0, at=context.clock.now(), actor=actor.name, user_id=actor.user_id, via=actor.via,
            request=request.__name__, app=app.name, app_id=app.id, outcome="allowed", facts=known,
        )
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One act. `at` Unix seconds; `via` socket, token, key, invite or server; `outcome` allowed or denied."""

    serial: int
    at: float
    actor: str
    via: str
    request: str
    app: str
    outcome: str
    facts: Mapping[str, object]
    digest: str


def list_audit(context: Context, request: ListAudit, act: Act) -> tuple[AuditLine, ...]:
    """Oldest first. An app that is gone is found by its name as it was then, by the platform's owner."""
    asked = {"user": request.user, "since": request.since, "after": request.after, "limit": request.limit}
    app_id = _id_of(context, request.app)
    if request.app and not app_id:
        found = context.store.records(app=request.app, **asked)  # type: ignore[arg-type]
    else:
        found = context.store.records(app_id=app_id, **asked)  # type: ignore[arg-type]
    return tuple(
        AuditLine(
            serial=one.serial, at=one.at, actor=one.actor, via=one.via, request=one.request, app=one.app,
            outcome=one.outcome, facts=one.facts, digest=one.digest,
        )
        for one in found
    )  # fmt: skip


def verify_audit(context: Context, request: VerifyAudit, act: Act) -> Verdict:
    """Look through all of it, some at a time."""
    last = context.store.last_serial()

    def records() -> Iterator[Record]:
        after = -1  # 0 would mean the newest
        while found := context.store.records(after=after, limit=LINES):
            yield from (one for one in found if one.serial <= last)
            after = found[-1].serial

    return verified(records(), last, request.head)


def audited(request: Request) -> dict[str, object]:
    """What of a request may be written down: names and numbers, never a value, a key, a command or a URL."""
    facts: dict[str, object] = {}
    simple = (
        "app", "addon", "operation", "host", "name", "kind", "alias", "number", "process", "service", "memory", "cpus",
        "pids", "user", "team", "role", "app_role", "token", "invite", "backup", "job", "run", "review", "branch",
        "pull_request", "seconds", "ttl", "most", "seed", "with_data", "environment", "force",
    )  # fmt: skip
    for name in simple:
        value = getattr(request, name, None)
        if isinstance(value, (str, int, float)) and value:
            facts[name] = value[:255] if isinstance(value, str) else value
    for name in ("after", "paused"):  # of these, 0 and false say something, too
        if isinstance(value := getattr(request, name, None), (int, float)):
            facts[name] = value
    if isinstance(request, SetAutoscale):
        facts["table"] = list(_lines(request.table))[:SETTINGS]
    for name in ("set", "counts", "env", "config"):
        if isinstance(keys := getattr(request, name, None), Mapping) and keys:
            facts[name] = dict(keys) if name == "counts" else sorted(keys)
    for name in ("unset", "add", "remove", "apps", "inherit"):
        if values := getattr(request, name, ()):
            facts[name] = list(cast(tuple[str, ...], values))
    return facts


def _lines(table: Mapping[str, object], inside: str = "") -> Iterator[str]:
    """`max=8`, `targets.cpu=70%`, `schedule`: numbers with their unit; of whatever else is said, that it is there."""
    for name, value in sorted(table.items(), key=lambda item: str(item[0])):
        place = f"{inside}{name}"[:63]
        if isinstance(value, Mapping) and not inside:
            yield from _lines(value, f"{place}.")
        elif isinstance(value, bool) or (isinstance(value, (int, float, str)) and _AMOUNT.fullmatch(str(value))):
            yield f"{place}={value}"
        else:
            yield place


def _name_of(context: Context, app_id: str) -> str:
    try:
        return context.store.app(app_id).name if app_id else ""
    except PaasError:
        return ""


def _id_of(context: Context, name: str) -> str:
    try:
        return context.store.app(name).id if name else ""
    except PaasError:
        return ""
