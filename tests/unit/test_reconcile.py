"""Observe, plan, carry out: what is emitted, what is drained, what a failure leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from paas.clock import FakeClock
from paas.engines.memory import Behaviour, MemoryEngine
from paas.errors import DeployFailed, ReleaseFailed, RouterError
from paas.execute import Hands, execute
from paas.interfaces import Terminal
from paas.leaving import Leaving
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.events import Event
from paas.model.plan import Plan, RunOnce, SetRoutes
from paas.model.route import Certificate, Route
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, ServiceKey, ServiceSpec
from paas.plan.wanted import wanted
from paas.reconcile import World, plan_of, reconcile, refresh_routes
from paas.routers.memory import MemoryRouter
from paas.settings import Settings
from paas.store.memory import MemoryStore

APP = App(id="0a0a0a0a", name="shop", created_at=0.0, formation={"web": 2})
HTTP = HealthCheck(kind=HealthKind.HTTP, max_status=499)
CANARY = "S3CR3T-canary"


def a_release(number: int, image: str = "", **changes: object) -> Release:
    release = Release(
        app_id=APP.id, number=number, kind=ReleaseKind.DEPLOY, created_at=0.0, actor="ann", description="",
        image=image or f"sha256:{number}", config={"KEY": Secret(CANARY)},
        processes=(ProcessSpec(name="web", health=HTTP), ProcessSpec(name="release", command="migrate")),
    )  # fmt: skip
    return replace(release, **changes)  # type: ignore[arg-type]


@dataclass
class Place:
    clock: FakeClock = field(default_factory=FakeClock)
    router: MemoryRouter = field(default_factory=MemoryRouter)
    store: MemoryStore = field(default_factory=MemoryStore)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = MemoryEngine(self.clock)
        self.world = World(self.engine, self.router, self.clock, Settings(), self.store, Leaving())

    @property
    def hands(self) -> Hands:
        return Hands(self.engine, self.router, self.clock, self.world.leaving)

    @property
    def route(self) -> Route:
        (route,) = self.router.observe()
        return route

    def go(self, release: Release | None, app: App = APP, *, release_command: bool = False) -> None:
        reconcile(self.world, app, release, self.events.append, release_command=release_command)

    def said(self, kind: str) -> list[str]:
        return [event.message for event in self.events if event.kind == kind]

    def replicas(self) -> dict[str, str]:
        """Addresses by id."""
        return {one.id: one.address for service in self.engine.observe() for one in service.replicas}


@pytest.fixture
def place() -> Place:
    return Place()


def test_each_step_is_told_before_and_after_with_its_why_and_seconds(place: Place) -> None:
    place.go(a_release(1))
    told = [event for event in place.events if event.kind in ("step", "done")]
    assert [event.kind for event in told] == ["step", "done"] * 3
    assert [event.message for event in told[::2]] == [event.message for event in told[1::2]]
    assert all(event.data["why"] and event.app == "shop" and event.at for event in told)
    assert all(isinstance(event.data["seconds"], float) for event in told[1::2])


def test_a_new_release_is_told_to_serve_once_and_a_scale_is_not(place: Place) -> None:
    place.go(a_release(1))
    assert place.said("served") == ["web v1 serves shop.localhost"]
    place.go(a_release(1), replace(APP, formation={"web": 3}))
    place.go(a_release(2))
    assert place.said("served") == ["web v1 serves shop.localhost", "web v2 serves shop.localhost"]


def test_no_event_holds_a_secret(place: Place) -> None:
    place.go(a_release(1), release_command=True)
    place.engine.behaviours["sha256:2"] = Behaviour(exits=1, says=("Traceback",))
    with pytest.raises(DeployFailed) as caught:
        place.go(a_release(2))
    assert CANARY not in repr(place.events) + repr(caught.value.as_dict())


def test_the_release_command_runs_once_before_anything_starts(place: Place) -> None:
    place.engine.behaviours["sha256:1"] = Behaviour(says=("migrating", "done"))
    place.go(a_release(1), release_command=True)
    assert place.engine.calls[:2] == ["run release", "apply web v1 × 2"]
    assert len(place.engine.ran) == 1
    assert place.said("output") == ["migrating", "done"]


def test_a_release_command_that_fails_stops_everything_and_shows_its_last_lines(place: Place) -> None:
    place.go(a_release(1))
    before = place.engine.observe()
    lines = tuple(f"line {number}" for number in range(100))
    place.engine.behaviours["sha256:2"] = Behaviour(once=3, says=lines)
    with pytest.raises(ReleaseFailed, match="exited with code 3") as caught:
        place.go(a_release(2), release_command=True)
    assert caught.value.details == lines[-30:]
    assert place.engine.observe() == before


def test_a_release_command_that_takes_too_long_is_a_failed_release(place: Place) -> None:
    class Slow(MemoryEngine):
        def run_once(self, spec: ServiceSpec, timeout: float, terminal: Terminal) -> int:
            terminal.write(b"half a li")
            raise DeployFailed("release did not end within 900 s")

    spec = wanted(APP, a_release(1), instance="paas", domain="localhost").release_command
    assert spec is not None
    hands = Hands(Slow(place.clock), place.router, place.clock, Leaving())
    with pytest.raises(ReleaseFailed, match="did not end within"):
        execute(hands, Plan(APP.id, "shop", (RunOnce(spec, 900, "why"),)), place.events.append)
    assert place.said("output") == ["half a li"]


def test_output_is_cut_into_lines_per_stream(place: Place) -> None:
    class Talks(MemoryEngine):
        def run_once(self, spec: ServiceSpec, timeout: float, terminal: Terminal) -> int:
            terminal.write(b"out ")
            terminal.write(b"err\n", "stderr")
            terminal.write(b"put\r\n" + b"x" * 70_000)
            return 0

    spec = wanted(APP, a_release(1), instance="paas", domain="localhost").release_command
    assert spec is not None
    hands = Hands(Talks(place.clock), place.router, place.clock, Leaving())
    execute(hands, Plan(APP.id, "shop", (RunOnce(spec, 900, "why"),)), place.events.append)
    assert [len(line) for line in place.said("output")] == [3, 7, 65_536, 70_000 - 65_536]
    assert place.said("output")[:2] == ["err", "out put"]


def test_a_failed_deploy_raises_its_cause_and_leaves_routes_and_the_old_version(place: Place) -> None:
    place.go(a_release(1))
    route = place.route
    place.engine.behaviours["sha256:2"] = Behaviour(exits=1, says=("Traceback", "KeyError"))
    with pytest.raises(DeployFailed, match="exited with code 1") as caught:
        place.go(a_release(2))
    assert caught.value.details == ("web.1 | Traceback", "web.1 | KeyError")
    assert place.route == route
    place.go(a_release(1))
    assert [service.key.release for service in place.engine.observe()] == [1]
    assert place.route == route


def test_a_router_that_does_not_take_the_switch_leaves_the_old_version_running(place: Place) -> None:
    place.go(a_release(1))
    place.router.broken = True
    with pytest.raises(RouterError):
        place.go(a_release(2))
    place.router.broken = False
    assert ServiceKey(APP.id, "web", 1) in {service.key for service in place.engine.observe()}
    place.go(a_release(2))
    assert [service.key.release for service in place.engine.observe()] == [2]


def test_routes_are_not_emptied_when_nobody_is_left_to_lead_to(place: Place) -> None:
    place.go(a_release(1))
    route = place.route
    for id in place.replicas():
        place.engine.crash(id)
    step = SetRoutes(route, ServiceKey(APP.id, "web", 1), "why")
    with pytest.raises(DeployFailed, match="no replica of web v1 is left") as caught:
        execute(place.hands, Plan(APP.id, "shop", (step,)), place.events.append)
    assert place.route == route
    assert caught.value.details == ("web.1 was ended by SIGKILL", "web.2 was ended by SIGKILL")


def test_a_route_to_what_is_not_on_this_machine_is_emptied_before_anything_is_started(place: Place) -> None:
    place.go(a_release(1))
    moved = Place(clock=place.clock, router=place.router, store=place.store)
    moved.engine.behaviours["sha256:1"] = Behaviour(exits=1)
    with pytest.raises(DeployFailed):
        moved.go(a_release(1))
    assert moved.route.servers == (), "an honest 503, and nobody else's replica that has the address now"
    again = Place(clock=place.clock, router=place.router, store=place.store)
    again.go(a_release(1))
    assert len(again.route.servers) == 2


def test_the_last_replicas_keep_their_traffic_while_they_fail_their_checks(place: Place) -> None:
    place.go(a_release(1))
    first, second = place.replicas()
    place.engine.ail(first)
    place.go(a_release(1))
    assert place.route.servers == (place.replicas()[second],)
    place.engine.ail(second)
    place.go(a_release(1, domains=("www.example.com",)))
    assert place.route.hosts == ("shop.localhost", "www.example.com")
    assert set(place.route.servers) == set(place.replicas().values())


def test_replicas_that_come_to_help_are_routed_while_the_one_they_help_fails_its_checks(place: Place) -> None:
    alone, five = replace(APP, formation={"web": 1}), replace(APP, formation={"web": 5})
    place.go(a_release(1), alone)
    (overloaded,) = place.replicas()
    place.engine.ail(overloaded, "GET / did not answer within 3 s")
    began = place.clock.monotonic()
    place.go(a_release(1), five)
    assert place.clock.monotonic() - began < HTTP.grace
    assert len(place.route.servers) == 4
    assert overloaded in place.replicas()
    assert place.replicas()[overloaded] not in place.route.servers


def test_replicas_of_a_new_version_are_all_waited_for(place: Place) -> None:
    place.go(a_release(1))
    place.engine.behaviours["sha256:2"] = Behaviour(boots=None)
    with pytest.raises(DeployFailed):
        place.go(a_release(2))
    ill = next(one for one in place.engine.observe() if one.key.release == 2).replicas[0]
    place.engine.ail(ill.id)
    with pytest.raises(DeployFailed):
        place.go(a_release(2))
    assert all(one.key.release == 1 or not one.healthy for one in place.engine.observe())


def test_a_drain_ends_when_nobody_was_connected_twice_in_a_row(place: Place) -> None:
    place.go(a_release(1))
    first, second = place.replicas()
    place.engine.busy = {first: [2, 0, 1, 0, 0], second: [0]}
    begun = place.clock.monotonic()
    place.go(a_release(2))
    drain = next(event for event in place.events if event.kind == "done" and event.data["step"] == "Drain")
    assert drain.data["seconds"] == pytest.approx(0.4)
    assert place.clock.monotonic() - begun < 1
    assert not any("cut" in message for message in place.said("note"))


def test_requests_that_outlast_the_drain_are_cut_and_counted(place: Place) -> None:
    place.go(a_release(1))
    first, second = place.replicas()
    place.engine.busy = {first: [3], second: [1]}
    place.go(a_release(2, drain=2.0))
    cut = next(event for event in place.events if event.kind == "note" and "cut" in event.message)
    assert cut.data == {"connections": 4}
    assert [service.key.release for service in place.engine.observe()] == [2]


def test_only_the_replicas_that_go_are_drained(place: Place) -> None:
    place.go(a_release(1))
    first, second = place.replicas()
    place.engine.busy = {first: [9], second: [0]}
    begun = place.clock.monotonic()
    place.go(a_release(1), replace(APP, formation={"web": 1}))
    assert place.clock.monotonic() - begun < 1
    assert set(place.replicas()) == {first}


def test_a_replica_that_dies_while_the_plan_is_walked_is_seen_by_the_second_look(place: Place) -> None:
    place.go(a_release(1))
    struck: list[str] = []

    def strike(event: Event) -> None:
        if event.kind == "step" and event.data["step"] == "RemoveService" and not struck:
            struck.append(next(id for s in place.engine.observe() if s.key.release == 2 for id in [s.replicas[0].id]))
            place.engine.crash(struck[0])

    reconcile(place.world, APP, a_release(2), strike)
    (service,) = place.engine.observe()
    assert len(service.healthy) == 2
    assert set(place.route.servers) == {replica.address for replica in service.healthy}


def test_nothing_wanted_takes_everything_away(place: Place) -> None:
    place.go(a_release(1))
    place.go(None)
    assert place.engine.observe() == ()
    assert place.router.observe() == ()


def test_a_plan_changes_nothing_and_may_be_made_from_a_snapshot(place: Place) -> None:
    place.go(a_release(1))
    calls = list(place.engine.calls)
    plan = plan_of(place.world, APP, a_release(2), observed=place.engine.observe(), routes=(), tls_hosts=())
    assert [type(step).__name__ for step in plan.steps][:2] == ["Apply", "WaitHealthy"]
    assert place.engine.calls == calls


def test_hosts_with_a_certificate_in_the_store_are_served_by_https(place: Place) -> None:
    place.store.put_certificate(Certificate(host="example.com", chain="", key=Secret(""), names=("*.example.com",)))
    place.go(a_release(1, domains=("www.example.com",)))
    assert place.route.tls_hosts == ("www.example.com",)


def test_a_dead_server_leaves_the_live_route_and_nothing_is_added(place: Place) -> None:
    place.go(a_release(1))
    first, second = place.replicas()
    addresses = place.replicas()
    assert refresh_routes(place.world, APP.id) is False
    place.engine.crash(first)
    assert refresh_routes(place.world, APP.id) is True
    assert place.route.servers == (addresses[second],)
    place.go(a_release(1))
    assert refresh_routes(place.world, APP.id) is False
    assert len(place.route.servers) == 2


def test_a_dead_server_whose_address_is_known_leaves_without_asking_the_engine(place: Place) -> None:
    place.go(a_release(1))
    first, second = place.replicas()
    addresses = place.replicas()
    place.engine.down = True
    assert refresh_routes(place.world, APP.id, addresses[first]) is True
    assert place.route.servers == (addresses[second],)
    assert refresh_routes(place.world, "0b0b0b0b", addresses[second]) is False


def test_looking_does_not_wait(place: Place) -> None:
    behaviours: Mapping[str, Behaviour] = {"sha256:1": Behaviour(boots=5.0)}
    place.engine.behaviours.update(behaviours)
    begun = place.clock.monotonic()
    reconcile(place.world, APP, a_release(1), place.events.append, patient=False)
    assert place.clock.monotonic() == begun
    assert place.engine.calls == ["apply web v1 × 2"]
    place.clock.sleep(5)
    reconcile(place.world, APP, a_release(1), place.events.append, patient=False)
    assert len(place.route.servers) == 2
