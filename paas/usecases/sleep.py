"""Sleep and wake: an app that may sleep and was idle long enough runs nothing; its route leads to the waker, which has
it started by the first request. All its processes sleep. What is done to an app (a deploy, a scale) wakes it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from paas.errors import Conflict, NotFound, PaasError, UsageError
from paas.model.app import App, Release, ReleaseStatus
from paas.model.events import Emit, Event, logged
from paas.model.plan import Plan
from paas.model.service import Replica, ServiceSpec, State
from paas.model.sleep import Sleep
from paas.reconcile import finish, reconcile
from paas.requests.sleep import SetSleep, ShowSleep, SleepNow, UnsetSleep, WakeApp
from paas.usecases.autoscale import rules_of
from paas.usecases.context import Act, Context
from paas.usecases.endings import Endings
from paas.usecases.switch import in_words, world

log = logging.getLogger("paas.sleep")
_noted = logged(log)

PERIOD = 5.0
"""Seconds between two looks at who is idle."""
LOOK = 0.2
"""Seconds between two looks whether an app may be put to sleep."""
SHORTEST = 60.0
"""Seconds of idleness below which no app sleeps: waking costs its users a wait."""
HOLDER = "sleep"


Ready = Callable[[str], None]
"""Is told where the app answers (`ip:port`), as soon as somebody does."""


class Holder(Protocol):
    """Who holds requests of sleeping apps, at a loopback port for each."""

    def listen(self, app_id: str, port: int = 0) -> int:
        """Have a port for the app, this one when it is free. Raises OSError."""

    def forget_all_but(self, app_ids: Iterable[str]) -> None:
        """Close the ports of other apps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleeping:
    """`after` idle seconds the app sleeps, 0: never. `since` is when it fell asleep or woke last, Unix seconds;
    `by_file`: that is what its `paas.toml` says."""

    app: str
    after: float
    asleep: bool
    since: float
    by_file: bool = False


def show_sleep(context: Context, request: ShowSleep, act: Act) -> Sleeping:
    """How it is set. Raises NotFound."""
    return _shown(context, context.store.app(request.app))


def set_sleep(context: Context, request: SetSleep, act: Act) -> Sleeping:
    """Raises NotFound, and UsageError for a time too short to be worth a wait."""
    if 0 < request.after < SHORTEST:
        raise UsageError(f"an app sleeps after {SHORTEST:g} s without requests at the least", hint="30m, or off")
    app = context.store.app(request.app)
    with context.locks.hold(app.id, f"{act.actor}: sleep", act.emit):
        known = context.store.sleep(app.id)
        made = known or Sleep(app_id=app.id, after=0.0, since=context.clock.now())
        sleeps_on = made.asleep and request.after > 0
        context.store.put_sleep(replace(made, after=request.after, by_file=False, asleep=sleeps_on))
        if not request.after:
            _started(context, app, known, act)
    return _shown(context, app)


def unset_sleep(context: Context, request: UnsetSleep, act: Act) -> Sleeping:
    """Forget what was set by command. Raises NotFound."""
    app = context.store.app(request.app)
    with context.locks.hold(app.id, f"{act.actor}: sleep", act.emit):
        known = context.store.sleep(app.id)
        if known is not None and not known.by_file:
            context.store.delete_sleep(app.id)
            _started(context, app, known, act)
    return _shown(context, app)


def _started(context: Context, app: App, known: Sleep | None, act: Act) -> None:
    """Have it run that slept."""
    release = _serving(context, app)
    if known is not None and known.asleep and release:
        reconcile(world(context), app, release, act.emit)


def declared(context: Context, app_id: str, after: float | None) -> None:
    """What the files of a release that serves say of its sleep (None: nothing); what was set by command stays."""
    known = context.store.sleep(app_id)
    if known is None and after is not None:
        context.store.put_sleep(Sleep(app_id=app_id, after=after, since=context.clock.now(), by_file=True))
    elif known is not None and known.by_file and after is None:
        context.store.delete_sleep(app_id)
    elif known is not None and known.by_file and after != known.after:
        context.store.put_sleep(replace(known, after=after or 0.0))


def sleep_now(context: Context, request: SleepNow, act: Act) -> Sleeping:
    """Idempotent. Raises Conflict for an app that may not sleep, that runs nothing, or that somebody works on;
    PaasError when it cannot be put to sleep."""
    app = context.store.app(request.app)
    known = _watched(context, app.id)
    if known is None or not known.after:
        raise Conflict(f"{app.name} never sleeps", hint=f"paas sleep set {app.name} 30m")
    if not known.port:
        raise Conflict(f"{app.name} cannot sleep yet: nobody would hold its requests", hint="try again in some seconds")
    if not known.asleep and not fall_asleep(context, app.id, f"{act.actor} said so"):
        holder = context.locks.holder(app.id)
        why = f"is busy: {holder}" if holder else "has no release that runs"
        raise Conflict(f"{app.name} {why}", hint="paas operations" if holder else f"paas deploy -a {app.name}")
    return _shown(context, app)


def _watched(context: Context, app_id: str) -> Sleep | None:
    """How it is set. For an app that has just been allowed to sleep: when there is somebody to hold its requests."""
    end = context.clock.monotonic() + 3 * PERIOD
    while (known := context.store.sleep(app_id)) and known.after and not known.port:
        if context.clock.monotonic() >= end:
            break
        context.clock.sleep(LOOK)
    return known


def wake_app(context: Context, request: WakeApp, act: Act) -> Sleeping:
    """Idempotent. Raises Conflict when nothing was deployed, and what a start fails with: it sleeps on then."""
    app = context.store.app(request.app)
    known = context.store.sleep(app.id)
    if known is not None and known.asleep:
        _awake(context, app.id, f"{act.actor} woke it", None, act.emit)
    return _shown(context, app)


def wake(context: Context, app_id: str, ready: Ready | None = None) -> str:
    """Have the app awake for a request, and say where a healthy replica of web answers (`ip:port`); `ready` hears it
    before. Raises PaasError with the cause.
    """
    return _address(context, _awake(context, app_id, "a request woke it", ready, _noted))


def _awake(context: Context, app_id: str, why: str, ready: Ready | None, emit: Emit) -> App:
    """The app, awake; waits for its lock. One of which web does not get healthy is asleep again; what else fails then
    is left to the controller. Raises PaasError with the cause.
    """
    with context.locks.hold(app_id, "waking", emit):
        app = context.store.app(app_id)
        known, release = context.store.sleep(app_id), _serving(context, app)
        if release is None:
            raise Conflict(f"{app.name} has no release that runs")
        if known and known.asleep:
            # In this order: who looks at an app that is awake sees with how many.
            app = _fewest(context, app, release)
            context.store.put_sleep(replace(known, asleep=False, since=context.clock.now()))
            try:
                _start_first(context, app, release, ready, emit)
            except Exception as error:
                _asleep_again(context, app, release, known, error)
                raise
            _tell(context, app, "sleep.woke", f"{app.name} is awake: {why}")
            _start_others(context, app, release, emit)
    return app


def _fewest(context: Context, app: App, release: Release) -> App:
    """The app with the least of what rules scale: how many there were before it slept says nothing of who comes now."""
    rules = rules_of(context, app, release)
    counts = {
        name: one.least for name, one in rules.items() if not one.paused and app.formation.get(name, 0) > one.least
    }
    if not counts:
        return app
    context.store.save_app(replace(app, formation={**app.formation, **counts}))
    return context.store.app(app.id)


def _start_first(context: Context, app: App, release: Release, ready: Ready | None, emit: Emit) -> None:
    """One replica of web, and the routes to it: somebody waits. Raises what keeps it from that."""

    def well(spec: ServiceSpec, replicas: Sequence[Replica]) -> None:
        if ready and spec.process == "web" and replicas:
            ready(replicas[0].address)

    if app.formation.get("web", 1):
        counts = {process.name: int(process.name == "web") for process in release.processes}
        reconcile(world(context), replace(app, formation=counts), release, emit, well=well)
    else:
        reconcile(world(context), app, release, emit)


def _start_others(context: Context, app: App, release: Release, emit: Emit) -> None:
    """All that the app has beside its first replica. It answers already, so what fails here is only told."""
    try:
        reconcile(world(context), app, release, emit)
    except Exception as error:
        message = f"{app.name} is awake, but not all of it: {in_words(error)}"
        _tell(context, app, "sleep.woke_partly", message)
        emit(Event(kind="warning", app=app.name, message=message))


def fall_asleep(context: Context, app_id: str, why: str = "", end: Callable[[Plan], None] | None = None) -> bool:
    """Lead the routes to the waker, drain, end the replicas. Whether it did: not while somebody works on the app. Their
    ends come after the app's lock is free: a request may wake the app while they still finish what they have. `end`
    is to see to them, else they are waited for.

    Raises PaasError when that fails; the app is awake then, and its events say why, or what is left of it is ended by
    the controller.
    """
    left: Plan | None = None
    try:
        with context.locks.try_hold(app_id, HOLDER) as held:
            known = context.store.sleep(app_id)
            if not held or known is None or known.asleep or not known.port:
                return False
            app = context.store.app(app_id)
            release = _serving(context, app)
            if release is None:
                return False
            left = _lay_down(context, app, release, known)
            _tell(context, app, "sleep.fell", f"{app.name} sleeps: {why or f'no request for {known.after / 60:g} min'}")
            return True
    finally:
        if left is not None:
            end(left) if end else finish(world(context), left, _noted)


def _lay_down(context: Context, app: App, release: Release, known: Sleep) -> Plan:
    """The ends of what runs, to be finished. The flag comes first, so that a server killed on the way goes on with it.
    What fails has the app awake again: a flag without the deed would hide from everybody that it runs."""
    context.store.put_sleep(replace(known, asleep=True, since=context.clock.now()))
    try:
        return reconcile(world(context), app, release, _noted, leave=True)
    except Exception as error:
        context.store.put_sleep(replace(known, asleep=False, since=context.clock.now()))
        _tell(context, app, "sleep.kept_awake", f"{app.name} could not be put to sleep: {in_words(error)}")
        try:
            reconcile(world(context), app, release, _noted)
        except PaasError as again:
            log.warning("%s could not be led back: %s", app.name, again.message)
        raise


def listen(context: Context, holder: Holder) -> None:
    """Have a port for every app that may sleep, the one it had when that is free: its route leads there already. An app
    that somebody works on is told of its new port by the next call: the others must not wait for it."""
    found = [one for one in context.store.sleeps() if one.after]
    holder.forget_all_but(one.app_id for one in found)
    for one in found:
        port = holder.listen(one.app_id, one.port)
        if port == one.port:
            continue
        with context.locks.try_hold(one.app_id, HOLDER) as held:
            now = context.store.sleep(one.app_id)
            if held and now is not None:
                context.store.put_sleep(replace(now, port=port))


@dataclass(slots=True)
class _Seen:
    """How many requests there were, since when nothing has happened, and whether some were in flight."""

    requests: int
    at: float
    flying: bool = False


@dataclass(slots=True)
class Sleeper:
    """One per server; a call looks at every app that may sleep."""

    context: Context
    holder: Holder
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _ends: Endings = field(init=False)

    def __post_init__(self) -> None:
        self._ends = Endings(world(self.context))

    def wait(self, seconds: float = 30.0) -> None:
        """Until nothing of an app that fell asleep runs, `seconds` at most each."""
        self._ends.wait(seconds)

    def __call__(self) -> None:
        """Have those sleep that were idle long enough. Without word from the router nobody is idle."""
        listen(self.context, self.holder)
        may = [one for one in self.context.store.sleeps() if one.after and not one.asleep]
        self._seen = {one.app_id: self._seen[one.app_id] for one in may if one.app_id in self._seen}
        if not may:
            return
        counts = self._counts()
        for one in may:
            try:
                self._look(one, counts.get(one.app_id, 0))
            except NotFound:
                log.debug("%s has just gone", one.app_id)
            except PaasError as error:
                log.warning("%s: %s", one.app_id, error.message)

    def _look(self, sleep: Sleep, requests: int) -> None:
        now = self.context.clock.monotonic()
        seen = self._seen.get(sleep.app_id)
        web = self._web(sleep.app_id)
        if seen is None or seen.requests != requests or not web or self.context.locks.holder(sleep.app_id):
            self._seen[sleep.app_id] = _Seen(requests, now)
        elif any(self.context.router.in_flight(web).values()):
            # Once it may be the platform's own question whether it is well. What lasts (a WebSocket) is met again, and
            # a request that has been answered is counted.
            seen.at, seen.flying = now if seen.flying else seen.at, True
        elif now - seen.at >= sleep.after:
            if self._counts().get(sleep.app_id, 0) != requests:
                return  # somebody asked for it while another app fell asleep, which may take half a minute
            self._seen.pop(sleep.app_id)  # what cannot be put to sleep is tried again after the same idle time
            fall_asleep(self.context, sleep.app_id, end=self._ends.begin)
        else:
            seen.flying = False

    def _counts(self) -> dict[str, int]:
        """How many requests the router counted, of each app."""
        return {one.app_id: sum(one.requests.values()) for one in self.context.router.traffic()}

    def _web(self, app_id: str) -> list[str]:
        """Where its replicas of web answer."""
        return [
            replica.address
            for service in self.context.engine.observe(app_id)
            if service.key.process == "web" and service.kind == "replica"
            for replica in service.replicas
            if replica.address
        ]


def _serving(context: Context, app: App) -> Release | None:
    if not app.wanted:
        return None
    release = context.store.release(app.id, app.wanted)
    return release if release.image and release.status is ReleaseStatus.SUCCEEDED else None


def _address(context: Context, app: App) -> str:
    """A healthy replica of the route's, so one of the wanted release."""
    routed = {server for route in context.router.observe() if route.app_id == app.id for server in route.servers}
    for service in context.engine.observe(app.id):
        for replica in service.replicas:
            if replica.state is State.HEALTHY and replica.address in routed:
                return replica.address
    raise Conflict(f"no replica of {app.name} is healthy")


def _asleep_again(context: Context, app: App, release: Release, known: Sleep, error: Exception) -> None:
    """What does not get healthy is taken away again, so that nothing restarts in a loop."""
    context.store.put_sleep(replace(known, asleep=True, since=context.clock.now()))
    _tell(context, app, "sleep.failed", f"{app.name} could not be woken: {in_words(error)}")
    try:
        reconcile(world(context), app, release, _noted)
    except PaasError as again:
        log.warning("%s could not be put to sleep again: %s", app.name, again.message)


def _shown(context: Context, app: App) -> Sleeping:
    known = context.store.sleep(app.id)
    if known is None:
        return Sleeping(app=app.name, after=0.0, asleep=False, since=0.0)
    return Sleeping(app=app.name, after=known.after, asleep=known.asleep, since=known.since, by_file=known.by_file)


def _tell(context: Context, app: App, kind: str, message: str) -> None:
    event = Event(kind=kind, app=app.name, message=message, at=context.clock.now())
    context.store.add_event(event, app_id=app.id, actor=HOLDER)
