"""Pure: certificates that Traefik gets by itself (ACME): for which hosts, what it keeps of them, what went wrong.

Traefik asks for a host's certificate when a router names the resolver, keeps what it gets in one JSON file, and renews
it thirty days before its end. A request that fails leaves the certificate before it in use.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from paas.errors import UsageError
from paas.model import names
from paas.model.route import Certificate
from paas.model.secret import Secret
from paas.settings import Settings

RESOLVER = "paas"
PUBLIC = "letsencrypt.org"
"""An authority that certifies only what the public name system has."""
PRIVATE = ("local", "internal", "lan", "test", "example", "invalid", "home.arpa", "corp", "intranet")
CHALLENGES = ("http", "tls", "dns")


@dataclass(frozen=True, slots=True)
class Automatic:
    """Which hosts get a certificate by themselves: how a host is proven, whether the authority is a public one, the
    domain of the apps; the names that were issued already, and a number that is changed to have Traefik try again."""

    challenge: str
    public: bool
    domain: str
    issued: frozenset[str] = frozenset()
    attempt: int = 0

    def wants(self, host: str) -> bool:
        """Whether the authority can be asked for this host."""
        bare = host.removeprefix("*.")
        if bare == "localhost" or bare.endswith(".localhost") or "." not in bare:
            return False
        if self.public and any(bare.endswith(f".{end}") for end in PRIVATE):
            return False
        return self.challenge == "dns" or not host.startswith("*.")

    def name(self, host: str) -> str:
        """What is asked for: proven by DNS, one wildcard serves all apps."""
        if self.challenge == "dns" and host.partition(".")[2] == self.domain:
            return f"*.{self.domain}"
        return host

    def has(self, host: str) -> bool:
        """Whether a certificate for it is there."""
        return host in self.issued or f"*.{host.partition('.')[2]}" in self.issued

    def tls(self, hosts: Iterable[str]) -> dict[str, Any]:
        """Traefik's `tls` of a router: one certificate a name, so that one bad name spoils no other."""
        wanted = dict.fromkeys(self.name(host) for host in hosts)
        return {"certResolver": RESOLVER, "domains": [{"main": name} for name in wanted]}


def automatic(settings: Settings) -> Automatic | None:
    """What the settings say. Raises UsageError for a challenge there is not."""
    if settings.acme in ("", "off"):
        return None
    if settings.acme not in CHALLENGES:
        raise UsageError(f"PAAS_ACME is {settings.acme!r}", hint=f"off, {', '.join(CHALLENGES)}")
    return Automatic(settings.acme, PUBLIC in settings.acme_directory, settings.domain)


@dataclass(frozen=True, slots=True)
class Refused:
    """What the authority, or the way to it, had against some names."""

    names: tuple[str, ...]
    why: str


def kept(text: str) -> tuple[Certificate, ...]:
    """The certificates in Traefik's file, without their keys; none while it is empty. Raises ValueError when it is
    damaged."""
    whole = json.loads(text) if text.strip() else {}
    entries = (whole.get(RESOLVER) or {}).get("Certificates") or ()
    return tuple(found for entry in entries if (found := _certificate(entry)) is not None)


def _certificate(entry: dict[str, Any]) -> Certificate | None:
    try:
        chain = base64.b64decode(entry["certificate"], validate=True)
        leaf = x509.load_pem_x509_certificate(chain)
        hosts = names_of(leaf)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None
    return Certificate(
        host=str(entry.get("domain", {}).get("main") or hosts[0]),
        chain=chain.decode("ascii", "replace"),
        key=Secret(""),
        names=hosts,
        issuer=plain(leaf.issuer.rfc4514_string()),
        not_after=leaf.not_valid_after_utc.timestamp(),
    )


def names_of(leaf: x509.Certificate) -> tuple[str, ...]:
    """The hosts a certificate is for."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_hosts(found.get_values_for_type(x509.DNSName)))


def _hosts(given: Iterable[str]) -> Iterator[str]:
    for name in given:
        try:
            yield names.host_name(name)
        except UsageError:
            continue


def refused(line: str) -> Refused | None:
    """What a line of Traefik's log says about a certificate that could not be had; None for every other line."""
    if '"error"' not in line or "ACME" not in line:
        return None
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or "error" not in said or not _FAILED.match(message := str(said.get("message", ""))):
        return None
    domains = said.get("domains") or _RENEWED.findall(message) or _DOMAINS.findall(str(said["error"]))
    found = domains if isinstance(domains, list) else [str(domains)]
    hosts = tuple(dict.fromkeys(part for one in found for part in re.split(r"[,\s\[\]\"]+", str(one)) if part))
    return Refused(hosts, plain(str(said["error"])))


_FAILED = re.compile("Unable to obtain ACME certificate|Error renewing ACME certificate")
"""What Traefik 3.7 begins these lines with; the second it says at the level info."""
_RENEWED = re.compile(r"\{Main:(\S+) SANs:")
_DOMAINS = re.compile(r"domains \[([^\]]*)\]")


def plain(text: str) -> str:
    """What somebody else wrote, for terminals: one line, printable, not endless."""
    line = " ".join(text.split())
    return "".join(char if char.isprintable() else "?" for char in line)[:500]
