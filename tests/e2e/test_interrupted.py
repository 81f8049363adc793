"""People and machines interrupt: Ctrl-C, a killed server, two deploys at once. The app ends in one known version."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.platform import Platform, eventually
from tests.e2e.samples import write

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def settled(platform: Platform, app: str) -> bool:
    """Whether nothing is under way and just one replica, of the wanted release, is there."""
    newest = platform.json("releases", "-a", app)[0]
    running = [operation for operation in platform.json("operations") if operation["status"] == "running"]
    containers = platform.containers(f"label=paas.app-name={app}", "label=paas.kind=replica")
    return not running and newest["status"] != "pending" and len(containers) == 1


@pytest.mark.parametrize("delay", [0.2, 0.6, 1.0, 1.5, 2.2, 3.0])
def test_a_server_killed_at_any_moment_of_a_deploy_ends_in_one_version(
    platform: Platform, tmp_path: Path, delay: float
) -> None:
    platform.ok("deploy", write(tmp_path / "app", "old"), "-a", "struck")
    assert platform.get("struck").body == "old"
    deploy = platform.start("deploy", write(tmp_path / "app", "new", boot=1), "-a", "struck")
    time.sleep(delay)
    os.kill(platform.server_pid(), signal.SIGKILL)
    deploy.communicate(timeout=120)
    platform.ok("up")
    eventually(lambda: settled(platform, "struck"), seconds=60, what="one settled version")
    assert platform.get("struck").body in ("old", "new")
    platform.ok("deploy", write(tmp_path / "app", f"after {delay}"), "-a", "struck")
    assert platform.get("struck").body == f"after {delay}"
    eventually(lambda: settled(platform, "struck"), seconds=60, what="one settled version")


def test_ctrl_c_leaves_the_deploy_to_the_server_and_says_how_to_watch_it(platform: Platform, tmp_path: Path) -> None:
    platform.ok("deploy", write(tmp_path / "app", "first"), "-a", "left")
    deploy = platform.start("deploy", write(tmp_path / "app", "second", boot=3), "-a", "left")
    eventually(lambda: len(platform.containers("label=paas.app-name=left")) == 2, what="the new replica")
    deploy.send_signal(signal.SIGINT)
    out, _ = deploy.communicate(timeout=30)
    assert deploy.returncode == 130, out
    assert "paas watch" in out
    eventually(lambda: platform.get("left").body == "second", what="the second version")


def test_two_deploys_at_once_both_end_and_the_last_release_is_what_serves(platform: Platform, tmp_path: Path) -> None:
    platform.ok("deploy", write(tmp_path / "a", "base"), "-a", "raced")
    racers = [
        platform.start("deploy", write(tmp_path / name, name, boot=1), "-a", "raced") for name in ("left", "right")
    ]
    said = [racer.communicate(timeout=180)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], said
    newest = platform.json("releases", "-a", "raced")[0]
    assert newest["number"] == 3
    assert newest["status"] == "succeeded"
    served = {platform.get("raced").body for _ in range(10)}
    assert len(served) == 1, served
    eventually(lambda: settled(platform, "raced"), what="one settled version")


def test_a_second_server_for_the_same_home_refuses_to_start(platform: Platform) -> None:
    pid = platform.server_pid()
    platform.ok("up")
    assert platform.server_pid() == pid


def test_the_router_comes_back_by_itself_with_its_routes(platform: Platform, tmp_path: Path) -> None:
    import subprocess

    platform.ok("deploy", write(tmp_path / "app", "routed"), "-a", "routed")
    subprocess.run(["docker", "kill", f"{platform.instance}-traefik"], check=True, capture_output=True)
    eventually(lambda: platform.get("routed").body == "routed", seconds=30, what="the router's return")
