"""What Traefik tells: its API, metrics and log lines, read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from paas.interfaces import LogQuery
from paas.model.route import Route
from paas.routers.traefik import access_log, live, metrics, render

FACTS = render.Facts("paas")
SHOP = Route(app_id="0a0a0a0a", app_name="shop", hosts=("shop.localhost",), servers=("10.0.0.2:1", "10.0.0.1:1"))


def told(route: Route) -> dict[str, Any]:
    """What the API says when just this route is live."""
    document = render.document([route], (), FACTS)["http"]
    routers = {
        f"{name}@file": {
            **router, "status": "enabled", "middlewares": [f"{item}@file" for item in router["middlewares"]],
        }
        for name, router in document["routers"].items()
    }  # fmt: skip
    return {"routers": routers, "services": {f"{name}@file": s for name, s in document["services"].items()}}


def missing(route: Route, api: dict[str, Any]) -> str:
    return live.difference(
        route, FACTS, lambda name: api["routers"].get(f"{name}@file"), lambda name: api["services"].get(f"{name}@file")
    )


def test_a_route_is_live_when_rules_and_servers_are() -> None:
    assert missing(SHOP, told(SHOP)) == ""
    assert live.seen(SHOP, FACTS, told(SHOP)) is SHOP


def test_other_servers_are_a_difference() -> None:
    assert "servers" in missing(SHOP, told(replace(SHOP, servers=("10.0.0.1:1",))))


def test_another_host_is_a_difference() -> None:
    assert "rule" in missing(SHOP, told(replace(SHOP, hosts=("b.localhost",))))


def test_missing_https_is_a_difference() -> None:
    assert "rule" in missing(replace(SHOP, tls_hosts=SHOP.hosts), told(SHOP))


def test_a_rule_that_traefik_refuses_is_named_with_its_reason() -> None:
    api = told(SHOP)
    api["routers"]["app-0a0a0a0a@file"] |= {"status": "disabled", "error": ["no such thing"]}
    assert "no such thing" in missing(SHOP, api)


def test_what_is_seen_has_the_servers_it_really_has() -> None:
    seen = live.seen(SHOP, FACTS, told(replace(SHOP, servers=("10.0.0.9:1",))))
    assert seen == replace(SHOP, servers=("10.0.0.9:1",))


def test_what_is_not_there_is_not_seen() -> None:
    assert live.seen(SHOP, FACTS, {}) is None


def test_an_app_without_servers_is_seen() -> None:
    stopped = replace(SHOP, servers=())
    assert live.seen(stopped, FACTS, told(stopped)) == stopped


METRICS = """
# HELP traefik_router_requests_total How many
traefik_router_requests_total{code="200",method="GET",protocol="http",router="app-0a0a0a0a@file",service="x"} 41
traefik_router_requests_total{code="204",method="PUT",protocol="http",router="app-0a0a0a0a-tls@file",service="x"} 1
traefik_router_requests_total{code="503",method="GET",protocol="http",router="app-0b0b0b0b@file",service="y"} 2
traefik_router_requests_total{code="404",method="GET",protocol="http",router="paas-unknown-host@file",service="n"} 9
traefik_router_request_duration_seconds_sum{code="200",method="GET",router="app-0a0a0a0a@file",service="x"} 1.5e+01
traefik_router_request_duration_seconds_sum{code="503",method="GET",router="app-0b0b0b0b@file",service="y"} 0.25
"""


def test_traffic_is_counted_per_app_by_status_class() -> None:
    shop, blog = metrics.read([METRICS]).traffic
    assert (shop.app_id, shop.requests, shop.seconds) == ("0a0a0a0a", {"2xx": 42}, 15.0)
    assert (blog.app_id, blog.requests, blog.seconds) == ("0b0b0b0b", {"5xx": 2}, 0.25)


LATENCIES = """
traefik_router_request_duration_seconds_bucket{code="200",method="GET",router="app-0a0a0a0a@file",le="0.1"} 3
traefik_router_request_duration_seconds_bucket{code="200",method="PUT",router="app-0a0a0a0a-tls@file",le="0.1"} 1
traefik_router_request_duration_seconds_bucket{code="200",method="GET",router="app-0a0a0a0a@file",le="+Inf"} 5
traefik_router_request_duration_seconds_bucket{code="101",method="GET",router="app-0a0a0a0a@file",le="+Inf"} 70
traefik_router_requests_total{code="308",method="GET",router="app-0a0a0a0a-redirect@file",service="paas-nobody"} 50
traefik_router_requests_total{code="200",method="GET",router="app-0a0a0a0a@file",service="x"} nonsense
traefik_router_requests_total{code="200",method="GET",router="app-0a0a0a0a@file"
traefik_router_request_duration_seconds_bucket{code="200",router="app-0a0a0a0a@file",le="x"} 70
traefik_router_requests_total{code="200",method="GET",router="app-0a0a0a0a@file",service="x"} +Inf
"""


def test_latencies_are_counted_without_upgraded_connections_and_redirects() -> None:
    (shop,) = metrics.read([LATENCIES]).traffic
    assert shop.buckets == {0.1: 4, math.inf: 5}
    assert shop.requests == {}


def page(statuses: Iterable[int], app: str = "0a0a0a0a", count: object = 2) -> str:
    """What Traefik tells of an app that answered with these, `count` requests each."""
    name, lines = "traefik_router_request_duration_seconds", []
    for status in statuses:
        labels = f'code="{status}",method="GET",protocol="http",router="app-{app}@file",service="app-{app}@file"'
        bounds = [*(f"{bound:g}" for bound in metrics.BUCKETS), "+Inf"]
        lines += [f'{name}_bucket{{{labels},le="{bound}"}} {count}' for bound in bounds]
        lines += [f"{name}_sum{{{labels}}} 0.5", f"{name}_count{{{labels}}} {count}"]
        lines += [f"traefik_router_requests_total{{{labels}}} {count}"]
    return "\n".join(lines) + "\n"


def test_an_app_that_answers_with_every_status_is_read_in_pieces_and_known() -> None:
    text = page(range(100, 1000))
    whole = metrics.read([page([200], "0b0b0b0b"), text])
    shop, blog = whole.traffic
    assert (sum(shop.requests.values()), shop.buckets[0.1], shop.buckets[math.inf], shop.seconds) == (
        1800, 1798, 1798, 449.5,
    ), "how long 101 lasted is no latency"  # fmt: skip
    assert (blog.requests, blog.buckets[0.1]) == ({"2xx": 2}, 2)
    assert whole.series == {"0a0a0a0a": 899, "0b0b0b0b": 1}
    lines = text.splitlines(keepends=True)
    assert metrics.read(lines).traffic == metrics.read([text]).traffic, "wherever it is cut"


def test_counts_beyond_a_million_are_written_another_way() -> None:
    (shop,) = metrics.read([page([200], count="1.234567e+06")]).traffic
    assert (shop.requests, shop.buckets[math.inf]) == ({"2xx": 1_234_567}, 1_234_567)


def test_the_buckets_tell_targets_apart() -> None:
    assert {0.1, 0.2, 0.3, 0.5, 1, 2} <= set(metrics.BUCKETS)
    assert all(after / before <= 3 for before, after in pairwise(metrics.BUCKETS))


ACCESS = json.dumps({
    "ClientHost": "192.0.2.7", "DownstreamContentSize": 12, "DownstreamStatus": 200, "Duration": 3_400_000,
    "RequestHost": "shop.localhost", "RequestMethod": "GET", "RequestPath": "/a\x1b[2J", "RetryAttempts": 1,
    "RouterName": "app-0a0a0a0a-tls@file", "ServiceAddr": "10.0.0.1:1", "request_X-Request-Id": "abc",
})  # fmt: skip


def test_an_access_line_says_who_asked_what_of_which_server() -> None:
    found = access_log.line(ACCESS, 5.0, "0a0a0a0a", LogQuery())
    assert found is not None
    assert (found.at, found.source) == (5.0, "router")
    assert found.text == ("GET shop.localhost/a\x1b[2J 200 3ms 12B client=192.0.2.7 server=10.0.0.1:1 retries=1 id=abc")


def test_an_access_line_is_nobody_elses() -> None:
    assert access_log.line(ACCESS, 5.0, "0b0b0b0b", LogQuery()) is None
    assert access_log.line(ACCESS, 5.0, "0a0a0a0", LogQuery()) is None
    assert access_log.line(ACCESS, 5.0, "", LogQuery()) is None


def test_the_routers_own_lines_are_no_apps() -> None:
    raw = json.dumps({"level": "error", "message": "cannot\nparse", "time": "t", "routerName": "app-0a0a0a0a@file"})
    found = access_log.line(raw, 1.0, "", LogQuery())
    assert found is not None
    assert found.text == "ERROR cannot parse routerName=app-0a0a0a0a@file"
    assert access_log.line(raw, 1.0, "0a0a0a0a", LogQuery()) is None


def test_plain_text_is_the_routers_own() -> None:
    found = access_log.line("command traefik error: port taken", 1.0, "", LogQuery())
    assert found is not None
    assert found.text == "command traefik error: port taken"
    assert access_log.line("GET app-0a0a0a0a", 1.0, "0a0a0a0a", LogQuery()) is None


def test_lines_of_a_replica_are_not_the_routers() -> None:
    assert access_log.line(ACCESS, 5.0, "0a0a0a0a", LogQuery(process="web")) is None


def test_the_engines_time_stamps_are_read() -> None:
    assert access_log.stamp("2026-11-23T03:17:26.5Z") == 1795403846.5
    assert access_log.stamp("nonsense") == 0.0
