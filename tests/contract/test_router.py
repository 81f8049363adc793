"""What every router does: the one in memory and Traefik."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from paas.interfaces import LogQuery, Router
from paas.model.events import silent
from paas.model.route import Route
from paas.routers.memory import MemoryRouter
from tests.contract.router_lab import lab

SHOP = Route(app_id="0a0a0a0a", app_name="shop", hosts=("shop.localhost",), servers=("10.255.0.1:8000",))
BLOG = Route(app_id="0b0b0b0b", app_name="blog", hosts=("blog.localhost", "*.blog.example.com"), servers=())


@pytest.fixture(scope="module", params=["memory", pytest.param("traefik", marks=pytest.mark.docker)])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    if request.param == "memory":
        router = MemoryRouter()
        router.up(silent)
        yield router
    else:
        with lab(tmp_path_factory.mktemp("router")) as made:
            yield made.router


@pytest.fixture
def router(shared: Router) -> Router:
    shared.up(silent)
    for route in shared.observe():
        shared.remove(route.app_id)
    return shared


def test_a_router_that_is_up_is_alive_and_one_that_is_down_is_not(router: Router) -> None:
    assert router.alive()
    router.down()
    assert not router.alive()
    router.down()
    router.up(silent)
    router.up(silent)
    assert router.alive()


def test_what_is_applied_is_observed(router: Router) -> None:
    router.apply(SHOP)
    router.apply(BLOG)
    assert router.observe() == (SHOP, BLOG)


def test_a_route_takes_the_place_of_the_apps_older_one_and_leaves_others(router: Router) -> None:
    router.apply(SHOP)
    router.apply(BLOG)
    moved = replace(SHOP, servers=("10.255.0.2:8000", "10.255.0.3:8000"), hosts=("shop.localhost", "a.example.com"))
    router.apply(moved)
    router.apply(moved)
    assert router.observe() == (moved, BLOG)


def test_a_route_is_forgotten(router: Router) -> None:
    router.apply(SHOP)
    router.apply(BLOG)
    router.remove(SHOP.app_id)
    router.remove(SHOP.app_id)
    router.remove("0c0c0c0c")
    assert router.observe() == (BLOG,)


def test_routes_outlive_a_stop(router: Router) -> None:
    router.apply(SHOP)
    router.down()
    router.up(silent)
    assert router.observe() == (SHOP,)


def test_many_may_apply_at_once(router: Router) -> None:
    routes = [replace(SHOP, app_id=f"0000000{n}", hosts=(f"app{n}.localhost",)) for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(router.apply, routes))
    assert list(router.observe()) == routes


def test_an_app_nobody_asks_has_no_traffic_and_no_lines(router: Router) -> None:
    router.apply(SHOP)
    assert SHOP.app_id not in [traffic.app_id for traffic in router.traffic()]
    assert list(router.logs(SHOP.app_id, LogQuery())) == []


def test_an_app_nobody_asks_has_nothing_in_flight_and_keeps_its_servers(router: Router) -> None:
    router.apply(SHOP)
    more = replace(SHOP, servers=(*SHOP.servers, "10.255.0.9:8000"))
    router.apply(more)
    assert router.in_flight(more.servers) == dict.fromkeys(more.servers, 0)
    assert router.in_flight(()) == {}
    router.ease()
    assert router.observe() == (more,)


def test_no_certificates_are_fine(router: Router, tmp_path: Path) -> None:
    router.certificates(())
    router.certificates(())
    assert router.alive()
