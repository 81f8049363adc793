"""The dynamic file: what is in it, and what can never get into it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from paas.errors import PaasError, RouterError
from paas.model import names
from paas.model.route import Route
from paas.routers.traefik import render, static
from paas.routers.traefik.render import CertificateFiles, Facts
from paas.settings import Settings

GOLDEN = Path(__file__).parents[2] / "golden" / "traefik"
FACTS = Facts("paas")
SHOP = Route(
    app_id="0a0a0a0a", app_name="shop", hosts=("shop.localhost", "www.example.com"),
    servers=("10.213.0.3:8000", "10.213.0.2:8000"),
)  # fmt: skip
FILES = (CertificateFiles(certFile="/paas/certs/1.crt", keyFile="/paas/certs/1.key"),)

CASES = {
    "nothing": ((), (), FACTS),
    "two-apps": ((SHOP, replace(SHOP, app_id="0b0b0b0b", app_name="blog", hosts=("blog.localhost",))), (), FACTS),
    "no-servers": ((replace(SHOP, servers=()),), (), FACTS),
    "https": ((replace(SHOP, tls_hosts=("www.example.com",)),), FILES, Facts("paas", 8443)),
    "wildcards": ((replace(SHOP, hosts=("*.example.com", "*.eu.example.com", "example.com")),), (), FACTS),
    "health": ((replace(SHOP, health_path="/up?deep=1 {{x}}", health_interval=2.5),), (), FACTS),
}


@pytest.mark.parametrize("case", CASES)
def test_the_file_is_the_golden_one(case: str, pytestconfig: pytest.Config) -> None:
    text = render.text(*CASES[case])
    golden = GOLDEN / f"{case}.yml"
    if pytestconfig.getoption("--update-golden", default=False):
        golden.write_text(text)
    assert text == golden.read_text()


def test_the_static_configuration_is_the_golden_one(pytestconfig: pytest.Config) -> None:
    text = static.text(Settings())
    golden = GOLDEN / "static.yml"
    if pytestconfig.getoption("--update-golden", default=False):
        golden.write_text(text)
    assert text == golden.read_text()


def test_traefik_asks_servers_that_have_others_beside_them_and_none_that_is_alone() -> None:
    def asked(*servers: str) -> bool:
        route = replace(SHOP, health_path="/up", servers=servers)
        return "healthCheck" in render.services_of(route)["app-0a0a0a0a"]["loadBalancer"]

    assert asked("10.0.0.1:1", "10.0.0.2:1")
    assert not asked("10.0.0.1:1")
    assert not asked("10.0.0.1:1", "10.0.0.1:1")


@pytest.mark.parametrize("case", CASES)
def test_a_file_is_read_back_as_it_was_made(case: str) -> None:
    routes, files, facts = CASES[case]
    assert render.read(render.text(routes, files, facts)) == (routes, files)


@pytest.mark.parametrize(
    "damaged",
    ["", "http: {}\n", render.HEAD, render.HEAD + "# entries: 1\n", render.HEAD + "# entries: 1\n#: {\"app\": 1}\n",
     render.HEAD + "# entries: 1\n#: {broken\n", render.HEAD + "# entries: 1\n#~ []\n"],
)  # fmt: skip
def test_a_damaged_file_is_not_read(damaged: str) -> None:
    with pytest.raises(ValueError):
        render.read(damaged)


def test_a_cut_file_is_not_read() -> None:
    whole = render.text(*CASES["two-apps"])
    with pytest.raises(ValueError):
        render.read("\n".join(whole.splitlines()[:3]))


@pytest.mark.parametrize(
    "host",
    ["a.com`) || Host(`b.com", "*", "a b.com", "-a.com", "a" * 64 + ".com", "1.2.3.4", "http://a.com", "a.com:80",
     "a.com.", "A.com", "münchen.de", "a..com", "*.*.com", "{{.}}.com", "a.com\n", "", "localhost"],
)  # fmt: skip
def test_a_host_that_is_none_reaches_no_rule(host: str) -> None:
    with pytest.raises(RouterError):
        render.document([replace(SHOP, hosts=(host,))], (), FACTS)


@pytest.mark.parametrize(
    "server",
    ["", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:99999", "evil.com:80", "10.0.0.1:80/x", "a@10.0.0.1:8", "10.0.0.1:٣"],
)
def test_a_server_that_is_no_address_reaches_no_service(server: str) -> None:
    with pytest.raises(RouterError):
        render.document([replace(SHOP, servers=(server,))], (), FACTS)


@pytest.mark.parametrize("app_id", ["", "a-b", "../x", "A", "a@file", "a" * 41])
def test_an_app_id_that_is_none_names_nothing(app_id: str) -> None:
    with pytest.raises(RouterError):
        render.document([replace(SHOP, app_id=app_id)], (), FACTS)


def test_a_certificate_for_a_host_the_app_does_not_have_is_refused() -> None:
    with pytest.raises(RouterError, match="does not have"):
        render.document([replace(SHOP, tls_hosts=("other.example.com",))], (), FACTS)


@given(st.lists(st.text(alphabet="ab1-.*`|()&{}\\\n 'Host", max_size=20), min_size=1, max_size=3))
def test_every_rule_holds_nothing_but_names(hosts: list[str]) -> None:
    try:
        document = render.document([replace(SHOP, hosts=tuple(hosts))], (), FACTS)
    except RouterError:
        return
    for host in hosts:
        assert names.host_name(host) == host
    rules = [r["rule"] for name, r in document["http"]["routers"].items() if name.startswith("app-")]
    assert "".join(rules).count("`") == 2 * len(hosts)


@given(st.text(max_size=40), st.text(max_size=30), st.text(max_size=20), st.lists(st.text(max_size=30), max_size=2))
def test_no_text_makes_a_file_that_says_something_else(name: str, path: str, app_id: str, hosts: list[str]) -> None:
    route = Route(app_id=app_id, app_name=name, hosts=tuple(hosts), servers=("10.0.0.1:1",), health_path=path)
    try:
        text = render.text([route], (), FACTS)
    except (PaasError, UnicodeEncodeError):
        return
    assert "{{" not in text
    assert render.read(text) == ((route,), ())
    routers = yaml.safe_load(text)["http"]["routers"]
    assert all(key.startswith(("app-", "paas-unknown-host")) for key in routers)


def test_an_exact_host_wins_over_the_wildcard_of_another_app() -> None:
    exact = replace(SHOP, hosts=("a.example.com",))
    wild = replace(SHOP, app_id="0b0b0b0b", hosts=("*.example.com",))
    routers = render.document([exact, wild], (), FACTS)["http"]["routers"]
    assert routers["app-0a0a0a0a"]["priority"] > routers["app-0b0b0b0b-any2"]["priority"]
    assert routers["app-0b0b0b0b-any2"]["priority"] > routers["paas-unknown-host"]["priority"]


def test_the_app_is_known_from_its_names_in_traefik() -> None:
    assert render.app_of("app-0a0a0a0a@file") == "0a0a0a0a"
    assert render.app_of("app-0a0a0a0a-tls-any2@file") == "0a0a0a0a"
    assert render.app_of("paas-unknown-host@file") == ""


def test_what_traefik_tells_about_itself_is_on_loopback_only() -> None:
    document = static.document(replace(Settings(), bind="0.0.0.0"))
    assert document["entryPoints"]["traefik"]["address"] == "127.0.0.1:8899"
    assert document["metrics"]["prometheus"]["entryPoint"] == document["ping"]["entryPoint"] == "traefik"
    assert document["api"]["dashboard"] is False
