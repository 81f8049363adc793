"""From whatever is there, one reconcile leads to what is wanted, and never through a moment without an answer."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from paas.clock import FakeClock
from paas.engines.memory import MemoryEngine
from paas.execute import Hands, execute
from paas.leaving import Leaving
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.events import silent
from paas.model.route import Route
from paas.model.service import HealthCheck, HealthKind, ServiceSpec, State
from paas.plan.difference import difference
from paas.plan.wanted import Wanted, nothing, wanted
from paas.routers.memory import MemoryRouter

APP = App(id="0a0a0a0a", name="shop", created_at=0.0)


def release(number: int, *, worker: bool = True, domains: tuple[str, ...] = ()) -> Release:
    processes = [ProcessSpec(name="web", command="serve", health=HealthCheck(kind=HealthKind.HTTP))]
    processes += [ProcessSpec(name="worker", command="work")] if worker else []
    return Release(
        app_id=APP.id,
        number=number,
        kind=ReleaseKind.DEPLOY,
        created_at=0.0,
        actor="ann",
        description="",
        image=f"sha256:{number}",
        processes=tuple(processes),
        domains=domains,
        since={process.name: number for process in processes},
    )


def want(number: int, web: int, worker: int, *, has_worker: bool = True) -> Wanted:
    if number == 0:
        return nothing(APP)
    app = replace(APP, formation={"web": web, "worker": worker})
    return wanted(app, release(number, worker=has_worker), instance="paas", domain="localhost")


class Watching(MemoryRouter):
    """A router that notes whether each route it took led to replicas that answered at that moment."""

    def __init__(self, engine: MemoryEngine) -> None:
        super().__init__()
        self.engine = engine
        self.dark: list[Route] = []

    def apply(self, route: Route) -> None:
        alive = {r.address for s in self.engine.observe() for r in s.replicas if r.state is State.HEALTHY}
        if route.servers and not set(route.servers) <= alive:
            self.dark.append(route)
        super().apply(route)


def there(engine: MemoryEngine, specs: list[tuple[ServiceSpec, int]]) -> None:
    for spec, replicas in specs:
        engine.apply(spec, replicas, silent)


counts = st.integers(min_value=0, max_value=4)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Wanted, list[tuple[ServiceSpec, int]], int, bool]:
    """What is wanted, what is there (any mix of versions), which version is routed, whether some replica died."""
    target = want(draw(st.sampled_from([0, 3, 3, 3])), draw(counts), draw(counts), has_worker=draw(st.booleans()))
    old = [(service.spec, draw(st.integers(1, 4))) for number in (1, 2, 3) for service in want(number, 1, 1).services]
    present = [item for item in old if draw(st.booleans())]
    return target, present, draw(st.sampled_from([0, 1, 2, 3])), draw(st.booleans())


@given(scenes())
@settings(max_examples=300, deadline=None)
def test_one_reconcile_leads_from_any_state_to_the_wanted_one(
    scene: tuple[Wanted, list[tuple[ServiceSpec, int]], int, bool],
) -> None:
    target, present, routed, died = scene
    engine = MemoryEngine(FakeClock())
    router = Watching(engine)
    there(engine, present)
    _route(engine, router, routed)
    if died and engine.observe():
        engine.crash(engine.observe()[0].replicas[0].id)
    served_before = _answers(engine, router)
    hands = Hands(engine, router, FakeClock(), Leaving())

    execute(hands, difference(target, engine.observe(), _live(router)), silent)

    assert not difference(target, engine.observe(), _live(router)), "a second look finds nothing to do"
    assert not router.dark, "no route ever led to a replica that did not answer"
    seen = {service.key: len(service.healthy) for service in engine.observe()}
    assert seen == {service.spec.key: service.replicas for service in target.services if service.replicas}
    web = next((service for service in target.services if service.spec.process == "web"), None)
    if web is not None and web.replicas:
        assert _answers(engine, router)
        if served_before:
            assert all(route.servers for route in router.history), "it answered at every moment in between"


@given(st.integers(1, 4), st.integers(1, 4))
def test_old_replicas_go_only_after_the_routes_left_them(old: int, new: int) -> None:
    engine = MemoryEngine(FakeClock())
    router = Watching(engine)
    hands = Hands(engine, router, FakeClock(), Leaving())
    execute(hands, difference(want(1, old, 0), engine.observe(), None), silent)
    steps = difference(want(2, new, 0), engine.observe(), _live(router)).steps
    assert [type(step).__name__ for step in steps] == ["Apply", "WaitHealthy", "SetRoutes", "Drain", "RemoveService"]


def test_a_domain_changes_routes_and_nothing_else() -> None:
    engine = MemoryEngine(FakeClock())
    router = MemoryRouter()
    app = replace(APP, formation={"web": 2})
    first = wanted(app, release(1), instance="paas", domain="localhost")
    execute(Hands(engine, router, FakeClock(), Leaving()), difference(first, engine.observe(), None), silent)
    changed = replace(release(2, domains=("shop.example.com",)), since={"web": 1, "worker": 1}, image="sha256:1")
    plan = difference(wanted(app, changed, instance="paas", domain="localhost"), engine.observe(), router.observe()[0])
    assert [type(step).__name__ for step in plan.steps] == ["SetRoutes"]


def _route(engine: MemoryEngine, router: MemoryRouter, number: int) -> None:
    """Lead the app to what is there of that version, as an interrupted deploy may have left it."""
    for service in engine.observe():
        if service.key.process == "web" and service.key.release == number:
            route = want(number, 1, 0).route
            assert route is not None
            router.apply(replace(route, servers=tuple(sorted(replica.address for replica in service.replicas))))
    router.history.clear()


def _live(router: MemoryRouter) -> Route | None:
    return next(iter(router.observe()), None)


def _answers(engine: MemoryEngine, router: MemoryRouter) -> bool:
    """Whether the live route leads to at least one replica that answers."""
    live = _live(router)
    healthy = {replica.address for service in engine.observe() for replica in service.healthy}
    return live is not None and bool(set(live.servers) & healthy)
