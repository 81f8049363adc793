"""Asks an https port which certificate it serves for a host."""

from __future__ import annotations

import hashlib
import socket
import ssl

TIMEOUT = 2.0


def fingerprint(pem: str) -> str:
    """The SHA-256 of the first certificate of a chain."""
    end = "-----END CERTIFICATE-----"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[: pem.index(end) + len(end)].strip())).hexdigest()


def served(address: str, port: int, host: str) -> str:
    """The SHA-256 of the certificate served for `host`; empty when nothing is."""
    context = ssl.create_default_context()
    # Which certificate it is matters here, not whether this machine trusts it.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError:
        return ""
