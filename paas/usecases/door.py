"""The one way in: check the permission, note who asked for what, run the use case.

A new use case is a request in `requests/`, a handler `verb(context, request, act)` and one line in
`handlers.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from paas.errors import Denied, NotFound, PaasError
from paas.interfaces import Terminal
from paas.model.events import Emit, Event
from paas.requests.base import Request
from paas.requests.platform import WatchOperation
from paas.requests.processes import ReadLogs
from paas.usecases import logs
from paas.usecases.context import Act, Context
from paas.usecases.handlers import HANDLERS, REVEALING, SESSIONS
from paas.usecases.journal import Journals

ROLES = ("viewer", "deployer", "operator", "owner")
"""Each may what those before it may."""


@dataclass(frozen=True, slots=True)
class Door:
    """Runs any request. `journals` hold the events of operations."""

    context: Context
    journals: Journals

    @classmethod
    def of(cls, context: Context) -> Door:
        """The door of a wired platform."""
        return cls(context, Journals(context.settings.home / "operations"))

    def run(self, request: Request, actor: str, emit: Emit, operation: str = "", *, role: str = "owner") -> object:
        """The answer: a dataclass, a tuple of them, or an iterator for a stream. Raises PaasError.

        A request that changes something, or hands out secrets, leaves an `audit` event first, also when it then fails.
        """
        self.check(request, role)
        if isinstance(request, WatchOperation):
            return self.journals.follow(request.operation)
        if isinstance(request, ReadLogs) and request.source == "build":
            return logs.build_logs(self.context, self.journals, request)
        handler = HANDLERS.get(type(request))
        if handler is None:
            raise NotFound(f"there is no use case for {type(request).__name__}")
        if type(request).method != "GET" or type(request) in REVEALING:
            self._audit(request, actor, operation)
        return handler(self.context, request, Act(actor, emit, operation))

    def session(self, request: Request, actor: str, emit: Emit, terminal: Terminal, *, role: str = "owner") -> int:
        """Run a command with the person's terminal and return its exit code. Raises PaasError."""
        self.check(request, role)
        handler = SESSIONS.get(type(request))
        if handler is None:
            raise NotFound(f"{type(request).__name__} is no session")
        self._audit(request, actor, "")
        return handler(self.context, request, Act(actor, emit), terminal)

    def check(self, request: Request, role: str) -> None:
        """Raise Denied when the role may not do this. The person at the local socket is the owner."""
        needed = type(request).permission
        if role not in ROLES or ROLES.index(role) < ROLES.index(needed):
            raise Denied(f"{type(request).__name__} needs the role {needed}; you are {role}", hint="ask an owner")

    def app_id(self, request: Request) -> str:
        """The id of the app the request is about; empty when it names none that exists."""
        name = getattr(request, "app", "")
        try:
            return self.context.store.app(name).id if name else ""
        except PaasError:
            return ""

    def _audit(self, request: Request, actor: str, operation: str) -> None:
        facts = audited(request)
        said = " ".join(f"{key}={value}" for key, value in facts.items())
        event = Event(
            kind="audit",
            message=f"{actor}: {type(request).__name__} {said}".rstrip(),
            app=str(facts.get("app", "")),
            at=self.context.clock.now(),
            data={"request": type(request).__name__, **facts},
        )
        self.context.store.add_event(event, self.app_id(request), operation, actor)


def audited(request: Request) -> dict[str, object]:
    """What of a request may be written down: names and numbers, never a value, a key, a command or a URL."""
    facts: dict[str, object] = {}
    simple = ("app", "addon", "host", "name", "kind", "alias", "number", "process", "service", "memory", "cpus", "pids")
    for name in simple:
        value = getattr(request, name, None)
        if isinstance(value, (str, int, float)) and value:
            facts[name] = value
    for name in ("set", "counts", "env"):
        if isinstance(keys := getattr(request, name, None), Mapping) and keys:
            facts[name] = dict(keys) if name == "counts" else sorted(keys)
    for name in ("unset", "add", "remove"):
        if values := getattr(request, name, ()):
            facts[name] = list(cast(tuple[str, ...], values))
    return facts
