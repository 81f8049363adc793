"""Restart: every replica anew, one at a time, with no gap. No release is made: nothing of what is wanted changes.

A replica that gets requests is first taken out of the routes and drained. When it is the only one, a second is
started before and ended after, so that somebody always answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paas.errors import UsageError
from paas.execute import Hands, execute
from paas.model.app import App, Release
from paas.model.plan import Apply, Drain, Plan, SetRoutes, Step, WaitHealthy
from paas.model.service import Replica
from paas.plan.wanted import Wanted, WantedService
from paas.reconcile import reconcile
from paas.requests.processes import Restart
from paas.usecases import overlap
from paas.usecases.context import Act, Context
from paas.usecases.processes import deployed, known_process, replica_name
from paas.usecases.steps import step
from paas.usecases.switch import awaken, wanted_of, world

WHY = "restart was asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """The replicas that were started anew, by name (`web.1`)."""

    app: str
    replicas: tuple[str, ...]


def restart(context: Context, request: Restart, act: Act) -> Restarted:
    """Start the replicas of a process (empty: of all) anew. Stops at the first that does not get healthy again;
    the others then still serve. Raises UsageError for an unknown process, Conflict before the first deploy, and where
    there is no room for a second one beside the only one."""
    app = context.store.app(request.app)
    with context.locks.hold(app.id, f"{act.actor}: restart", act.emit):
        app = context.store.app(app.id)
        release = deployed(context, app)
        _wake(context, app, release, act)
        if request.process:
            known_process(app, release, request.process)
        services = [
            service
            for service in wanted_of(context, app, release).services
            if service.replicas and request.process in ("", service.spec.process)
        ]
        if not services:
            raise UsageError(f"nothing of {app.name} is scaled to run", hint=f"paas scale web=1 --app {app.name}")
        done = [name for service in services for name in _restarted(context, app, release, service, act)]
        # What was started in addition goes the usual way: out of the routes, drained, ended.
        reconcile(world(context), app, release, act.emit)
    return Restarted(app=app.name, replicas=tuple(done))


def _wake(context: Context, app: App, release: Release, act: Act) -> None:
    sleep = context.store.sleep(app.id)
    if sleep is not None and sleep.asleep:
        awaken(context, app.id)
        reconcile(world(context), app, release, act.emit)


def _restarted(context: Context, app: App, release: Release, service: WantedService, act: Act) -> list[str]:
    """Start each replica of one service version anew; its names."""
    routed = _routed(context, app, release, service)
    spec, count = service.spec, service.replicas
    here = _replicas(context, service)
    if routed and count == 1:
        count += 1
        with overlap.beside(context, app, [WantedService(spec, count)], act.emit, grows=False):
            _walk(context, app, [Apply(spec, count, WHY), WaitHealthy(spec, count, release.deploy_timeout, WHY)], act)
        _walk(context, app, _routes(routed, service), act)
    for replica in here:
        with step(context, act.emit, f"Restarting {replica_name(spec.process, replica)}"):
            if routed:
                _walk(context, app, _leave(routed, service, replica, release.drain), act)
            context.engine.restart(replica.id)
            _walk(context, app, [WaitHealthy(spec, count, release.deploy_timeout, WHY)], act)
            if routed:
                _walk(context, app, _routes(routed, service), act)
    return [replica_name(spec.process, replica) for replica in here]


def _routed(context: Context, app: App, release: Release, service: WantedService) -> Wanted | None:
    """What is wanted, when this service is the one that requests are led to."""
    found = wanted_of(context, app, release)
    return found if found.route is not None and service.spec.process == "web" else None


def _routes(wanted: Wanted, service: WantedService, excluding: Sequence[str] = ()) -> list[Step]:
    """Lead requests to all healthy replicas but these."""
    if wanted.route is None:
        return []
    return [SetRoutes(wanted.route, service.spec.key, WHY, tuple(excluding))]


def _leave(wanted: Wanted, service: WantedService, replica: Replica, seconds: float) -> list[Step]:
    """No new request for this replica, and time for those it has."""
    return [*_routes(wanted, service, [replica.id]), Drain(service.spec.key, seconds, WHY, (replica.id,))]


def _walk(context: Context, app: App, steps: Sequence[Step], act: Act) -> None:
    hands = Hands(context.engine, context.router, context.clock, context.leaving)
    execute(hands, Plan(app.id, app.name, tuple(steps)), act.emit)


def _replicas(context: Context, service: WantedService) -> tuple[Replica, ...]:
    observed = context.leaving.staying(context.engine.observe(service.spec.app_id))
    return tuple(replica for found in observed if found.key == service.spec.key for replica in found.replicas)
