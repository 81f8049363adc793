"""What an app and its release want."""

from __future__ import annotations

from dataclasses import replace

from paas.model.app import App, ProcessSpec, Release, ReleaseKind, Source
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind
from paas.plan.wanted import Wanted, wanted

APP = App(id="0a0a0a0a", name="shop", created_at=0.0, formation={"worker": 2})
HTTP = HealthCheck(kind=HealthKind.HTTP, path="/up", interval=7.0)
RELEASE = Release(
    app_id=APP.id, number=5, kind=ReleaseKind.DEPLOY, created_at=0.0, actor="ann", description="", image="sha256:5",
    processes=(
        ProcessSpec(name="web", command="serve --now", health=HTTP), ProcessSpec(name="worker"),
        ProcessSpec(name="clock", command="tick"), ProcessSpec(name="release", command="migrate"),
    ),
    source=Source(kind="git", id="f" * 64, version="abc123"), config={"KEY": Secret("v"), "PORT": Secret("1")},
    domains=("www.example.com", "*.shop.example.org"), since={"web": 3}, port=5000,
)  # fmt: skip


def want(release: Release = RELEASE, app: App = APP, *names: str) -> Wanted:
    return wanted(app, release, instance="t-x", domain="apps.test", tls_hosts=names)


def env(found: Wanted, process: str) -> dict[str, str]:
    spec = next(service.spec for service in found.services if service.spec.process == process)
    return {key: value.reveal() for key, value in spec.env.items()}


def test_web_runs_once_and_others_not_at_all_unless_the_formation_says_so() -> None:
    assert {s.spec.process: s.replicas for s in want().services} == {"web": 1, "worker": 2, "clock": 0}


def test_the_release_process_is_no_service() -> None:
    command = want().release_command
    assert command is not None
    assert (command.kind, command.command, command.port) == ("oneoff", ("/bin/sh", "-c", "exec migrate"), 0)


def test_the_environment_is_config_and_what_the_platform_sets() -> None:
    assert env(want(), "web") == {
        "KEY": "v", "PORT": "5000", "PAAS_APP": "shop", "PAAS_RELEASE": "v3", "SOURCE_VERSION": "abc123",
    }  # fmt: skip
    assert env(want(), "worker")["PAAS_RELEASE"] == "v5"


def test_only_web_has_a_port_and_an_empty_command_is_the_images_own() -> None:
    specs = {service.spec.process: service.spec for service in want().services}
    assert (specs["web"].port, specs["worker"].port) == (5000, 0)
    assert specs["worker"].command == ()
    assert specs["web"].networks == ("t-x-0a0a0a0a",)


def test_a_spec_carries_the_release_that_introduced_it() -> None:
    assert {s.spec.process: s.spec.release for s in want().services} == {"web": 3, "worker": 5, "clock": 5}


def test_hosts_are_the_default_one_and_the_domains() -> None:
    route = want().route
    assert route is not None
    assert route.hosts == ("shop.apps.test", "www.example.com", "*.shop.example.org")


def test_https_is_for_hosts_that_a_certificate_covers_one_label_for_a_wildcard() -> None:
    route = want(RELEASE, APP, "*.example.com", "*.test", "*.shop.example.org").route
    assert route is not None
    assert route.tls_hosts == ("www.example.com", "*.shop.example.org")


def test_the_router_asks_for_health_only_where_the_app_named_a_path() -> None:
    route = want().route
    assert route is not None
    assert (route.health_path, route.health_interval) == ("/up", 7.0)
    default = ProcessSpec(name="web", health=replace(HTTP, path="/", max_status=499))
    unasked = want(replace(RELEASE, processes=(default,))).route
    assert unasked is not None
    assert unasked.health_path == ""


def test_nothing_is_wanted_before_there_is_an_image_and_no_route_without_web() -> None:
    assert want(replace(RELEASE, image="")).services == ()
    assert want(replace(RELEASE, processes=(ProcessSpec(name="worker"),))).route is None
