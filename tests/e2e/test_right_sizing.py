"""A day of measurements of an app that was really deployed: what is proposed, shown and simulated from them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from paas.model.metrics import Series
from paas.model.scaling import Sample
from paas.signals.ring import Ring
from tests.e2e.platform import Platform, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

APP = "sized"
MIB = 1 << 20
HOUR = 3600.0
PERIOD = 10.0
DAY = 25.2 * HOUR
"""How much was measured: a little more than the day that a proposal takes."""
PEAK = 12 * HOUR
"""When the busiest hour begins, seconds after the first sample; 8 hours of day lie before it and 11 after."""
TOML = """
[processes.web]
replicas = 3
memory = "512M"
cpus = 1.0

[processes.worker]
replicas = 1
memory = "256M"
cpus = 1.0
"""


def load(since: float) -> tuple[float, float, float]:
    """Requests/s of all, the share of its core that each of three replicas uses, and the p95, so long after the first
    sample. At all of its core a replica would answer 60."""
    if PEAK <= since < PEAK + HOUR:
        return 90.0, 0.5, 0.2
    if 8 * HOUR <= since < 24 * HOUR:
        return 36.0, 0.2, 0.1
    return 3.0, 1 / 60, 0.05


def web(since: float) -> dict[str, float]:
    requests, cpu, p95 = load(since)
    spike = PEAK + HOUR / 2 <= since < PEAK + HOUR / 2 + PERIOD
    memory = (230 if spike else 120) * MIB
    boot = {"boot": 2.5} if since == 0 else {}
    return {
        "cpu": cpu, "cpu_cores": cpu, "memory": memory / (512 * MIB), "memory_bytes": memory, "requests": requests,
        "2xx": requests, "in_flight": requests * p95, "p50": p95 / 2, "p95": p95, "p99": p95, "healthy": 3, **boot,
    }  # fmt: skip


WORKER = {"cpu": 0.05, "cpu_cores": 0.05, "memory": 40 / 256, "memory_bytes": 40.0 * MIB}


def measure(home: Path, app_id: str, until: float) -> None:
    """Keep all that the server would have kept, sample by sample, as the time went on."""
    now = begin = until - DAY
    ring = Ring(home, now=lambda: now)
    try:
        for number in range(int(DAY / PERIOD)):
            now = begin + number * PERIOD
            found = {"web": Sample(now, 3, web(number * PERIOD)), "worker": Sample(now, 1, WORKER)}
            ring.add({Series(app_id, name): sample for name, sample in found.items()})
    finally:
        ring.close()


@pytest.fixture(scope="module")
def sized(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The app, deployed; and the day, of which its server has the file."""
    folder = tmp_path_factory.mktemp("apps") / APP
    folder.mkdir()
    (folder / "requirements.txt").write_text("")
    (folder / "Procfile").write_text("web: python -m http.server $PORT\nworker: sleep 100000\n")
    (folder / "paas.toml").write_text(TOML)
    platform.ok("deploy", folder, "-a", APP)
    app_id = platform.json("info", "-a", APP)["id"]
    platform.ok("down")
    measure(platform.folder / "home", app_id, time.time() - PERIOD)
    platform.ok("up")
    eventually(lambda: "web.1" in platform.json("metrics", APP, "--last", "1m")["measured"], what="measuring again")
    return platform


def test_what_fits_is_proposed_with_the_commands_and_these_are_taken(sized: Platform) -> None:
    answer = sized.json("recommend", APP)
    found = {one["process"]: one for one in answer["processes"]}
    web, worker = found["web"]["proposal"], found["worker"]["proposal"]
    # The memory's one spike of ten seconds + 25 % in steps of 32 MiB; a day's 3 × 0.2 cores at 60 % of one.
    assert (web["memory"], web["cpus"], web["replicas"]) == (288 * MIB, 1.0, 2)
    assert web["reasons"][0] == "memory: 230 MiB at most, + 25%"
    assert web["reasons"][2] == "replicas: 0.60 cores (p95 of all) ÷ 60% of 1, but one may fail"
    assert (worker["memory"], worker["cpus"], worker["replicas"]) == (64 * MIB, 0.1, 1)
    assert found["web"]["commands"] == [f"paas limits web --memory 288M --app {APP}", f"paas scale web=2 --app {APP}"]
    assert found["worker"]["commands"] == [f"paas limits worker --memory 64M --cpus 0.1 --app {APP}"]
    shown = sized.run("recommend", APP)
    assert shown.out.splitlines()[-3:] == [*found["web"]["commands"], *found["worker"]["commands"]]
    assert "512 MB → 288 MB" in shown.said
    assert "highest use + 25%" in shown.said
    said = sized.run("recommend", APP, "--last", "6h")
    assert "h more are needed" in said.said, "a part of a day says nothing of a day"


def test_the_measurements_are_shown_as_they_were(sized: Platform) -> None:
    answer = sized.json("metrics", APP, "--process", "web", "--last", "24h")
    (series,) = answer["series"]
    samples: list[dict[str, Any]] = series["samples"]
    times = [one["at"] for one in samples]
    assert times == sorted(set(times))
    assert answer["until"] - answer["since"] == pytest.approx(24 * HOUR)
    assert {"web", "web.1", "web.2", "web.3", "worker"} <= set(answer["measured"])
    peak = [one for one in samples if one["values"].get("requests", 0) > 88]
    assert HOUR * 0.8 < peak[-1]["at"] - peak[0]["at"] <= HOUR
    for one in peak:
        assert one["values"]["cpu"] == pytest.approx(0.5, rel=0.05)
    assert max(one["values"].get("memory_bytes_max", 0) for one in samples) == 230 * MIB
    assert answer["units"]["requests"].startswith("requests/s")
    day = [one for one in samples if one["at"] > peak[-1]["at"] + HOUR and one["values"].get("requests", 0) > 30]
    assert {round(one["values"]["requests"], 3) for one in day[1:-1]} == {36.0}
    assert {one["replicas"] for one in day} == {3}


def test_the_day_is_simulated_by_what_one_replica_was_seen_to_serve(sized: Platform) -> None:
    rule = ("--rule", "requests=20", "--min", "1", "--max", "8")
    answer = sized.json("autoscale", "simulate", "--last", "24h", "--app", APP, *rule)
    replica = {name: one["value"] for name, one in answer["replica"].items()}
    assert replica["capacity"] == pytest.approx(60, rel=0.01)
    assert replica["latency"] == pytest.approx(0.05, rel=0.01)
    assert answer["replica"]["capacity"]["source"].startswith("measured from ")
    # 24 of the 25.2 hours: 8 of night, 15 of day, and one of 90 requests/s.
    assert answer["requests"] == pytest.approx(HOUR * (8 * 3 + 15 * 36 + 90), rel=0.02)
    (run,) = answer["runs"]
    assert run["peak"] == 5, "90 at 20 a replica"
    assert run["replica_hours"] == pytest.approx(8 * 1 + 15 * 2 + 1 * 5, rel=0.03)
    assert (run["over"], run["failed"], run["flaps"]) == (0, 0, 1), "up in the morning, down after the peak"
    assert max(one["to"] for one in run["changes"]) == 5
    assert run["changes"][-1]["to"] == 1
    drawn = sized.run("autoscale", "simulate", "--last", "24h", "--app", APP, *rule)
    assert drawn.code == 0, drawn.said
    assert "one replica: 60 requests/s (measured from" in drawn.said
