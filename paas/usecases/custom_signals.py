"""Reads the signals that apps declare, of their replicas and their databases. Sampling keeps what comes of it.

Each is read in a thread of its own, one at a time, so an app that answers slowly holds up nobody else. A value that
cannot be had is not there: autoscaling then holds the number and says that it is blind.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from paas.errors import NotFound, PaasError, PlatformError
from paas.model.app import App, Release, ReleaseStatus
from paas.model.custom_signal import CustomSignal
from paas.model.events import Event
from paas.plan import custom_values
from paas.usecases import addon_service
from paas.usecases.context import Context

log = logging.getLogger("paas.custom-signals")

PERIOD = 1.0
"""Seconds between two looks at what is due."""
PATIENCE = 3.0
"""Seconds that one replica has to answer."""
AT_ONCE = 8
"""Replicas of one app that are asked at once."""
MOST = 32
"""Signals that are being read at once; the others wait for the next look."""
TOLD = 3
"""Failures in a row after which that is told."""

Key = tuple[str, str]
"""App id and name of the signal."""


class Fetch(Protocol):
    """`egress.replicas.fetch`."""

    def __call__(self, address: str, host: str, path: str, *, limit: int, seconds: float) -> bytes:
        """Raises PlatformError."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read last, and when (seconds of a clock that never goes back); None: it could not be. `failures` in a
    row."""

    value: float | None = None
    at: float = 0.0
    failures: int = 0


@dataclass(slots=True)
class CustomSignals:
    """One per server; a call is one look."""

    context: Context
    fetch: Fetch
    _readings: dict[Key, Reading] = field(default_factory=dict)
    _due: dict[Key, float] = field(default_factory=dict)
    _busy: dict[Key, threading.Thread] = field(default_factory=dict)
    _releases: dict[str, Release] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> None:
        """Begin to read what is due, and return at once. Forget what is declared no more."""
        now, declared = self.context.clock.monotonic(), set[Key]()
        for app, signal in self._declared():
            key = (app.id, signal.name)
            declared.add(key)
            if now >= self._due.get(key, 0.0) and not self._is_busy(key) and len(self._busy) < MOST:
                self._due[key] = now + signal.period
                self._begin(key, app, signal)
        with self._guard:
            self._readings = {key: one for key, one in self._readings.items() if key in declared}
        self._due = {key: at for key, at in self._due.items() if key in declared}

    def values(self, app_id: str) -> dict[str, float]:
        """The values of an app's own signals, those that are fresh."""
        now, release = self.context.clock.monotonic(), self._releases.get(app_id)
        with self._guard:
            readings = {name: one for (of, name), one in self._readings.items() if of == app_id}
        found: dict[str, float] = {}
        for signal in release.signals if release else ():
            one = readings.get(signal.name)
            if one and one.value is not None and now - one.at <= 2 * signal.period + PATIENCE:
                found[signal.name] = one.value
        return found

    def wait(self, seconds: float = 30.0) -> None:
        """Until nothing is being read, `seconds` at most."""
        for thread in list(self._busy.values()):
            thread.join(seconds)

    # --- what is declared -----------------------------------------------------------------------------------------

    def _declared(self) -> Iterator[tuple[App, CustomSignal]]:
        asleep = {one.app_id for one in self.context.store.sleeps() if one.asleep}
        apps = self.context.store.apps()
        self._releases = {app.id: self._releases[app.id] for app in apps if app.id in self._releases}
        for app in apps:
            release = self._release(app) if app.wanted and app.id not in asleep else None
            for signal in release.signals if release else ():
                yield app, signal

    def _release(self, app: App) -> Release | None:
        """The wanted release; one that succeeded never changes, and reading it means decrypting it."""
        known = self._releases.get(app.id)
        if known is None or known.number != app.wanted or known.status is not ReleaseStatus.SUCCEEDED:
            try:
                known = self._releases[app.id] = self.context.store.release(app.id, app.wanted)
            except NotFound:
                return None
        return known if known.image else None

    def _is_busy(self, key: Key) -> bool:
        self._busy = {one: thread for one, thread in self._busy.items() if thread.is_alive()}
        return key in self._busy

    # --- reading --------------------------------------------------------------------------------------------------

    def _begin(self, key: Key, app: App, signal: CustomSignal) -> None:
        work = threading.Thread(target=self._read, args=(key, app, signal), name=f"signal-{signal.name}", daemon=True)
        self._busy[key] = work
        work.start()

    def _read(self, key: Key, app: App, signal: CustomSignal) -> None:
        """The thread of one reading. Whatever happens becomes a value or a reason."""
        try:
            value = self._of_database(app, signal) if signal.query else self._of_replicas(app, signal)
        except (PaasError, ValueError) as error:
            self._failed(key, app, signal, _in_words(error))
        except Exception:
            log.exception("signal %s of %s could not be read", signal.name, app.name)
            self._failed(key, app, signal, "internal error")
        else:
            self._worked(key, app, signal, value)

    def _of_replicas(self, app: App, signal: CustomSignal) -> float:
        services = self.context.engine.observe(app.id)
        replicas = [one for service in services if service.key.process == signal.process for one in service.healthy]
        addresses = [_address(one.address, signal.port) for one in replicas if one.address]
        if not addresses:
            raise PlatformError(f"no replica of {signal.process} is healthy")

        def ask(address: str) -> float:
            limit, host = custom_values.LARGEST, f"{app.name}.internal"
            answer = self.fetch(address, host, signal.path, limit=limit, seconds=PATIENCE)
            return custom_values.value_of(signal, answer)

        with ThreadPoolExecutor(min(AT_ONCE, len(addresses)), thread_name_prefix="signal") as threads:
            # One that is missing would make the sum a smaller load than it is: then there is none.
            return custom_values.combined(list(threads.map(ask, addresses)), signal.combine)

    def _of_database(self, app: App, signal: CustomSignal) -> float:
        bound = self.context.store.attachments(app_id=app.id)
        found = [one for one in bound if signal.addon in ("", one.alias)]
        if len({one.addon_id for one in found}) != 1:
            names = ", ".join(sorted(one.alias for one in bound)) or "none"
            asked = f"there is no addon {signal.addon}" if signal.addon else "say which addon"
            raise PlatformError(f"{asked}: it has {names}")
        addon = self.context.store.addon(found[0].addon_id)
        service = addon_service.observed(self.context, addon)
        if service is None or not service.healthy:
            raise PlatformError(f"{addon.name} does not run")
        return custom_values.of_query(addon_service.asked(self.context, addon, service.healthy[0], signal.query))

    # --- what comes of it -----------------------------------------------------------------------------------------

    def _worked(self, key: Key, app: App, signal: CustomSignal, value: float) -> None:
        before = self._keep(key, Reading(value, self.context.clock.monotonic()))
        if before.failures >= TOLD:
            self._tell(app, "signal.works", f"signal {signal.name} can be read again")

    def _failed(self, key: Key, app: App, signal: CustomSignal, why: str) -> None:
        with self._guard:
            before = self._readings.get(key, Reading())
            # The last value stands until it is too old: one answer that was lost is no reason to be blind.
            self._readings[key] = replace(before, failures=before.failures + 1)
        if before.failures + 1 == TOLD:
            self._tell(app, "signal.failed", f"signal {signal.name} cannot be read: {why}")

    def _keep(self, key: Key, reading: Reading) -> Reading:
        """Keep it; the one before."""
        with self._guard:
            before = self._readings.get(key, Reading())
            self._readings[key] = reading
        return before

    def _tell(self, app: App, kind: str, message: str) -> None:
        event = Event(kind=kind, app=app.name, message=message, at=self.context.clock.now())
        try:
            self.context.store.add_event(event, app_id=app.id, actor="autoscale")
        except PaasError as error:
            log.warning("%s: %s could not be kept: %s", app.name, kind, error.message)


def _address(address: str, port: int) -> str:
    """`ip:port` of a replica, at another port if one is said. Raises PlatformError where neither is known."""
    host, colon, own = address.rpartition(":")
    host = host if colon and (not host.startswith("[") or host.endswith("]")) else address
    if port:
        return f"{host}:{port}"
    if not colon or not own.isdigit():
        raise PlatformError("its port is not known: say port")
    return address


def _in_words(error: Exception) -> str:
    """The cause, what a database said of it included; somebody else's words are made one short line."""
    details = error.details[:1] if isinstance(error, PaasError) else ()
    text = " ".join((error.message if isinstance(error, PaasError) else str(error), *details))
    return "".join(char for char in " ".join(text.split()) if char.isprintable())[:300]
