"""Who sent it: right and wrong signatures, times, and marks of what was here before."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas.model.deploy_hook import Provider
from paas.model.secret import Secret
from paas.webhooks.signature import Unsigned, key_of, standard_headers, verified
from tests.unit.webhooks.say import SECRET, github

NOW = 1_700_000_000.0
BODY = b'{"a": 1}'


def hexed(secret: str = SECRET, data: bytes = BODY) -> str:
    return hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()


def plain(secret: str = SECRET, at: float = NOW, data: bytes = BODY) -> dict[str, str]:
    stamp = str(int(at))
    return {"x-paas-timestamp": stamp, "x-paas-signature": f"sha256={hexed(secret, stamp.encode() + b'.' + data)}"}


def standard(secret: str = SECRET, at: float = NOW, data: bytes = BODY) -> dict[str, str]:
    return {name.lower(): value for name, value in standard_headers(Secret(secret), "m-1", at, data).items()}


GOOD = {
    "github": (Provider.GITHUB, github(BODY)[0]),
    "gitea": (Provider.GITEA, {"x-gitea-signature": hexed(), "x-gitea-event": "push", "x-gitea-delivery": "d"}),
    "forgejo": (Provider.FORGEJO, {"x-forgejo-signature": hexed(), "x-forgejo-event": "push"}),
    "forgejo as gitea": (Provider.FORGEJO, {"x-gitea-signature": hexed(), "x-gitea-event": "push"}),
    "gitlab": (Provider.GITLAB, {"x-gitlab-token": SECRET, "x-gitlab-event": "Push Hook", "idempotency-key": "k"}),
    "gitlab signed": (Provider.GITLAB, {**standard(), "x-gitlab-event": "Push Hook"}),
    "plain": (Provider.SIGNED, plain()),
    "standard": (Provider.SIGNED, standard()),
}
each = pytest.mark.parametrize(("provider", "headers"), GOOD.values(), ids=GOOD)


@each
def test_what_is_signed_with_the_secret_is_taken(provider: Provider, headers: dict[str, str]) -> None:
    assert verified(provider, Secret(SECRET), headers, BODY, NOW).marks


@each
def test_another_secret_is_refused(provider: Provider, headers: dict[str, str]) -> None:
    with pytest.raises(Unsigned) as refused:
        verified(provider, Secret("another-secret-of-some-length"), headers, BODY, NOW)
    assert (refused.value.status, refused.value.code) == (401, "Denied")


@each
def test_an_empty_secret_lets_nobody_in(provider: Provider, headers: dict[str, str]) -> None:
    for empty in (headers, {}, {"x-gitlab-token": ""}, {"x-hub-signature-256": f"sha256={hexed('')}"}):
        with pytest.raises(Unsigned):
            verified(provider, Secret(""), empty, BODY, NOW)


@each
def test_another_body_is_refused_where_the_body_is_signed(provider: Provider, headers: dict[str, str]) -> None:
    if "x-gitlab-token" in headers:
        return
    with pytest.raises(Unsigned):
        verified(provider, Secret(SECRET), headers, BODY + b" ", NOW)


@each
def test_what_is_not_signed_is_refused(provider: Provider, headers: dict[str, str]) -> None:
    signing = ("x-hub-signature-256", "x-gitea-signature", "x-forgejo-signature", "x-gitlab-token", "x-paas-signature",
               "webhook-signature")  # fmt: skip
    without = {name: value for name, value in headers.items() if name not in signing}
    emptied = {name: "" if name in signing else value for name, value in headers.items()}
    odd = {name: "sha256=é\x00" if name in signing else value for name, value in headers.items()}
    for given_headers in (without, emptied, odd, {}):
        with pytest.raises(Unsigned):
            verified(provider, Secret(SECRET), given_headers, BODY, NOW)


@pytest.mark.parametrize(
    "signature", [hexed(), f"sha1={hexed()}", f"sha256={hexed()[:-1]}", f"sha256={hexed()}0", "sha256="]
)
def test_a_signature_of_another_shape_is_none(signature: str) -> None:
    with pytest.raises(Unsigned):
        verified(Provider.GITHUB, Secret(SECRET), {"x-hub-signature-256": signature}, BODY, NOW)


@settings(deadline=None)
@given(st.binary(max_size=64), st.text(max_size=80))
def test_no_made_up_signature_is_taken(data: bytes, signature: str) -> None:
    for name, provider in (("x-hub-signature-256", Provider.GITHUB), ("x-gitlab-token", Provider.GITLAB)):
        with pytest.raises(Unsigned):
            verified(provider, Secret(SECRET), {name: signature}, data, NOW)


@pytest.mark.parametrize("off", [-301.0, 301.0, -1e6, 1e6])
@pytest.mark.parametrize("sign", [plain, standard])
def test_another_time_is_refused(sign: object, off: float) -> None:
    with pytest.raises(Unsigned, match="another time"):
        verified(Provider.SIGNED, Secret(SECRET), sign(at=NOW + off), BODY, NOW)  # type: ignore[operator]


@pytest.mark.parametrize("stamp", ["", "x", "-5", "1e9", "٣", "9" * 40])
def test_a_time_that_is_none_is_refused(stamp: str) -> None:
    digest = hexed(data=stamp.encode() + b"." + BODY)
    with pytest.raises(Unsigned):
        verified(
            Provider.SIGNED,
            Secret(SECRET),
            {"x-paas-timestamp": stamp, "x-paas-signature": f"sha256={digest}"},
            BODY,
            NOW,
        )


def test_the_same_body_is_known_again_under_another_id() -> None:
    first = verified(Provider.GITHUB, Secret(SECRET), github(BODY, delivery="d-1")[0], BODY, NOW)
    again = verified(Provider.GITHUB, Secret(SECRET), github(BODY, delivery="d-2")[0], BODY, NOW)
    other = verified(Provider.GITHUB, Secret(SECRET), github(b"{}", delivery="d-3")[0], b"{}", NOW)
    assert set(first.marks) & set(again.marks)
    assert not set(first.marks) & set(other.marks)


def test_a_push_back_and_forth_on_gitlab_is_no_replay_but_the_same_delivery_is() -> None:
    headers = GOOD["gitlab"][1]
    first, again, other = (
        verified(Provider.GITLAB, Secret(SECRET), {**headers, "idempotency-key": key}, BODY, NOW).marks
        for key in ("k-1", "k-1", "k-2")
    )
    assert set(first) & set(again)
    assert not set(first) & set(other)
    nameless = {name: value for name, value in headers.items() if name != "idempotency-key"}
    assert verified(Provider.GITLAB, Secret(SECRET), nameless, BODY, NOW).marks, "an old GitLab names none"


def test_standard_webhooks_fit_the_published_example() -> None:
    """The example of the Standard Webhooks specification."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body, stamp, message_id = b'{"test": 2432232314}', 1614265330, "msg_p5jXN8AQM9LWM0D4loKWxJek"
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert standard_headers(secret, message_id, stamp, body)["Webhook-Signature"] == expected
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": f"v1,AAAA v2,x {expected}",
    }
    assert verified(Provider.SIGNED, secret, headers, body, stamp).said == message_id


def test_a_key_is_what_stands_behind_its_prefix() -> None:
    assert key_of(Secret("whsec_" + base64.b64encode(b"key").decode())) == b"key"
    assert key_of(Secret("whsec_not base64!")) == b"whsec_not base64!"
    assert key_of(Secret("plain")) == b"plain"
