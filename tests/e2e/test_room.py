"""No more at once than the machine holds: real networks that are small, and limits larger than what is free."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.e2e.platform import APPS, Platform, eventually

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    """Networks for 13 containers each."""
    start = f"10.{random.randrange(100, 200)}.{random.randrange(0, 16) * 16}"
    return {"PAAS_SUBNETS": ",".join(f"{start}.{16 * at}/28" for at in range(4))}


def app(folder: Path, name: str, *lines: str) -> Path:
    """One that answers, with a worker that waits."""
    made = folder / name
    made.mkdir()
    (made / "app.py").write_text((APPS / "busy" / "app.py").read_text())
    (made / "requirements.txt").write_text("")
    (made / "Procfile").write_text("web: exec python app.py\nworker: exec sleep 100000\n")
    limits = [f"[processes.{process}]\nmemory = '64M'\nstop_grace = 1" for process in ("web", "worker")]
    (made / "paas.toml").write_text("\n".join([*limits, *lines]) + "\n")
    return made


def running(platform: Platform, app: str) -> int:
    (found,) = [one for one in platform.json("apps") if one["name"] == app]
    return len(platform.containers(f"label=paas.app={found['id']}"))


def test_an_app_has_no_more_replicas_than_a_deploy_has_addresses_for(platform: Platform, tmp_path: Path) -> None:
    platform.ok("deploy", app(tmp_path, "small"), "-a", "small")
    said = platform.fails(4, "scale", "worker=6", "-a", "small")
    assert "no addresses for 6 more of worker: the network of an app has addresses for 13 containers" in said
    assert "paas scale worker=5" in said
    platform.ok("scale", "worker=5", "-a", "small")
    platform.ok("config", "set", "A=1", "-a", "small")  # 12 of them for a moment
    assert running(platform, "small") == 6
    assert platform.get("small").status == 200


def test_autoscaling_stops_where_the_addresses_end_and_says_so(platform: Platform, tmp_path: Path) -> None:
    rules = "[processes.web.autoscale]\nmin = 1\nmax = 20\ntargets = { requests = 8 }"
    platform.ok("deploy", app(tmp_path, "grows", rules), "-a", "grows")
    platform.ok("autoscale", "set", "web", "--min", "9", "--max", "20", "-a", "grows")
    eventually(lambda: running(platform, "grows") == 6, seconds=60, what="as many as there are addresses for")
    eventually(
        lambda: "there is room for 6, not for 9" in platform.ok("autoscale", "explain", "-a", "grows"),
        seconds=60, what="the decision",
    )  # fmt: skip
    eventually(
        lambda: "no addresses for 3 more of web" in platform.ok("events", "-a", "grows"),
        seconds=60, what="an event with the cause",
    )  # fmt: skip
    assert platform.get("grows").status == 200


def large(folder: Path, name: str, *lines: str) -> Path:
    """The same, with a worker that may use three fifths of this machine (and uses nothing)."""
    made = app(folder, name)
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 6 // 10 >> 20
    web, _, worker = (made / "paas.toml").read_text().rpartition("'64M'")
    (made / "paas.toml").write_text("\n".join([f"{web}'{size}M'{worker}", *lines]) + "\n")
    return made


def test_a_deploy_that_wants_more_memory_than_is_free_starts_nothing(platform: Platform, tmp_path: Path) -> None:
    rules = "[processes.worker.autoscale]\nmin = 3\nmax = 3\ntargets = { cpu = '80%' }"
    said = platform.fails(4, "deploy", large(tmp_path, "large", rules), "-a", "large")
    assert "no memory to start 1 new replica of web and 3 of worker of large before the old ones end" in said
    assert "fewer first (paas scale worker=… --app large" in said
    assert running(platform, "large") == 0


def test_limits_beyond_what_is_free_are_warned_of_where_little_is_used(platform: Platform, tmp_path: Path) -> None:
    platform.ok("deploy", app(tmp_path, "modest"), "-a", "modest")
    platform.ok("scale", "worker=3", "-a", "modest")
    ran = platform.run("deploy", large(tmp_path, "again"), "-a", "modest")
    assert ran.code == 0, ran.said
    assert "could not hold 1 new replica of web and 3 of worker beside the old ones" in ran.err
    assert running(platform, "modest") == 4
