"""Replicas that come with the load and go without it, and one that asks to stay: real Engine, Traefik and requests."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from tests.e2e.load import loaded
from tests.e2e.platform import APPS, Platform, eventually

pytestmark = pytest.mark.docker


def wanted(platform: Platform) -> int:
    (line,) = platform.json("autoscale", "list", "-a", "busy")["processes"]
    return int(line["replicas"])


def replicas(platform: Platform) -> set[str]:
    """Which replicas answer."""
    return {platform.get("busy").body.split()[0] for _ in range(30)}


def ask(platform: Platform, app: str, method: str, url: str) -> str:
    return platform.get(app, f"/ask?method={method}&url={quote(url)}").body


def test_replicas_follow_the_load_both_ways_and_no_request_fails(platform: Platform) -> None:
    platform.ok("deploy", APPS / "busy", "-a", "busy")
    assert wanted(platform) == 1
    with loaded(platform, "busy", 28.0) as load:
        eventually(lambda: wanted(platform) >= 3, seconds=180, what="a scale-out")
        eventually(lambda: len(replicas(platform)) >= 3, seconds=120, what="traffic to all replicas")
    assert (load.bad, load.good > 0) == ([], True)
    with loaded(platform, "busy", 1.0) as quiet:
        eventually(lambda: wanted(platform) == 1, seconds=240, what="a scale-in")
        eventually(lambda: len(platform.containers("label=paas.process=web")) == 1, seconds=120, what="one replica")
    assert quiet.bad == []
    kinds = [event["kind"] for event in platform.json("events", "-a", "busy")]
    assert kinds.count("autoscale.scaled") >= 2
    said = platform.ok("autoscale", "explain", "-a", "busy")
    assert "requests/s per replica wants" in said
    decisions = json.loads(platform.ok("autoscale", "explain", "-a", "busy", "--json"))["decisions"]
    assert decisions[-1]["samples"][0]["values"]["requests"] >= 0
    down = next(one for one in reversed(decisions) if one["decision"]["wanted"] < one["decision"]["replicas"])
    assert down["summary"]["count"] > 6
    assert f"{down['summary']['count']} samples in 40 s  " in said
    compared = ("--rules", "server", "--against", "requests=8; max=6", "--json")
    simulated = json.loads(platform.ok("autoscale", "simulate", "-a", "busy", "--last", "1h", *compared))
    assert [one["rules"] for one in simulated["runs"]] == ["these rules", "requests=8; max=6"]
    assert "measured from" in simulated["replica"]["boot"]["source"]
    assert simulated["runs"][0]["peak"] <= 4  # the server's rules
    assert platform.json("recommend", "busy")["processes"][0]["proposal"]["missing"]  # an hour says too little


def test_a_replica_asks_for_itself_and_no_other_app_can(platform: Platform) -> None:
    platform.ok("deploy", APPS / "busy", "-a", "busy")
    platform.ok("deploy", APPS / "busy", "-a", "other")
    api = platform.get("busy").body.split()[1]
    protect = f"{api}/protect"
    mine = eventually(lambda: ask(platform, "busy", "PUT", f"{protect}?minutes=5"), seconds=30, what="an answer")
    assert mine.startswith('200 {"replica": "web.'), mine
    for method in ("PUT", "DELETE"):
        assert ask(platform, "other", method, protect).startswith("403 "), "another app was heard"
    assert json.loads(ask(platform, "busy", "GET", protect)[4:])["until"] > time.time()
    for path in ("/", "/apps", "/health"):
        assert ask(platform, "busy", "GET", f"{api}{path}").startswith("404 ")
    assert json.loads(ask(platform, "busy", "DELETE", protect)[4:])["until"] == 0


def test_beyond_the_rules_a_scale_by_hand_is_refused_and_a_pause_holds(platform: Platform) -> None:
    platform.ok("deploy", APPS / "busy", "-a", "busy")
    assert "between 1 and 4" in platform.fails(4, "scale", "web=5", "-a", "busy")
    platform.ok("autoscale", "pause", "-a", "busy")
    platform.ok("scale", "web=2", "-a", "busy")
    assert platform.json("autoscale", "list", "-a", "busy")["processes"][0]["paused"]
    platform.ok("autoscale", "set", "web", "--max", "6", "--target", "cpu=70%", "-a", "busy")
    platform.ok("autoscale", "unset", "-a", "busy")
    assert "no metric 'request', did you mean requests" in platform.fails(
        2, "autoscale", "set", "web", "--target", "request=4", "-a", "busy"
    )
