"""Plans as people read them, a file each in `tests/golden/plans/`: change one and read the diff."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.route import Route
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, ObservedService, Replica, ServiceKey, State
from paas.plan.difference import difference
from paas.plan.text import render
from paas.plan.wanted import Wanted, nothing, wanted

GOLDEN = Path(__file__).parents[2] / "golden" / "plans"
APP = App(id="0a0a0a0a", name="shop", created_at=0.0)
HEALTHY, STARTING, UNHEALTHY, CRASHED, STOPPED = (
    State.HEALTHY, State.STARTING, State.UNHEALTHY, State.CRASHED, State.STOPPED,
)  # fmt: skip


def want(
    number: int, *, domains: tuple[str, ...] = (), names: tuple[str, ...] = ("web", "worker"), **formation: int
) -> Wanted:
    processes = tuple(ProcessSpec(name=name, health=HealthCheck(kind=HealthKind.HTTP)) for name in names)
    release = Release(
        app_id=APP.id, number=number, kind=ReleaseKind.DEPLOY, created_at=0.0, actor="ann", description="",
        image=f"sha256:{number}", processes=processes, domains=domains, config={"KEY": Secret("hidden")},
    )  # fmt: skip
    app = replace(APP, formation=formation)
    return wanted(app, release, instance="paas", domain="localhost", tls_hosts=("secure.example.com",))


def seen(process: str, number: int, *states: State, fingerprint: str = "") -> ObservedService:
    """Replicas with these states, indexes from 1, at addresses that say version and index."""
    spec = next(service.spec for service in want(number).services if service.spec.process == process)
    replicas = tuple(
        Replica(id=f"{process}{number}{index}", index=index, state=state, address=address(number, index))
        for index, state in enumerate(states, 1)
    )
    return ObservedService(
        key=ServiceKey(APP.id, process, number), fingerprint=fingerprint or spec.fingerprint, replicas=replicas
    )


def address(number: int, index: int) -> str:
    return f"10.0.{number}.{index}:8000"


def led(*servers: tuple[int, int], route: Route | None = None) -> Route:
    facts = route or want(1).route
    assert facts is not None
    return replace(facts, servers=tuple(address(*server) for server in servers))


@dataclass(frozen=True)
class Case:
    wanted: Wanted
    observed: tuple[ObservedService, ...] = ()
    live: Route | None = None
    release_command: bool = False


TWO = seen("web", 1, HEALTHY, HEALTHY)
BOTH = led((1, 1), (1, 2))

CASES = {
    "first-deploy": Case(want(1, names=("web", "worker", "release"), worker=1), release_command=True),
    "new-version": Case(want(2, web=2, worker=1), (TWO, seen("worker", 1, HEALTHY)), BOTH),
    "nothing-to-do": Case(want(1, web=2), (TWO,), BOTH),
    "scale-up": Case(want(1, web=3), (TWO,), BOTH),
    "scale-down": Case(want(1, web=1), (TWO,), BOTH),
    "scale-down-of-an-unhealthy-one": Case(want(1, web=1), (seen("web", 1, UNHEALTHY, HEALTHY),), BOTH),
    "scale-to-zero": Case(want(1, web=0), (TWO,), BOTH),
    "a-domain-more": Case(want(1, web=2, domains=("secure.example.com",)), (TWO,), BOTH),
    "a-replica-was-stopped": Case(want(1, web=2), (seen("web", 1, HEALTHY, STOPPED),), BOTH),
    "everything-has-gone": Case(want(1, web=2, worker=1), (), BOTH),
    "a-replica-crashed-the-engine-starts-it": Case(want(1, web=2), (seen("web", 1, HEALTHY, CRASHED),), BOTH),
    "a-replica-fails-its-checks": Case(want(1, web=2), (seen("web", 1, UNHEALTHY, HEALTHY),), BOTH),
    "all-replicas-fail-their-checks": Case(want(1, web=2), (seen("web", 1, UNHEALTHY, UNHEALTHY),), BOTH),
    "all-replicas-crashed": Case(want(1, web=2), (seen("web", 1, CRASHED, CRASHED),), BOTH),
    "a-replica-is-well-again": Case(want(1, web=2), (TWO,), led((1, 1))),
    "killed-while-new-ones-boot": Case(want(2, web=2), (TWO, seen("web", 2, HEALTHY, STARTING)), BOTH),
    "killed-after-the-switch": Case(want(2, web=1), (TWO, seen("web", 2, HEALTHY)), led((2, 1))),
    "back-to-the-one-before": Case(want(1, web=2), (TWO, seen("web", 2, CRASHED, STARTING)), BOTH),
    "a-process-is-gone": Case(want(1, names=("worker",), worker=1), (TWO, seen("worker", 1, HEALTHY)), BOTH),
    "nothing-wanted": Case(nothing(APP), (TWO, seen("worker", 1, HEALTHY)), BOTH),
    "made-from-another-spec": Case(want(1, web=2), (seen("web", 1, HEALTHY, HEALTHY, fingerprint="mixed"),), BOTH),
}


@pytest.mark.parametrize("case", CASES)
def test_the_plan_is_the_golden_one(case: str, pytestconfig: pytest.Config) -> None:
    given = CASES[case]
    text = render(difference(given.wanted, given.observed, given.live, release_command=given.release_command))
    golden = GOLDEN / f"{case}.txt"
    if pytestconfig.getoption("--update-golden", default=False):
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


def test_a_plan_never_shows_a_secret() -> None:
    plan = difference(want(1, web=2), (), None)
    assert "hidden" not in render(plan) + repr(plan)


def test_services_of_other_apps_and_addons_are_none_of_its_business() -> None:
    other = replace(TWO, key=ServiceKey("0b0b0b0b", "web", 9))
    addon = replace(TWO, key=ServiceKey(APP.id, "addon", 1), kind="addon")
    assert not difference(want(1, web=2), (TWO, other, addon), BOTH)
