"""What a server that is open to the world shows it: two ports, and answers that no header of a stranger's changes."""

from __future__ import annotations

import ipaddress
import json
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from paas.server.guesses import BURST
from tests.e2e.platform import Platform
from tests.e2e.test_acme import connected
from tests.ports import free_port
from tests.unit.routers.authority import issued

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

HOST = "paas.example.com"


@dataclass
class Open:
    """A platform on all addresses of the machine, by https under a name of its own."""

    platform: Platform
    trust: ssl.SSLContext

    def asks(self, token: str, **headers: str) -> int:
        """The status of an answer to somebody with that token, by the router."""
        connection = connected(self.platform, HOST, self.trust)
        try:
            said = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", "/apps", headers={"Authorization": f"Bearer {token}", **said})
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture(scope="module")
def world(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    platform = Platform(tmp_path_factory.mktemp("open"))
    platform.environ |= {"PAAS_BIND": "0.0.0.0", "PAAS_SERVER_PORT": str(free_port())}
    pair = issued(HOST, start=-400, days=800)
    for name, text in (("chain.pem", pair.pem), ("key.pem", pair.key_pem)):
        (platform.folder / name).write_text(text)
    try:
        platform.ok("up", "--domain", HOST)
        platform.ok("certs", "add", "chain.pem", "key.pem")
        yield Open(platform, ssl.create_default_context(cadata=pair.pem))
    finally:
        platform.close()


def listening(pid: int) -> set[tuple[str, int]]:
    """Addresses and ports at which a process listens, but for loopback."""
    mine = {str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            host, _, port = fields[1].partition(":")
            words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
            address = ipaddress.ip_address(b"".join(words))
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine and not address.is_loopback:
                found.add((str(address), int(port, 16)))
    return found


def networks(platform: Platform) -> list[ipaddress.IPv4Network]:
    """The subnets of the platform's own networks."""
    label = ["--filter", f"label=paas.instance={platform.instance}"]
    listed = subprocess.run(["docker", "network", "ls", "-q", *label], capture_output=True, text=True, check=True)
    shape = ["--format", "{{range .IPAM.Config}}{{.Subnet}} {{end}}"]
    found = subprocess.run(
        ["docker", "network", "inspect", *shape, *listed.stdout.split()], capture_output=True, text=True, check=True
    )
    return [ipaddress.IPv4Network(subnet) for subnet in found.stdout.split()]


def inspected(platform: Platform, container: str) -> dict[str, object]:
    said = subprocess.run(["docker", "inspect", container], capture_output=True, text=True, check=True).stdout
    found: dict[str, object] = json.loads(said)[0]
    return found


def test_but_for_the_routers_two_ports_nothing_of_the_platform_is_open_to_other_machines(world: Open) -> None:
    platform = world.platform
    platform.ok("addons", "create", "postgres", "--name", "open-db", "--unattached")
    router = inspected(platform, f"{platform.instance}-traefik")
    for address, port in listening(platform.server_pid()):
        inside = [one for one in networks(platform) if ipaddress.ip_address(address) in one]
        assert inside, f"{address} is no address that only replicas reach"
        assert str(port) == platform.environ.get("PAAS_API_PORT", "8898")
    assert {port for _, port in listening(router["State"]["Pid"])} == {platform.port, platform.tls_port}  # type: ignore[index]
    names = platform.containers()
    assert any("open-db" in name for name in names)
    for name in names:
        found = inspected(platform, name)
        assert not found["HostConfig"]["PortBindings"], name  # type: ignore[index]
        assert not any(found["NetworkSettings"]["Ports"].values()), name  # type: ignore[index]
        assert not any("docker.sock" in one["Source"] for one in found["Mounts"]), name  # type: ignore[attr-defined]


def test_who_guesses_tokens_is_counted_by_the_true_address_whatever_they_say(world: Open) -> None:
    answers = []
    for number in range(BURST * 3):
        false = f"10.0.{number}.1"
        answers.append(
            world.asks(f"wrong-{number}", X_Forwarded_For=false, X_Real_Ip=false, Forwarded=f"for={false}",
                       X_Forwarded_Host="evil.example", CF_Connecting_IP=false)
        )  # fmt: skip
    assert answers[:BURST] == [401] * BURST
    assert set(answers) == {401, 429}, "by the address they say, each would be a first guess"
