"""Right-sizing on the platform of memory parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import Conflict, NotFound
from paas.interfaces import NoSignals
from paas.model.events import Event
from paas.model.scaling import Sample
from paas.plan.recommend import MIB
from paas.requests.recommend import RecommendSizes
from paas.usecases.context import Context
from paas.usecases.recommend import recommend_sizes
from tests.unit.usecases.parts import Parts


class Day(NoSignals):
    """A day of one process that used 100 MiB and a tenth of a core."""

    def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
        values = {"memory_bytes": 100.0 * MIB, "cpu_cores": 0.1}
        return tuple(Sample(until - 90_000 + number * 450, 1, values) for number in range(200))


@pytest.fixture
def place(platform: Parts) -> Context:
    platform.release(platform.app(web=1))
    return replace(platform.context, signals=Day())


def test_the_commands_apply_what_is_proposed(place: Context, platform: Parts) -> None:
    answer = recommend_sizes(place, RecommendSizes(app="shop"), platform.act)
    web = next(one for one in answer.processes if one.process == "web")
    assert web.commands == ("paas limits web --memory 128M --cpus 0.2 --app shop",)
    assert (web.memory, web.proposal.memory) == (512 * MIB, 128 * MIB)
    assert answer.rules


def test_kills_for_memory_in_that_time_count(place: Context, platform: Parts) -> None:
    app, data = place.store.app("shop"), {"process": "web", "oom": True}
    for at in (place.clock.now() - 900_000, place.clock.now()):
        place.store.add_event(Event(kind="crash", message="web.1 ended", at=at, data=data), app_id=app.id)
    web = recommend_sizes(place, RecommendSizes(app="shop"), platform.act).processes[0]
    assert web.kills == 1
    assert web.proposal.memory == 768 * MIB


def test_nothing_measured_proposes_nothing(platform: Parts) -> None:
    platform.release(platform.app(web=1))
    web = recommend_sizes(platform.context, RecommendSizes(app="shop"), platform.act).processes[0]
    assert web.commands == ()
    assert "24.0 h more are needed" in web.proposal.missing


def test_an_app_that_was_never_deployed_cannot_be_sized(platform: Parts) -> None:
    platform.app()
    with pytest.raises(Conflict):
        recommend_sizes(platform.context, RecommendSizes(app="shop"), platform.act)


def test_an_unknown_app_is_not_found(platform: Parts) -> None:
    with pytest.raises(NotFound):
        recommend_sizes(platform.context, RecommendSizes(app="nothing"), platform.act)
