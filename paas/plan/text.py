"""A plan as stable text for people: a line a step, each with its why."""

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
        case WaitHealthy(spec=spec, replicas=replicas):
            return f"wait until {spec.key} × {replicas} is healthy"
        case SetRoutes(route=route, service=service):
            return f"lead {', '.join(route.hosts)} to {service or 'nothing'}"
        case Drain(service=service, seconds=seconds):
            return f"drain {service} ({seconds:g} s at most)"
        case RemoveReplicas(service=service, replicas=replicas):
            return f"stop {len(replicas)} of {service}"
        case RemoveService(service=service):
            return f"stop {service}"
        case RemoveRoutes():
            return "forget its routes"
        case _:
            assert_never(step)
