"""What is measured of an app under load, through the real router and the kernel's own numbers."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.e2e.platform import TOKEN, Platform, eventually, listening

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

APP = "measured"
CODE = """
import socketserver, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import os

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.2)
        elif self.path == "/hang":
            time.sleep(8)
        elif self.path == "/burn":
            end = time.process_time() + 0.05
            while time.process_time() < end:
                pass
        body = self.path.encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""

FILE = """
[processes.web]
memory = "128M"
cpus = 0.5
[alerts.missing]
metric = "4xx"
above = 5
lasts = "5s"
[alerts.ill]
metric = "healthy"
below = 1
"""


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    return listening()


@pytest.fixture(scope="module")
def measured(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """A small app without a framework, one replica with half a core."""
    folder = tmp_path_factory.mktemp("apps") / APP
    folder.mkdir()
    (folder / "server.py").write_text(CODE)
    (folder / "requirements.txt").write_text("")
    (folder / "Procfile").write_text("web: python server.py\n")
    (folder / "paas.toml").write_text(FILE)
    platform.ok("deploy", folder, "-a", APP)
    eventually(lambda: seen(platform, "web.1"), what="a first look at the replica")
    eventually(lambda: web(platform), what="a first look at the process")
    eventually(lambda: "paas_replica_cpu_seconds" in scraped(platform), what="a replica on the page")
    return platform


def seen(platform: Platform, replica: str) -> bool:
    """Whether it has been measured."""
    return platform.run("metrics", APP, "--process", replica, "--last", "5m", "--json").code == 0


def web(platform: Platform) -> list[dict[str, Any]]:
    """The samples of the last minute; none before the first look."""
    answer = platform.json("metrics", APP, "--last", "1m")
    return [one["values"] for series in answer["series"] if series["name"] == "web" for one in series["samples"]]


@contextmanager
def load(platform: Platform, path: str, threads: int) -> Iterator[None]:
    """So many clients, each asking again as soon as it was answered."""
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            platform.get(APP, path)

    clients = [threading.Thread(target=ask) for _ in range(threads)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        done.set()
        for client in clients:
            client.join()


def test_requests_latency_and_status_of_a_load_are_measured(measured: Platform) -> None:
    with load(measured, "/slow", 4):
        seen = eventually(
            lambda: [one for one in web(measured) if one.get("requests", 0) > 8 and one.get("p95", 0) > 0.15],
            what="a load that is seen",
        )
    assert 0.15 <= seen[-1]["p50"] <= 0.5
    assert seen[-1]["2xx"] > 5
    assert 1 <= max(one["in_flight"] for one in seen) <= 6
    for _ in range(5):
        measured.get(APP, "/missing")
    eventually(lambda: [one for one in web(measured) if one.get("4xx", 0) > 0], what="a class of its own for 404")


def test_requests_that_nobody_has_answered_yet_are_seen(measured: Platform) -> None:
    with load(measured, "/hang", 3):
        assert eventually(
            lambda: [one for one in web(measured) if one["in_flight"] >= 3], what="three requests in flight"
        )


def test_cpu_is_a_share_of_the_limit_and_memory_too(measured: Platform) -> None:
    with load(measured, "/burn", 3):
        seen = eventually(lambda: [one for one in web(measured) if one.get("cpu", 0) > 0.7], what="a core that is busy")
    assert seen[-1]["cpu"] <= 1.3
    assert seen[-1]["cpu_cores"] == pytest.approx(seen[-1]["cpu"] * 0.5)
    assert seen[-1]["memory"] == pytest.approx(seen[-1]["memory_bytes"] / (128 << 20))
    assert 0.01 < seen[-1]["memory"] < 0.9
    assert seen[-1]["network_in"] > 0
    assert seen[-1]["healthy"] == 1


def test_an_alert_is_told_when_it_has_lasted_and_when_it_is_over(measured: Platform) -> None:
    def told(kind: str) -> list[str]:
        return [one["message"] for one in measured.json("events", "-a", APP, "--limit", "1000") if one["kind"] == kind]

    with load(measured, "/missing", 2):
        (said,) = eventually(lambda: told("alert.fired"), seconds=60, what="an alert")
        state = {one["name"]: one["state"] for one in measured.json("alerts", APP)}
    assert said.startswith("alert missing: 4xx of web is ")
    assert said.endswith("answers/s, above 5 answers/s for 5 s")
    assert state["missing"] == "firing"
    assert state["ill"] != "firing"
    (said,) = eventually(lambda: told("alert.ended"), seconds=90, what="its end")
    assert said.startswith("alert missing is over: 4xx of web is ")
    assert len(told("alert.fired")) == 1


def test_each_replica_is_measured(measured: Platform) -> None:
    answer = measured.json("metrics", APP, "--process", "web.1", "--last", "5m")
    assert answer["series"][0]["name"] == "web.1"
    assert "cpu" in answer["series"][0]["samples"][-1]["values"]
    said = measured.fails(3, "metrics", APP, "--process", "worker")
    assert "known are web, web.1" in said


def test_the_picture_has_what_is_known(measured: Platform) -> None:
    said = measured.ok("metrics", APP, "--last", "10m")
    assert said.startswith(f"{APP} web: 1 replica, cpu ")
    for label in ("requests/s", "p95, s", "in flight", "cpu, %", "memory, %", "replicas"):
        assert label in said


def test_prometheus_reads_the_platforms_own_page(measured: Platform) -> None:
    measured.get(APP)
    measured.get(APP, "/missing")

    def read() -> dict[str, Metric] | None:
        found = {one.name: one for one in text_string_to_metric_families(scraped(measured))}
        told = found["paas_requests"].samples if "paas_requests" in found else []
        return found if {one.labels["status"] for one in told if one.labels["app"] == APP} >= {"2xx", "4xx"} else None

    families = eventually(read, what="both requests on the page")
    assert families is not None
    (info,) = families["paas_build_info"].samples
    assert info.labels["version"]
    cpu = families["paas_replica_cpu_seconds"].samples[0]
    assert cpu.labels == {"app": APP, "process": "web", "replica": "1", "release": "1"}
    assert cpu.value > 0.01
    counts = [one for one in families["paas_requests"].samples if one.labels["app"] == APP]
    assert {one.labels["status"] for one in counts} >= {"2xx", "4xx"}
    histogram = families["paas_request_duration_seconds"]
    total = next(one.value for one in histogram.samples if one.name.endswith("_count"))
    assert total == sum(one.value for one in counts)
    assert [one.value for one in families["paas_replicas"].samples if one.labels["state"] == "healthy"] == [1]


def test_prometheus_scrapes_the_page_over_tcp_with_a_token_and_sees_what_that_may_see(measured: Platform) -> None:
    measured.ok("create", "hidden")
    token = json.loads(measured.ok("tokens", "create", "prometheus", "--role", "viewer", "-a", APP, "--json"))["token"]
    status, media_type, page = scrape(measured, token)
    assert (status, media_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {one.name: one for one in text_string_to_metric_families(page)}
    assert [one.value for one in families["paas_apps"].samples] == [1]
    assert {one.labels["app"] for one in families["paas_replica_memory_bytes"].samples} == {APP}
    assert time.time() - families["paas_measured_seconds"].samples[0].value < 60
    assert [one.value for one in apps_of(scrape(measured, TOKEN)[2])] == [2], "the server's own sees all"
    for wrong in ("", "wrong", token[:-1]):
        status, media_type, page = scrape(measured, wrong)
        assert (status, "paas_apps" in page) == (401, False), wrong


def apps_of(page: str) -> list[Sample]:
    (family,) = [one for one in text_string_to_metric_families(page) if one.name == "paas_apps"]
    return list(family.samples)


def scrape(platform: Platform, token: str) -> tuple[int, str, str]:
    """Status, media type and text of what Prometheus is answered."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection = http.client.HTTPConnection(platform.environ["PAAS_LISTEN"], timeout=60)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode()
    finally:
        connection.close()


def scraped(platform: Platform) -> str:
    """The page over the socket."""

    class Local(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(platform.folder / "home" / "paas.sock"))

    connection = Local("paas")
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return answer.read().decode()
    finally:
        connection.close()


def test_measurements_survive_a_server_that_is_killed_and_a_file_that_is_damaged(measured: Platform) -> None:
    home = measured.folder / "home"
    before = time.time()
    measured.ok("down")
    measured.ok("up")
    eventually(lambda: measured.get(APP).status == 200, what="an app that answers again")
    samples = measured.json("metrics", APP, "--process", "web", "--last", "10m")["series"][0]["samples"]
    assert samples[0]["at"] < before
    measured.ok("down")
    (home / "metrics.db").write_bytes(b"damaged" * 1000)
    for name in ("metrics.db-wal", "metrics.db-shm"):
        (home / name).unlink(missing_ok=True)
    measured.ok("up")
    eventually(
        lambda: (
            measured.run("metrics", APP, "--last", "1m", "--json").code == 0
            and measured.json("metrics", APP, "--last", "1m")["series"]
        ),
        what="measuring again",
    )
    assert (home / "metrics.db.damaged").exists()
