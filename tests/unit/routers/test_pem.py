"""Certificates: what is taken, and what is refused with which reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import PrivateFormat

from paas.errors import UsageError
from paas.routers import pem
from tests.unit.routers.authority import NOW, Pair, issued, key_pem

ROOT = issued(name="Root CA", days=3650, start=-100)
MIDDLE = issued(name="Middle CA", by=ROOT, days=2000, start=-50)
LEAF = issued("www.example.com", "*.example.com", "example.com", by=MIDDLE)


def test_a_chain_and_its_key_are_taken() -> None:
    found = pem.certificate(LEAF.pem + MIDDLE.pem, LEAF.key_pem, NOW)
    assert found.host == "www.example.com"
    assert found.names == ("www.example.com", "*.example.com", "example.com")
    assert found.issuer == "Middle CA"
    assert found.not_after == LEAF.cert.not_valid_after_utc.timestamp()
    assert found.key.reveal().strip() == LEAF.key_pem.strip()
    assert "PRIVATE" not in repr(found)


def test_a_certificate_alone_is_taken() -> None:
    assert pem.certificate(LEAF.pem, LEAF.key_pem, NOW).host == "www.example.com"


def test_text_between_the_blocks_is_dropped() -> None:
    found = pem.certificate(f"bag attributes {{{{ . }}}}\n{LEAF.pem}", f"junk\n{LEAF.key_pem}", NOW)
    assert found.chain == LEAF.pem
    assert "junk" not in found.key.reveal()


@pytest.mark.parametrize("make", [
    lambda: rsa.generate_private_key(65537, 2048), lambda: ec.generate_private_key(ec.SECP384R1()),
    ed25519.Ed25519PrivateKey.generate,
])  # fmt: skip
def test_the_usual_kinds_of_key_are_taken(make: Callable[[], object]) -> None:
    pair = issued("a.example.com", key=make())
    assert pem.certificate(pair.pem, pair.key_pem, NOW).host == "a.example.com"


def test_a_traditional_key_with_parameters_in_front_is_taken() -> None:
    text = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    text += key_pem(LEAF.key, kind=PrivateFormat.TraditionalOpenSSL)
    found = pem.certificate(LEAF.pem, text, NOW)
    assert found.key.reveal().startswith("-----BEGIN EC PRIVATE KEY-----")


def test_names_become_hosts() -> None:
    pair = issued("WWW.Example.COM", "localhost", "xn--mnchen-3ya.de", "www.example.com")
    assert pem.certificate(pair.pem, pair.key_pem, NOW).names == ("www.example.com", "xn--mnchen-3ya.de")


OTHER = issued("other.example.com")
EXPIRED = issued("old.example.com", start=-100, days=90)
EARLY = issued("new.example.com", start=3)
NAMELESS = issued("cn.example.com", san=False)
LOCAL = issued("localhost")
WEAK = issued("weak.example.com", key=rsa.generate_private_key(65537, 1024))
OLD_MIDDLE = issued(name="Old CA", by=ROOT, start=-100, days=50)
UNDER_OLD = issued("a.example.com", by=OLD_MIDDLE)

REFUSED: dict[str, tuple[str, str, str]] = {
    "keys swapped between two certificates": (LEAF.pem, OTHER.key_pem, "does not belong to the certificate of www"),
    "chain and key in each other's place": (LEAF.key_pem, LEAF.pem, "the key holds a certificate instead"),
    "the key in both places": (LEAF.key_pem, LEAF.key_pem, "the certificate chain holds a private key"),
    "the key inside the chain": (LEAF.pem + LEAF.key_pem, LEAF.key_pem, "the certificate chain holds a private key"),
    "an encrypted key": (LEAF.pem, key_pem(LEAF.key, b"secret"), "encrypted with a passphrase"),
    "an encrypted key of the old kind": (
        LEAF.pem, key_pem(LEAF.key, b"secret", PrivateFormat.TraditionalOpenSSL), "encrypted with a passphrase",
    ),
    "the root first": (ROOT.pem + MIDDLE.pem + LEAF.pem, LEAF.key_pem, "wrong order"),
    "the middle missing": (LEAF.pem + ROOT.pem, LEAF.key_pem, "was not issued by Root CA"),
    "the chain turned round behind the first": (LEAF.pem + ROOT.pem + MIDDLE.pem, LEAF.key_pem, "wrong order"),
    "expired": (EXPIRED.pem, EXPIRED.key_pem, "old.example.com expired on 20"),
    "not valid yet": (EARLY.pem, EARLY.key_pem, "is not valid before"),
    "an expired one in the middle": (UNDER_OLD.pem + OLD_MIDDLE.pem, UNDER_OLD.key_pem, "Old CA expired"),
    "no names": (NAMELESS.pem, NAMELESS.key_pem, "names no host"),
    "no name of use": (LOCAL.pem, LOCAL.key_pem, "no host that an app can have"),
    "a weak key": (WEAK.pem, WEAK.key_pem, "1024 bits"),
    "too many": (LEAF.pem * 11, LEAF.key_pem, "11 certificates; the limit is 10"),
    "no PEM": ("hello", LEAF.key_pem, "no certificate in PEM format"),
    "no key": (LEAF.pem, "hello", "not a private key in PEM format"),
    "two keys": (LEAF.pem, LEAF.key_pem + OTHER.key_pem, "more than one private key"),
    "a broken certificate": (LEAF.pem.replace("MII", "AAA"), LEAF.key_pem, "cannot be read"),
    "a broken key": (LEAF.pem, LEAF.key_pem[:60] + "////" + LEAF.key_pem[64:], "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reason(case: str) -> None:
    chain, key, reason = REFUSED[case]
    with pytest.raises(UsageError) as caught:
        pem.certificate(chain, key, NOW)
    assert reason in caught.value.message
    body = "".join(key.splitlines()[1:-1])[:20]
    assert not body or body not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("key", [dsa.generate_private_key(2048), x25519.X25519PrivateKey.generate()])
def test_keys_that_https_cannot_use_are_refused(key: object) -> None:
    with pytest.raises(UsageError, match="kind that https cannot use"):
        pem.certificate(LEAF.pem, key_pem(key), NOW)


def test_what_a_certificate_calls_itself_cannot_disturb_a_terminal() -> None:
    pair = issued("a.example.com", by=Pair(issued(name="Evil\x1b[2J").cert, ROOT.key))
    assert "\x1b" not in pem.certificate(pair.pem, pair.key_pem, NOW).issuer
