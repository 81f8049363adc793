"""Wanted + observed → plan. Start-first: nothing old goes before what replaces it is healthy and routed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
from paas.model.route import Route
from paas.model.service import ObservedService, Replica, ServiceKey, State
from paas.plan.wanted import Wanted, WantedService


def difference(
    wanted: Wanted, observed: Sequence[ObservedService], live: Route | None, *, release_command: bool = False
) -> Plan:
    """The steps from what is to what should be. Empty when there is nothing to do."""
    services = [service for service in observed if service.key.app_id == wanted.app_id and service.kind == "replica"]
    looks = [_Look(service, services) for service in wanted.services]
    steps = [
        *_once(wanted, release_command),
        *(step for look in looks for step in _start(look)),
        *(step for look in looks for step in _wait(look, wanted.deploy_timeout)),
        *_route(wanted, looks, live),
        *(step for look in looks for step in _shrink(look, wanted.drain)),
        *_retire(wanted, services),
    ]
    return Plan(wanted.app_id, wanted.app_name, tuple(steps))


@dataclass(frozen=True, slots=True)
class _Look:
    """One wanted service beside what is there of it."""

    wanted: WantedService
    services: Sequence[ObservedService]

    @property
    def same(self) -> tuple[Replica, ...]:
        """Replicas of the wanted version."""
        key = self.wanted.spec.key
        return next((service.replicas for service in self.services if service.key == key), ())

    @property
    def surplus(self) -> tuple[Replica, ...]:
        """Replicas too many: those that are not well first, then the highest index."""
        count = len(self.same) - self.wanted.replicas
        order = sorted(self.same, key=lambda replica: (replica.state is State.HEALTHY, -replica.index))
        return tuple(order[: max(0, count)])

    @property
    def missing(self) -> int:
        """How many replicas must be made or started again."""
        dead = sum(replica.state is State.STOPPED for replica in self.same)
        return max(0, self.wanted.replicas - len(self.same)) + min(dead, self.wanted.replicas)

    @property
    def replaces(self) -> bool:
        """Whether another version of the process is still there."""
        spec = self.wanted.spec
        return any(service.key.process == spec.process and service.key != spec.key for service in self.services)

    @property
    def keepers(self) -> tuple[Replica, ...]:
        """Healthy replicas of the wanted version that stay."""
        gone = {replica.id for replica in self.surplus}
        return tuple(replica for replica in self.same if replica.state is State.HEALTHY and replica.id not in gone)


def _once(wanted: Wanted, asked: bool) -> Iterator[Step]:
    if asked and wanted.release_command is not None:
        yield RunOnce(wanted.release_command, wanted.release_timeout, "the release command runs before the switch")


def _start(look: _Look) -> Iterator[Step]:
    if look.wanted.replicas and look.missing:
        have, want = len(look.same), look.wanted.replicas
        why = (
            f"{want} wanted, none of this version there"
            if not have
            else f"{want} wanted, {have - min(have, look.missing)} run"
        )
        yield Apply(look.wanted.spec, look.wanted.replicas, why)


def _wait(look: _Look, timeout: float) -> Iterator[Step]:
    """Only where something starts or takes over: a replica that crashed later is the engine's to start again."""
    want = look.wanted.replicas
    if want and (look.missing or (look.replaces and len(look.keepers) < want)):
        yield WaitHealthy(look.wanted.spec, want, timeout, "no request and no end of the old before it is healthy")


def _route(wanted: Wanted, looks: Sequence[_Look], live: Route | None) -> Iterator[Step]:
    if wanted.route is None:
        if live is not None:
            yield RemoveRoutes(wanted.app_id, "nothing serves this app any more")
        return
    web = next((look for look in looks if look.wanted.spec.process == "web"), None)
    if web is None:
        return
    key = web.wanted.spec.key if web.wanted.replicas else None
    excluding = tuple(replica.id for replica in web.surplus)
    why = _route_why(wanted.route, web, live)
    if why:
        yield SetRoutes(wanted.route, key, why, excluding)


def _route_why(route: Route, web: _Look, live: Route | None) -> str:
    """Why the routes must be written; empty: they are right. Healthy old replicas serve on while new ones boot."""
    if live is None:
        return "the app has no route yet"
    if replace(live, servers=()) != replace(route, servers=()):
        return "its hosts, certificates or checks changed"
    if web.missing and web.wanted.replicas:
        return "new replicas take the traffic"
    servers = tuple(sorted(replica.address for replica in web.keepers))
    if tuple(sorted(live.servers)) == servers:
        return ""
    if not servers and web.wanted.replicas and not web.replaces:
        return "no replica is healthy"
    return "the healthy replicas are others than those it leads to"


def _shrink(look: _Look, drain: float) -> Iterator[Step]:
    if look.surplus:
        ids = tuple(replica.id for replica in look.surplus)
        key = look.wanted.spec.key
        if look.wanted.spec.port:
            yield Drain(key, drain, "requests in flight may end", ids)
        yield RemoveReplicas(key, ids, f"{look.wanted.replicas} wanted, {len(look.same)} there")


def _retire(wanted: Wanted, services: Sequence[ObservedService]) -> Iterator[Step]:
    kept = {service.spec.key for service in wanted.services}
    processes = {service.spec.process for service in wanted.services}
    for service in services:
        if service.key not in kept:
            if service.key.process == "web":
                yield Drain(service.key, wanted.drain, "requests in flight may end")
            yield RemoveService(service.key, _retired_why(service.key, processes))


def _retired_why(key: ServiceKey, processes: set[str]) -> str:
    return "replaced" if key.process in processes else "no longer wanted"
