"""Resolves a name once, checks every address it has, and connects to one of exactly those: a name that changes what it
means between the question and the connection (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from paas.egress.policy import Address, Policy, Refused, check, literal
from paas.errors import ConfigError

Resolve = Callable[..., Sequence[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Place:
    """A host and what it was found to be. `trusted`: the operator allows it by name, so its addresses were not
    looked at."""

    host: str
    port: int
    addresses: tuple[Address, ...]
    trusted: bool = False


def found(host: str, port: int, policy: Policy, *, resolve: Resolve = socket.getaddrinfo) -> Place:
    """The host with its addresses, every one of which may be reached. Raises Refused, UsageError for a host that is
    written oddly, ConfigError when it cannot be resolved."""
    address = literal(host)
    plain = host.strip("[]")
    addresses = (address,) if address else _resolved(plain, port, resolve)
    trusted = policy.names(plain)
    if not trusted:
        check(policy, host, addresses)
        _check_machine(policy, host, addresses)
    return Place(plain, port, addresses, trusted)


def connected(place: Place, seconds: float) -> socket.socket:
    """A connection to the first of its addresses that takes one, all of them tried within the seconds: one that does
    not answer leaves the others their share. Raises OSError: what the last one said."""
    failure: OSError | None = None
    until = time.monotonic() + seconds
    for index, address in enumerate(place.addresses):
        share = (until - time.monotonic()) / (len(place.addresses) - index)
        try:
            connection = socket.create_connection((str(address), place.port), timeout=max(share, 0.01))
        except OSError as error:
            failure = error
        else:
            connection.settimeout(seconds)
            return connection
    raise failure or OSError("no address")


def _resolved(host: str, port: int, resolve: Resolve) -> tuple[Address, ...]:
    try:
        answers = resolve(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or "no such name"
        raise ConfigError(f"the host {host} cannot be resolved: {said}", hint="check the spelling and DNS") from None
    return tuple(dict.fromkeys(ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers))


def _check_machine(policy: Policy, host: str, addresses: Sequence[Address]) -> None:
    """This machine's public addresses lead to what its firewall keeps from everybody else."""
    for address in addresses:
        if not policy.allows(address) and is_ours(address):
            raise Refused(
                f"{host} is this machine itself: the platform does not connect there",
                hint=f"if that is wanted, the operator can allow it: PAAS_EGRESS_ALLOW={host.strip('[]')}",
            )


def is_ours(address: Address) -> bool:
    """Whether this machine has the address: only then can a socket be bound to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
