"""Which addresses may be reached: the public internet, and what the operator allows beyond it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from paas.errors import ConfigError, Denied, UsageError

Address: TypeAlias = "IPv4Address | IPv6Address"
Network: TypeAlias = "IPv4Network | IPv6Network"

METADATA = ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
"""Where clouds tell a machine about itself, passwords included: also in ranges that are not private."""

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_ALLOWED = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
_SIX_TO_FOUR = ip_network("2002::/16")
_GLOBAL_6 = ip_network("2000::/3")
"""All that IANA gives out of IPv6; what lies beyond is of one machine or one site, or means nothing yet."""
_NOT_GLOBAL = tuple(ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20"))
"""Set apart by IANA as well, which Python does not know of all."""
_EMBEDDING = tuple(ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48"))
_PORT_HINT = "give a host name, or an address as it is usually written"


class Refused(Denied):
    """The address is none the platform connects to."""

    @property
    def code(self) -> str:
        """On the wire it is a Denied like the others."""
        return "Denied"


@dataclass(frozen=True, slots=True)
class Policy:
    """`hosts` (`git.corp.example`, `*.corp.example`) and `ranges` are allowed whatever they are; `own` ranges are
    refused even where they look public."""

    hosts: tuple[str, ...] = ()
    ranges: tuple[Network, ...] = ()
    own: tuple[Network, ...] = ()

    @classmethod
    def of(cls, allow: str, own: str = "") -> Policy:
        """The policy of the settings: `allow` lists hosts and ranges, `own` the platform's own range. Raises
        ConfigError naming the entry that is neither."""
        words = [word.lower() for word in re.split(r"[\s,]+", allow) if word]
        ranges = {word: found for word in words if (found := _range(word))}
        hosts = tuple(word for word in words if word not in ranges)
        for host in hosts:
            if not _ALLOWED.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
                raise ConfigError(
                    f"{host!r} is neither a host nor an address range",
                    where="PAAS_EGRESS_ALLOW",
                    hint="for example: git.corp.example, *.corp.example, 10.1.0.0/16",
                )
        return cls(hosts, tuple(ranges.values()), tuple(found for one in own.split(",") if (found := _range(one))))

    def names(self, host: str) -> bool:
        """Whether the operator allows this host by its name."""
        plain = host.lower().rstrip(".")
        return any(one in (plain, "*") or (one.startswith("*.") and plain.endswith(one[1:])) for one in self.hosts)

    def reason(self, address: Address) -> str:
        """Why an address is refused; empty: it is not. What an IPv6 address stands for in IPv4 counts as well."""
        meant = _unpacked(address)
        if self.allows(meant[-1]):
            return ""
        return next((why for one in meant if (why := self._reason(one))), "")

    def allows(self, address: Address) -> bool:
        """Whether the operator allows this address."""
        return any(address in network for network in self.ranges if network.version == address.version)

    def _reason(self, address: Address) -> str:
        if str(address) in METADATA:
            return "an address where clouds keep a machine's secrets"
        if address.is_loopback or address.is_unspecified:
            return "this machine itself"
        if address.is_link_local:
            return "a link-local address"
        if address.is_multicast:
            return "a multicast address"
        if any(address in network for network in self.own if network.version == address.version):
            return "a network of the platform"
        # Not global: private, shared (100.64/10), documentation, benchmarking, reserved.
        return "" if address.is_global and not _apart(address) else "an address of a private network"


ANYWHERE = Policy(hosts=("*",))
"""For who could go there without the platform as well: the person at this machine's own socket."""


def literal(host: str) -> Address | None:
    """The address that a host is, None for a name. Raises UsageError for what is neither as it is usually written:
    `2130706433`, `0x7f.1`, `127.1` and `0177.0.0.1` are all this machine to the resolver."""
    text = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if "%" not in text:  # a zone (`fe80::1%eth0`) names a network card of this machine
        with suppress(ValueError):
            return ip_address(text)
    if not _NAME.fullmatch(host) or len(host) > 253:
        raise UsageError(f"{host[:80]!a} is not a host", hint=_PORT_HINT)
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        raise UsageError(f"{host[:80]!a} is not an address as it is usually written", hint=_PORT_HINT)
    return None


def check(policy: Policy, host: str, addresses: Iterable[Address]) -> None:
    """Raise Refused unless every address of the host may be reached. One that may not is enough: which of them is
    taken is not for the one who answers the resolver to choose."""
    for address in addresses:
        if why := policy.reason(address):
            raise Refused(
                f"{host} is {why}: the platform does not connect there",
                hint=f"if it is yours, the operator can allow it: PAAS_EGRESS_ALLOW={host.strip('[]')}",
            )


def _apart(address: Address) -> bool:
    known = (_GLOBAL_6, *_EMBEDDING)
    if address.version == 6 and not any(address in network for network in known):
        return True
    return any(address in network for network in _NOT_GLOBAL if network.version == address.version)


def _unpacked(address: Address) -> tuple[Address, ...]:
    """The address and the IPv4 addresses that lie in it: mapped, compatible, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return (address,)
    inner = [address.ipv4_mapped]
    if address in _SIX_TO_FOUR:
        inner.append(address.sixtofour)
    if address.teredo is not None:
        inner.extend(address.teredo)
    if any(address in network for network in _EMBEDDING) or 1 < int(address) < 1 << 32:
        inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
    found = tuple(one for one in inner if one is not None)
    # The address itself stands last. A mapped address is nothing but the one in it; the others are of both kinds.
    return found if address.ipv4_mapped else (*found, address)


def _range(word: str) -> Network | None:
    try:
        return ip_network(word.strip().strip("[]"), strict=False)
    except ValueError:
        return None
