"""The loop: on every tick, engine change or nudge, each app whose parts differ from what is wanted is reconciled.

It repairs; it never decides what is wanted. An app somebody works on (its lock is held) is left to them, but a dead
replica leaves the routes at once, whoever holds the lock.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from paas.errors import PaasError
from paas.model.app import App, ReleaseStatus
from paas.model.events import Event, silent
from paas.model.service import Change, ObservedService, State
from paas.reconcile import World, plan_of, reconcile, refresh_routes
from paas.usecases.context import Context

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before an app whose repair failed is tried again: doubled each time."""


@dataclass(slots=True)
class _Backoff:
    failures: int = 0
    not_before: float = 0.0

    def failed(self, now: float) -> None:
        self.failures += 1
        self.not_before = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.failures - 1))


@dataclass(slots=True)
class Controller:
    """Two threads: one follows the engine's changes, one looks at the apps. `start` and `stop` are all others need."""

    context: Context
    world: World
    recover: Callable[[App], None]
    repair_addons: Callable[[], None] = lambda: None
    _stop: threading.Event = field(default_factory=threading.Event)
    _wake: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _backoff: dict[str, _Backoff] = field(default_factory=dict)

    def start(self) -> None:
        """Begin; a first look at everything follows at once."""
        for work in (self._loop, self._follow):
            thread = threading.Thread(target=work, name=f"controller{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._wake.set()

    def stop(self) -> None:
        """End both threads; a repair under way is finished first."""
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def nudge(self, app_id: str = "") -> None:
        """Look soon; a nudged app is not held back by earlier failures."""
        self._backoff.pop(app_id, None)
        self._wake.set()

    # --- the engine's changes -----------------------------------------------------------------------------------

    def _follow(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            try:
                for change in self.context.engine.watch(self._stop):
                    pause = FIRST_PAUSE
                    self._changed(change)
            except PaasError as error:
                log.warning("the engine's changes are not seen: %s", error.message)
            except Exception:
                log.exception("following the engine's changes failed")
            self._stop.wait(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
            self._wake.set()

    def _changed(self, change: Change) -> None:
        if change.kind in ("die", "oom", "gone"):
            try:
                refresh_routes(self.world, change.key.app_id)
            except PaasError as error:
                log.warning("routes of %s were not refreshed: %s", change.key.app_id, error.message)
            if change.kind != "gone" and not self.context.locks.holder(change.key.app_id):
                self._tell_crash(change)
        self._wake.set()

    def _tell_crash(self, change: Change) -> None:
        cause = "over its memory limit" if change.kind == "oom" else f"exit code {change.exit_code}"
        event = Event(
            kind="crash",
            message=f"a replica of {change.key} ended: {cause}",
            at=self.context.clock.now(),
            data={"process": change.key.process, "exit_code": change.exit_code},
        )
        self.context.store.add_event(event, app_id=change.key.app_id)

    # --- the apps -----------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self.context.settings.tick)
            if self._stop.is_set():
                return
            self._wake.clear()
            try:
                self._look()
            except PaasError as error:
                log.warning("the apps could not be looked at: %s", error.message)
            except Exception:
                log.exception("looking at the apps failed")

    def _look(self) -> None:
        if not self.context.router.alive():
            self.context.router.up(silent)
        self.repair_addons()
        observed = self.context.engine.observe()
        for app in self.context.store.apps():
            backoff = self._backoff.setdefault(app.id, _Backoff())
            if self.context.clock.monotonic() >= backoff.not_before:
                self._one(app, observed, backoff)

    def _one(self, app: App, observed: tuple[ObservedService, ...], backoff: _Backoff) -> None:
        try:
            if self._repair(app, observed):
                self._backoff[app.id] = _Backoff()
        except PaasError as error:
            log.warning("%s could not be repaired: %s", app.name, error.message)
            backoff.failed(self.context.clock.monotonic())
        except Exception:
            log.exception("repairing %s failed", app.name)
            backoff.failed(self.context.clock.monotonic())

    def _repair(self, app: App, observed: tuple[ObservedService, ...]) -> bool:
        """Whether the app is as it should be now."""
        with self.context.locks.try_hold(app.id, "the controller") as held:
            if not held:
                return False
            app = self.context.store.app(app.id)
            release = self.context.store.release(app.id, app.wanted) if app.wanted else None
            if release is not None and release.status is ReleaseStatus.PENDING:
                self.recover(app)
                return True
            if plan_of(self.world, app, release, observed=observed):
                reconcile(self.world, app, release, silent)
            self._restart_unhealthy(app)
            return True

    def _restart_unhealthy(self, app: App) -> None:
        """A replica that runs but fails its checks is started again; the back-off keeps this from becoming a loop."""
        for service in self.context.engine.observe(app.id):
            for replica in service.replicas:
                if replica.state is State.UNHEALTHY:
                    message = (
                        f"{service.key.process}.{replica.index} fails its checks and is started again: {replica.detail}"
                    )
                    event = Event(kind="crash", app=app.name, message=message, at=self.context.clock.now())
                    self.context.store.add_event(event, app_id=app.id)
                    self.context.engine.restart(replica.id)
                    self._backoff.setdefault(app.id, _Backoff()).failed(self.context.clock.monotonic())
