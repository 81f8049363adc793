"""Traefik stops, finds garbage, loses its port or its container: routes come back, others are left alone."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from paas.errors import RouterError
from paas.model.events import Event, silent
from paas.routers.traefik import TraefikRouter, ports
from tests.contract.router_lab import Lab, backends, lab
from tests.polling import until
from tests.ports import free_ports

pytestmark = pytest.mark.docker


def test_a_killed_traefik_comes_back_with_its_routes(traefik: Lab) -> None:
    with backends("app") as (app,):
        route = traefik.route(app)
        traefik.router.apply(route)
        before = traefik.router.observe()
        with traefik.docker() as client:
            pid = client.inspect_container(traefik.container)["State"]["Pid"]
            if os.geteuid() == 0:
                os.kill(pid, signal.SIGKILL)
            else:
                client.restart(traefik.container, timeout=0)
            assert until(lambda: client.inspect_container(traefik.container)["State"]["Pid"] not in (0, pid))
        assert until(traefik.router.alive)
        assert traefik.router.observe() == before
        assert traefik.ask(route.hosts[0]).name == "app"


def leave(path: Path, text: str) -> None:
    """Written at once: Traefik, which looks at any moment, would take a file that is being made for an empty one."""
    made = path.parent.parent / f"new-{path.name}"
    made.write_text(text)
    made.replace(path)


def test_garbage_in_the_folder_freezes_nothing(traefik: Lab) -> None:
    with backends("one", "two") as (one, two):
        first, second = traefik.route(one), traefik.route(two)
        traefik.router.apply(first)
        routes = traefik.settings.home / "traefik" / "routes"
        leave(routes / "zz.yml", "http: [")
        traefik.router.apply(second)
        assert traefik.ask(second.hosts[0]).name == "two"
        leave(routes / "routes.yml", "http: {nonsense: true\n\x00")
        assert traefik.ask(first.hosts[0]).name == "one"
        traefik.router.apply(replace(second, servers=(one.address,)))
        assert traefik.ask(first.hosts[0]).name == traefik.ask(second.hosts[0]).name == "one"
        assert yaml.safe_load((routes / "routes.yml").read_text())["http"]["routers"]


def test_a_traefik_that_found_garbage_at_its_start_is_mended_by_up(tmp_path: Path) -> None:
    with lab(tmp_path) as made, backends("app") as (app,):
        route = made.route(app)
        made.router.apply(route)
        (tmp_path / "traefik" / "routes" / "routes.yml").write_text("http: [")
        with made.docker() as client:
            client.restart(made.container, timeout=5)
        until(lambda: ports.listener(made.settings.traefik_port))
        assert not made.router.alive()
        made.router.up(silent)
        assert until(lambda: made.router.observe() == (route,))
        assert made.ask(route.hosts[0]).name == "app"


def test_a_new_process_knows_the_routes_and_keeps_them(traefik: Lab) -> None:
    with backends("one", "two") as (one, two):
        first, second = traefik.route(one), traefik.route(two)
        traefik.router.apply(first)
        other = TraefikRouter(traefik.settings)
        assert other.observe() == traefik.router.observe()
        said: list[Event] = []
        other.up(said.append)
        assert said == []
        other.apply(second)
        assert traefik.ask(first.hosts[0]).name == "one"
        assert traefik.ask(second.hosts[0]).name == "two"
        other.remove(second.app_id)


def test_a_route_for_a_traefik_that_does_not_run_is_refused_and_forgotten(tmp_path: Path) -> None:
    with lab(tmp_path) as made, backends("app") as (app,):
        kept = made.route(app)
        made.router.apply(kept)
        made.router.down()
        with pytest.raises(RouterError, match="does not run") as caught:
            made.router.apply(made.route(app))
        assert caught.value.hint == "paas up"
        with pytest.raises(RouterError):
            made.router.traffic()
        made.router.up(silent)
        assert made.router.observe() == (kept,)
        assert made.ask(kept.hosts[0]).name == "app"


def test_a_taken_port_is_named_with_its_owner_and_the_setting(tmp_path: Path) -> None:
    with lab(tmp_path, up=False) as made, socket.create_server(("127.0.0.1", made.settings.https_port)):
        with pytest.raises(RouterError) as caught:
            made.router.up(silent)
        assert str(made.settings.https_port) in caught.value.message
        assert f"pid {os.getpid()}" in caught.value.message
        assert "PAAS_HTTPS_PORT" in caught.value.hint
        assert not made.router.alive()


def test_another_setting_makes_the_container_anew_and_keeps_routes(tmp_path: Path) -> None:
    with lab(tmp_path) as made, backends("app") as (app,):
        route = made.route(app)
        made.router.apply(route)
        moved = Lab(replace(made.settings, http_port=free_ports(1)[0]))
        moved.router.up(silent)
        assert moved.ask(route.hosts[0]).name == "app"


def test_a_container_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    with lab(tmp_path) as made:
        other = Lab(replace(made.settings, home=tmp_path / "other", instance=made.settings.instance))
        with other.docker() as client:
            image = client.inspect_container(made.container)["Image"]
            made.router.down()
            client.create_container(image, name=made.container)
            try:
                with pytest.raises(RouterError, match="not this platform's"):
                    other.router.up(silent)
            finally:
                client.remove_container(made.container, force=True)


def test_a_platform_of_the_same_name_in_another_home_keeps_its_router(tmp_path: Path) -> None:
    with lab(tmp_path / "home") as made, backends("app") as (app,):
        made.router.apply(route := made.route(app))
        other = Lab(replace(made.settings, home=tmp_path / "other"))
        with pytest.raises(RouterError, match="has its home in") as caught:
            other.router.up(silent)
        assert str(tmp_path / "home") in caught.value.hint
        other.router.down()
        assert made.ask(route.hosts[0]).name == "app"


def test_a_home_that_moved_takes_its_router_along(tmp_path: Path) -> None:
    with lab(tmp_path / "home") as made:
        (tmp_path / "home").rename(tmp_path / "new")
        moved = Lab(replace(made.settings, home=tmp_path / "new"))
        moved.router.up(silent)
        assert moved.router.alive()
        moved.router.down()
        (tmp_path / "new").rename(tmp_path / "home")
