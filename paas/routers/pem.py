"""Pure: PEM text → a checked Certificate. Touches nothing; the time is an argument.

What passes here is served without complaint by the router and accepted by browsers that trust its issuer.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtensionOID, NameOID

from paas.errors import UsageError
from paas.model import names
from paas.model.route import Certificate
from paas.model.secret import Secret

MOST = 10
"""Certificates in one chain: real ones have two to four."""

LEAST_RSA = 2048
"""Bits; browsers refuse shorter keys."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_ENCRYPTED = "decrypt it first: openssl pkey -in KEY -out KEY.plain"


def certificate(chain: str, key: str, now: float) -> Certificate:
    """The certificate of these two PEM texts. Raises UsageError with the reason; it never quotes the key."""
    block, private = _key(key)
    found = _chain(chain)
    leaf = _leaf(found, private)
    _linked(found)
    for one in found:
        _current(one, now)
    hosts = _hosts(leaf)
    return Certificate(
        host=hosts[0],
        # Only what was checked goes on: text between the blocks is dropped.
        chain="".join(one.public_bytes(Encoding.PEM).decode() for one in found),
        key=Secret(f"{block}\n"),
        names=hosts,
        issuer=_common_name(leaf.issuer),
        not_after=leaf.not_valid_after_utc.timestamp(),
    )


def _key(text: str) -> tuple[str, Any]:
    """The key's own block, and the key."""
    kinds = [match[1] for match in _BLOCK.finditer(text)]
    private = [kind for kind in kinds if kind.endswith("PRIVATE KEY")]
    if not private:
        swapped = "CERTIFICATE" in kinds
        raise UsageError(
            "the key holds a certificate instead" if swapped else "the key is not a private key in PEM format",
            hint="give the certificate chain first, then its key",
        )
    if len(private) > 1:
        raise UsageError("the key holds more than one private key", hint="give the one of the certificate")
    if private[0].startswith("ENCRYPTED") or "Proc-Type: 4,ENCRYPTED" in text:
        raise UsageError("the key is encrypted with a passphrase", hint=_ENCRYPTED)
    try:
        # An EC file may begin with its parameters: only the key itself is of interest.
        block = next(match[0] for match in _BLOCK.finditer(text) if match[1].endswith("PRIVATE KEY"))
        key = load_pem_private_key(block.encode(), password=None)
    except TypeError:
        raise UsageError("the key is encrypted with a passphrase", hint=_ENCRYPTED) from None
    except (ValueError, UnsupportedAlgorithm):
        # The library's own words may quote what it read.
        raise UsageError("the key cannot be read", hint="check it with: openssl pkey -in KEY -check -noout") from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < LEAST_RSA:
        raise UsageError(f"the RSA key has {key.key_size} bits; browsers refuse less than {LEAST_RSA}")
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        raise UsageError("the key is of a kind that https cannot use", hint="use RSA, ECDSA or Ed25519")
    return block, key


def _chain(text: str) -> list[x509.Certificate]:
    kinds = {match[1] for match in _BLOCK.finditer(text)}
    if any(kind.endswith("PRIVATE KEY") for kind in kinds):
        raise UsageError(
            "the certificate chain holds a private key", hint="give the chain and the key as two separate files"
        )
    blocks = [match[0] for match in _BLOCK.finditer(text) if match[1] == "CERTIFICATE"]
    if not blocks:
        raise UsageError("there is no certificate in PEM format", hint="it begins with -----BEGIN CERTIFICATE-----")
    if len(blocks) > MOST:
        raise UsageError(
            f"the chain has {len(blocks)} certificates; the limit is {MOST}",
            hint="give the server's own certificate and those between it and the root, not a bundle of roots",
        )
    try:
        return [x509.load_pem_x509_certificate(block.encode()) for block in blocks]
    except ValueError as error:
        raise UsageError(f"a certificate cannot be read: {error}") from error


def _leaf(chain: list[x509.Certificate], key: Any) -> x509.Certificate:
    wanted = _public(key.public_key())
    at = next((index for index, one in enumerate(chain) if _public(one.public_key()) == wanted), None)
    if at is None:
        raise UsageError(
            f"the key does not belong to the certificate of {_common_name(chain[0].subject)}",
            hint="compare: openssl x509 -in CERT -pubkey -noout, and openssl pkey -in KEY -pubout",
        )
    if at:
        raise UsageError(
            "the chain is in the wrong order: the certificate of the key is not the first",
            hint="put the server's certificate first, then the one that signed it, and so on",
        )
    return chain[0]


def _linked(chain: list[x509.Certificate]) -> None:
    for one, issuer in pairwise(chain):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise UsageError(
                f"the chain is in the wrong order: {_common_name(one.subject)} was not issued by "
                f"{_common_name(issuer.subject)}, which follows it",
                hint="put the server's certificate first, then the one that signed it, and so on",
            ) from None


def _current(one: x509.Certificate, now: float) -> None:
    name, start, end = _common_name(one.subject), one.not_valid_before_utc, one.not_valid_after_utc
    if end.timestamp() < now:
        raise UsageError(f"the certificate of {name} expired on {_date(end)}", hint="get a new one from its issuer")
    if start.timestamp() > now:
        raise UsageError(
            f"the certificate of {name} is not valid before {_date(start)}; now it is {_date(_moment(now))}",
            hint="wait, or check this machine's clock",
        )


def _hosts(leaf: x509.Certificate) -> tuple[str, ...]:
    """The hosts of the subject alternative names; browsers read nothing else."""
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except (x509.ExtensionNotFound, ValueError):
        raise UsageError(
            "the certificate names no host (it has no subject alternative names)",
            hint="browsers do not look at the common name any more; ask the issuer for one with the names",
        ) from None
    found: dict[str, None] = {}
    for name in extension.value.get_values_for_type(x509.DNSName):  # type: ignore[attr-defined]
        try:
            found[names.host_name(name)] = None
        except UsageError:
            # A name that no domain here can ever have (`localhost`, `*`, an internal label): of no use, no harm.
            continue
    if not found:
        raise UsageError("the certificate names no host that an app can have", hint="it needs a DNS name with a dot")
    return tuple(found)


def _public(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _common_name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME) or name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    text = str(common[0].value) if common else name.rfc4514_string() or "an unnamed certificate"
    # Anybody can write anything into a certificate, and this goes to terminals.
    return "".join(char if char.isprintable() else "?" for char in text)[:200]


def _moment(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
