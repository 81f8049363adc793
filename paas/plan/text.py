"""A plan as stable text for people: a line a step, each with its why. Holds no secret: steps are told by key."""

from __future__ import annotations

from typing import assert_never

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


def render(plan: Plan) -> str:
    """All steps, numbered; a sentence when there is none."""
    if not plan:
        return f"{plan.app_name}: nothing to do\n"
    width = max(len(words(step)) for step in plan.steps)
    lines = [f"{number:>2}. {words(step):<{width}}  # {step.why}" for number, step in enumerate(plan.steps, 1)]
    return "\n".join([f"{plan.app_name}:", *lines]) + "\n"


def words(step: Step) -> str:
    """One step in words, without its why."""
    match step:
        case RunOnce(spec=spec):
            return f"run {spec.process} of v{spec.release} once"
        case Apply(spec=spec, replicas=replicas):
            return f"start {spec.key} × {replicas}"
        case WaitHealthy(spec=spec, replicas=replicas, passed=passed):
            new = replicas - len(passed)
            more = f"{new} more of {spec.key} {'is' if new == 1 else 'are'}"
            return f"wait until {more if passed else f'{spec.key} × {replicas} is'} healthy"
        case SetRoutes(route=route, service=service, excluding=excluding):
            but = f" but {len(excluding)}" if excluding and service else ""
            return f"lead {', '.join(route.hosts)} to {service or 'nothing'}{but}"
        case Drain(service=service, seconds=seconds, replicas=replicas):
            return f"drain {_some(service, replicas)} ({seconds:g} s at most)"
        case RemoveReplicas(service=service, replicas=replicas):
            return f"stop {_some(service, replicas)}"
        case RemoveService(service=service):
            return f"stop {service}"
        case RemoveRoutes():
            return "forget its routes"
        case _:
            assert_never(step)


def _some(service: ServiceKey, replicas: tuple[str, ...]) -> str:
    return f"{len(replicas)} of {service}" if replicas else str(service)
