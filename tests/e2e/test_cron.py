"""Scheduled and one-off work on the real Engine, through a server that is killed in the middle."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.e2e.platform import Platform, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

APP = "timed"
TOML = """
[processes.web]
replicas = 0

[[cron]]
name = "often"
schedule = "* * * * *"
command = "echo $GREETING from $PAAS_RELEASE; exit 3"
env = { GREETING = "hello" }

[[cron]]
name = "long"
schedule = "0 0 1 1 *"
command = "echo began; sleep 300"
time_limit = "200s"
""" + "".join(
    f"""
[[cron]]
name = "{policy}"
schedule = "0 0 1 1 *"
command = "echo began; sleep 300"
overlap = "{policy}"
"""
    for policy in ("skip", "queue", "replace")
)


@pytest.fixture(scope="module")
def timed(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """An app that runs no replica, with jobs."""
    folder = tmp_path_factory.mktemp("apps") / APP
    folder.mkdir()
    (folder / "requirements.txt").write_text("")
    (folder / "Procfile").write_text("web: python -m http.server $PORT\n")
    (folder / "paas.toml").write_text(TOML)
    platform.ok("deploy", folder, "-a", APP)
    return platform


def run(platform: Platform, run_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = platform.json("runs", "show", run_id, "-a", APP)
    return answer


def ended(platform: Platform, run_id: str) -> dict[str, Any]:
    eventually(lambda: run(platform, run_id)["ended_at"] > 0, seconds=90)
    return run(platform, run_id)


def test_a_job_runs_every_minute_of_an_app_that_sleeps(timed: Platform) -> None:
    def failed() -> list[dict[str, Any]]:
        found = timed.json("cron", "history", "often", "-a", APP)
        return [one for one in found if one["status"] == "failed"]

    eventually(lambda: bool(failed()), seconds=150)
    one = failed()[0]
    assert (one["exit_code"], one["actor"], one["reason"]) == (3, "cron", "it exited with code 3")
    assert "hello from v1" in timed.ok("cron", "logs", one["id"], "-a", APP)
    kinds = {event["kind"] for event in timed.json("events", "-a", APP)}
    assert "cron.failed" in kinds
    timed.ok("cron", "pause", "often", "-a", APP)


def test_a_detached_command_goes_on_and_its_output_is_kept(timed: Platform) -> None:
    line = "echo to-keep; sleep 2; exit 4"
    made = timed.ok("run", "-a", APP, "--detach", "--memory", "64M", "--", line)
    run_id = made.strip()
    done = ended(timed, run_id)
    assert (done["status"], done["exit_code"], done["command"]) == ("failed", 4, line)
    assert timed.ok("runs", "logs", run_id, "-a", APP) == "to-keep\n"


def test_a_command_over_its_time_or_its_memory_is_ended_and_says_so(timed: Platform) -> None:
    late = timed.ok("run", "-a", APP, "-d", "--time-limit", "2s", "--", "sleep 100").strip()
    code = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    fat = timed.ok("run", "-a", APP, "-d", "--memory", "32M", "--", "python", "-c", code).strip()
    assert ended(timed, late)["status"] == "timed-out"
    assert "its time limit of 2 s was over" in run(timed, late)["reason"]
    assert "memory limit of 32 MiB" in ended(timed, fat)["reason"]


def test_a_run_goes_on_while_the_server_is_killed_and_is_found_again(timed: Platform) -> None:
    run_id = timed.ok("cron", "run", "long", "-a", APP).strip()
    eventually(lambda: "began" in timed.ok("runs", "logs", run_id, "-a", APP), seconds=60)
    os.kill(timed.server_pid(), signal.SIGKILL)
    timed.ok("up")
    assert run(timed, run_id)["status"] == "running"
    timed.ok("runs", "stop", run_id, "-a", APP)
    done = ended(timed, run_id)
    assert (done["status"], done["reason"].partition(" by ")[0]) == ("stopped", "stopped")
    assert timed.ok("cron", "logs", run_id, "-a", APP) == "began\n"


def test_a_run_meets_the_one_before_as_its_job_says(timed: Platform) -> None:
    first = {policy: begun(timed, policy) for policy in ("skip", "queue", "replace")}
    assert "skip goes on" in timed.fails(4, "cron", "run", "skip", "-a", APP)
    second = {policy: timed.ok("cron", "run", policy, "-a", APP).strip() for policy in ("queue", "replace")}
    assert ended(timed, first["replace"])["reason"].startswith("replaced: ")
    eventually(lambda: run(timed, second["replace"])["status"] == "running", seconds=60)
    assert [run(timed, one)["status"] for one in (first["queue"], second["queue"])] == ["running", "queued"]
    assert "one run of queue waits already" in timed.fails(4, "cron", "run", "queue", "-a", APP)
    timed.ok("runs", "stop", first["queue"], "-a", APP)
    eventually(lambda: run(timed, second["queue"])["status"] == "running", seconds=60)
    for one in (first["skip"], second["queue"], second["replace"]):
        timed.ok("runs", "stop", one, "-a", APP)
        assert ended(timed, one)["status"] == "stopped"


def test_an_app_is_destroyed_while_commands_of_it_go_on(timed: Platform) -> None:
    begun(timed, "skip")
    timed.ok("run", "-a", APP, "--detach", "--", "sleep 300")
    timed.ok("destroy", APP, "--confirm", APP)
    assert [name for name in timed.containers() if f"-{APP}-" in name] == []


def begun(platform: Platform, job: str) -> str:
    """A run of the job that has said so."""
    run_id = platform.ok("cron", "run", job, "-a", APP).strip()
    eventually(lambda: "began" in platform.ok("runs", "logs", run_id, "-a", APP), seconds=60, what=job)
    return run_id
