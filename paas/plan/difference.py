"""Wanted + observed → plan. Only from what is observed, never from memory of past steps: so a deploy that was killed
at any step is finished by the next plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from paas.model.plan import Drain, Plan, RemoveReplicas, RemoveRoutes, RemoveService, RunOnce, Step
from paas.model.route import Route
from paas.model.service import ObservedService, ServiceKey
from paas.plan import rollout
from paas.plan.compared import DEAD, Compared
from paas.plan.wanted import Wanted


def difference(
    wanted: Wanted, observed: Sequence[ObservedService], live: Route | None, *, release_command: bool = False
) -> Plan:
    """The steps from what is to what should be. Empty when there is nothing to do."""
    services = [service for service in observed if service.key.app_id == wanted.app_id and service.kind == "replica"]
    pairs = [Compared(service, services, wanted.protected) for service in wanted.services]
    steps = [
        *_once(wanted, asked=release_command),
        *(step for pair in pairs for step in rollout.tidy(pair)),
        *_leave_the_dead(wanted, pairs, live),
        *(step for pair in pairs for step in rollout.start(pair)),
        *(step for pair in pairs for step in rollout.wait(pair, wanted.deploy_timeout)),
        *(step for pair in pairs for step in _in_place(wanted, pair)),
        *_lead(wanted, pairs, live),
        *(step for pair in pairs for step in rollout.shrink(pair, wanted.drain)),
        *_retire(wanted, services),
    ]
    return Plan(wanted.app_id, wanted.app_name, tuple(steps))


def endings(plan: Plan) -> tuple[Plan, Plan]:
    """The plan in two: what comes first, and the ends of single replicas that it closes with."""
    steps = list(plan.steps)
    last = list[Step]()
    while steps and isinstance(steps[-1], Drain | RemoveReplicas):
        last.insert(0, steps.pop())
    return replace(plan, steps=tuple(steps)), replace(plan, steps=tuple(last))


def going(plan: Plan) -> dict[str, ServiceKey]:
    """The replicas that a plan names as ending, with the service version each is of."""
    ends = (step for step in plan.steps if isinstance(step, Drain | RemoveReplicas))
    return {one: step.service for step in ends for one in step.replicas}


def apart(ends: Plan) -> tuple[Plan, ...]:
    """The ends of single replicas, a plan for each service version: none has to wait for those of another one."""
    keys = dict.fromkeys(going(ends).values())
    ours = {
        key: [step for step in ends.steps if isinstance(step, Drain | RemoveReplicas) and step.service == key]
        for key in keys
    }
    return tuple(replace(ends, steps=tuple(steps)) for steps in ours.values())


def _once(wanted: Wanted, *, asked: bool) -> Iterator[Step]:
    if asked and wanted.release_command is not None:
        yield RunOnce(wanted.release_command, wanted.release_timeout, "the release command comes before the switch")


def _leave_the_dead(wanted: Wanted, pairs: Sequence[Compared], live: Route | None) -> Iterator[Step]:
    web = _web(pairs)
    if wanted.route is not None and web is not None:
        yield from rollout.leave_the_dead(web, wanted.route, live)


def _in_place(wanted: Wanted, pair: Compared) -> Iterator[Step]:
    route = wanted.route if pair.wanted.spec.process == "web" else None
    yield from rollout.in_place(pair, route, timeout=wanted.deploy_timeout, drain=wanted.drain)


def _lead(wanted: Wanted, pairs: Sequence[Compared], live: Route | None) -> Iterator[Step]:
    web = _web(pairs)
    if wanted.route is not None and web is not None:
        yield from rollout.lead(web, wanted.route, live)
    elif wanted.route is None and live is not None:
        yield RemoveRoutes(wanted.app_id, "nothing of this app takes requests any more")


def _retire(wanted: Wanted, services: Sequence[ObservedService]) -> Iterator[Step]:
    """End every version that is not wanted; by now what replaces it serves."""
    kept = {service.spec.key for service in wanted.services}
    instead = {service.spec.process: service.spec.key for service in wanted.services if service.replicas}
    for service in services:
        if service.key in kept:
            continue
        runs = any(replica.state not in DEAD for replica in service.replicas)
        if service.key.process == "web" and runs:
            yield Drain(service.key, wanted.drain, rollout.IN_FLIGHT)
        now = instead.get(service.key.process)
        yield RemoveService(service.key, f"{now} is what is wanted" if now else "no longer wanted")


def _web(pairs: Sequence[Compared]) -> Compared | None:
    return next((pair for pair in pairs if pair.wanted.spec.process == "web"), None)
