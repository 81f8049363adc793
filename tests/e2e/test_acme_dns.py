"""Certificates proven by DNS: a real ACME authority, its name server, and a DNS provider that wants a password."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.pebble import Pebble, Provider, provider
from tests.e2e.platform import APPS, Platform, eventually
from tests.e2e.test_acme import asked, certificate, serial, told, valid

pytestmark = pytest.mark.docker

DOMAIN, OTHER = "apps.example.org", "shop.example.net"
PASSWORD = "hunter2-of-the-dns"


@dataclass
class Zone:
    """A platform whose apps stand under a domain of its own, and who answers for that domain."""

    platform: Platform
    pebble: Pebble
    provider: Provider
    env: Path


@pytest.fixture(scope="module")
def zone(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    folder = tmp_path_factory.mktemp("pebble")
    pebble = Pebble(folder, platform.port, platform.tls_port)
    pebble.start()
    with provider(pebble, PASSWORD) as dns:
        env = folder / "dns.env"
        env.write_text(f"HTTPREQ_ENDPOINT=http://127.0.0.1:{dns.port}\nHTTPREQ_USERNAME=paas\n"
                       f"HTTPREQ_PASSWORD={PASSWORD}\nHTTPREQ_POLLING_INTERVAL=1\n")  # fmt: skip
        platform.environ["PAAS_DOMAIN"] = DOMAIN
        platform.ok(
            "certs", "auto", "on", "--challenge", "dns", "--dns", "httpreq", "--dns-env", env, "--dns-servers",
            f"127.0.0.1:{pebble.dns}", "--directory", pebble.directory, "--ca", pebble.ca,
        )  # fmt: skip
        for app in ("shop", "blog"):
            platform.ok("deploy", APPS / "static-site", "-a", app)
        yield Zone(platform, pebble, dns, env)
    pebble.stop()


def test_one_wildcard_that_is_proven_by_dns_serves_all_apps(zone: Zone) -> None:
    platform = zone.platform
    valid(platform, zone.pebble, f"shop.{DOMAIN}")
    valid(platform, zone.pebble, f"blog.{DOMAIN}")
    assert certificate(platform, f"shop.{DOMAIN}")["names"] == [f"*.{DOMAIN}"]
    for app in ("shop", "blog"):
        assert asked(platform, zone.pebble, f"{app}.{DOMAIN}")[0] == 200
        eventually(lambda app=app: platform.get(f"{app}.{DOMAIN}").status == 302, what="the redirect")
    assert serial(platform, f"shop.{DOMAIN}") == serial(platform, f"blog.{DOMAIN}")
    assert zone.provider.asked.count(f"_acme-challenge.{DOMAIN}.") == 1


def test_the_providers_password_is_where_its_owner_alone_can_read_it(zone: Zone) -> None:
    platform = zone.platform
    valid(platform, zone.pebble, f"shop.{DOMAIN}")
    traefik = f"{platform.instance}-traefik"
    seen = subprocess.run(["docker", "inspect", traefik], capture_output=True, text=True, check=True).stdout
    logs = subprocess.run(["docker", "logs", traefik], capture_output=True, text=True, check=True)
    assert PASSWORD not in seen + logs.stdout + logs.stderr
    home = Path(platform.environ["PAAS_HOME"])
    holding = [path for path in home.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert {path.name for path in holding} == {"acme-dns.env", "HTTPREQ_PASSWORD"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in holding)


def test_a_provider_that_refuses_leaves_what_there_is_and_is_told(zone: Zone) -> None:
    platform = zone.platform
    valid(platform, zone.pebble, f"shop.{DOMAIN}")
    before = serial(platform, f"shop.{DOMAIN}")
    zone.provider.closed = True
    platform.ok("domains", "add", OTHER, "-a", "shop")
    eventually(lambda: certificate(platform, OTHER).get("status") == "failed", seconds=90, what="the refusal")
    eventually(lambda: told(platform, "certificate.failed", OTHER), seconds=120, what="the alarm")
    assert platform.get(OTHER).status == 200
    assert serial(platform, f"shop.{DOMAIN}") == before
    assert PASSWORD not in certificate(platform, OTHER)["message"]
    zone.provider.closed = False
    platform.ok("certs", "request")
    valid(platform, zone.pebble, OTHER)
    assert asked(platform, zone.pebble, OTHER)[0] == 200
