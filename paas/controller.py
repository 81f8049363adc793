"""The loop: on every tick or engine change, each app whose parts differ from what is wanted is reconciled.

It repairs; it never decides what is wanted. An app somebody works on (its lock is held) is left to them, but a dead
replica leaves the routes at once, whoever holds the lock. It never waits for a replica to become healthy while it
holds an app's lock: it does what can be done, and looks again soon.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from paas.errors import EngineUnavailable, NotFound, PaasError
from paas.model.app import App, Release, ReleaseStatus
from paas.model.events import Event, logged
from paas.model.plan import Apply, Plan, WaitHealthy
from paas.model.route import Route
from paas.model.service import Change, ObservedService, Replica, State
from paas.plan.liveness import Liveness, gets_on
from paas.reconcile import World, certified, plan_of, reconcile, refresh_routes
from paas.usecases.context import Context
from paas.usecases.endings import Endings

log = logging.getLogger("paas.controller")
_noted = logged(log)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before an app whose repair failed, or did not last, is tried again: doubled each time."""

REOPEN, LONGEST_REOPEN = 0.5, 5.0
"""Seconds before the engine's changes are followed again after they ended."""

AT_ONCE = 8
"""Repairs that run at the same time."""

LATELY = 15.0
"""Seconds of samples, three at least, by which a replica that fails its checks is seen to get on."""

GATHER = 0.05
"""Seconds after a change in which more of them may come, for one look at all."""

HURRY, SLOWER = 0.25, 1.25
"""Seconds between looks while a replica boots or a repair is held back, and the growth of that pause."""

REPAIR, RESTART = "the controller", "the controller, which starts an ill replica again"
"""Who holds an app's lock during a repair, in words."""


@dataclass(slots=True)
class Backoff:
    """Holds back repairs of one app. Times are monotonic."""

    tries: int = 0
    tried_at: float = float("-inf")
    failed_at: float = float("-inf")

    def tried(self, now: float) -> None:
        """Replicas were started; if that lasts, all this is forgotten."""
        self.tries, self.tried_at = self.tries + 1, now

    def failed(self, now: float) -> None:
        """A repair ended with an error."""
        self.tried(now)
        self.failed_at = now

    def allows(self, now: float, *, starts: bool) -> bool:
        """Whether a repair may be tried now. One that `starts` no replica is never held back for long."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self.tries - 1, 30))
        return now >= (self.tried_at + pause if starts else self.failed_at + FIRST_PAUSE)


@dataclass(frozen=True, slots=True)
class Known:
    """What the last look saw of a replica: its name (`web.2`) and address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at everything: services by app id, routes, and the names there are certificates for."""

    services: Mapping[str, Sequence[ObservedService]]
    routes: Sequence[Route]
    tls_hosts: Sequence[str]


@dataclass(slots=True)
class Controller:
    """One thread follows the engine's changes, one looks at the apps, and each repair has a thread of its own.

    `recover` finishes or undoes a release that a killed server left in the middle; it is called with the app's lock
    held. `repair_addons` looks after all addons; it takes their locks itself.
    """

    context: Context
    world: World
    recover: Callable[[App], None]
    repair_addons: Callable[[], None] = lambda: None
    _stop: threading.Event = field(default_factory=threading.Event)
    _wake: threading.Event = field(default_factory=threading.Event)
    _looked: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _repairs: dict[str, threading.Thread] = field(default_factory=dict)
    _backoffs: dict[str, Backoff] = field(default_factory=dict)
    _releases: dict[str, Release] = field(default_factory=dict)
    _ends: Endings = field(init=False)
    _slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))
    _known: Mapping[str, Known] = field(default_factory=dict)
    _starved: set[str] = field(default_factory=set)
    _liveness: Liveness = field(default_factory=Liveness)
    _first: bool = True
    _hurry: float = 0.0
    _engine_gone: bool = False
    _router_gone: float | None = None

    def __post_init__(self) -> None:
        self._ends = Endings(self.world, self._failed)

    def start(self) -> None:
        """Begin; a first look at everything follows at once."""
        for work in (self._loop, self._follow):
            thread = threading.Thread(target=work, name=f"controller{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = 30.0) -> None:
        """End all threads; repairs under way are finished first, for `seconds` at most."""
        for event in (self._stop, self._wake, self._looked):
            event.set()
        deadline = self.context.clock.monotonic() + seconds
        for thread in (*self._threads, *self._repairs.values()):
            thread.join(max(0.0, deadline - self.context.clock.monotonic()))

    def look(self) -> None:
        """One look at everything; repairs that are needed begin in threads of their own. Raises PaasError."""
        self._mend_router()
        observed = self.context.engine.observe()
        self._begin("addons", self.repair_addons)
        now = self.context.clock.monotonic()
        replicas = [replica for service in observed if service.kind == "replica" for replica in service.replicas]
        self._known = {
            replica.id: Known(f"{service.key.process}.{replica.index}", replica.address)
            for service in observed
            for replica in service.replicas
        }
        self._liveness = self._liveness.seen(replicas, now)
        snapshot = Snapshot(_by_app(observed), self.context.router.observe(), certified(self.context.store))
        apps = self.context.store.apps()
        self._forget_all_but({app.id for app in apps})
        waiting = [self._look_at(app, snapshot) for app in apps]
        self._first = False
        self._hurry = min(self._hurry * SLOWER or HURRY, self.context.settings.tick) if any(waiting) else 0.0

    # --- the engine's changes -----------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Changes are handled by what the last look knew, so after the first one; those before it are not lost."""
        pause, since = REOPEN, self.context.clock.now()
        self._looked.wait()
        while not self._stop.is_set():
            opened = self.context.clock.monotonic()
            try:
                for change in self.context.engine.watch(self._stop, since):
                    since = change.at or since
                    self._changed(change)
            except PaasError as error:
                log.debug("the engine's changes are not seen: %s", error.message)
            except Exception:
                log.exception("following the engine's changes failed")
            pause = REOPEN if self.context.clock.monotonic() - opened > LONGEST_REOPEN else pause
            self._stop.wait(pause)
            pause = min(LONGEST_REOPEN, pause * 2)
            # Whatever happened while nobody watched is found by looking.
            self._wake.set()

    def _changed(self, change: Change) -> None:
        try:
            if change.kind in ("die", "gone"):
                self._leave_routes(change)
            if change.kind in ("die", "oom"):
                self._tell(change)
        except PaasError as error:
            log.warning("after a replica ended (%s): %s", change.key, error.message)
        except Exception:
            log.exception("a change of %s could not be handled", change.key)
        self._hurry = 0.0
        self._wake.set()

    def _leave_routes(self, change: Change) -> None:
        """By the address that was last seen; where that is not in the routes, the engine is asked what is alive."""
        known = self._known.get(change.replica)
        if known and not known.address:
            return
        changed = refresh_routes(self.world, change.key.app_id, known.address) if known else False
        if not changed and change.kind == "die":
            refresh_routes(self.world, change.key.app_id)

    def _tell(self, change: Change) -> None:
        """Keep it as an event, unless somebody who works on the app, or has left the replica to be ended, ended it."""
        app_id, key = change.key.app_id, change.key
        if change.kind == "oom":
            # It may be one process of several; whether the replica ends with it is told by a `die` that follows.
            self._starved.add(change.replica)
            return
        oom = change.replica in self._starved
        self._starved.discard(change.replica)
        release = self._releases.get(app_id) or self._release(self.context.store.app(app_id))
        wanted = release is not None and (release.since.get(key.process) or release.number) == key.release
        left = self.context.leaving.was_left(change.replica)
        if not wanted or (left and change.asked and not oom):
            return
        if self._may_be_ours(self.context.locks.holder(app_id), change, oom=oom):
            return
        known = self._known.get(change.replica)
        name = known.name if known else key.process
        cause = "over its memory limit" if oom else f"exit code {change.exit_code}"
        data = {"process": key.process, "replica": name, "exit_code": change.exit_code, "oom": oom}
        self._keep(app_id, f"{name} of v{key.release} ended: {cause}", data)

    def _may_be_ours(self, holder: str, change: Change, *, oom: bool) -> bool:
        """Whether who holds the app's lock may have ended the replica.

        A repair ends nothing but through the engine: a replica that crashes again while the crash before is mended is
        told.
        """
        return bool(holder) and (holder != REPAIR or (change.asked and not oom))

    def _keep(self, app_id: str, message: str, data: Mapping[str, object]) -> None:
        event = Event(kind="crash", message=message, at=self.context.clock.now(), data=data)
        self.context.store.add_event(event, app_id=app_id)

    # --- looking ------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
                self._answers_again()
            except EngineUnavailable as error:
                if not self._engine_gone:
                    log.warning("nothing can be repaired: %s", error.message)
                self._engine_gone = True
            except PaasError as error:
                log.warning("the apps could not be looked at: %s", error.message)
            except Exception:
                log.exception("looking at the apps failed")
            self._looked.set()
            if self._wake.wait(self._hurry or self.context.settings.tick):
                self._stop.wait(GATHER)
            self._wake.clear()

    def _answers_again(self) -> None:
        """What failed because the engine was gone is tried at once."""
        if self._engine_gone:
            log.info("the engine answers again")
            self._engine_gone = False
            self._backoffs.clear()
            self._wake.set()

    def _look_at(self, app: App, snapshot: Snapshot) -> bool:
        """Begin what this app needs and may have now. Whether it should be looked at again soon."""
        if self.context.locks.holder(app.id) or self._is_busy(app.id):
            return False
        release = self._release(app)
        now = self.context.clock.monotonic()
        backoff = self._backoffs.setdefault(app.id, Backoff())
        interrupted = release is not None and release.status is ReleaseStatus.PENDING
        if self._first or interrupted:
            if backoff.allows(now, starts=True):
                if interrupted:
                    backoff.tried(now)
                self._begin(app.id, lambda: self._repair(app.id))
            return False
        if release is not None and release.status is not ReleaseStatus.SUCCEEDED:
            return False
        services = snapshot.services.get(app.id, ())
        plan = plan_of(
            self.world, app, release, observed=services, routes=snapshot.routes, tls_hosts=snapshot.tls_hosts
        )
        if plan and not isinstance(plan.steps[0], WaitHealthy):
            starts = any(isinstance(step, Apply) for step in plan.steps)
            if not backoff.allows(now, starts=starts):
                return True
            if starts:
                backoff.tried(now)
            self._begin(app.id, lambda: self._repair(app.id))
        elif replica := self._due(app, services, snapshot.routes, now):
            self._liveness = self._liveness.started(replica.id, now)
            self._begin(app.id, lambda: self._restart(app.id, replica))
        elif not plan:
            self._backoffs.pop(app.id, None)
        return any(isinstance(step, WaitHealthy) for step in plan.steps)

    def _due(
        self, app: App, services: Sequence[ObservedService], routes: Sequence[Route], now: float
    ) -> Replica | None:
        """The replica of this app that is to be started again now, because it fails its checks and does nothing."""
        stay = [(s.key.process, one) for s in self.context.leaving.staying(services) for one in s.replicas]
        stay = [(process, one) for process, one in stay if not one.ending]  # a restart would be a second stop signal
        ill = [(process, one) for process, one in stay if one.state is State.UNHEALTHY]
        led_to = {server for route in routes if route.app_id == app.id for server in route.servers}
        busy = [one.id for process, one in ill if self._gets_on(app.id, process, one, led_to, now)]
        self._liveness = self._liveness.got_on(busy, now)
        return self._liveness.due([one for _, one in stay], now)

    def _gets_on(self, app_id: str, process: str, replica: Replica, led_to: set[str], now: float) -> bool:
        lately = max(LATELY, 3 * self.context.settings.sample)
        own = self.context.signals.recent(app_id, f"{process}.{replica.index}", lately)
        app = self.context.signals.recent(app_id, process, lately)
        return gets_on(replica, own, app, led_to, self._liveness.ill_for(replica.id, now))

    def _release(self, app: App) -> Release | None:
        """The wanted release. One that succeeded never changes, and reading it means decrypting it."""
        if not app.wanted:
            return None
        known = self._releases.get(app.id)
        if known is None or known.number != app.wanted or known.status is not ReleaseStatus.SUCCEEDED:
            self._releases[app.id] = self.context.store.release(app.id, app.wanted)
        return self._releases[app.id]

    def _forget_all_but(self, app_ids: set[str]) -> None:
        self._releases = {app_id: release for app_id, release in self._releases.items() if app_id in app_ids}
        self._backoffs = {app_id: backoff for app_id, backoff in self._backoffs.items() if app_id in app_ids}
        self._repairs = {name: thread for name, thread in self._repairs.items() if thread.is_alive()}
        self._starved &= self._known.keys()

    def _mend_router(self) -> None:
        """Bring the router up when it stays away: its own restart policy is quicker, and `paas down` means it."""
        try:
            now = self.context.clock.monotonic()
            if self.context.router.alive():
                self._router_gone = None
            elif self._router_gone is None:
                self._router_gone = now
            elif now - self._router_gone >= self.context.settings.tick:
                self._router_gone = now
                self.context.router.up(_noted)
                self.context.router.certificates(self.context.store.certificates())
                self._backoffs.clear()
        except PaasError as error:
            log.warning("the router is not up: %s", error.message)

    # --- repairing ----------------------------------------------------------------------------------------------

    def _is_busy(self, name: str) -> bool:
        thread = self._repairs.get(name)
        return thread is not None and thread.is_alive()

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        """Do the work in a thread; one at a time per name (an app's id, or `addons`)."""
        if self._stop.is_set() or self._is_busy(name):
            return
        thread = threading.Thread(target=self._guarded, args=(name, work), name=f"repair-{name}", daemon=True)
        self._repairs[name] = thread
        thread.start()

    def _guarded(self, name: str, work: Callable[[], None]) -> None:
        """A repair that fails is told in the log and tried again later, less and less often."""
        try:
            with self._slots:
                work()
        except NotFound as error:
            log.debug("%s: %s", name, error.message)  # the app or the replica has just gone
        except Exception as error:
            self._failed(name)
            if isinstance(error, PaasError):
                log.warning("%s could not be repaired: %s", name, error.message)
            else:
                log.exception("repairing %s failed", name)
        else:
            if name != "addons":
                self._wake.set()

    def _failed(self, name: str) -> None:
        self._backoffs.setdefault(name, Backoff()).failed(self.context.clock.monotonic())

    def _repair(self, app_id: str) -> None:
        left = Plan(app_id, "")
        with self.context.locks.try_hold(app_id, REPAIR) as held:
            if not held:
                return
            # Also what is not wanted may have been left pending: by a server killed while it undid a release.
            self.recover(self.context.store.app(app_id))
            app = self.context.store.app(app_id)
            release = self.context.store.release(app_id, app.wanted) if app.wanted else None
            if release is None or release.status is ReleaseStatus.SUCCEEDED:
                left = reconcile(self.world, app, release, _noted, patient=False, leave=True)
        self._ends.begin(left)

    def _restart(self, app_id: str, replica: Replica) -> None:
        """Start a replica again that runs but fails its checks."""
        with self.context.locks.try_hold(app_id, RESTART) as held:
            if held and not self.context.leaving.was_left(replica.id):
                known = self._known.get(replica.id)
                name = known.name if known else replica.id
                message = f"{name} fails its checks and is started again: {replica.detail}"
                self._keep(app_id, message, {"replica": name, "detail": replica.detail})
                self.context.engine.restart(replica.id)


def _by_app(observed: Sequence[ObservedService]) -> dict[str, list[ObservedService]]:
    found: dict[str, list[ObservedService]] = {}
    for service in observed:
        found.setdefault(service.key.app_id, []).append(service)
    return found
