"""Certificates for tests, with any dates, keys and names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

NOW = 1_800_000_000.0


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    cert: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        return self.cert.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return key_pem(self.key)


def key_pem(key: Any, password: bytes = b"", kind: PrivateFormat = PrivateFormat.PKCS8) -> str:
    how: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
    text: bytes = key.private_bytes(Encoding.PEM, kind, how)
    return text.decode()


def issued(
    *hosts: str, by: Pair | None = None, key: Any = None, name: str = "", start: float = -10, days: float = 90,
    san: bool = True,
) -> Pair:  # fmt: skip
    """A certificate for the hosts, valid from `start` days from NOW for `days` days, signed `by` (None: itself)."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name or (hosts[0] if hosts else "root"))])
    begin = datetime.fromtimestamp(NOW, UTC) + timedelta(days=start)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.cert.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
    )
    if hosts and san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
    signer = by.key if by else key
    return Pair(builder.sign(signer, None if type(signer).__name__.startswith("Ed") else hashes.SHA256()), key)
