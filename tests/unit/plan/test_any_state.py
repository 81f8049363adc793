"""Plans from states nobody planned for: replicas in every state, gaps, wrong routes, kills between any two steps."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas.clock import FakeClock
from paas.engines.memory import Behaviour, MemoryEngine
from paas.errors import DeployFailed
from paas.execute import Hands, execute
from paas.leaving import Leaving
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.events import Emit, Event, silent
from paas.model.plan import Plan
from paas.model.route import Route
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, ServiceKey, ServiceSpec, State
from paas.plan.difference import difference
from paas.plan.wanted import Wanted, nothing, wanted
from paas.routers.memory import MemoryRouter

APP = App(id="0a0a0a0a", name="shop", created_at=0.0)
HTTP = HealthCheck(kind=HealthKind.HTTP, grace=5.0)
BOOT = 0.3


def want(number: int, web: int, worker: int) -> Wanted:
    processes = (ProcessSpec(name="web", health=HTTP), ProcessSpec(name="worker", health=HTTP))
    release = Release(
        app_id=APP.id, number=number, kind=ReleaseKind.DEPLOY, created_at=0.0, actor="ann", description="",
        image=f"sha256:{number}", processes=processes,
    )  # fmt: skip
    return wanted(replace(APP, formation={"web": web, "worker": worker}), release, instance="paas", domain="localhost")


class Killed(Exception):
    """The server was killed here."""


class Watched(MemoryEngine):
    """An engine that refuses what no plan may do."""

    def __init__(self, clock: FakeClock, router: MemoryRouter, target: Wanted) -> None:
        images = {f"sha256:{number}": Behaviour(boots=BOOT) for number in (1, 2, 3)}
        super().__init__(clock, images)
        self.router, self.target, self.armed = router, target, False

    @property
    def healthy(self) -> set[str]:
        return {replica.address for service in self.observe() for replica in service.healthy}

    @property
    def serving(self) -> set[str]:
        """Addresses that get requests and answer them."""
        return {server for route in self.router.observe() for server in route.servers} & self.healthy

    def remove(self, key: ServiceKey, replicas: Sequence[str] = ()) -> None:
        if self.armed:
            self._check(key, replicas)
        super().remove(key, replicas)

    def _check(self, key: ServiceKey, replicas: Sequence[str]) -> None:
        going = {
            replica.address
            for service in self.observe()
            for replica in service.replicas
            if service.key == key and (not replicas or replica.id in replicas) and replica.address
        }
        assert not going & self.serving, f"{key} ends while it gets requests"
        for wished in self.target.services:
            same = next((service for service in self.observe() if service.key == wished.spec.key), None)
            if wished.spec.process == key.process and wished.spec.key != key:
                assert len(same.healthy if same else ()) >= wished.replicas, f"{key} ends before it is replaced"


class Steady(MemoryRouter):
    """A router that never may lead nowhere while somebody who was led to answers."""

    engine: Watched

    def apply(self, route: Route) -> None:
        before = self.engine.serving
        super().apply(route)
        wanted_web = any(s.spec.process == "web" and s.replicas for s in self.engine.target.services)
        if self.engine.armed and before and wanted_web:
            assert self.engine.serving, f"{route.servers} do not answer, {before} did"


@dataclass(frozen=True)
class Scene:
    """`there`: (release, process, healthy, booting, fates of some replicas by position, of another spec)."""

    target: tuple[int, int, int]
    there: tuple[tuple[int, str, int, int, tuple[tuple[int, str], ...], bool], ...]
    routed: tuple[int, ...]
    extra: bool


fates = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["lose", "stop", "crash", "ail"])), max_size=3).map(tuple)
versions = st.tuples(
    st.integers(1, 3), st.sampled_from(["web", "worker"]), st.integers(0, 3), st.integers(0, 2), fates,
    st.sampled_from([False, False, False, True]),
)  # fmt: skip
scenes = st.builds(
    Scene,
    target=st.tuples(st.sampled_from([0, 3, 3, 3]), st.integers(0, 3), st.integers(0, 2)),
    there=st.lists(versions, max_size=4, unique_by=lambda one: one[:2]).map(tuple),
    routed=st.lists(st.integers(1, 3), max_size=2).map(tuple),
    extra=st.booleans(),
)


@dataclass
class Stage:
    target: Wanted
    engine: Watched
    router: Steady
    clock: FakeClock

    @property
    def hands(self) -> Hands:
        return Hands(self.engine, self.router, self.clock, Leaving())

    def plan(self) -> Plan:
        return difference(self.target, self.engine.observe(), next(iter(self.router.observe()), None))

    def time_passes(self) -> None:
        """The engine starts what crashed, the controller what fails its checks."""
        self.clock.sleep(2)
        for service in self.engine.observe():
            for replica in service.replicas:
                if replica.state is State.UNHEALTHY:
                    self.engine.restart(replica.id)
        self.clock.sleep(2)

    def walk(self, emit: Emit = silent, *, patient: bool = True) -> None:
        """One plan; a replica that does not get well stops it, as it should."""
        try:
            execute(self.hands, self.plan(), emit, patient=patient)
        except DeployFailed:
            self.time_passes()

    def is_right(self) -> None:
        assert self.plan().steps == ()
        seen = {service.key: len(service.healthy) for service in self.engine.observe()}
        assert seen == {service.spec.key: service.replicas for service in self.target.services if service.replicas}
        web = next((service for service in self.engine.observe() if service.key.process == "web"), None)
        led_to = {server for route in self.router.observe() for server in route.servers}
        assert led_to == {replica.address for replica in (web.healthy if web else ())}


def stage(scene: Scene) -> Stage:
    number, web, worker = scene.target
    target = want(number, web, worker) if number else nothing(APP)
    clock, router = FakeClock(), Steady()
    engine = Watched(clock, router, target)
    router.engine = engine
    for there in scene.there:
        _put(engine, there)
    clock.sleep(1)
    for release, process, healthy, booting, _, stale in scene.there:
        if booting:
            engine.apply(_spec(release, process, stale=stale), healthy + booting, silent)
    for release, process, _, _, hits, _ in scene.there:
        _strike(engine, ServiceKey(APP.id, process, release), hits)
    _lead(router, engine, scene)
    engine.armed = True
    return Stage(target, engine, router, clock)


def _spec(release: int, process: str, *, stale: bool) -> ServiceSpec:
    spec = next(service.spec for service in want(release, 1, 1).services if service.spec.process == process)
    return replace(spec, env={"OTHER": Secret("spec")}) if stale else spec


def _put(engine: Watched, there: tuple[int, str, int, int, tuple[tuple[int, str], ...], bool]) -> None:
    release, process, healthy, _, _, stale = there
    if healthy:
        engine.apply(_spec(release, process, stale=stale), healthy, silent)


def _strike(engine: Watched, key: ServiceKey, hits: tuple[tuple[int, str], ...]) -> None:
    for position, fate in hits:
        replicas = [r for service in engine.observe() if service.key == key for r in service.replicas]
        if position >= len(replicas):
            continue
        match fate:
            case "lose":
                engine.lose(replicas[position].id)
            case "stop":
                engine.crash(replicas[position].id)
            case "crash":
                engine.crash(replicas[position].id, 1, restarts=True)
            case _:
                engine.ail(replicas[position].id)


def _lead(router: Steady, engine: Watched, scene: Scene) -> None:
    """What some earlier, perhaps interrupted, work left in the router."""
    route = want(3, 1, 1).route
    assert route is not None
    servers = {
        replica.address
        for service in engine.observe()
        for replica in service.replicas
        if service.key.process == "web" and service.key.release in scene.routed
    }
    if scene.routed:
        router.apply(replace(route, servers=tuple(sorted(servers | ({"10.9.9.9:8000"} if scene.extra else set())))))


@given(scenes)
@settings(max_examples=150, deadline=None)
def test_every_state_ends_in_the_wanted_one_and_nobody_who_answers_is_taken_away(scene: Scene) -> None:
    at = stage(scene)
    at.engine.armed = not _is_stale(scene)
    for _ in range(6):
        at.walk()
        at.time_passes()
    at.is_right()


@given(scenes)
@settings(max_examples=100, deadline=None)
def test_looks_that_never_wait_get_there_too(scene: Scene) -> None:
    at = stage(scene)
    at.engine.armed = not _is_stale(scene)
    for _ in range(14):
        at.walk(patient=False)
        at.time_passes()
    at.is_right()


@given(scenes, st.lists(st.integers(1, 7), max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_server_killed_between_any_two_steps_is_followed_by_one_that_ends_it(scene: Scene, kills: list[int]) -> None:
    at = stage(scene)
    at.engine.armed = not _is_stale(scene)
    for kill in kills:
        with contextlib.suppress(Killed):
            at.walk(_killing(kill))
    for _ in range(6):
        at.walk()
        at.time_passes()
    at.is_right()


@pytest.mark.parametrize("count", [2, 3])
def test_replicas_of_another_spec_are_replaced_one_by_one_without_a_gap(count: int) -> None:
    at = stage(Scene((3, count, 0), ((3, "web", count, 0, (), True),), (3,), False))
    assert at.engine.serving
    at.walk()
    at.is_right()
    assert all(route.servers for route in at.router.history)


def test_a_replica_that_starts_stays_before_one_that_fails_its_checks() -> None:
    at = stage(Scene((3, 1, 1), ((3, "web", 0, 2, ((0, "ail"),), False),), (3,), False))
    for _ in range(3):
        at.walk()
        at.time_passes()
    at.is_right()


def _is_stale(scene: Scene) -> bool:
    """Replicas of another spec under the wanted key: a single one of them cannot be replaced without a gap."""
    return any(release == 3 and stale for release, _, _, _, _, stale in scene.there)


def _killing(after: int) -> Emit:
    seen = 0

    def emit(event: Event) -> None:
        nonlocal seen
        seen += event.kind == "step"
        if seen == after:
            raise Killed

    return emit
