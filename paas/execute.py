"""Walks a plan: one match over the kinds of step, an event before and after each. Decides nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import assert_never

from paas.errors import ReleaseFailed, RouterError
from paas.interfaces import Clock, Engine, Resize, Router
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
from paas.model.service import ServiceKey
from paas.plan.text import words

DRAIN_LOOK = 0.1
"""Seconds between two looks at a draining replica's connections; two empty looks in a row end the drain."""


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


@dataclass(frozen=True, slots=True)
class Hands:
    """What steps are carried out with."""

    engine: Engine
    router: Router
    clock: Clock


def execute(hands: Hands, plan: Plan, emit: Emit) -> None:
    """Every step in order; the first error ends it and is raised as it is."""
    for step in plan.steps:
        started = hands.clock.monotonic()
        data: dict[str, object] = {"step": type(step).__name__, "why": step.why}
        emit(Event(kind="step", app=plan.app_name, message=words(step), data=data))
        _do(hands, step, emit)
        seconds = round(hands.clock.monotonic() - started, 3)
        emit(Event(kind="done", app=plan.app_name, message=words(step), data={**data, "seconds": seconds}))


def _do(hands: Hands, step: Step, emit: Emit) -> None:
    match step:
        case RunOnce():
            _run_once(hands, step, emit)
        case Apply(spec=spec, replicas=replicas):
            hands.engine.apply(spec, replicas, emit)
        case WaitHealthy(spec=spec, replicas=replicas, timeout=timeout):
            hands.engine.wait_healthy(spec, replicas, timeout, emit)
        case SetRoutes():
            _set_routes(hands, step, emit)
        case Drain():
            _drain(hands, step, emit)
        case RemoveReplicas(service=service, replicas=ids):
            hands.engine.remove(service, ids)
        case RemoveService(service=service):
            hands.engine.remove(service)
        case RemoveRoutes(app_id=app_id):
            with ROUTE_LOCKS.hold(app_id):
                hands.router.remove(app_id)
        case _:
            assert_never(step)


def _run_once(hands: Hands, step: RunOnce, emit: Emit) -> None:
    terminal = _Lines(step.spec.process, emit)
    code = hands.engine.run_once(step.spec, step.timeout, terminal)
    terminal.flush()
    if code:
        raise ReleaseFailed(
            f"the {step.spec.process} command exited with {code}",
            hint="the release before it still serves; mend the command and deploy again",
            details=tuple(terminal.last),
        )


def _set_routes(hands: Hands, step: SetRoutes, emit: Emit) -> None:
    with ROUTE_LOCKS.hold(step.route.app_id):
        servers = _addresses(hands.engine, step.service, step.excluding) if step.service else ()
        hands.router.apply(replace(step.route, servers=servers))
    if step.service:
        if not servers:
            raise RouterError(f"no healthy replica of {step.service} is left to lead {step.route.hosts[0]} to")
        data = {"release": step.service.release, "hosts": list(step.route.hosts)}
        message = f"{step.service} serves {step.route.hosts[0]}"
        emit(Event(kind="served", app=step.route.app_name, message=message, data=data))


def _addresses(engine: Engine, key: ServiceKey, excluding: tuple[str, ...]) -> tuple[str, ...]:
    found = next((service for service in engine.observe(key.app_id) if service.key == key), None)
    healthy = found.healthy if found else ()
    return tuple(sorted(replica.address for replica in healthy if replica.id not in excluding and replica.address))


def _drain(hands: Hands, step: Drain, emit: Emit) -> None:
    deadline = hands.clock.monotonic() + step.seconds
    port = _port(hands.engine, step.service)
    empty, left = 0, 0
    while empty < 2:
        connections = hands.engine.connections(step.service, port)
        left = sum(count for id, count in connections.items() if not step.replicas or id in step.replicas)
        empty = empty + 1 if left == 0 else 0
        if hands.clock.monotonic() >= deadline:
            break
        hands.clock.sleep(DRAIN_LOOK)
    if left:
        message = f"{left} connections to {step.service} were still open after {step.seconds:g} s and are cut"
        emit(Event(kind="note", message=message, data={"connections": left}))


def _port(engine: Engine, key: ServiceKey) -> int:
    """What the draining replicas listen on, out of their addresses: the spec they were made from is gone."""
    for service in engine.observe(key.app_id):
        for replica in service.replicas if service.key == key else ():
            if ":" in replica.address:
                return int(replica.address.rpartition(":")[2])
    return 0


class _Lines:
    """A terminal that turns output into `output` events, a line each, and remembers the last of them."""

    tty = False
    interactive = False

    def __init__(self, process: str, emit: Emit) -> None:
        self._process, self._emit, self._rest = process, emit, b""
        self.last: list[str] = []

    def read(self) -> bytes | Resize | None:
        """Nothing is ever typed."""
        return None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Emit whole lines, keep the rest."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line, stream)

    def flush(self) -> None:
        """Emit a last line that had no end."""
        if self._rest:
            self._line(self._rest, "stdout")
            self._rest = b""

    def _line(self, line: bytes, stream: str) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        self.last = [*self.last[-29:], text]
        self._emit(Event(kind="output", message=text, data={"process": self._process, "stream": stream}))
