"""Certificates that come by themselves, from a real ACME authority; and the platform's own host by https."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.pebble import Pebble
from tests.e2e.platform import APPS, Platform, eventually
from tests.ports import free_port

pytestmark = pytest.mark.docker

HOST, SHOP, BROKEN, BY_TLS = "paas.example.com", "shop.example.com", "broken.example.com", "by-tls.example.com"


@pytest.fixture(scope="module")
def pebble(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    authority = Pebble(tmp_path_factory.mktemp("pebble"), platform.port, platform.tls_port)
    authority.start()
    yield authority
    authority.stop()


@pytest.fixture(scope="module")
def served(platform: Platform, pebble: Pebble) -> Platform:
    """The platform with a host of its own, whose certificate pebble gave, and an app."""
    platform.environ |= {"PAAS_SERVER_PORT": str(free_port()), "PAAS_TOKEN": "a-long-token-of-a-test"}
    platform.ok("up", "--domain", HOST)
    platform.ok("certs", "auto", "on", "--email", "a@example.com", "--directory", pebble.directory, "--ca", pebble.ca)
    platform.ok("deploy", APPS / "static-site", "-a", "shop")
    return platform


def certificate(platform: Platform, host: str) -> dict[str, Any]:
    """How it stands with the certificate of a host."""
    return next((one for one in platform.json("certs") if one["host"] == host), {})


def valid(platform: Platform, pebble: Pebble, host: str) -> None:
    """Wait until it has one, and is answered with it: the router serves a certificate a moment after it wrote it."""

    def there() -> bool:
        return certificate(platform, host).get("status") in ("valid", "expiring")

    def served() -> bool:
        try:
            connected(platform, host, ssl.create_default_context(cadata=pebble.roots())).close()
        except ssl.SSLCertVerificationError:
            return False
        return True

    eventually(there, seconds=90, what=f"a certificate of {host}")
    eventually(served, seconds=15, what=f"https with the certificate of {host}")


def connected(platform: Platform, host: str, trust: ssl.SSLContext) -> http.client.HTTPSConnection:
    """A connection to the https port by that name, whose certificate is checked."""
    connection = http.client.HTTPSConnection(host, platform.tls_port, timeout=20)
    plain = socket.create_connection(("127.0.0.1", platform.tls_port), timeout=20)
    try:
        connection.sock = trust.wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise
    return connection


def asked(platform: Platform, pebble: Pebble, host: str, path: str = "/", **headers: str) -> tuple[int, str]:
    """Status and body by https, with a certificate of pebble's."""
    connection = connected(platform, host, ssl.create_default_context(cadata=pebble.roots()))
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def serial(platform: Platform, host: str) -> str:
    """Which certificate is served for a host."""
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", platform.tls_port), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return (secured.getpeercert(binary_form=True) or b"").hex()


def told(platform: Platform, kind: str, host: str) -> list[dict[str, Any]]:
    """Events of that kind about a host."""
    from paas.store.sql import SqlStore

    store = SqlStore.open(Path(platform.environ["PAAS_HOME"]))
    try:
        found = [event for _, event in store.events(limit=0) if event.kind == kind and event.data.get("host") == host]
    finally:
        store.close()
    return [{"message": event.message, **event.data} for event in found]


def test_the_platforms_host_gets_a_certificate_by_http_and_answers_by_https(served: Platform, pebble: Pebble) -> None:
    valid(served, pebble, HOST)
    status, body = asked(served, pebble, HOST, "/health")
    assert (status, '"status":"ok"' in body.replace(" ", "")) == (200, True)
    assert served.json("status")["server"] == f"https://{HOST}:{served.tls_port}"
    plain = served.get(HOST, "/health")
    assert (plain.status, plain.headers["Location"]) == (302, f"https://{HOST}:{served.tls_port}/health")


def test_nobody_reaches_the_server_under_another_name_or_without_the_router(served: Platform, pebble: Pebble) -> None:
    valid(served, pebble, HOST)
    status, _ = asked(served, pebble, HOST, "/apps", Host="evil.example.com")
    assert status in (404, 421)
    status, body = asked(served, pebble, HOST, "/apps", Paas_Router="x" * 64, X_Forwarded_For="1.2.3.4")
    assert (status, "not logged in" in body) == (401, True)
    status, body = asked(served, pebble, HOST, "/apps", Connection="Paas-Router, X-Forwarded-For")
    assert status in (400, 401)
    local = http.client.HTTPConnection("127.0.0.1", int(served.environ["PAAS_SERVER_PORT"]), timeout=10)
    try:
        local.request("GET", "/apps", headers={"Host": HOST, "X-Forwarded-For": "1.2.3.4"})
        assert local.getresponse().status == 403
    finally:
        local.close()


def test_an_apps_domain_gets_one_too_and_only_then_http_redirects(served: Platform, pebble: Pebble) -> None:
    said = served.run("domains", "add", SHOP, "-a", "shop")
    assert "is asked for" in said.out + said.err, said.said
    valid(served, pebble, SHOP)
    status, _ = asked(served, pebble, SHOP)
    assert status == 200
    eventually(lambda: served.get(SHOP).status == 302, what="the redirect")
    assert any(one["tls"] for one in served.json("domains", "-a", "shop") if one["host"] == SHOP)


def test_what_traefik_got_only_its_owner_can_read(served: Platform, pebble: Pebble) -> None:
    valid(served, pebble, HOST)
    got = list((Path(served.environ["PAAS_HOME"]) / "traefik" / "issued").rglob("*"))
    assert any(path.is_file() and "key" in path.read_text().lower() for path in got)
    assert [path for path in got if path.stat().st_mode & 0o077] == []


def test_a_refused_request_leaves_http_as_it_was_is_told_and_is_asked_again_when_mended(
    served: Platform, pebble: Pebble
) -> None:
    pebble.lead(BROKEN, "127.0.0.77")
    served.ok("domains", "add", BROKEN, "-a", "shop")
    eventually(lambda: certificate(served, BROKEN).get("status") == "failed", seconds=90, what="the refusal")
    assert BROKEN in certificate(served, BROKEN)["message"]
    assert served.get(BROKEN).status == 200
    found = served.run("doctor", "--no-build")
    assert f"none of {BROKEN} could be had" in found.out
    pebble.forget(BROKEN)
    served.ok("certs", "request")
    valid(served, pebble, BROKEN)


def test_a_host_is_proven_by_tls_alone(served: Platform, pebble: Pebble) -> None:
    served.ok("certs", "auto", "on", "--challenge", "tls")
    served.ok("domains", "add", BY_TLS, "-a", "shop")
    valid(served, pebble, BY_TLS)
    assert asked(served, pebble, BY_TLS)[0] == 200
    served.ok("certs", "auto", "on", "--email", "b@example.com")
    assert 'acme = "tls"' in (Path(served.environ["PAAS_HOME"]) / "paas.conf.toml").read_text(), "it stays"


def unchanged(served: Platform, host: str) -> str:
    """Its serial, if that is the same after some seconds; else nothing."""
    before = serial(served, host)
    time.sleep(3)
    return before if serial(served, host) == before else ""


def test_a_renewal_that_fails_leaves_the_old_certificate_in_use_and_is_an_alarm(
    served: Platform, pebble: Pebble
) -> None:
    valid(served, pebble, SHOP)
    pebble.stop()
    try:
        before = eventually(lambda: unchanged(served, SHOP), what="the end of a renewal that was under way")
        served.ok("certs", "auto", "on", "--challenge", "http")
        eventually(lambda: told(served, "certificate.failed", SHOP), seconds=120, what="the alarm")
        assert serial(served, SHOP) == before
        assert "stays in use" in told(served, "certificate.failed", SHOP)[-1]["message"]
        assert certificate(served, SHOP)["status"] == "expiring"
        assert told(served, "certificate.expires", SHOP)
    finally:
        pebble.start()
