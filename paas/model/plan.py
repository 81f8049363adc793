"""Words of the plan: the steps between what is and what should be, each with its why."""

from __future__ import annotations

from dataclasses import dataclass

from paas.model.route import Route
from paas.model.service import ServiceKey, ServiceSpec


@dataclass(frozen=True, slots=True)
class RunOnce:
    """Run the spec's command in one container of its own; a non-zero exit stops the plan."""

    spec: ServiceSpec
    timeout: float
    why: str


@dataclass(frozen=True, slots=True)
class Apply:
    """Have exactly `replicas` replicas of this service version (starting or ending some)."""

    spec: ServiceSpec
    replicas: int
    why: str


@dataclass(frozen=True, slots=True)
class WaitHealthy:
    """Wait until `replicas` replicas of it are healthy; `timeout` seconds at most.

    `passed` are replicas that were waited for before. Nobody waits for them again: how they are now is another matter.
    """

    spec: ServiceSpec
    replicas: int
    timeout: float
    why: str
    passed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SetRoutes:
    """Lead the route's hosts to the healthy replicas of `service` (None: to nothing), confirmed by the router.

    The route's `servers` are filled in when the step is done: addresses are known only then.
    `excluding` are replicas that are about to end and must get no new request.
    """

    route: Route
    service: ServiceKey | None
    why: str
    excluding: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drain:
    """Wait until the replicas have no connection left, `seconds` at most. Empty `replicas`: all of the service."""

    service: ServiceKey
    seconds: float
    why: str
    replicas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RemoveReplicas:
    """Stop and remove just these replicas (the surplus of a scale-down)."""

    service: ServiceKey
    replicas: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class RemoveService:
    """Stop (SIGTERM, grace, SIGKILL) and remove every replica of it."""

    service: ServiceKey
    why: str


@dataclass(frozen=True, slots=True)
class RemoveRoutes:
    """Forget the app's routes."""

    app_id: str
    why: str


Step = RunOnce | Apply | WaitHealthy | SetRoutes | Drain | RemoveReplicas | RemoveService | RemoveRoutes


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. An empty plan means: what is, is what should be."""

    app_id: str
    app_name: str
    steps: tuple[Step, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steps)
