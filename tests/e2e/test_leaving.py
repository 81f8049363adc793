"""Replicas that take long to end hold up nobody: real containers that go on working after their stop signal."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import APPS, Platform, eventually

pytestmark = pytest.mark.docker

UNTIL_TOLD = "trap 'echo asked; while [ ! -e /tmp/go ]; do sleep 0.1; done; exit 0' TERM; while :; do sleep 0.1; done"
"""A worker that, asked to end, goes on until there is a file."""


@pytest.fixture(scope="module")
def platform(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("platform"))
    app = platform.folder / "shop"
    app.mkdir()
    (app / "app.py").write_text((APPS / "busy" / "app.py").read_text())
    (app / "requirements.txt").write_text("")
    (app / "work.sh").write_text(UNTIL_TOLD)
    (app / "Procfile").write_text("web: exec python app.py\nworker: exec sh work.sh\n")
    (app / "paas.toml").write_text(
        '[processes.web]\nmemory = "64M"\nstop_grace = 1\n[processes.worker]\nmemory = "64M"\nstop_grace = "5m"\n'
    )
    try:
        platform.ok("up")
        platform.ok("deploy", app, "-a", "shop")
        yield platform
    finally:
        tell(platform, workers(platform))
        platform.close()


def workers(platform: Platform) -> set[str]:
    return set(platform.container_ids("label=paas.process=worker"))


def stopping(platform: Platform) -> set[str]:
    """Those that were told to."""
    return set(platform.container_ids("label=paas.process=worker", "name=-stopping-"))


def tell(platform: Platform, ids: set[str]) -> None:
    """Let them end."""
    for one in ids:
        subprocess.run(["docker", "-H", platform.engine, "exec", one, "touch", "/tmp/go"], check=False)


def said(platform: Platform, one: str) -> str:
    docker = ["docker", "-H", platform.engine, "logs", one]
    return subprocess.run(docker, check=True, capture_output=True, text=True).stdout


def served(platform: Platform) -> set[str]:
    return {platform.get("shop").body.split()[0] for _ in range(30)}


def wanted(platform: Platform, process: str) -> int:
    lines = platform.json("ps", "-a", "shop")["processes"]
    return int(next(one["wanted"] for one in lines if one["process"] == process))


def crashes(platform: Platform) -> list[str]:
    return [one["message"] for one in platform.json("events", "-a", "shop") if one["kind"] == "crash"]


def test_while_workers_finish_after_a_scale_by_hand_the_app_goes_on(platform: Platform) -> None:
    platform.ok("scale", "worker=3", "-a", "shop")
    three = workers(platform)
    ending = platform.start("scale", "worker=1", "-a", "shop")
    eventually(lambda: wanted(platform, "worker") == 1, what="the new number")
    platform.ok("scale", "web=3", "-a", "shop")
    assert served(platform) == {"web.1", "web.2", "web.3"}
    platform.ok("scale", "worker=2", "-a", "shop")
    (new,) = workers(platform) - three
    (name,) = platform.containers(f"id={new}")
    assert name.endswith("-4"), "its number is another's that still ends"
    assert ending.poll() is None, "the workers ended too early for this test to show anything"
    tell(platform, three)
    printed, _ = ending.communicate(timeout=60)
    assert ending.returncode == 0, printed
    eventually(lambda: len(workers(platform)) == 2, what="the end of those too many")
    assert new in workers(platform)
    assert crashes(platform) == []


def test_while_workers_finish_after_rules_let_them_go_other_rules_and_people_go_on(platform: Platform) -> None:
    platform.ok("scale", "web=1", "worker=3", "-a", "shop")
    three = workers(platform)
    rules = ("--min", "1", "--max", "3", "--target", "cpu=90%", "--in-window", "10s")
    platform.ok("autoscale", "set", "worker", *rules, "-a", "shop")
    eventually(lambda: wanted(platform, "worker") == 1, seconds=90, what="a scale-in")
    assert workers(platform) == three, "they have ended already"
    assert platform.ok("ps", "-a", "shop").count("finishes what it has, then it ends") == 2
    platform.ok("autoscale", "set", "web", "--min", "2", "--max", "2", "-a", "shop")
    eventually(lambda: served(platform) == {"web.1", "web.2"}, seconds=60, what="a scale-out of another process")
    platform.ok("restart", "web", "-a", "shop")
    assert workers(platform) == three
    tell(platform, three)
    eventually(lambda: len(workers(platform)) == 1, seconds=60, what="the end of those too many")
    assert crashes(platform) == []


def test_a_deploy_meanwhile_ends_them_with_their_version(platform: Platform, tmp_path: Path) -> None:
    platform.ok("scale", "worker=2", "-a", "shop")
    old = workers(platform)
    ending = platform.start("scale", "worker=1", "-a", "shop")
    eventually(lambda: wanted(platform, "worker") == 1, what="the new number")
    deploy = platform.start("config", "set", "KEY=new", "-a", "shop")
    eventually(lambda: workers(platform) - old, seconds=60, what="the new version")
    tell(platform, old)
    for command in (deploy, ending):
        printed, _ = command.communicate(timeout=90)
        assert command.returncode == 0, printed
    assert len(workers(platform)) == 1
    assert not workers(platform) & old
    assert crashes(platform) == []


def test_a_server_that_is_killed_meanwhile_has_nobody_told_twice(platform: Platform) -> None:
    platform.ok("autoscale", "unset", "worker", "-a", "shop")
    platform.ok("scale", "worker=2", "-a", "shop")
    two = workers(platform)
    ending = platform.start("scale", "worker=1", "-a", "shop")
    (told,) = eventually(lambda: stopping(platform), what="a stop signal")
    os.kill(platform.server_pid(), signal.SIGKILL)
    ending.communicate(timeout=60)
    assert ending.returncode != 0
    eventually(lambda: "finishes what it has" in platform.ok("ps", "-a", "shop"), what="the next server's look")
    time.sleep(3)  # for what must not come: it looks every second
    assert {one: said(platform, one) for one in two} == {told: "asked\n", **dict.fromkeys(two - {told}, "")}
    tell(platform, {told})
    eventually(lambda: workers(platform) == two - {told}, what="the end of the one that was told")
    assert crashes(platform) == []
