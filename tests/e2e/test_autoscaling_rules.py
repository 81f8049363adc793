"""What rules do beside following a load: bounds, schedules, steps, pauses, deploys, dead metrics. Real parts."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.load import loaded
from tests.e2e.platform import APPS, Platform, eventually
from tests.e2e.posts import Posts, receiving

pytestmark = pytest.mark.docker

BOOT = 15
"""Seconds that the app which boots slowly takes."""


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    """It measures every second, and may tell this machine's loopback."""
    return {"PAAS_SAMPLE": "1", "PAAS_EGRESS_ALLOW": "127.0.0.0/8"}


def deployed(platform: Platform, folder: Path, app: str, rules: str) -> Path:
    """The folder of an app that answers and has these rules; it is deployed."""
    folder.mkdir(exist_ok=True)
    (folder / "app.py").write_text((APPS / "busy" / "app.py").read_text())
    (folder / "requirements.txt").write_text("")
    (folder / "Procfile").write_text("web: exec python app.py\n")
    limits = "[processes.web]\nmemory = '64M'\nstop_grace = 1\n"
    (folder / "paas.toml").write_text(f"{limits}[processes.web.autoscale]\n{rules}\n")
    platform.ok("deploy", folder, "-a", app)
    return folder


def rule(platform: Platform, app: str, *argv: str) -> None:
    platform.ok("autoscale", "set", "web", *argv, "-a", app)


def wanted(platform: Platform, app: str) -> int:
    (line,) = platform.json("autoscale", "list", "-a", app)["processes"]
    return int(line["replicas"])


def reaches(platform: Platform, app: str, count: int, seconds: float = 40) -> None:
    """Until there are so many, decided, running, and written down, which is last."""
    eventually(lambda: wanted(platform, app) == count, seconds=seconds, what=f"{count} of {app}")
    eventually(lambda: len(running(platform, app)) == count, seconds=30, what=f"{count} running of {app}")
    eventually(lambda: [one["wanted"] for one in changes(platform, app)][-1:] == [count], what="word of it")


def running(platform: Platform, app: str) -> dict[str, str]:
    """The names of all replicas, of two releases while a deploy runs, by container."""
    (web,) = platform.json("ps", "-a", app)["processes"]
    return {one["id"]: one["name"] for one in web["replicas"]}


def decisions(platform: Platform, app: str) -> list[dict[str, Any]]:
    found = platform.json("autoscale", "explain", "-a", app, "-n", "100")["decisions"]
    return [one["decision"] for one in found]


def newest(platform: Platform, app: str) -> dict[str, Any]:
    """The last decision, if there was any yet."""
    return (decisions(platform, app) or [{"limits": [], "alarm": False}])[-1]


def changes(platform: Platform, app: str, since: float = 0.0) -> list[dict[str, Any]]:
    """The decisions that changed the number."""
    return [one for one in decisions(platform, app) if one["wanted"] != one["replicas"] and one["at"] > since]


def told(platform: Platform, app: str, kind: str) -> list[str]:
    events: list[dict[str, Any]] = platform.json("events", "-a", app)
    return [event["message"] for event in events if event["kind"] == kind]


def measured(platform: Platform, app: str) -> dict[str, Any]:
    """The newest sample of its web."""
    (web,) = [one for one in platform.json("metrics", app)["series"] if one["name"] == "web"]
    sample: dict[str, Any] = web["samples"][-1]
    return sample


# --- schedules ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Planned:
    """An app with a schedule that began at `start` (Unix seconds) and ends a minute later."""

    start: float
    words: str


@pytest.fixture(scope="module", autouse=True)
def planned(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """Its minute passes while other tests run."""
    deployed(platform, tmp_path_factory.mktemp("apps") / "planned", "planned", "max = 3\nin_window = '0s'")
    start = int(time.time()) + 8
    at = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    rule(platform, "planned", "--schedule", f"at={at}; min=2; lasts=60s")
    assert wanted(platform, "planned") == 1
    reaches(platform, "planned", 2)
    return Planned(float(start), f"min is 2 by schedule {at} UTC")


@pytest.fixture(scope="module")
def stepped(platform: Platform, tmp_path_factory: pytest.TempPathFactory, planned: Planned) -> str:
    """An app that is measured while other tests run: a trigger looks at whole minutes."""
    deployed(platform, tmp_path_factory.mktemp("apps") / "stepped", "stepped", "max = 3")
    return "stepped"


# --- the maximum ----------------------------------------------------------------------------------------------------


@pytest.fixture
def posts() -> Iterator[Posts]:
    with receiving() as found:
        yield found


def test_a_maximum_that_is_not_enough_is_told_once_and_to_a_webhook(
    platform: Platform, stepped: str, tmp_path: Path, posts: Posts
) -> None:
    deployed(platform, tmp_path / "full", "full", "max = 2\ntargets = { requests = 2 }\nin_window = '0s'")
    rule(platform, "full", "--max-alarm", "1s")
    add = ("notifications", "add", "webhook", "ops", "-a", "full", "--on", "autoscale")
    platform.ok(*add, "--url", f"http://127.0.0.1:{posts.port}/")
    with loaded(platform, "full", 20) as load:
        reaches(platform, "full", 2)
        eventually(lambda: posts.seen, seconds=30, what="the notification")
        then = measured(platform, "full")["at"]
        eventually(lambda: measured(platform, "full")["at"] > then + 5, what="five further looks")
    assert load.bad == []
    (message,) = told(platform, "full", "autoscale.maximum")
    assert message.startswith("web has wanted more than its maximum of 2 for 1 s: requests ")
    (told_to_ops,) = [json.loads(body) for _, body in posts.seen]
    assert told_to_ops["type"] == "autoscale.maximum"
    assert told_to_ops["data"] | {"app": "full", "message": message, "process": "web"} == told_to_ops["data"]


# --- protection -----------------------------------------------------------------------------------------------------


def asked(platform: Platform, app: str, replica: str, method: str, query: str = "") -> str:
    """What that replica's platform answered it about its protection."""
    (web,) = platform.json("ps", "-a", app)["processes"]
    (address,) = [one["address"] for one in web["replicas"] if one["name"] == replica]
    api = get(f"http://{address}/").split()[1]
    return get(f"http://{address}/ask?method={method}&url={quote(f'{api}/protect{query}')}")


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def test_a_replica_that_asks_is_spared_by_a_scale_in_until_it_asks_no_more(platform: Platform, tmp_path: Path) -> None:
    rules = "max = 3\ntargets = { requests = 1000 }\nin_window = '0s'\nscale_in = false"
    deployed(platform, tmp_path / "spared", "spared", rules)
    platform.ok("scale", "web=3", "-a", "spared")
    before = running(platform, "spared")
    for replica in ("web.2", "web.3"):
        assert asked(platform, "spared", replica, "PUT", "?minutes=5").startswith(f'200 {{"replica": "{replica}"')
    with loaded(platform, "spared", 10) as load:
        rule(platform, "spared", "--scale-in")
        reaches(platform, "spared", 2)
        eventually(lambda: "protected" in newest(platform, "spared")["limits"], what="a decision that is held")
        assert newest(platform, "spared")["why"].endswith(", but 2 asked to be spared")
        assert running(platform, "spared") == {one: name for one, name in before.items() if name != "web.1"}
        assert asked(platform, "spared", "web.2", "DELETE").startswith("200 ")
        reaches(platform, "spared", 1)
        assert running(platform, "spared") == {one: name for one, name in before.items() if name == "web.3"}
    assert (load.bad, load.good > 0) == ([], True)


# --- deploys --------------------------------------------------------------------------------------------------------


def test_no_scale_in_happens_while_a_deploy_runs_and_one_does_after_it(platform: Platform, tmp_path: Path) -> None:
    rules = "max = 3\ntargets = { requests = 1000 }\nin_window = '0s'\nscale_in = false"
    folder = deployed(platform, tmp_path / "slow", "slow", rules)
    platform.ok("scale", "web=2", "-a", "slow")
    source = (folder / "app.py").read_text()
    (folder / "app.py").write_text(f"import time\ntime.sleep({BOOT})\n{source}")
    with loaded(platform, "slow", 10) as load, platform.start("deploy", folder, "-a", "slow") as deploy:
        eventually(lambda: len(running(platform, "slow")) == 4, seconds=60, what="the new replicas")
        rule(platform, "slow", "--scale-in")
        begun = measured(platform, "slow")["at"]
        eventually(lambda: measured(platform, "slow")["at"] > begun + 3, what="three further looks")
        assert deploy.poll() is None
        assert (wanted(platform, "slow"), len(running(platform, "slow"))) == (2, 4)
        said, _ = deploy.communicate(timeout=120)
        assert deploy.returncode == 0, said
        reaches(platform, "slow", 1)
    assert (load.bad, load.good > 0) == ([], True)
    served = [one["at"] for one in platform.json("events", "-a", "slow") if one["data"].get("status") == "succeeded"]
    (down,) = [one for one in changes(platform, "slow") if one["wanted"] < one["replicas"]]
    assert down["at"] > served[-1]


# --- pause ----------------------------------------------------------------------------------------------------------


def test_while_paused_only_the_bounds_hold(platform: Platform, tmp_path: Path) -> None:
    deployed(platform, tmp_path / "still", "still", "max = 4\ntargets = { requests = 3 }\nin_window = '0s'")
    platform.ok("autoscale", "pause", "-a", "still")
    with loaded(platform, "still", 20) as load:
        eventually(lambda: measured(platform, "still")["values"].get("requests", 0) > 12, what="a load for four")
        eventually(lambda: newest(platform, "still")["limits"] == ["paused"], what="a decision that is held")
        assert changes(platform, "still") == []
        rule(platform, "still", "--min", "2")
        reaches(platform, "still", 2)
        platform.ok("autoscale", "resume", "-a", "still")
        reaches(platform, "still", 4)
        platform.ok("autoscale", "pause", "-a", "still")
    eventually(lambda: measured(platform, "still")["values"].get("requests", 9) < 1, what="an end of the load")
    rule(platform, "still", "--max", "3")
    reaches(platform, "still", 3)
    assert load.bad == []
    ended = [(one["replicas"], one["wanted"], one["limits"]) for one in changes(platform, "still")]
    assert ended[0] == (1, 2, ["paused", "min"])
    assert ended[-1] == (4, 3, ["paused", "max"])


# --- steps and triggers ---------------------------------------------------------------------------------------------


def rises(platform: Platform, app: str, seconds: float, *counts: int) -> list[dict[str, Any]]:
    """The changes to these numbers, of which no two came within `seconds`, while more were wanted."""
    before = time.time()
    with loaded(platform, app, 20) as load:
        for count in counts:
            reaches(platform, app, count, seconds=120)
    assert load.bad == []
    found = changes(platform, app, before)
    assert [one["wanted"] for one in found] == list(counts)
    assert found[1]["at"] - found[0]["at"] >= seconds
    between = [one for one in decisions(platform, app) if found[0]["at"] < one["at"] < found[1]["at"]]
    assert "cooldown" in [limit for one in between for limit in one["limits"]]
    return found


def test_a_step_adds_by_its_threshold_and_rests_for_its_cooldown(platform: Platform, stepped: str) -> None:
    step = "metric=requests; upper=2; period=5s; cooldown=8s"
    rule(platform, stepped, "--max", "3", "--target", "none", "--step", step)
    found = rises(platform, stepped, 8, 2, 3)
    assert found[0]["why"].endswith(", over 2 for 5 s")


def test_a_schedule_brings_replicas_when_it_begins_and_lets_them_go_when_it_has_ended(
    platform: Platform, planned: Planned
) -> None:
    reaches(platform, "planned", 1, seconds=90)
    up, down = changes(platform, "planned")
    assert (up["replicas"], up["wanted"], up["limits"]) == (1, 2, ["min"])
    assert up["why"].endswith(planned.words)
    assert up["at"] >= planned.start
    assert (down["replicas"], down["wanted"]) == (2, 1)
    assert down["at"] >= planned.start + 60


def test_elastic_beanstalks_trigger_adds_by_its_threshold_and_rests_for_its_cooldown(
    platform: Platform, stepped: str
) -> None:
    count = wanted(platform, stepped)
    trigger = "MeasureName=RequestCount; Statistic=Sum; UpperThreshold=60; Period=1; BreachDuration=1; Cooldown=8"
    rule(platform, stepped, "--target", "none", "--trigger", f"{trigger}; MaxSize={count + 2}")
    found = rises(platform, stepped, 8, count + 1, count + 2)
    assert found[0]["why"].endswith(", over 60 for 60 s")


# --- without metrics ------------------------------------------------------------------------------------------------


@contextmanager
def frozen(platform: Platform) -> Iterator[None]:
    """This platform's router answers nobody."""
    name = f"{platform.instance}-traefik"
    docker = ["docker", "-H", platform.engine]
    subprocess.run([*docker, "pause", name], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([*docker, "unpause", name], check=True, capture_output=True)


def test_while_metrics_are_dead_the_number_is_held_with_an_alarm_and_none_is_let_go(
    platform: Platform, tmp_path: Path
) -> None:
    deployed(platform, tmp_path / "held", "held", "max = 3\ntargets = { requests = 4 }")
    with loaded(platform, "held", 20):
        reaches(platform, "held", 3)
    with frozen(platform):
        since = time.time()
        eventually(lambda: newest(platform, "held")["alarm"], what="an alarm")
        # Not before: what was measured after the load had ended would let two go at once.
        rule(platform, "held", "--in-window", "0s")
        last = newest(platform, "held")
        assert (last["missing"], last["limits"]) == (["requests"], ["no data"])
        said = platform.ok("autoscale", "explain", "-a", "held")
        assert "no value of requests (Traefik does not answer: " in said
        assert "): the number is held" in said
        eventually(lambda: told(platform, "held", "autoscale.blind"), seconds=90, what="word of it")
        assert (wanted(platform, "held"), len(running(platform, "held"))) == (3, 3)
        assert changes(platform, "held", since) == []
    (message,) = told(platform, "held", "autoscale.blind")
    assert message.startswith("web has had no value of requests (Traefik does not answer: ")
    assert message.endswith(" for 60 s: none of its 3 is let go")
    eventually(lambda: told(platform, "held", "autoscale.sighted"), what="word that it sees again")
    reaches(platform, "held", 1)
    assert platform.get("held").status == 200
