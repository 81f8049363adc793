"""Sampling the platform of memory parts, and what is shown of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from paas.errors import EngineUnavailable, NotFound
from paas.model.people import NOTHING, Actor
from paas.model.route import Traffic
from paas.model.service import Used
from paas.requests.metrics import ScrapeMetrics, ShowMetrics
from paas.signals.ring import Ring
from paas.usecases.context import Act, Context
from paas.usecases.metrics import scrape_metrics, show_metrics
from paas.usecases.sampling import Sampler
from tests.unit.usecases.parts import Parts


@pytest.fixture
def ring(platform: Parts, tmp_path: Path) -> Iterator[Ring]:
    made = Ring(tmp_path, now=platform.clock.now)
    yield made
    made.close()


@pytest.fixture
def place(platform: Parts, ring: Ring) -> Context:
    """An app with two replicas, and a context whose signals are kept."""
    platform.release(platform.app(web=2))
    return replace(platform.context, signals=ring)


def look(place: Context, ring: Ring, platform: Parts, times: int = 1) -> Sampler:
    sampler = Sampler(place, ring)
    for _ in range(times):
        platform.clock.sleep(5)
        sampler()
    return sampler


def test_every_look_adds_a_sample_of_each_process_and_replica(place: Context, ring: Ring, platform: Parts) -> None:
    look(place, ring, platform, 3)
    answer = show_metrics(place, ShowMetrics(app="shop"), platform.act)
    assert [one.name for one in answer.series] == ["web"]
    assert answer.measured == ("web", "web.1", "web.2")
    assert len(answer.series[0].samples) == 3
    assert answer.series[0].samples[-1].replicas == 2
    assert answer.units["cpu"] == "of the limit"
    assert answer.units["requests"] == "requests/s"
    assert set(answer.units) == {key for one in answer.series[0].samples for key in one.values}


def test_who_waits_for_samples_hears_when_they_are_there(place: Context, ring: Ring, platform: Parts) -> None:
    heard: list[int] = []

    def taken() -> None:
        heard.append(len(ring.recent(platform.store.app("shop").id, "web", 3600)))

    sampler = Sampler(place, ring, taken=taken)
    for _ in range(2):
        platform.clock.sleep(5)
        sampler()
    assert heard == [1, 2]


def test_a_replica_can_be_asked_for(place: Context, ring: Ring, platform: Parts) -> None:
    look(place, ring, platform, 2)
    answer = show_metrics(place, ShowMetrics(app="shop", process="web.2"), platform.act)
    assert [one.name for one in answer.series] == ["web.2"]


def test_a_process_that_was_never_measured_is_refused_with_those_that_were(
    place: Context, ring: Ring, platform: Parts
) -> None:
    look(place, ring, platform)
    with pytest.raises(NotFound, match="'worker'") as raised:
        show_metrics(place, ShowMetrics(app="shop", process="worker"), platform.act)
    assert raised.value.hint == "known are web, web.1, web.2"


def test_requests_come_from_the_router_and_the_kernel(place: Context, ring: Ring, platform: Parts) -> None:
    sampler = look(place, ring, platform)
    address = platform.engine.observe()[0].replicas[0].address
    platform.router.passed = [Traffic(app_id="a1b2c3d4", requests={"2xx": 50}, seconds=5.0, buckets={math.inf: 50})]
    platform.router.busy = {address: 10}
    platform.clock.sleep(5)
    sampler()
    (found,) = ring.recent("a1b2c3d4", "web", 4)
    assert (found.values["requests"], found.values["in_flight"]) == (12, 10)
    assert ring.recent("a1b2c3d4", "web.1", 4)[0].values["in_flight"] == 10


def test_a_router_that_does_not_answer_is_told_once_and_costs_its_signals(
    place: Context, ring: Ring, platform: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    platform.router.broken = True
    look(place, ring, platform, 3)
    assert caplog.text.count("requests are not measured") == 1
    found = ring.recent("a1b2c3d4", "web", 4)[-1].values
    assert "requests" not in found
    assert "memory" in found
    assert place.readings.unmeasured == dict.fromkeys(("requests", "p50", "p95", "p99"), "the router does not answer")
    platform.router.broken = False
    look(place, ring, platform)
    assert place.readings.unmeasured == {}


def test_an_engine_that_does_not_answer_is_the_cause_of_all_that_is_missing(
    place: Context, ring: Ring, platform: Parts
) -> None:
    sampler = look(place, ring, platform)
    platform.engine.down = True
    with pytest.raises(EngineUnavailable):
        sampler()
    assert place.readings.unmeasured["cpu"] == "the memory engine is switched off"
    platform.engine.down = False
    sampler()
    assert place.readings.unmeasured == {}


def test_prometheus_gets_the_apps_that_one_may_see(place: Context, ring: Ring, platform: Parts) -> None:
    platform.engine.used[platform.engine.observe()[0].replicas[0].id] = Used(cpu_seconds=7.25, memory=1)
    look(place, ring, platform)
    page = scrape_metrics(place, ScrapeMetrics(), platform.act)
    assert page.media_type.startswith("text/plain; version=0.0.4")
    assert 'paas_replica_cpu_seconds_total{app="shop",process="web",replica="1",release="1"} 7.25' in page.text
    nobody = Act("eve", platform.events.append, who=Actor(name="eve", via="token", access=NOTHING))
    assert "shop" not in scrape_metrics(place, ScrapeMetrics(), nobody).text


def test_before_the_first_look_there_is_a_page_all_the_same(place: Context, platform: Parts) -> None:
    assert "paas_build_info" in scrape_metrics(place, ScrapeMetrics(), platform.act).text
    assert show_metrics(place, ShowMetrics(app="shop"), platform.act).series == ()
