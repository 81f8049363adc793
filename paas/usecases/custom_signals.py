"""Reads the signals that apps declare, of their replicas and their databases. Sampling keeps what comes of it.

Each is read in a thread of its own, and each replica in one of these: who answers slowly holds up nobody else, and what
the others said counts. A value that cannot be had is not there: autoscaling then holds the number and says why.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from paas.addons import kinds
from paas.errors import NotFound, PaasError, PlatformError
from paas.model.app import Addon, App, Release, ReleaseStatus
from paas.model.custom_signal import CustomSignal, Standing, language
from paas.model.events import Event
from paas.plan import custom_values
from paas.usecases import addon_service, readings
from paas.usecases.apps import wanted_counts
from paas.usecases.context import Context

log = logging.getLogger("paas.custom-signals")

PERIOD = 1.0
"""Seconds between two looks at what is due."""
PATIENCE = 3.0
"""Seconds that one replica has to answer."""
ROUND = 10.0
"""Seconds after which no further replica is asked for the same reading."""
AT_ONCE = 8
"""Replicas that are asked at once for one reading."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Readings at once: of all apps, and of one. The others wait for a next look."""

    most: int
    each: int


OF_REPLICAS = Bounds(most=32, each=4)
OF_DATABASES = Bounds(most=8, each=2)
"""A query costs a process in the database's container."""
WORDS = {"sql": "SQL", "redis": "Redis"}

Key = tuple[str, str]
"""App id and name of the signal."""


class Fetch(Protocol):
    """`egress.replicas.fetch`."""

    def __call__(self, address: str, host: str, path: str, *, limit: int, seconds: float) -> bytes:
        """Raises PlatformError."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """A signal of an app, and since when it is due (0: it was never read)."""

    app: App
    signal: CustomSignal
    due: float = 0.0

    @property
    def key(self) -> Key:
        return self.app.id, self.signal.name


@dataclass(frozen=True, slots=True)
class _Value:
    """`missing` says in words who gave none."""

    number: float
    missing: str = ""


@dataclass(slots=True)
class CustomSignals:
    """One per server; a call is one look."""

    context: Context
    fetch: Fetch
    _due: dict[Key, float] = field(default_factory=dict)
    _busy: dict[Key, tuple[threading.Thread, bool]] = field(default_factory=dict)
    _releases: dict[str, Release] = field(default_factory=dict)
    _idle_at: int | None = None
    """The revision of the store at which no app declared a signal."""
    _unread: dict[str, str] = field(default_factory=dict)
    """Why the release of an app cannot be read."""

    def __call__(self) -> None:
        """Begin to read what is due, and return at once. Forget what is declared no more."""
        revision = self.context.store.revision()
        if self._idle_at == revision:
            return
        declared = list(self._declared())
        self.context.readings.declare(
            {app_id: [one.signal for one in ones] for app_id, ones in groupby(declared, lambda one: one.app.id)}
        )
        self._idle_at = None if declared or self._unread else revision
        asleep = {one.app_id for one in self.context.store.sleeps() if one.asleep}
        wanted = [one for one in declared if not self._is_off(one, asleep)]
        self._due = {one.key: one.due for one in wanted}
        now = self.context.clock.monotonic()
        self._busy = {key: work for key, work in self._busy.items() if work[0].is_alive()}
        due = [one for one in wanted if now >= one.due and one.key not in self._busy]
        for one in (*self._turn(due, OF_REPLICAS, query=False), *self._turn(due, OF_DATABASES, query=True)):
            self._due[one.key] = now + one.signal.period
            self._begin(one)

    def values(self, app_id: str) -> dict[str, float]:
        """The values of an app's own signals, those that are fresh."""
        return readings.values(self.context.readings.of(app_id))

    def wait(self, seconds: float = 30.0) -> None:
        """Until nothing is being read, `seconds` at most."""
        for thread, _ in list(self._busy.values()):
            thread.join(seconds)

    # --- what is declared -----------------------------------------------------------------------------------------

    def _declared(self) -> Iterator[_Declared]:
        apps = self.context.store.apps()
        self._releases = {app.id: self._releases[app.id] for app in apps if app.id in self._releases}
        self._unread = {app.id: self._unread[app.id] for app in apps if app.id in self._unread}
        for app in apps:
            release = self._release(app) if app.wanted else None
            for signal in release.signals if release else ():
                yield _Declared(app, signal, self._due.get((app.id, signal.name), 0.0))

    def _release(self, app: App) -> Release | None:
        """The wanted release; one that succeeded never changes, and reading it means decrypting it. One that cannot be
        read keeps no other app from its signals."""
        known = self._releases.get(app.id)
        if known is None or known.number != app.wanted or known.status is not ReleaseStatus.SUCCEEDED:
            try:
                known = self._releases[app.id] = self.context.store.release(app.id, app.wanted)
            except NotFound:
                return None
            except PaasError as error:
                self._cannot_read(app, error.message)
                return None
        self._unread.pop(app.id, None)
        return known if known.image else None

    def _cannot_read(self, app: App, why: str) -> None:
        """Tell a cause once, and not at every look."""
        if self._unread.get(app.id) != why:
            self._unread[app.id] = why
            log.warning("%s: its signals are not read, as its release cannot be: %s", app.name, why)

    def _is_off(self, one: _Declared, asleep: Iterable[str]) -> bool:
        """Whether there is nobody to ask, by the user's own wish."""
        process, why = one.signal.process, ""
        if one.app.id in asleep:
            why = f"{one.app.name} sleeps"
        elif not one.signal.query and not wanted_counts(one.app, self._releases[one.app.id]).get(process, 1):
            why = f"{process} is scaled to 0"
        if why:
            self.context.readings.off(one.app.id, one.signal, why)
        return bool(why)

    def _turn(self, due: Iterable[_Declared], bounds: Bounds, *, query: bool) -> list[_Declared]:
        """Whose turn it is: first of the apps with the fewest that are being read, so no app's slow ones starve
        another; among these, what has waited longest."""
        busy = Counter(app_id for (app_id, _), (_, is_query) in self._busy.items() if is_query is query)
        free, ranked = bounds.most - busy.total(), list[tuple[int, float, int, _Declared]]()
        for number, one in enumerate(sorted(due, key=lambda one: one.due)):
            if bool(one.signal.query) is query and busy[one.app.id] < bounds.each:
                ranked.append((busy[one.app.id], one.due, number, one))
                busy[one.app.id] += 1
        return [one for *_, one in sorted(ranked, key=lambda rank: rank[:3])[: max(0, free)]]

    # --- reading --------------------------------------------------------------------------------------------------

    def _begin(self, one: _Declared) -> None:
        work = threading.Thread(target=self._read, args=(one,), name=f"signal-{one.signal.name}", daemon=True)
        self._busy[one.key] = work, bool(one.signal.query)
        work.start()

    def _read(self, one: _Declared) -> None:
        """The thread of one reading. Whatever happens becomes a value or a reason."""
        app, signal, kept = one.app, one.signal, self.context.readings
        try:
            value = self._of_database(app, signal) if signal.query else self._of_replicas(app, signal)
        except Exception as error:
            why = _in_words(error, f"signal {signal.name} of {app.name}")
            told = kept.failed(app.id, signal, why)
        else:
            why = value.missing
            told = kept.good(app.id, signal, value.number, why)
        if told is not None:
            self._tell(app, signal, told, why)

    def _of_replicas(self, app: App, signal: CustomSignal) -> _Value:
        services = self.context.leaving.staying(self.context.engine.observe(app.id))
        replicas = [one for service in services if service.key.process == signal.process for one in service.healthy]
        # While a deploy goes on there may be two of a name.
        names = [f"{signal.process}.{one.index}" for one in replicas if one.address]
        addresses = [one.address for one in replicas if one.address]
        if not addresses:
            raise PlatformError(f"no replica of {signal.process} is healthy")
        until = self.context.clock.monotonic() + ROUND

        def ask(address: str) -> float | str:
            if self.context.clock.monotonic() > until:
                return f"not asked, as others took {ROUND:g} s"
            limit, host = custom_values.LARGEST, f"{app.name}.internal"
            try:
                place = _address(address, signal.port)
                return custom_values.value_of(
                    signal, self.fetch(place, host, signal.path, limit=limit, seconds=PATIENCE)
                )
            except Exception as error:  # one replica's trouble is not the others'
                return _in_words(error, f"signal {signal.name} of {app.name}")

        with ThreadPoolExecutor(min(AT_ONCE, len(addresses)), thread_name_prefix="signal") as threads:
            answers = list(zip(names, threads.map(ask, addresses), strict=True))
        return _together(signal, answers)

    def _of_database(self, app: App, signal: CustomSignal) -> _Value:
        addon = self._database(app, signal)
        service = addon_service.observed(self.context, addon)
        if service is None or not service.healthy:
            raise PlatformError(f"{addon.name} does not run")
        answer = addon_service.asked(self.context, addon, service.healthy[0], signal.query)
        return _Value(custom_values.of_query(answer))

    def _database(self, app: App, signal: CustomSignal) -> Addon:
        """The addon that the signal names, or the only one that speaks the language of its query."""
        spoken = language(signal.query)
        bound = {one.alias: one.addon_id for one in self.context.store.attachments(app_id=app.id)}
        addons = {one: self.context.store.addon(one) for one in set(bound.values())}
        speaking = {one for one, addon in addons.items() if kinds.kind(addon.kind).speaks == spoken}
        named = {bound.get(signal.addon, "")} if signal.addon else set(bound.values())
        if len(found := named & speaking) == 1:
            return addons[found.pop()]
        if signal.addon in bound:
            why = f"{signal.addon} answers no {WORDS[spoken]} query"
        elif signal.addon:
            why = f"there is no addon {signal.addon}"
        else:
            why = "say which addon" if found else f"no addon of it answers a {WORDS[spoken]} query"
        raise PlatformError(f"{why}: it has {', '.join(sorted(bound)) or 'none'}")

    # --- what comes of it -----------------------------------------------------------------------------------------

    def _tell(self, app: App, signal: CustomSignal, told: Standing, why: str) -> None:
        kind, words = {
            Standing.FAILING: ("signal.failed", f"cannot be read: {why}"),
            Standing.PARTIAL: ("signal.partial", f"is read of some replicas alone: {why}"),
        }.get(told, ("signal.works", "can be read again"))
        event = Event(kind=kind, app=app.name, message=f"signal {signal.name} {words}", at=self.context.clock.now())
        try:
            self.context.store.add_event(event, app_id=app.id, actor="autoscale")
        except PaasError as error:
            log.warning("%s: %s could not be kept: %s", app.name, kind, error.message)


def _together(signal: CustomSignal, answers: Sequence[tuple[str, float | str]]) -> _Value:
    """What the numbers of these replicas come to. Raises PlatformError, naming who gave none, where too few did."""
    numbers = [one for _, one in answers if not isinstance(one, str)]
    silent = [f"{name}: {one}" for name, one in answers if isinstance(one, str)]
    count = f"{len(silent)} of {len(answers)} replicas gave no number; " if len(answers) > 1 else ""
    missing = f"{count}{silent[0]}" if silent else ""
    value = custom_values.combined(numbers, signal.combine, len(answers))
    if value is None:
        raise PlatformError(missing)
    return _Value(value, missing)


def _address(address: str, port: int) -> str:
    """`ip:port` of a replica, at another port if one is said. Raises PlatformError where neither is known."""
    host, colon, own = address.rpartition(":")
    host = host if colon and (not host.startswith("[") or host.endswith("]")) else address
    if port:
        return f"{host}:{port}"
    if not colon or not own.isdigit():
        raise PlatformError("its port is not known: say port")
    return address


def _in_words(error: Exception, what: str) -> str:
    """The cause, what a database said of it included; somebody else's words are made one short line."""
    if not isinstance(error, PaasError | ValueError):
        log.error("%s could not be read", what, exc_info=error)
        return "internal error"
    details = error.details[:1] if isinstance(error, PaasError) else ()
    text = " ".join((error.message if isinstance(error, PaasError) else str(error), *details))
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:300]
