"""The one way in: check the permission, note who asked for what, run the use case.

A new use case is a request in `requests/`, a handler `verb(context, request, act)` and one line in
`handlers.py`. Nobody else checks permissions. What a request names (an app, an addon's app, an operation's app, a team)
decides whose role counts; what somebody has no role on does not exist for them, in the same words as what really does
not; a request that names nothing and does not say that it is for `everyone` is the platform's own operators'.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from paas.errors import Denied, NotFound, PaasError
from paas.interfaces import Terminal
from paas.model.app import App
from paas.model.events import Emit, Event
from paas.model.people import Access, Actor, Role, Standing, at_least, owner
from paas.requests.apps import CreateApp
from paas.requests.base import Permission, Request
from paas.requests.platform import WatchOperation
from paas.requests.processes import ReadLogs
from paas.store import words
from paas.usecases import concerned, logs, uploads
from paas.usecases.audit import AuditLog, audited
from paas.usecases.context import Act, Context
from paas.usecases.handlers import HANDLERS, REVEALING, SESSIONS
from paas.usecases.journal import Journals
from paas.usecases.logins import Logins
from paas.usecases.presence import Presence

MAKING = "name a team of yours, or ask an owner of the platform"


class Concern(NamedTuple):
    """One thing that a request touches: the role there, the one it takes, what to say when it does not exist."""

    standing: Standing
    needed: Role
    name: str
    missing: Callable[[], PaasError]


@dataclass(frozen=True, slots=True)
class Door:
    """Runs any request. `journals` hold the events of operations."""

    context: Context
    journals: Journals
    log: AuditLog
    logins: Logins
    presence: Presence = field(default_factory=Presence)

    @classmethod
    def of(cls, context: Context) -> Door:
        """The door of a wired platform."""
        journals = Journals(context.settings.home / "operations")
        presence = Presence(partial(_pinned, context))
        return cls(context, journals, AuditLog(context), Logins(context), presence)

    def run(self, request: Request, actor: Actor | str, emit: Emit, operation: str = "") -> object:
        """The answer: a dataclass, a tuple of them, or an iterator for a stream. Raises PaasError.

        A name alone is the platform by itself. A request that changes something, or hands out secrets, is noted first,
        also when it then fails.
        """
        who = as_actor(actor)
        self.check(request, who)
        if isinstance(request, WatchOperation):
            return self.journals.follow(request.operation)
        if isinstance(request, ReadLogs) and request.source == "build":
            return logs.build_logs(self.context, self.journals, request)
        handler = HANDLERS.get(type(request))
        if handler is None:
            raise NotFound(f"there is no use case for {type(request).__name__}")
        if type(request).anyone:
            return self._let_in(request, who, emit)
        if type(request).method != "GET" or type(request) in REVEALING:
            self._note(request, who, operation)
        return handler(self.context, request, Act(who.name, emit, operation, who))

    def session(self, request: Request, actor: Actor | str, emit: Emit, terminal: Terminal) -> int:
        """Run a command with the person's terminal and return its exit code. Raises PaasError."""
        who = as_actor(actor)
        self.check(request, who)
        handler = SESSIONS.get(type(request))
        if handler is None:
            raise NotFound(f"{type(request).__name__} is no session")
        self._note(request, who, "")
        return handler(self.context, request, Act(who.name, emit, "", who), terminal)

    def _let_in(self, request: Request, who: Actor, emit: Emit) -> object:
        """Who shows something instead of a login is noted by what came of it."""
        try:
            answer = HANDLERS[type(request)](self.context, request, Act(who.name, emit, "", who))
        except Denied:
            self.log.denied(who, request)
            raise
        self._note(request, replace(who, name=str(getattr(answer, "user", "") or who.name)), "")
        return answer

    def admit(self, kind: type[Request], path: Mapping[str, str], actor: Actor | str) -> None:
        """Raise what a session would be refused with, by what its address says: before there is a connection."""
        asked = object.__new__(kind)
        for name, value in path.items():
            object.__setattr__(asked, name, value)
        self.check(asked, actor)

    def check(self, request: Request, actor: Actor | str) -> None:
        """Raise Denied when they may not do this, NotFound for what does not exist for them. Attempts are noted."""
        who = as_actor(actor)
        try:
            self._judge(request, who)
        except (Denied, NotFound):
            self.log.denied(who, request, self.app_id(request))
            raise

    def review(self) -> None:
        """End open streams and sessions of people who may not have them any more."""
        self.presence.review(self._still)

    def app_id(self, request: Request) -> str:
        """The id of the app the request is about, by name or by its addon; empty when there is none."""
        if (app := self._app(str(getattr(request, "app", "")))) is not None:
            return app.id
        return self._addon_app(str(getattr(request, "addon", "")))

    # --- may they? ----------------------------------------------------------------------------------------------

    def _judge(self, request: Request, who: Actor) -> None:
        kind, access = type(request), who.access
        if kind.anyone:
            return
        if kind.personal and not access.whole:
            raise Denied(f"a token with limits may not do this: {_spelt(kind)}", hint="log in: paas login")
        if access.everywhere == "owner" and access.whole:
            return  # the platform's owner; what is missing the use case says, with the names there are
        concerns = tuple(self._concerns(request, who))
        for concern in concerns:
            if not concern.standing:
                raise concern.missing()
        for concern in concerns:
            if not at_least(concern.standing, concern.needed):
                raise _too_low(kind, concern)
        if not concerns:
            self._judge_platform(kind, access)
        if kind.makes_another and not getattr(request, "team", "") and not at_least(access.on_platform(), "deployer"):
            raise Denied(f"{_spelt(kind)} makes an app: that takes the role deployer on the platform", hint=MAKING)
        self._judge_upload(request, who)

    def _judge_platform(self, kind: type[Request], access: Access) -> None:
        """What names nothing. Only what is for everyone is open to viewers and deployers of the platform."""
        open_to_all = kind.everyone or kind.permission in ("operator", "owner")
        needed: Role = kind.permission if open_to_all else "owner"
        if not at_least(access.on_platform(), needed):
            raise Denied(f"{_spelt(kind)} needs the role {needed} on the platform", hint="ask an owner of the platform")

    def _judge_upload(self, request: Request, who: Actor) -> None:
        """An upload is for whoever made it."""
        source = getattr(request, "source", None)
        upload = str(getattr(request, "upload", "") or getattr(source, "upload", "") or "")
        if upload:
            uploads.check_owner(self.context.settings, upload, who)

    def _concerns(self, request: Request, who: Actor) -> Iterator[Concern]:
        """Everything the request names."""
        kind, access = type(request), who.access
        for name in _named(request, "app"):
            yield self._on_app(request, name, kind.permission, access)
        if addon := str(getattr(request, "addon", "")):
            yield self._on_addon(addon, kind.permission, access)
        if operation := str(getattr(request, "operation", "")):
            yield self._on_operation(operation, kind.permission, who)
        for one, needed in kind.app_fields.items():
            for name in _named(request, one):
                if one != "app":
                    yield self._on_app(request, name, needed, access, makes=False)
        for one, needed in kind.team_fields.items():
            for name in _named(request, one):
                yield self._on_team(name, needed, access)

    def _on_app(
        self, request: Request, name: str, needed: Permission, access: Access, *, makes: bool = True
    ) -> Concern:
        app = self._app(name)
        standing: Standing = access.on_app(app.id) if app is not None else ""

        def missing() -> PaasError:  # only then: to find the nearest name, all that they may see are looked at
            return words.no_app(name, self._visible(access))

        if not standing and makes and request.makes_app() and at_least(access.on_platform(), "deployer"):
            if app is None:
                return Concern("deployer", "deployer", name, missing)
            # as making one of that name would say
            return Concern(standing, needed, name, partial(words.taken, "app", name))
        return Concern(standing, needed, name, missing)

    def _on_addon(self, name: str, needed: Permission, access: Access) -> Concern:
        """An addon is its owner app's. One of no app is the platform's."""
        try:
            addon = self.context.store.addon(name)
            standing = access.on_app(addon.owner_app)
        except NotFound:
            standing = ""
        return Concern(standing, needed, name, lambda: words.no_addon(name, self._visible_addons(access)))

    def _on_operation(self, operation_id: str, needed: Permission, who: Actor) -> Concern:
        """An operation is its apps'. The one who started it may watch it before the app is there."""
        missing = partial(words.no_operation, operation_id)
        try:
            operation = self.context.store.operation(operation_id)
        except NotFound:
            return Concern("", needed, operation_id, missing)
        standing = concerned.standing(operation, who.access, who.user_id, self._is_there)
        return Concern(standing, needed, operation_id, missing)

    def _on_team(self, name: str, needed: Permission, access: Access) -> Concern:
        try:
            standing = access.on_team(self.context.store.team(name).id)
        except NotFound:
            standing = ""
        return Concern(standing, needed, name, partial(words.nobody, "team", name))

    def _still(self, actor: Actor, request: Request) -> None:
        """Whether they may go on with what they have open. An app that went away takes nothing from them: that is
        told by the stream itself."""
        now = self.logins.again(actor)
        if isinstance(request, WatchOperation) and not self._app(self._operation_app(request.operation)):
            return
        if getattr(request, "app", "") and self._app(str(getattr(request, "app", ""))) is None:
            return
        self._judge(request, now)

    # --- what is there ------------------------------------------------------------------------------------------

    def _app(self, name: str) -> App | None:
        try:
            return self.context.store.app(name) if name else None
        except NotFound:
            return None

    def _is_there(self, app_id: str) -> bool:
        return self._app(app_id) is not None

    def _addon_app(self, name: str) -> str:
        try:
            return self.context.store.addon(name).owner_app if name else ""
        except NotFound:
            return ""

    def _operation_app(self, operation_id: str) -> str:
        try:
            return self.context.store.operation(operation_id).app_id
        except NotFound:
            return ""

    def _visible(self, access: Access) -> Iterator[str]:
        return (app.name for app in self.context.store.apps() if access.on_app(app.id))

    def _visible_addons(self, access: Access) -> Iterator[str]:
        return (addon.name for addon in self.context.store.addons() if access.on_app(addon.owner_app))

    # --- the record ---------------------------------------------------------------------------------------------

    def _note(self, request: Request, who: Actor, operation: str) -> None:
        if isinstance(request, CreateApp):
            return  # noted where apps are made: a first push and a first deploy make one too
        app_id = self.app_id(request)
        self.log.allowed(who, request, app_id)
        facts = audited(request)
        if type(request).makes_another:
            facts.pop("name", None)  # whoever sees this app need not see that one; its audit log says it
        said = " ".join(f"{key}={value}" for key, value in facts.items())
        event = Event(
            kind="audit",
            message=f"{who.name}: {type(request).__name__} {said}".rstrip(),
            app=str(facts.get("app", "")),
            at=self.context.clock.now(),
            data={"request": type(request).__name__, **facts},
        )
        self.context.store.add_event(event, app_id, operation, who.name)


def _pinned(context: Context, request: Request) -> Request:
    """The request with its app's id for the name: what is open belongs to that app, also when it is renamed."""
    name = str(getattr(request, "app", ""))
    try:
        return replace(request, app=context.store.app(name).id) if name else request  # type: ignore[type-var]
    except NotFound:
        return request


def as_actor(actor: Actor | str) -> Actor:
    """A name alone is the platform's own."""
    return owner(actor) if isinstance(actor, str) else actor


def _named(request: Request, field_name: str) -> tuple[str, ...]:
    """What a field names: nothing, one thing, or several."""
    value = getattr(request, field_name, "")
    if isinstance(value, tuple):
        return tuple(str(one) for one in value)
    return (str(value),) if value else ()


def _spelt(kind: type[Request]) -> str:
    """`DestroyApp` → `destroy app`: for people, who know commands and not classes."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()


def _too_low(kind: type[Request], concern: Concern) -> Denied:
    return Denied(
        f"{_spelt(kind)} needs the role {concern.needed} on {concern.name}; you are {concern.standing}",
        hint="ask an owner of it: paas members",
    )
