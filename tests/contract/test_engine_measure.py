"""What every engine says of use and networks: one suite, run against each of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from paas.model.events import silent
from paas.model.service import State
from tests.contract.engine_lab import Lab, ids
from tests.polling import until


@pytest.fixture
def lab(any_lab: Lab) -> Lab:
    return any_lab


def test_every_replica_of_every_app_is_measured_with_its_limits_in_order(lab: Lab) -> None:
    assert lab.engine.measure() == ()
    web, worker = lab.spec(), lab.spec(process="worker", app_id="0badcafe", app_name="other", networks=())
    for spec, replicas in ((web, 2), (worker, 1)):
        lab.engine.apply(spec, replicas, silent)
        lab.engine.wait_healthy(spec, replicas, 20, silent)
    found = lab.engine.measure()
    assert [(one.key, one.replica.index) for one in found] == sorted(
        [(web.key, 1), (web.key, 2), (worker.key, 1)], key=lambda one: (one[0], one[1])
    )
    assert {one.replica.id for one in found} == {*ids(lab.engine, web), *ids(lab.engine, worker)}
    for one in found:
        assert (one.cpus, one.memory_limit) == (1.0, 64 << 20)
        assert one.used is not None
        assert one.used.cpu_seconds >= 0
        assert one.used.memory > 0
        assert one.replica.state is State.HEALTHY
        assert one.boot is not None
        assert one.boot >= 0
        assert one.replica.address


def test_what_was_used_never_goes_back_while_a_replica_runs(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 1, silent)
    lab.engine.wait_healthy(spec, 1, 20, silent)
    looks = [used for _ in range(5) for one in lab.engine.measure() if (used := one.used)]
    assert len(looks) == 5
    assert [one.cpu_seconds for one in looks] == sorted(one.cpu_seconds for one in looks)


def test_a_replica_that_does_not_run_is_there_and_uses_nothing(lab: Lab) -> None:
    spec = lab.spec()
    lab.engine.apply(spec, 2, silent)
    first, second = lab.engine.wait_healthy(spec, 2, 20, silent)
    lab.kill(first.id)
    until(lambda: [one for one in lab.engine.measure() if one.replica.id == first.id and one.used is None])
    assert [one.used is None for one in lab.engine.measure() if one.replica.id == second.id] == [False]
    lab.lose(second.id)
    assert [one.replica.id for one in lab.engine.measure()] == [first.id]


def test_addons_and_replicas_that_are_not_healthy_yet(lab: Lab) -> None:
    addon = lab.spec(process="addon", kind="addon", app_id="0badcafe", app_name="db", networks=())
    booting = lab.spec("never")
    lab.engine.apply(addon, 1, silent)
    lab.engine.apply(booting, 1, silent)
    (one,) = lab.engine.measure()
    assert (one.key, one.boot) == (booting.key, None), "addons are not measured; nothing has booted"


def test_each_app_with_a_network_has_a_gateway_until_it_is_forgotten(lab: Lab) -> None:
    assert lab.engine.gateways() == {}
    mine = lab.spec()
    other = lab.spec(app_id="0badcafe", app_name="other", networks=(f"{lab.instance}-0badcafe",))
    database = lab.spec(process="addon", kind="addon", app_id="0c0ffee0", app_name="db", networks=mine.networks)
    for spec in (mine, other, database):
        lab.engine.apply(spec, 1, silent)
    found = lab.engine.gateways()
    assert set(found) == {mine.app_id, other.app_id}
    assert len({IPv4Address(one) for one in found.values()}) == 2
    lab.engine.remove(mine.key)
    assert lab.engine.gateways() == found, "the network stays while the app does"
    lab.engine.forget(database.app_id)
    lab.engine.forget(mine.app_id)
    assert set(lab.engine.gateways()) == {other.app_id}


def test_a_network_has_addresses_for_so_many_and_what_runs_has_them(lab: Lab) -> None:
    spec = lab.spec()
    before = lab.engine.addresses(spec.app_id)
    assert (before.total, before.taken) == (61, 0), "of the one it would get"
    lab.engine.apply(spec, 2, silent)
    lab.engine.apply(replace(spec, release=2), 1, silent)
    assert lab.engine.addresses(spec.app_id) == replace(before, taken=3)
    lab.engine.remove(spec.key)
    assert lab.engine.addresses(spec.app_id) == replace(before, taken=1)
