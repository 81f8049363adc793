"""Observe → plan → execute, once, for one app. Everything that changes what runs ends here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paas.execute import ROUTE_LOCKS, Hands, Well, execute
from paas.interfaces import Clock, Engine, Router, Store
from paas.leaving import Leaving
from paas.model.app import App, Release
from paas.model.events import Emit
from paas.model.plan import Plan, Step
from paas.model.route import Route
from paas.model.service import ObservedService
from paas.plan.compared import DEAD
from paas.plan.difference import difference, endings, going
from paas.plan.wanted import Wanted, nothing, wanted
from paas.settings import Settings

ROUNDS = 3
"""Plans that are walked at most: after the first one only what changed meanwhile is left."""


@dataclass(frozen=True, slots=True)
class World:
    """The parts that reconcile works with."""

    engine: Engine
    router: Router
    clock: Clock
    settings: Settings
    store: Store
    leaving: Leaving


def reconcile(
    world: World,
    app: App,
    release: Release | None,
    emit: Emit,
    *,
    release_command: bool = False,
    patient: bool = True,
    well: Well | None = None,
    leave: bool = False,
) -> Plan:
    """Carry out what is missing between this release and what is there. Raises the error of the step that failed.

    A second look is taken afterwards, because replicas may have died while the first plan was walked. Not `patient`:
    nothing is waited for to become healthy; what can be done now is done. `well` hears of replicas that were.

    With `leave` replicas that are too many are led away from and left, and their ends are the plan that it comes to:
    `finish` is to walk it, without the app's lock. Else that plan is empty.
    """
    hands = _hands(world)
    hands = replace(hands, well=well) if well else hands
    left, ends = list[Step](), Plan(app.id, app.name)
    try:
        for attempt in range(ROUNDS):
            plan = plan_of(world, app, release, release_command=release_command and attempt == 0)
            if leave:
                plan, ends = endings(plan)
                world.leaving.leave(going(ends))
            if plan and not execute(hands, plan, emit, patient=patient):
                world.leaving.done(going(ends), gone=False)  # something still leads to them
                break
            left += ends.steps
            if not plan:
                break
    except BaseException:
        world.leaving.done(going(replace(ends, steps=(*left, *ends.steps))), gone=False)
        raise
    return replace(ends, steps=tuple(left))


def finish(world: World, left: Plan, emit: Emit) -> None:
    """End what `reconcile` left: drain, stop, remove. Whoever else works on the app meanwhile sees none of it.

    Raises the error of the step that failed; then they are replicas like all others, too many, and the controller's.
    """
    ids, gone = going(left), False
    try:
        execute(_hands(world), left, emit)
        gone = True
    finally:
        world.leaving.done(ids, gone=gone)


def _hands(world: World) -> Hands:
    return Hands(world.engine, world.router, world.clock, world.leaving)


def plan_of(
    world: World,
    app: App,
    release: Release | None,
    *,
    release_command: bool = False,
    observed: Sequence[ObservedService] | None = None,
    routes: Sequence[Route] | None = None,
    tls_hosts: Sequence[str] | None = None,
) -> Plan:
    """The plan, without carrying it out. What was seen already may be given, else it is looked up."""
    seen = world.leaving.staying(world.engine.observe(app.id) if observed is None else observed)
    known = world.router.observe() if routes is None else routes
    hosts = certified(world.store) if tls_hosts is None else tls_hosts
    live = next((route for route in known if route.app_id == app.id), None)
    asked = _wanted(world, app, release, hosts)
    asked = replace(asked, protected=_protected(world, asked, seen))
    return difference(asked, seen, live, release_command=release_command)


def certified(store: Store) -> tuple[str, ...]:
    """The names that there is a certificate for."""
    return tuple(name for found in store.certificates() for name in (found.host, *found.names))


def refresh_routes(world: World, app_id: str, dead: str = "") -> bool:
    """Take dead servers out of the app's live route at once; never adds one. Whether something changed.

    Quick, and without the app's lock: requests are failing now. `dead` is the address of a replica that is known to
    have ended; without it the engine is asked which addresses are alive.
    """
    with ROUTE_LOCKS.hold(app_id):
        live = next((route for route in world.router.observe() if route.app_id == app_id), None)
        if live is None or not live.servers:
            return False
        if dead:
            servers = tuple(server for server in live.servers if server != dead)
        else:
            alive = _alive(world.engine, app_id)
            servers = tuple(server for server in live.servers if server in alive)
        if servers == live.servers:
            return False
        world.router.apply(replace(live, servers=servers))
        return True


def _alive(engine: Engine, app_id: str) -> set[str]:
    return {
        replica.address
        for service in engine.observe(app_id)
        for replica in service.replicas
        if replica.state not in DEAD
    }


def _protected(world: World, asked: Wanted, observed: Sequence[ObservedService]) -> frozenset[str]:
    """Replicas that asked to be spared; looked up only where some are too many."""
    counts = {service.spec.key: service.replicas for service in asked.services}
    if not any(len(service.replicas) > counts.get(service.key, len(service.replicas)) for service in observed):
        return frozenset()
    now = world.clock.now()
    return frozenset(one.replica for one in world.store.protections(asked.app_id) if one.until > now)


def _wanted(world: World, app: App, release: Release | None, tls_hosts: Sequence[str]) -> Wanted:
    if release is None:
        return nothing(app)
    settings, sleep = world.settings, world.store.sleep(app.id)
    return wanted(app, release, instance=settings.instance, domain=settings.domain, tls_hosts=tls_hosts, sleep=sleep)
