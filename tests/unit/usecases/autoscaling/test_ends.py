"""While replicas of a scale-in finish what they have, everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from paas.engines.memory import MemoryEngine
from paas.errors import PlatformError
from paas.interfaces import Store
from paas.model.autoscaling import Recorded
from paas.model.scaling import TargetRule
from paas.requests.config import ChangeConfig
from paas.requests.processes import Scale
from paas.usecases.autoscaling import PERIOD, Autoscaler
from paas.usecases.config import change_config
from paas.usecases.processes import scale
from tests.unit.usecases.autoscaling.lab import RULES, Lab
from tests.unit.usecases.parts import Slow


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Lab, Slow]]:
    """An app of five web and two worker, in which `web` scales in to one, and those that go do not end."""
    lab = Lab(tmp_path)
    lab.deploy(RULES, worker=replace(RULES, rules=(TargetRule(metric="cpu", target=0.5),)))
    scale(lab.platform.context, Scale(app="shop", counts={"web": 5, "worker": 2}), lab.platform.act)
    engine = Slow(lab.platform.engine)
    lab.platform = replace(lab.platform, context=replace(lab.platform.context, engine=cast(MemoryEngine, engine)))
    lab.loop = Autoscaler(lab.platform.context)
    lab.patience = 0.0
    while not engine.asked.wait(0.05):
        lab.load({"requests": 5.0, "cpu": 0.5}, PERIOD)
    yield lab, engine
    engine.may.set()
    lab.loop.wait()


def test_while_replicas_end_the_app_is_free_and_the_number_is_the_new_one(slow: tuple[Lab, Slow]) -> None:
    lab, engine = slow
    assert lab.count == 1
    assert not lab.platform.context.locks.holder(lab.app.id)
    assert lab.kinds()[-1] == "autoscale.scaled"
    assert lab.platform.running(lab.app)["web v1"] == 5
    engine.may.set()
    lab.loop.wait()
    assert lab.platform.running(lab.app)["web v1"] == 1


def test_while_replicas_end_all_processes_of_the_app_scale_out(slow: tuple[Lab, Slow]) -> None:
    lab, engine = slow
    for _ in range(20):
        lab.load({"requests": 45.0, "cpu": 1.0}, PERIOD)
        wait_for_changes(lab)
    assert lab.formation == {"web": 5, "worker": 6}
    engine.may.set()
    lab.loop.wait()
    assert lab.platform.running(lab.app) == {"web v1": 5, "worker v2": 6}
    (route,) = lab.platform.context.router.observe()
    assert len(route.servers) == 5


def test_while_replicas_end_a_deploy_goes_its_way(slow: tuple[Lab, Slow]) -> None:
    lab, engine = slow
    change_config(lab.platform.context, ChangeConfig(app="shop", set={"KEY": "new"}), lab.platform.act)
    running = lab.platform.running(lab.app)
    assert (running["web v1"], running["web v3"], running.keys()) == (4, 1, {"web v1", "web v3", "worker v3"})
    engine.may.set()
    lab.loop.wait()
    assert lab.platform.running(lab.app).keys() == {"web v3", "worker v3"}


class Forgetful:
    """A store in which no scale-in can be written down."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def add_decision(self, recorded: Recorded) -> None:
        if recorded.decision.wanted < recorded.decision.replicas:
            raise PlatformError("the disk is full")
        self._store.add_decision(recorded)


def test_replicas_that_are_too_many_end_also_where_that_cannot_be_written_down(lab: Lab) -> None:
    store = cast(Store, Forgetful(lab.platform.context.store))
    lab.loop = Autoscaler(replace(lab.platform.context, store=store))
    lab.load({"requests": 45.0}, 60)
    while lab.count > 1:
        lab.load({"requests": 5.0}, PERIOD)
    assert lab.platform.running(lab.app) == {"web v1": 1}


def wait_for_changes(lab: Lab) -> None:
    for thread in list(lab.loop._working.values()):
        thread.join(10)
