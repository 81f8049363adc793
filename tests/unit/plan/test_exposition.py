"""The page for Prometheus, read by Prometheus's own parser."""

from __future__ import annotations

import math
from dataclasses import replace

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from paas.model.custom_signal import Reading, Standing
from paas.model.metrics import Look, Series
from paas.model.route import Traffic
from paas.model.scaling import Sample
from paas.model.service import Measured, Replica, ServiceKey, State, Used
from paas.plan.exposition import text

REPLICA = Measured(
    key=ServiceKey("a1", "web", 3),
    replica=Replica(id="id1", index=1, state=State.HEALTHY, address="10.0.0.1:8000", restarts=2),
    used=Used(cpu_seconds=1.5, memory=1000, network_in=7),
    cpus=0.5,
    memory_limit=2000,
)
TRAFFIC = Traffic(app_id="a1", requests={"2xx": 9, "5xx": 1}, seconds=2.5, buckets={0.1: 4, 1.0: 9, math.inf: 10})
LOOK = Look(at=100.0, clock=1.0, measured=(REPLICA,), traffic={"a1": TRAFFIC}, in_flight={"10.0.0.1:8000": 4})
LAST = {Series("a1", "web"): Sample(100.0, 1, {"cpu": 0.5, "2xx": 1.0, "memory_bytes": 5.0, "queue": 12.5})}


def families(look: Look | None = LOOK, now: float = 103.0, name: str = "shop") -> dict[str, Metric]:
    page = text(look, LAST, {"a1": name}, version="1.2", now=now)
    return {one.name: one for one in text_string_to_metric_families(page)}


def test_counters_gauges_and_histograms_are_what_they_say() -> None:
    found = families()
    assert found["paas_replica_cpu_seconds"].type == "counter"
    (cpu,) = found["paas_replica_cpu_seconds"].samples
    assert (cpu.labels, cpu.value) == ({"app": "shop", "process": "web", "replica": "1", "release": "3"}, 1.5)
    assert found["paas_replica_memory_limit_bytes"].samples[0].value == 2000
    assert found["paas_replica_in_flight_requests"].samples[0].value == 4
    assert found["paas_replica_restarts"].samples[0].value == 2
    assert {one.labels["status"]: one.value for one in found["paas_requests"].samples} == {"2xx": 9, "5xx": 1}
    histogram = {(one.name, one.labels.get("le")): one.value for one in found["paas_request_duration_seconds"].samples}
    assert found["paas_request_duration_seconds"].type == "histogram"
    assert histogram["paas_request_duration_seconds_bucket", "+Inf"] == 10
    assert histogram["paas_request_duration_seconds_bucket", "0.1"] == 4
    assert histogram["paas_request_duration_seconds_count", None] == 10
    assert histogram["paas_request_duration_seconds_sum", None] == 2.5


def test_what_is_not_known_has_no_line() -> None:
    assert "paas_replica_disk_read_bytes" not in families()
    assert "paas_replica_in_flight_requests" not in families(replace(LOOK, in_flight=None, traffic=None))


def test_dead_signals_can_be_seen_as_such() -> None:
    ones = [
        Reading(name="mail", state=Standing.DEAD, why="no answer"),
        Reading(name="jobs", state=Standing.FAILING, value=3.0, why="no answer"),
        Reading(name="rest", state=Standing.OFF, why="web is scaled to 0"),
    ]
    page = text(LOOK, LAST, {"a1": "shop"}, version="1", now=103.0, readings={"a1": ones, "b2": ones})
    (family,) = [one for one in text_string_to_metric_families(page) if one.name == "paas_custom_signal_readable"]
    assert [(one.labels, one.value) for one in family.samples] == [
        ({"app": "shop", "signal": "mail"}, 0.0), ({"app": "shop", "signal": "jobs"}, 1.0),
    ]  # fmt: skip


def test_signals_of_the_apps_own_are_told_and_only_those() -> None:
    (own,) = families()["paas_custom_signal"].samples
    assert (own.labels, own.value) == ({"app": "shop", "process": "web", "signal": "queue"}, 12.5)


def test_an_old_look_tells_only_how_old_it_is() -> None:
    found = families(now=200.0)
    assert set(found) == {"paas_build_info", "paas_apps", "paas_measured_seconds"}
    assert set(families(None)) == {"paas_build_info", "paas_apps"}


def test_apps_that_one_may_not_see_are_not_there() -> None:
    page = text(LOOK, LAST, {}, version="1.2", now=103.0)
    assert "web" not in page


def test_a_name_cannot_end_its_label() -> None:
    (own,) = families(name='a"}\n1\\')["paas_custom_signal"].samples
    assert own.labels["app"] == 'a"}\n1\\'
