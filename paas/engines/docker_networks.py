"""Networks and volumes of apps: made when missing, labelled, never taken over from somebody else.

Each network is a /26 out of the settings' range. The Engine's own pools end at about 31 networks; ours hold 1,024 in
a /16 with addresses for 61 containers each.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker.errors
from docker import APIClient
from docker.types import IPAMConfig, IPAMPool

from paas.engines.docker_client import said
from paas.engines.docker_spec import APP, INSTANCE, endpoint
from paas.errors import ConfigError, Conflict, PlatformError
from paas.interfaces import Addresses

PREFIX = 26
ROUTES = Path("/proc/net/route")
TRIES = 20
REMOVALS = 5
OWN = 3
"""Addresses that no container gets: the network's own, this machine's and the one for all."""

Network = ipaddress.IPv4Network


class Networks:
    """Makes and unmakes the networks of one instance."""

    def __init__(self, instance: str, ranges: str) -> None:
        self._instance = instance
        self._ranges = parse_ranges(ranges)
        self._text = ranges
        # Two threads that look for a free range at once would find the same one.
        self._guard = threading.Lock()

    def ensure(self, api: APIClient, names: Iterable[str]) -> None:
        """Have these networks. Raises PlatformError when no range is left or a name is taken."""
        for name in names:
            if not self._present(api, name):
                with self._guard:
                    if not self._present(api, name):
                        self._create(api, name)

    def remove(self, api: APIClient, name: str) -> None:
        """Remove a network of ours with whatever is still connected to it. Idempotent."""
        if not self._present(api, name):
            return
        for left in reversed(range(REMOVALS)):
            try:
                for id in api.inspect_network(name).get("Containers") or {}:
                    disconnect(api, id, name)
                api.remove_network(name)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                # The controller may have connected an addon again between the two calls.
                if not left or "has active endpoints" not in said(error):
                    raise
            else:
                return

    def gateway(self, api: APIClient, name: str) -> str:
        """This machine's address on a network of ours; empty when it has none."""
        return next(_gateways(api.inspect_network(name)), "")

    def gateways(self, api: APIClient) -> dict[str, str]:
        """The same for all apps' networks, by app id."""
        mine = {"label": f"{INSTANCE}={self._instance}"}
        found = ((one.get("Labels") or {}, one) for one in api.networks(filters=mine))
        return {labels[APP]: address for labels, one in found if labels.get(APP) for address in _gateways(one)}

    def addresses(self, api: APIClient, name: str) -> Addresses:
        """How many containers this network has addresses for, and how many run on it; one that is not there is the
        next that would be made. Those that are stopped hold none."""
        if self._present(api, name):
            network = api.inspect_network(name)
            return Addresses(_places(network), len(network.get("Containers") or {}))
        subnet = free(self._ranges, taken(api.networks()) | routes(_read(ROUTES)))
        # Where no range is left, making the network says so.
        return Addresses(_usable(subnet) if subnet else 2 ** (32 - PREFIX) - OWN, 0)

    def of_app(self, api: APIClient, app_id: str) -> tuple[str, ...]:
        """Names of the app's networks."""
        wanted = {"label": [f"{INSTANCE}={self._instance}", f"{APP}={app_id}"]}
        return tuple(sorted(str(found["Name"]) for found in api.networks(filters=wanted)))

    def _present(self, api: APIClient, name: str) -> bool:
        # The Engine's filter matches parts of names.
        found = [network for network in api.networks(names=[name]) if network["Name"] == name]
        if found and not any((network.get("Labels") or {}).get(INSTANCE) == self._instance for network in found):
            raise Conflict(
                f"the Docker network {name} belongs to something else", hint=f"remove it: `docker network rm {name}`"
            )
        return bool(found)

    def _create(self, api: APIClient, name: str) -> None:
        """Create it on the first free range; another program may take a range between the look and the creation."""
        refused: set[Network] = set()
        for _ in range(TRIES):
            subnet = free(self._ranges, refused | taken(api.networks()) | routes(_read(ROUTES)))
            if subnet is None:
                raise PlatformError(
                    f"no address range is left for network {name} in {self._text}",
                    hint="give the platform more room: set PAAS_SUBNETS, or destroy apps that are not needed",
                )
            try:
                self._send(api, name, subnet)
            except docker.errors.APIError as error:
                if self._present(api, name):
                    return
                if "overlap" not in said(error).lower():
                    raise
                refused.add(subnet)
            else:
                return
        raise PlatformError(f"no address range could be had for network {name} in {self._text}")

    def _send(self, api: APIClient, name: str, subnet: Network) -> None:
        api.create_network(
            name,
            driver="bridge",
            ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
            check_duplicate=True,
            labels={INSTANCE: self._instance, APP: name.removeprefix(f"{self._instance}-")},
        )


def _places(network: Mapping[str, Any]) -> int:
    """Of its first IPv4 range, by its inspection."""
    for part in (network.get("IPAM") or {}).get("Config") or ():
        subnet = str(part.get("Subnet") or "")
        if subnet and ":" not in subnet:
            return _usable(Network(subnet, strict=False))
    return 0


def _usable(subnet: Network) -> int:
    return max(0, subnet.num_addresses - OWN)


def _gateways(network: Mapping[str, Any]) -> Iterator[str]:
    """Its IPv4 gateway, from a list entry or an inspection. One that nobody chose is the first address, and Engines
    before 28 do not name it."""
    for part in (network.get("IPAM") or {}).get("Config") or ():
        subnet, address = str(part.get("Subnet") or ""), str(part.get("Gateway") or "").partition("/")[0]
        if ":" not in subnet + address and (subnet or address):
            yield address or str(Network(subnet, strict=False).network_address + 1)
            return


def parse_ranges(text: str) -> tuple[Network, ...]:
    """The ranges of PAAS_SUBNETS, separated by commas. Raises ConfigError."""
    try:
        return tuple(Network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no address range: {error}", where="PAAS_SUBNETS", hint="for example 10.213.0.0/16"
        ) from None


def taken(networks: Iterable[Mapping[str, Any]]) -> set[Network]:
    """The IPv4 ranges of the Engine's networks."""
    found = set()
    for network in networks:
        for part in (network.get("IPAM") or {}).get("Config") or ():
            subnet = str(part.get("Subnet") or "")
            if subnet and ":" not in subnet:
                found.add(Network(subnet, strict=False))
    return found


def routes(text: str) -> set[Network]:
    """The ranges this machine routes somewhere already (a VPN, say), from /proc/net/route; the default one left out."""
    found = set()
    for line in text.splitlines()[1:]:
        parts = line.split()
        try:
            address, mask = (bytes.fromhex(parts[at])[::-1] for at in (1, 7))
            network = Network((address, bin(int.from_bytes(mask)).count("1")), strict=False)
        except (ValueError, IndexError):
            continue
        if network.prefixlen:
            found.add(network)
    return found


def free(ranges: Sequence[Network], occupied: Iterable[Network]) -> Network | None:
    """The first /26 of the ranges that overlaps nothing occupied; a smaller range is used whole."""
    busy = list(occupied)
    for whole in ranges:
        near = [network for network in busy if network.overlaps(whole)]
        for subnet in whole.subnets(new_prefix=max(PREFIX, whole.prefixlen)):
            if not any(subnet.overlaps(network) for network in near):
                return subnet
    return None


def connect(api: APIClient, container: str, name: str, alias: str) -> None:
    """Connect a container, running or not. Idempotent."""
    try:
        api.connect_container_to_network(container, name, aliases=endpoint(alias).get("Aliases"))
    except docker.errors.APIError as error:
        if "already exists in network" not in said(error):
            raise


def disconnect(api: APIClient, container: str, name: str) -> None:
    """Disconnect a container. Idempotent."""
    try:
        api.disconnect_container_from_network(container, name, force=True)
    except docker.errors.APIError as error:
        words = said(error)
        if not isinstance(error, docker.errors.NotFound) and "is not connected" not in words:
            raise


class Volumes:
    """Makes and unmakes the named volumes of one instance."""

    def __init__(self, instance: str) -> None:
        self._instance = instance

    def ensure(self, api: APIClient, name: str, app_id: str) -> None:
        """Have this volume. Raises Conflict when a volume of that name is not this platform's."""
        made = api.create_volume(name, labels={INSTANCE: self._instance, APP: app_id})
        self._check(name, made)

    def names(self, api: APIClient) -> frozenset[str]:
        """Those of this instance."""
        found = api.volumes(filters={"label": f"{INSTANCE}={self._instance}"})["Volumes"] or ()
        return frozenset(one["Name"] for one in found)

    def remove(self, api: APIClient, name: str) -> None:
        """Remove it with its data. Idempotent. Raises Conflict when it is in use or not this platform's."""
        try:
            self._check(name, api.inspect_volume(name))
            api.remove_volume(name)
        except docker.errors.NotFound:
            return
        except docker.errors.APIError as error:
            if error.status_code == 409:
                raise Conflict(f"the volume {name} is in use", hint="stop what uses it first") from error
            raise

    def _check(self, name: str, found: Mapping[str, Any]) -> None:
        if (found.get("Labels") or {}).get(INSTANCE) != self._instance:
            raise Conflict(
                f"the Docker volume {name} belongs to something else",
                hint=f"look at it: `docker volume inspect {name}`",
            )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
