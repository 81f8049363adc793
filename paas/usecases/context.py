"""What every use case is given: the parts of the platform, and on whose behalf it acts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from paas.clock import SystemClock
from paas.interfaces import Builder, Clock, Engine, NoSignals, Router, Signals, Stack, Store
from paas.leaving import Leaving
from paas.model.events import Emit, Event
from paas.model.people import EVERYTHING, Access, Actor, Role, at_least
from paas.settings import Settings
from paas.usecases.pushes import Pushes
from paas.usecases.readings import Readings


@dataclass(frozen=True, slots=True)
class Act:
    """One call: who acts, where its events go, and the operation it belongs to (empty: none)."""

    actor: str
    emit: Emit
    operation: str = ""
    who: Actor | None = None
    """The same as `actor`, with what they may. None: the platform by itself."""

    @property
    def access(self) -> Access:
        """What they may, as of when it began. `usecases/door.py` has checked what the request names; this is for what
        a use case finds on its way: lists, and apps that another request made meanwhile."""
        return self.who.access if self.who else EVERYTHING

    def may(self, app_id: str, role: Role = "viewer") -> bool:
        """Whether they have at least this role on an app."""
        return at_least(self.access.on_app(app_id), role)


@dataclass(slots=True)
class _Lock:
    lock: threading.Lock = field(default_factory=threading.Lock)
    holder: str = ""
    since: float = 0.0


@dataclass(slots=True)
class Locks:
    """One lock per app, held while its release is written and carried out; builds stay outside.

    It lives in the server's memory on purpose: only one server owns a home folder (it holds a file lock), so a
    killed server can never leave a lock behind.
    """

    clock: Clock
    room: threading.Lock = field(default_factory=threading.Lock)
    """Held from the look at the memory that is left until what is promised of it is stored: two apps may not both get
    the last of it."""
    starting: dict[str, int] = field(default_factory=dict)
    """Bytes, by app, that replicas which are being started may use: nobody sees them in the memory that is free yet."""
    likely: dict[str, int] = field(default_factory=dict)
    """What it probably comes to, where replicas like them run already."""
    owners: threading.Lock = field(default_factory=threading.Lock)
    """Held from the look at who owns an app until one of them is gone: two owners may not both take the other away."""
    _locks: dict[str, _Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def hold(self, app_id: str, reason: str, emit: Emit) -> Iterator[None]:
        """Wait for the app's lock (saying who has it and for how long) and hold it."""
        with self._guard:
            entry = self._locks.setdefault(app_id, _Lock())
        if not entry.lock.acquire(blocking=False):
            age = self.clock.now() - entry.since
            emit(Event(kind="note", message=f"waiting: {entry.holder} has held this app for {age:.0f} s"))
            entry.lock.acquire()
        try:
            entry.holder, entry.since = reason, self.clock.now()
            yield
        finally:
            entry.holder = ""
            entry.lock.release()

    @contextmanager
    def try_hold(self, app_id: str, reason: str, patience: float = 0.0) -> Iterator[bool]:
        """Hold the lock if it is free within `patience` seconds; yields whether it is held."""
        with self._guard:
            entry = self._locks.setdefault(app_id, _Lock())
        held = entry.lock.acquire(timeout=patience) if patience else entry.lock.acquire(blocking=False)
        try:
            if held:
                entry.holder, entry.since = reason, self.clock.now()
            yield held
        finally:
            if held:
                entry.holder = ""
                entry.lock.release()

    def holder(self, app_id: str) -> str:
        """Who holds it, in words; empty: nobody."""
        entry = self._locks.get(app_id)
        return entry.holder if entry else ""


@dataclass(frozen=True, slots=True)
class Context:
    """The wired platform. Made in `bootstrap.py`; tests make it from the memory parts.

    `build_env` are the variables of this machine that build stages get: proxies and package indexes.
    """

    settings: Settings
    store: Store
    engine: Engine
    builder: Builder
    stack: Stack
    router: Router
    clock: Clock
    locks: Locks
    build_env: Mapping[str, str] = field(default_factory=dict)
    signals: Signals = field(default_factory=NoSignals)
    readings: Readings = field(default_factory=lambda: Readings(SystemClock()))
    pushes: Pushes = field(default_factory=Pushes)
    leaving: Leaving = field(default_factory=Leaving)
