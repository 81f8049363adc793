"""Is it from who has the secret, and is it new? Every comparison takes the same time whatever it compares.

GitHub, Gitea and Forgejo sign the body. GitLab sends the secret itself, or signs as Standard Webhooks do; that one and
our plain form sign a time as well, which may be five minutes off.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace

from paas.errors import Denied
from paas.model.deploy_hook import Provider
from paas.model.secret import Secret

WINDOW = 300.0
"""Seconds that a signed time may be off, either way."""
PREFIX = "whsec_"
"""Begins a secret of Standard Webhooks; base64 follows."""
LONGEST_ID = 200


class Unsigned(Denied):
    """Not signed, or not with this secret."""

    status = 401

    @property
    def code(self) -> str:
        """On the wire it is a Denied like the others."""
        return "Denied"


@dataclass(frozen=True, slots=True)
class Signed:
    """Who sent it had the secret. `said` is the sender's id, `event` its word for what happened; one whose `marks` are
    known was here before."""

    said: str
    event: str
    marks: tuple[str, ...]


def verified(provider: Provider, secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> Signed:
    """What the headers (lower-case) say, once the signature holds. Raises Unsigned. An empty secret lets nobody in."""
    if not secret.reveal():
        raise Unsigned("this hook has no secret: nothing is taken")
    match provider:
        case Provider.GITHUB:
            _body_signed(headers.get("x-hub-signature-256", ""), "sha256=", secret, body)
            return _signed(headers, "x-github-delivery", "x-github-event", body)
        case Provider.GITEA | Provider.FORGEJO:
            name = "forgejo" if headers.get("x-forgejo-signature") else "gitea"
            _body_signed(headers.get(f"x-{name}-signature", ""), "", secret, body)
            return _signed(headers, f"x-{name}-delivery", f"x-{name}-event", body)
        case Provider.GITLAB:
            return _gitlab(secret, headers, body, now)
        case Provider.SIGNED:
            if "webhook-signature" in headers:
                return _standard(secret, headers, body, now)
            return _plain(secret, headers, body, now)


def standard_headers(secret: Secret, message_id: str, now: float, body: bytes) -> dict[str, str]:
    """The headers of a message that is signed as Standard Webhooks are (https://www.standardwebhooks.com)."""
    stamp = str(int(now))
    signature = base64.b64encode(_standard_digest(secret, message_id, stamp, body)).decode()
    return {"Webhook-Id": message_id, "Webhook-Timestamp": stamp, "Webhook-Signature": f"v1,{signature}"}


def key_of(secret: Secret) -> bytes:
    """The key that a secret stands for: what follows `whsec_` out of base64, anything else as it is."""
    text = secret.reveal()
    if text.startswith(PREFIX):
        try:
            return base64.b64decode(text.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            return text.encode()
    return text.encode()


def _gitlab(secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> Signed:
    if "webhook-signature" in headers:
        found = _standard(secret, headers, body, now)
        return Signed(found.said, _header(headers, "x-gitlab-event"), found.marks)
    if not _same(headers.get("x-gitlab-token", "").encode(), secret.reveal().encode()):
        raise Unsigned("the token is not the hook's secret", hint="it comes as X-Gitlab-Token")
    # The same for every try of one delivery; the UUID of the event is also that of events it causes.
    name = "idempotency-key" if headers.get("idempotency-key") else "x-gitlab-event-uuid"
    found = _signed(headers, name, "x-gitlab-event", body)
    # Nothing of it says when it was: going back and forth between two commits is told twice in the same words. Who has
    # the token could make up a body as well, so nothing is lost by believing its id.
    return replace(found, marks=found.marks[:1])


def _standard(secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> Signed:
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    expected = base64.b64encode(_standard_digest(secret, message_id, stamp, body))
    given = [part.partition(",") for part in headers.get("webhook-signature", "").split(" ")[:10]]
    matches = [_same(text.encode(), expected) for version, _, text in given if version == "v1"]
    if not message_id or not any(matches):
        raise Unsigned("the signature does not fit the body", hint="v1: HMAC-SHA256 of `id.timestamp.body`")
    _check_time(stamp, now)
    return Signed(_cut(message_id), "", (_mark("id", message_id), _mark("body", stamp, body)))


def _plain(secret: Secret, headers: Mapping[str, str], body: bytes, now: float) -> Signed:
    stamp = headers.get("x-paas-timestamp", "")
    _body_signed(headers.get("x-paas-signature", ""), "sha256=", secret, stamp.encode() + b"." + body)
    _check_time(stamp, now)
    mark = _mark("body", stamp, body)
    return Signed(mark.partition(":")[2][:16], "", (mark,))


def _standard_digest(secret: Secret, message_id: str, stamp: str, body: bytes) -> bytes:
    content = f"{message_id}.{stamp}.".encode() + body
    return hmac.digest(key_of(secret), content, hashlib.sha256)


def _body_signed(given: str, prefix: str, secret: Secret, body: bytes) -> None:
    expected = prefix + hmac.digest(secret.reveal().encode(), body, hashlib.sha256).hex()
    if not _same(given.encode("utf-8", "replace"), expected.encode()):
        said = "the signature does not fit the body" if given else "it is not signed"
        raise Unsigned(said, hint="give the sender the hook's secret, and have it send JSON")


def _same(given: bytes, expected: bytes) -> bool:
    return hmac.compare_digest(given, expected)


def _check_time(stamp: str, now: float) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 13) or abs(int(stamp) - now) > WINDOW:
        raise Unsigned("it was signed at another time", hint=f"the clocks may differ by {WINDOW:g} s")


def _signed(headers: Mapping[str, str], said: str, event: str, body: bytes) -> Signed:
    """The id is not signed, so a body that was here before is a replay whatever the id says."""
    found = _header(headers, said)
    marks = ((_mark("id", found),) if found else ()) + (_mark("body", _header(headers, event), body),)
    return Signed(found, _header(headers, event), marks)


def _header(headers: Mapping[str, str], name: str) -> str:
    return _cut(headers.get(name, ""))


def _cut(text: str) -> str:
    return "".join(char for char in text[:LONGEST_ID] if char.isprintable())


def _mark(kind: str, *parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update((part.encode("utf-8", "replace") if isinstance(part, str) else part) + b"\0")
    return f"{kind}:{digest.hexdigest()}"
