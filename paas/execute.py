"""Walks a plan: one match over the kinds of step, an event before and after each. Decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import assert_never

from paas.errors import DeployFailed, ReleaseFailed
from paas.interfaces import Clock, Engine, Resize, Router
from paas.leaving import Leaving, Picks
from paas.model.events import Emit, Event
from paas.model.plan import (
    Apply,
    Drain,
    Plan,
    RemoveReplicas,
    RemoveRoutes,
    RemoveService,
    RunOnce,
    SetRoutes,
    Step,
    WaitHealthy,
)
from paas.model.service import Replica, ServiceKey, ServiceSpec, State
from paas.plan.compared import servers
from paas.plan.text import words

DRAIN_LOOK = 0.1
"""Seconds between two looks at a draining replica's connections; two empty looks in a row end the drain."""

LAST_LINES = 30
"""Lines of a failed release command that its error shows."""

LONGEST_LINE = 64 * 1024
"""Bytes after which a line of a release command is cut."""


@dataclass(slots=True)
class RouteLocks:
    """One lock per app around reading and writing its route: a death during a deploy must not undo the switch."""

    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def hold(self, app_id: str) -> Iterator[None]:
        """Hold the lock of the app's route."""
        with self._guard:
            lock = self._locks.setdefault(app_id, threading.Lock())
        with lock:
            yield


ROUTE_LOCKS = RouteLocks()
"""For the whole process: routes belong to the one router, whoever changes them."""


Well = Callable[[ServiceSpec, Sequence[Replica]], None]
"""Is told of replicas in the moment in which they are healthy, before anything leads to them."""


def _unheard(spec: ServiceSpec, replicas: Sequence[Replica]) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Hands:
    """What steps are carried out with, which replicas are on their way out, and who hears of those that were waited
    for."""

    engine: Engine
    router: Router
    clock: Clock
    leaving: Leaving
    well: Well = _unheard


def execute(hands: Hands, plan: Plan, emit: Emit, *, patient: bool = True) -> bool:
    """Every step in order; the first error ends it and is raised as it is. Whether the end was reached.

    Not `patient`: it stops at the first replica that would have to be waited for. The next plan, made from what is
    observed then, goes on from there.
    """
    with hands.leaving.picking() as picks:
        return _walk(hands, plan, emit, picks, patient=patient)


def _going(step: Step) -> tuple[str, ...]:
    """The replicas that are picked out to end."""
    if isinstance(step, SetRoutes):
        return step.excluding
    return step.replicas if isinstance(step, Drain | RemoveReplicas) else ()


def _walk(hands: Hands, plan: Plan, emit: Emit, picks: Picks, *, patient: bool) -> bool:
    for step in plan.steps:
        picks.add(_going(step))
        if not patient and isinstance(step, WaitHealthy) and not _are_healthy(hands, step):
            return False
        started = hands.clock.monotonic()
        data: dict[str, object] = {"step": type(step).__name__, "why": step.why}
        emit(_event(hands, plan, "step", words(step), data))
        _do(hands, step, emit)
        seconds = round(hands.clock.monotonic() - started, 3)
        emit(_event(hands, plan, "done", words(step), {**data, "seconds": seconds}))
    return True


def _event(hands: Hands, plan: Plan, kind: str, message: str, data: dict[str, object]) -> Event:
    return Event(kind=kind, app=plan.app_name, message=message, at=hands.clock.now(), data=data)


def _do(hands: Hands, step: Step, emit: Emit) -> None:
    match step:
        case RunOnce():
            _run_once(hands, step, emit)
        case Apply(spec=spec, replicas=replicas):
            hands.engine.apply(spec, replicas, emit, hands.leaving.of(spec.key))
        case WaitHealthy(spec=spec, timeout=timeout):
            replicas, passed = _but_for_leaving(hands, step)
            hands.well(spec, hands.engine.wait_healthy(spec, replicas, timeout, emit, passed))
        case SetRoutes():
            _set_routes(hands, step, emit)
        case Drain():
            _drain(hands, step, emit)
        case RemoveReplicas(service=service, replicas=ids):
            # No ids would mean the whole version to the engine.
            if ids:
                hands.engine.remove(service, ids)
        case RemoveService():
            _remove_service(hands, step)
        case RemoveRoutes(app_id=app_id):
            with ROUTE_LOCKS.hold(app_id):
                hands.router.remove(app_id)
        case _:
            assert_never(step)


def _but_for_leaving(hands: Hands, step: WaitHealthy) -> tuple[int, tuple[str, ...]]:
    """How many there must be and for which nobody waits, with those that leave: the engine still sees these."""
    leave = tuple(one for one in hands.leaving.of(step.spec.key) if one not in step.passed)
    return step.replicas + len(leave), (*step.passed, *leave)


def _are_healthy(hands: Hands, step: WaitHealthy) -> bool:
    """Whether those that `wait_healthy` would wait for are healthy already."""
    replicas, passed = _but_for_leaving(hands, step)
    others = (replica for replica in _replicas(hands.engine, step.spec.key) if replica.id not in passed)
    found = sorted(others, key=lambda replica: replica.index)[: replicas - len(passed)]
    return len(found) + len(passed) == replicas and all(one.state is State.HEALTHY for one in found)


def _run_once(hands: Hands, step: RunOnce, emit: Emit) -> None:
    terminal = Lines(step.spec.process, emit)
    try:
        code = hands.engine.run_once(step.spec, step.timeout, terminal)
    except DeployFailed as error:
        # The engine's word for a command that ran out of time; here it is the release command that failed.
        raise ReleaseFailed(error.message, hint=error.hint, details=error.details or tuple(terminal.last)) from error
    finally:
        terminal.flush()
    if code:
        raise ReleaseFailed(
            f"the {step.spec.process} command exited with code {code}",
            hint="nothing was switched; mend the command and deploy again",
            details=tuple(terminal.last),
        )


def _set_routes(hands: Hands, step: SetRoutes, emit: Emit) -> None:
    """Fill in the addresses and have the router confirm. Nobody there to lead to: the route stays as it was."""
    with ROUTE_LOCKS.hold(step.route.app_id):
        found = _replicas(hands.engine, step.service) if step.service else ()
        going = {*step.excluding, *(hands.leaving.of(step.service) if step.service else ())}
        staying = [replica for replica in found if replica.id not in going]
        addresses = servers(staying)
        if step.service and not addresses:
            raise DeployFailed(
                f"no replica of {step.service} is left to lead {step.route.hosts[0]} to",
                hint="the routes are as they were; see `paas logs`",
                details=tuple(f"{step.service.process}.{one.index} {one.detail}" for one in found if one.detail),
            )
        before = next((live for live in hands.router.observe() if live.app_id == step.route.app_id), None)
        hands.router.apply(replace(step.route, servers=addresses))
    if step.service and not (before and set(before.servers) & {replica.address for replica in found}):
        data = {"release": step.service.release, "hosts": list(step.route.hosts)}
        message = f"{step.service} serves {step.route.hosts[0]}"
        emit(Event(kind="served", app=step.route.app_name, message=message, at=hands.clock.now(), data=data))


def _replicas(engine: Engine, key: ServiceKey) -> tuple[Replica, ...]:
    return next((service.replicas for service in engine.observe(key.app_id) if service.key == key), ())


def _remove_service(hands: Hands, step: RemoveService) -> None:
    """All of it but those that leave: they end by themselves, and to many workers a second stop signal means to drop
    the job."""
    leave = hands.leaving.of(step.service)
    if not leave:
        hands.engine.remove(step.service)
    elif stay := tuple(one.id for one in _replicas(hands.engine, step.service) if one.id not in leave):
        hands.engine.remove(step.service, stay)


def _drain(hands: Hands, step: Drain, emit: Emit) -> None:
    """Look until nobody is connected twice in a row: between two requests on one connection lies such a moment."""
    port = _port(_replicas(hands.engine, step.service))
    if not port:
        return
    others = () if step.replicas else hands.leaving.of(step.service)
    deadline = hands.clock.monotonic() + step.seconds
    empty = 0
    while True:
        connections = hands.engine.connections(step.service, port)
        ours = set(step.replicas or connections).difference(others)
        left = sum(count for id, count in connections.items() if id in ours)
        empty = 0 if left else empty + 1
        if empty == 2 or hands.clock.monotonic() >= deadline:
            break
        hands.clock.sleep(DRAIN_LOOK)
    if left:
        message = f"{left} connections to {step.service} were still open after {step.seconds:g} s and are cut"
        emit(Event(kind="note", message=message, at=hands.clock.now(), data={"connections": left}))


def _port(replicas: tuple[Replica, ...]) -> int:
    """What the draining replicas listen on, out of their addresses: the spec they were made from may be gone."""
    ports = (replica.address.rpartition(":")[2] for replica in replicas if ":" in replica.address)
    return int(next(ports, 0))


class Lines:
    """A terminal that turns output into `output` events, a line each, and remembers the last of them."""

    tty = False
    interactive = False

    def __init__(self, process: str, emit: Emit) -> None:
        self._process, self._emit = process, emit
        self._rest: dict[str, bytes] = {}
        self.last: list[str] = []

    def read(self) -> bytes | Resize | None:
        """Nothing is ever typed."""
        return None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Emit whole lines, keep the rest; a line that never ends is cut."""
        *lines, rest = (self._rest.get(stream, b"") + data).split(b"\n")
        for line in lines:
            self._line(line, stream)
        while len(rest) > LONGEST_LINE:
            self._line(rest[:LONGEST_LINE], stream)
            rest = rest[LONGEST_LINE:]
        self._rest[stream] = rest

    def flush(self) -> None:
        """Emit last lines that had no end."""
        for stream, rest in self._rest.items():
            if rest:
                self._line(rest, stream)
        self._rest.clear()

    def _line(self, line: bytes, stream: str) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self.last = [*self.last[1 - LAST_LINES :], text]
        self._emit(Event(kind="output", message=text, data={"process": self._process, "stream": stream}))
