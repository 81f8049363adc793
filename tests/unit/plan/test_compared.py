"""Which replicas stay, and which of them get requests."""

from __future__ import annotations

from dataclasses import replace

from paas.model.service import ObservedService, Replica, ServiceSpec, State
from paas.plan.compared import Compared, servers
from paas.plan.wanted import WantedService

SPEC = ServiceSpec(app_id="0a0a0a0a", app_name="shop", process="web", release=1, image="x")
HEALTHY = Replica(id="a", index=1, state=State.HEALTHY, address="10.0.0.1:80")
ILL = Replica(id="b", index=2, state=State.UNHEALTHY, address="10.0.0.2:80")
ENDING = Replica(id="c", index=3, state=State.HEALTHY, address="10.0.0.3:80", ending=True)


def kept(count: int, *replicas: Replica, protected: str = "") -> list[str]:
    service = ObservedService(key=SPEC.key, fingerprint=SPEC.fingerprint, replicas=replicas)
    pair = Compared(WantedService(spec=SPEC, replicas=count), [service], frozenset(protected))
    assert {one.id for one in (*pair.kept, *pair.surplus)} == {one.id for one in replicas}
    return [one.id for one in pair.kept]


def test_one_that_had_its_stop_signal_goes_before_those_that_had_none() -> None:
    assert kept(1, ENDING, HEALTHY) == ["a"]
    assert kept(2, ENDING, ILL, HEALTHY) == ["a", "b"]
    assert kept(1, ENDING, HEALTHY, protected="c") == ["a"], "it was told before it asked to be spared"
    assert kept(2, ENDING, HEALTHY) == ["a", "c"]


def test_one_that_had_its_stop_signal_stays_before_one_that_is_dead() -> None:
    dead = replace(ILL, state=State.CRASHED)
    service = ObservedService(key=SPEC.key, fingerprint=SPEC.fingerprint, replicas=(dead, ENDING))
    pair = Compared(WantedService(spec=SPEC, replicas=1), [service])
    assert ([one.id for one in pair.kept], [one.id for one in pair.remains]) == (["c"], ["b"])


def test_requests_go_to_one_that_had_its_stop_signal_only_where_no_other_is_as_well() -> None:
    assert servers([ENDING, HEALTHY]) == ("10.0.0.1:80",)
    assert servers([ENDING, ILL]) == ("10.0.0.3:80",), "it is well"
    assert servers([replace(ENDING, state=State.UNHEALTHY), ILL]) == ("10.0.0.2:80",)
    assert servers([ENDING, replace(ILL, state=State.STARTING)]) == ("10.0.0.3:80",)
    assert servers([ENDING]) == ("10.0.0.3:80",)
