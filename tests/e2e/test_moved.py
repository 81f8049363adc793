"""The platform's home brought to a machine whose Engine has nothing of it, as docs/server.md says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.platform import APPS, Platform, eventually

pytestmark = pytest.mark.docker


def engine(platform: Platform, *argv: str) -> str:
    done = subprocess.run(["docker", "-H", platform.engine, *argv], capture_output=True, text=True, check=True)
    return done.stdout


def stop(platform: Platform) -> None:
    """The server, and it alone."""
    pid = platform.server_pid()
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the server's end")


def empty(platform: Platform) -> None:
    """Have an Engine that never heard of this platform, but for base images."""
    label = ["--filter", f"label=paas.instance={platform.instance}"]
    for listing, removing in (
        (["ps", "-aq"], ["rm", "-fv"]),
        (["network", "ls", "-q"], ["network", "rm"]),
        (["volume", "ls", "-q"], ["volume", "rm", "-f"]),
        (["images", "-q"], ["rmi", "-f"]),
    ):
        for found in set(engine(platform, *listing, *label).split()):
            engine(platform, *removing, found)


def entries(platform: Platform) -> list[str]:
    answer = platform.get("guestbook", "/entries")
    return [one["text"] for one in json.loads(answer.body)["entries"]] if answer.status == 200 else []


def test_a_platform_moves_to_another_machine_with_its_apps_config_and_data(platform: Platform) -> None:
    platform.ok("deploy", APPS / "guestbook", "-a", "guestbook")
    request = urllib.request.Request(
        f"http://127.0.0.1:{platform.port}/entries", data=b'{"text": "kept"}',
        headers={"Host": "guestbook.localhost", "Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status < 300
    backup = json.loads(platform.ok("db", "backup", "-a", "guestbook", "--json"))["id"]
    stop(platform)
    assert entries(platform) == ["kept"], "apps serve while the server is down"

    home, kept = Path(platform.environ["PAAS_HOME"]), platform.folder / "kept"
    shutil.copytree(home, kept, ignore=shutil.ignore_patterns("work", "*.sock"), symlinks=True)
    empty(platform)
    shutil.rmtree(home)
    shutil.move(kept, home)

    said = platform.run("up")
    assert said.code != 0
    assert "is gone, and the data with it" in said.err
    assert "is not on this Engine" in said.err
    warned = platform.run("config", "set", "MOVED=yes", "-a", "guestbook")
    assert warned.code == 0, warned.said
    assert "nothing runs: its image is not on this Engine, deploy again" in warned.err
    platform.ok("db", "restore", backup, "-a", "guestbook", "--confirm", "guestbook-postgres")
    platform.ok("deploy", APPS / "guestbook", "-a", "guestbook", "--force")
    assert entries(platform) == ["kept"]
    assert platform.json("config", "-a", "guestbook")["MOVED"] == "yes"
    assert platform.json("addons", "-a", "guestbook")[0]["status"] == "running"
