"""Certificates that come by themselves: for whom, what is routed meanwhile, and what Traefik's file and log say."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from paas.errors import ConfigError, PaasError, UsageError
from paas.model.route import Route
from paas.model.secret import Secret
from paas.routers.traefik import acme, render, static, trust
from paas.routers.traefik.acme import Automatic
from paas.routers.traefik.render import Facts
from paas.settings import Settings
from tests.unit.routers.authority import issued

HTTP = Automatic("http", public=True, domain="example.com")
SHOP = Route(
    app_id="0a0a0a0a", app_name="shop", hosts=("shop.localhost", "shop.example.com", "*.example.com"),
    servers=("10.0.0.1:1",),
)  # fmt: skip


def routers(automatic: Automatic | None, route: Route = SHOP, **facts: Any) -> dict[str, Any]:
    return dict(render.document([route], (), Facts("paas", automatic=automatic, **facts))["http"]["routers"])


@pytest.mark.parametrize(
    ("host", "challenge", "public", "wanted"),
    [
        ("shop.example.com", "http", True, True),
        ("shop.localhost", "http", False, False),
        ("localhost", "dns", False, False),
        ("shop.internal", "http", True, False),
        ("shop.internal", "http", False, True),
        ("*.example.com", "http", True, False),
        ("*.example.com", "tls", True, False),
        ("*.example.com", "dns", True, True),
    ],
)
def test_an_authority_is_asked_for_what_it_can_certify(host: str, challenge: str, public: bool, wanted: bool) -> None:
    assert Automatic(challenge, public, "apps.example.com").wants(host) is wanted


def test_until_the_certificate_is_there_http_answers_and_nothing_redirects() -> None:
    found = routers(HTTP)
    assert "shop.example.com" in found["app-0a0a0a0a"]["rule"]
    assert found["app-0a0a0a0a-auto"]["tls"] == {"certResolver": "paas", "domains": [{"main": "shop.example.com"}]}
    assert not [name for name in found if name.startswith("app-0a0a0a0a-redirect")]


def test_once_it_is_there_http_redirects_and_the_renewal_is_still_asked_for() -> None:
    found = routers(replace(HTTP, issued=frozenset({"shop.example.com"})))
    assert found["app-0a0a0a0a-redirect"]["rule"] == "Host(`shop.example.com`)"
    assert "shop.example.com" not in found["app-0a0a0a0a"]["rule"]
    assert "certResolver" in found["app-0a0a0a0a-auto"]["tls"]


def test_a_certificate_of_ones_own_is_not_asked_for() -> None:
    found = routers(HTTP, replace(SHOP, tls_hosts=("shop.example.com",)))
    assert "app-0a0a0a0a-auto" not in found
    assert found["app-0a0a0a0a-tls"]["tls"] == {}


def test_each_host_has_a_certificate_of_its_own_so_that_one_bad_name_spoils_no_other() -> None:
    route = replace(SHOP, hosts=("a.example.com", "b.example.com"))
    assert routers(HTTP, route)["app-0a0a0a0a-auto"]["tls"]["domains"] == [
        {"main": "a.example.com"},
        {"main": "b.example.com"},
    ]


def test_proven_by_dns_one_wildcard_serves_all_apps() -> None:
    route = replace(SHOP, hosts=("a.example.com", "b.example.com", "c.example.net"))
    auto = Automatic("dns", public=True, domain="example.com")
    assert routers(auto, route)["app-0a0a0a0a-auto"]["tls"]["domains"] == [
        {"main": "*.example.com"},
        {"main": "c.example.net"},
    ]


def test_the_platforms_host_is_asked_for_unless_one_was_brought() -> None:
    facts: dict[str, Any] = {"host": "paas.example.com", "port": 1, "word": Secret("w")}
    assert "certResolver" in routers(HTTP, **facts)["paas-server"]["tls"]
    assert routers(HTTP, covered=frozenset({"*.example.com"}), **facts)["paas-server"]["tls"] == {}
    assert routers(None, **facts)["paas-server"]["tls"] == {}
    assert routers(None, **facts)["paas-server-redirect"]["middlewares"] == [render.TO_HTTPS]


def test_the_platforms_host_comes_before_every_app_even_one_that_claims_it() -> None:
    found = routers(None, replace(SHOP, hosts=("paas.example.com",)), host="paas.example.com", port=1)
    assert found["paas-server-redirect"]["priority"] > found["app-0a0a0a0a"]["priority"]


def test_browsers_are_told_to_keep_to_https_only_where_that_is_set_and_only_by_https() -> None:
    route = replace(SHOP, tls_hosts=("shop.example.com",))
    assert not [one for one in routers(None, route).values() if render.HSTS in one["middlewares"]]
    found = routers(None, route, hsts=60, host="paas.example.com", port=1)
    told = {name for name, one in found.items() if render.HSTS in one["middlewares"]}
    assert told == {"app-0a0a0a0a-tls", "paas-server"}


def test_another_attempt_is_another_configuration() -> None:
    first, second = (
        render.text([SHOP], (), Facts("paas", automatic=replace(HTTP, attempt=number))) for number in (1, 2)
    )
    assert first != second


@pytest.mark.parametrize(
    ("challenge", "said"),
    [("http", {"httpChallenge": {"entryPoint": "web"}}), ("tls", {"tlsChallenge": {}}),
     ("dns", {"dnsChallenge": {"provider": "cloudflare"}})],
)  # fmt: skip
def test_the_settings_choose_how_a_host_is_proven(challenge: str, said: dict[str, Any]) -> None:
    found = static.document(Settings(acme=challenge, acme_dns="cloudflare", acme_email="a@example.com"))
    asked = found["certificatesResolvers"]["paas"]["acme"]
    assert {key: value for key, value in asked.items() if key.endswith("Challenge")} == said
    assert asked["email"] == "a@example.com"


def test_without_them_there_is_no_resolver_and_an_unknown_one_is_refused() -> None:
    assert "certificatesResolvers" not in static.document(Settings())
    with pytest.raises(UsageError, match="PAAS_ACME"):
        static.document(Settings(acme="carrier-pigeon"))


def test_each_authority_has_a_file_of_its_own() -> None:
    assert static.issued_file(Settings()) != static.issued_file(Settings(acme_directory="https://other.example/dir"))


def entry(pem: str, main: str = "shop.example.com") -> dict[str, Any]:
    return {"domain": {"main": main}, "certificate": base64.b64encode(pem.encode()).decode(), "key": "c2VjcmV0"}


def test_what_traefik_keeps_is_read_without_its_keys() -> None:
    pair = issued("shop.example.com")
    (found,) = acme.kept(json.dumps({"paas": {"Certificates": [entry(pair.pem)]}}))
    assert (found.host, found.names) == ("shop.example.com", ("shop.example.com",))
    assert found.not_after == pair.cert.not_valid_after_utc.timestamp()
    assert found.key == Secret("")


@pytest.mark.parametrize("text", ["", "{}", '{"paas": null}', '{"paas": {"Certificates": null}}', '{"other": {}}'])
def test_a_file_without_certificates_has_none(text: str) -> None:
    assert acme.kept(text) == ()


def test_one_damaged_certificate_hides_no_other() -> None:
    good = entry(issued("shop.example.com").pem)
    entries = [{}, {"certificate": "no base64!"}, {"certificate": "aGVsbG8="}, good]
    assert len(acme.kept(json.dumps({"paas": {"Certificates": entries}}))) == 1


def log(**facts: object) -> str:
    return json.dumps({"level": "error", "message": "Unable to obtain ACME certificate for domains", **facts})


def test_a_refusal_names_its_hosts_and_why() -> None:
    found = acme.refused(log(domains=["a.example.com", "b.example.com"], error="acme: error: 403 :: no\n\x1b[31m"))
    assert found == acme.Refused(("a.example.com", "b.example.com"), "acme: error: 403 :: no ?[31m")


def test_a_renewal_that_failed_is_one_though_traefik_says_it_as_information() -> None:
    message = "Error renewing ACME certificate: {Main:a.example.com SANs:[]}"
    line = json.dumps({"level": "info", "error": "connection refused", "message": message})
    assert acme.refused(line) == acme.Refused(("a.example.com",), "connection refused")


def test_hosts_are_found_in_the_reason_where_they_stand_nowhere_else() -> None:
    found = acme.refused(log(error="unable to generate a certificate for the domains [a.example.com]: error: one"))
    assert found is not None
    assert found.names == ("a.example.com",)


@pytest.mark.parametrize(
    "line",
    [
        'not json ACME "error"',
        '"error ACME"',
        "[]",
        json.dumps({"level": "info", "message": "ACME", "error": "x"}),
        json.dumps({"level": "error", "message": "something else", "error": "x"}),
        json.dumps({"RequestPath": "/ACME", "RequestHost": '"error"', "DownstreamStatus": 200}),
    ],
)
def test_other_lines_are_no_refusals(line: str) -> None:
    assert acme.refused(line) is None


def test_the_providers_variables_are_read_and_a_bad_line_is_named_without_its_value() -> None:
    assert trust.parsed("# c\n\nexport CF_DNS_API_TOKEN='t0p'\nA=b=c\n") == {
        "CF_DNS_API_TOKEN": Secret("t0p"),
        "A": Secret("b=c"),
    }
    for text in ("hunter2", "lower=hunter2", "../X=hunter2", "=hunter2"):
        with pytest.raises(UsageError) as caught:
            trust.parsed(text)
        assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


def test_the_container_is_told_places_and_no_secrets(tmp_path: Any) -> None:
    (tmp_path / trust.CREDENTIALS).write_text("CF_DNS_API_TOKEN=hunter2\n")
    settings = Settings(home=tmp_path, acme="dns", acme_dns="cloudflare")
    found = trust.environment(settings)
    assert found["CF_DNS_API_TOKEN_FILE"] == "/issued/dns/CF_DNS_API_TOKEN"
    assert "hunter2" not in str(found)


def test_an_authority_of_ones_own_is_trusted_beside_the_others_and_must_be_there(tmp_path: Any) -> None:
    own, machine = tmp_path / "own.pem", tmp_path / "machine.pem"
    own.write_text("OWN")
    machine.write_text("MACHINE")
    assert trust.roots(Settings(ca_file=str(machine), acme_ca=str(own))) == "MACHINE\nOWN"
    with pytest.raises(ConfigError, match="PAAS_ACME_CA"):
        trust.roots(Settings(acme_ca=str(tmp_path / "gone.pem")))


def test_a_host_that_is_no_name_gets_into_no_rule() -> None:
    with pytest.raises(PaasError):
        routers(None, host="paas.example.com`) || Host(`x", port=1)
