"""Whether there is room for two versions of an app at once: what a deploy, a rollback, a change of config or limits and
a restart start before the old replicas end. Counts; starts nothing.

By the rule for scale-outs, new replicas at their full limits beside the old ones, an app whose limits come to more than
the machine could never be deployed, though its replicas use a part of them. So:

* new replicas that take the place of others count for what those use now, and the first of a process for nothing;
* what a process has more than before counts at its limit, as with `paas scale`;
* when that is not free, or there are no addresses, it is refused before anything is started;
* when it is, but full limits would not be, there is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from paas.errors import Conflict, PaasError
from paas.model.app import App
from paas.model.events import Emit, Event
from paas.model.service import ObservedService
from paas.plan.compared import DEAD, Compared
from paas.plan.wanted import WantedService
from paas.usecases import room
from paas.usecases.context import Context

ENDING = ("Drain", "RemoveService")
"""Steps by which old replicas go: then the new ones have started, and are seen in what is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _New:
    """So many replicas of a process are to start, each with at most `limit` bytes (0: no limit). `growth` of them are
    more than there were; the place of the others is taken from some that use `used` bytes on average (0: not known)."""

    process: str
    limit: int
    count: int
    growth: int
    used: int

    @property
    def most(self) -> int:
        """Bytes that they may use."""
        return self.limit * self.count

    @property
    def likely(self) -> int:
        """Bytes that they will use, as far as it is known."""
        used = min(self.used, self.limit) if self.limit else self.used
        return used * (self.count - self.growth) + self.limit * self.growth


@contextmanager
def beside(
    context: Context, app: App, services: Sequence[WantedService], emit: Emit, *, grows: bool = True
) -> Iterator[Emit]:
    """Take the room for the replicas that these services lack, until old ones end or the context does; gives the `emit`
    that notices it. Not `grows`: more than run now are no more than there were, or are for a moment. Raises Conflict,
    with numbers, where there is none, EngineUnavailable."""
    warning = ""
    with context.locks.room:
        coming = _coming(context, app, services, grows=grows)
        if coming:
            _check_places(context, app, services, coming)
            warning = _check_memory(context, app, coming)
            context.locks.likely[app.id] = sum(one.likely for one in coming)
            context.locks.starting[app.id] = sum(one.most for one in coming)

    if warning:
        emit(Event(kind="warning", app=app.name, message=warning, at=context.clock.now()))

    def let_go() -> None:
        context.locks.starting.pop(app.id, None)
        context.locks.likely.pop(app.id, None)

    def noticing(event: Event) -> None:
        if event.kind == "step" and event.data.get("step") in ENDING:
            let_go()
        emit(event)

    try:
        yield noticing if coming else emit
    finally:
        if coming:
            let_go()


def _coming(context: Context, app: App, services: Sequence[WantedService], *, grows: bool) -> list[_New]:
    there = context.leaving.staying(context.engine.observe(app.id))
    observed = [one for one in there if one.kind == "replica"]
    pairs = [Compared(service, observed) for service in services]
    # Those of a spec that was changed under them are replaced one by one, in place.
    lacking = [pair for pair in pairs if pair.missing > 0 and not pair.stale]
    used = _used(context, app) if lacking and observed else {}
    return [_new(pair, observed, used, grows=grows) for pair in lacking]


def _new(pair: Compared, observed: Sequence[ObservedService], used: dict[str, int], *, grows: bool) -> _New:
    process, spec = pair.key.process, pair.wanted.spec
    others = [replica for one in observed if one.key.process == process for replica in one.replicas]
    known = [used[one.id] for one in others if one.state not in DEAD and one.id in used]
    more = max(0, pair.count - max(1, len(others)))
    return _New(
        process=process,
        limit=spec.limits.memory,
        count=pair.missing,
        growth=min(pair.missing, more) if grows else 0,
        used=sum(known) // len(known) if known else 0,
    )


def _used(context: Context, app: App) -> dict[str, int]:
    """Bytes by replica; empty where the engine cannot say."""
    try:
        found = context.engine.measure()
    except PaasError:
        return {}
    return {one.replica.id: one.used.memory for one in found if one.key.app_id == app.id and one.used}


def _check_places(context: Context, app: App, services: Sequence[WantedService], coming: Sequence[_New]) -> None:
    found, count = room.places(context, app.id), sum(one.count for one in coming)
    total = sum(service.replicas for service in services)
    if count > found.free or (total > found.most and any(one.growth for one in coming)):
        raise Conflict(
            f"there are no addresses for {count} new replicas beside those of {app.name} that run: {found.in_words()}; "
            f"{total} are wanted",
            hint=f"{_fewer(app, coming[0].process)}, or {room.PLACES_ADVICE}",
        )


def _check_memory(context: Context, app: App, coming: Sequence[_New]) -> str:
    """What to warn of, if anything. Raises Conflict when there is too little for what they will use."""
    by_limits, found = room.looks(context)
    likely, growth = sum(one.likely for one in coming), sum(one.growth * one.limit for one in coming)
    # What is wanted is promised already, and so are those whose place the new ones take.
    found = replace(found, promised=max(0, found.promised - growth))
    short = max(coming, key=lambda one: one.likely)
    if not found.holds_now(likely) or not found.may_promise(growth):
        raise Conflict(
            f"there is no memory to start {_counted(coming)} of {app.name} before the old ones end: they would use "
            f"some {room.mib(likely)}; {room.in_words(found, short.limit)}",
            hint=f"{_fewer(app, short.process)}, or {room.memory_advice(short.process)}",
        )
    full = replace(by_limits, promised=found.promised)
    most = sum(one.most for one in coming)
    if full.holds_now(most) and full.may_promise(most):
        return ""
    return (
        f"the machine could not hold {_counted(coming)} beside the old ones if they filled their limits: "
        f"{room.in_words(full, short.limit)}; lower limits are safer: paas limits {short.process} --memory"
    )


def _fewer(app: App, process: str) -> str:
    return f"fewer first (paas scale {process}=… --app {app.name}; 0 if it may be away for a moment)"


def _counted(coming: Sequence[_New]) -> str:
    """`5 new replicas of web and 1 of worker`."""
    first, *rest = coming
    more = "".join(f" and {one.count} of {one.process}" for one in rest)
    return f"{first.count} new {'replica' if first.count == 1 else 'replicas'} of {first.process}{more}"
