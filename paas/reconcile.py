"""Observe → plan → execute, once, for one app. Everything that changes what runs ends here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paas.execute import ROUTE_LOCKS, Hands, execute
from paas.interfaces import Clock, Engine, Router, Store
from paas.model.app import App, Release
from paas.model.events import Emit
from paas.model.plan import Plan
from paas.model.route import Route
from paas.model.service import ObservedService, State
from paas.plan.difference import difference
from paas.plan.wanted import Wanted, nothing, wanted
from paas.settings import Settings


@dataclass(frozen=True, slots=True)
class World:
    """The parts that reconcile works with."""

    engine: Engine
    router: Router
    clock: Clock
    settings: Settings
    store: Store


def reconcile(world: World, app: App, release: Release | None, emit: Emit, *, release_command: bool = False) -> None:
    """Carry out what is missing between this release and what is there. Raises the error of the step that failed.

    A second look is taken afterwards, because replicas may have changed while the first plan was walked.
    """
    for attempt in range(3):
        plan = plan_of(world, app, release, release_command=release_command and attempt == 0)
        if not plan:
            return
        execute(Hands(world.engine, world.router, world.clock), plan, emit)


def plan_of(
    world: World,
    app: App,
    release: Release | None,
    *,
    release_command: bool = False,
    observed: Sequence[ObservedService] | None = None,
    routes: Sequence[Route] | None = None,
) -> Plan:
    """The plan, without carrying it out. `observed` and `routes`: a snapshot to plan from instead of a new look."""
    seen = world.engine.observe(app.id) if observed is None else observed
    known = world.router.observe() if routes is None else routes
    live = next((route for route in known if route.app_id == app.id), None)
    return difference(_wanted(world, app, release), seen, live, release_command=release_command)


def refresh_routes(world: World, app_id: str) -> bool:
    """Take dead servers out of the app's live route at once; never adds one. Whether something changed."""
    with ROUTE_LOCKS.hold(app_id):
        live = next((route for route in world.router.observe() if route.app_id == app_id), None)
        if live is None or not live.servers:
            return False
        alive = {
            replica.address
            for service in world.engine.observe(app_id)
            for replica in service.replicas
            if replica.state not in (State.CRASHED, State.STOPPED)
        }
        servers = tuple(server for server in live.servers if server in alive)
        if servers == live.servers:
            return False
        world.router.apply(replace(live, servers=servers))
        return True


def _wanted(world: World, app: App, release: Release | None) -> Wanted:
    if release is None:
        return nothing(app)
    names = [name for certificate in world.store.certificates() for name in (certificate.host, *certificate.names)]
    return wanted(app, release, instance=world.settings.instance, domain=world.settings.domain, tls_hosts=names)
