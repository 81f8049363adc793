"""From where a request comes: nobody can say so himself, and nobody gets in under another name."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from paas.errors import Denied, PaasError, UsageError
from paas.model.secret import Secret
from paas.server.gate import Gate, networks, peer_address

WORD = "w" * 64
HOST = "paas.example.com"
ROUTER, OTHER = ("127.0.0.1", 8897), ("10.0.0.5", 8800)


async def nothing(*_: object) -> None:
    """The application behind the gate."""


def gate(**changes: Any) -> Gate:
    facts: dict[str, Any] = {"word": Secret(WORD), "port": 8897, "host": HOST, **changes}
    return Gate(nothing, **facts)


def scope(
    headers: list[tuple[str, str]], *, server: tuple[str, int] = ROUTER, client: str = "127.0.0.1",
    method: str = "GET", kind: str = "http",
) -> dict[str, Any]:  # fmt: skip
    raw = [(key.lower().encode(), value.encode()) for key, value in headers]
    scheme = "ws" if kind == "websocket" else "http"
    found = {"type": kind, "server": server, "client": (client, 5), "headers": raw, "scheme": scheme}
    return found if kind == "websocket" else {**found, "method": method}


def routed(*more: tuple[str, str], peer: str = "203.0.113.9", host: str = HOST) -> list[tuple[str, str]]:
    return [("Host", host), ("Paas-Router", WORD), ("X-Forwarded-For", peer), *more]


def test_the_router_says_who_the_client_is_and_what_it_said_goes_no_further() -> None:
    seen = gate().seen(scope(routed(("X-Forwarded-Proto", "https"), ("Accept", "*/*"))))
    assert (seen["client"], seen["scheme"]) == (("203.0.113.9", 0), "https")
    assert [key for key, _ in seen["headers"]] == [b"host", b"accept"]


FALSE = [("X-Forwarded-For", "1.2.3.4"), ("X-Real-Ip", "1.2.3.4"), ("Forwarded", "for=1.2.3.4"), ("Paas-Router", WORD),
         ("X-Forwarded-Host", "evil.example")]  # fmt: skip


@pytest.mark.parametrize("said", FALSE)
def test_on_another_listener_nobody_is_believed_not_even_with_the_word(said: tuple[str, str]) -> None:
    seen = gate().seen(scope([("Host", "any.example"), said], server=OTHER, client="198.51.100.7"))
    assert seen["client"][0] == "198.51.100.7"
    assert [key for key, _ in seen["headers"]] == [b"host"]


def test_at_the_socket_the_user_stays_the_client_whatever_he_says() -> None:
    seen = gate().seen(scope(routed(peer="1.2.3.4"), server=("/x.sock", 0), client="unix:anna"))
    assert seen["client"][0] == "unix:anna"


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", HOST), ("X-Forwarded-For", "1.2.3.4")],
        [("Host", HOST), ("Paas-Router", ""), ("X-Forwarded-For", "1.2.3.4")],
        [("Host", HOST), ("Paas-Router", "w" * 63), ("X-Forwarded-For", "1.2.3.4")],
        [("Host", HOST), ("Paas-Router", "x" * 64), ("X-Forwarded-For", "1.2.3.4")],
        [*routed(), ("Paas-Router", "x" * 64)],
        [*routed(), ("Paas-Router", WORD)],
    ],
)
def test_without_the_routers_word_its_listener_lets_nobody_in(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(Denied):
        gate().seen(scope(headers))


def test_a_platform_without_a_word_lets_nobody_in_with_an_empty_one() -> None:
    with pytest.raises(Denied):
        gate(word=Secret("")).seen(scope([("Host", HOST), ("Paas-Router", ""), ("X-Forwarded-For", "1.2.3.4")]))


@pytest.mark.parametrize("headers", [[("Host", HOST), ("Paas-Router", WORD)], routed(peer=""), routed(peer="unknown"),
                                     routed(peer="unix:root"), routed(peer="1.2.3.4, ;")])  # fmt: skip
def test_a_client_whose_address_was_taken_away_is_refused_and_not_taken_for_the_router(
    headers: list[tuple[str, str]],
) -> None:
    with pytest.raises(UsageError):
        gate().seen(scope(headers))


@pytest.mark.parametrize(
    ("said", "trusted", "client"),
    [
        ("6.6.6.6, 203.0.113.9", "", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.1.0.4", "10.1.0.0/16", "203.0.113.9"),
        ("6.6.6.6, 10.1.0.3, 10.1.0.4", "10.1.0.0/16", "6.6.6.6"),
        ("10.1.0.3, 10.1.0.4", "10.1.0.0/16", "10.1.0.3"),
        ("junk, 10.1.0.4", "10.1.0.0/16", "10.1.0.4"),
        ("2001:db8::7", "", "2001:db8::7"),
        ("::ffff:203.0.113.9", "", "203.0.113.9"),
    ],
)
def test_of_several_addresses_the_last_that_is_no_trusted_proxy_counts(said: str, trusted: str, client: str) -> None:
    found = gate(trusted=networks(trusted)).seen(scope(routed(peer=said)))
    assert found["client"][0] == client


@pytest.mark.parametrize("host", ["evil.example", f"{HOST}.evil.example", f"evil.{HOST}", "", "127.0.0.1", f"{HOST}@x"])
def test_another_host_name_is_not_this_server(host: str) -> None:
    with pytest.raises(UsageError) as caught:
        gate().seen(scope(routed(host=host)))
    assert caught.value.status == 421


@pytest.mark.parametrize("host", [HOST, HOST.upper(), f"{HOST}:8443", f"{HOST}."])
def test_the_platforms_host_is_known_in_every_way_it_is_written(host: str) -> None:
    gate().seen(scope(routed(host=host)))


def test_two_host_headers_are_not_chosen_from() -> None:
    with pytest.raises(UsageError):
        gate().seen(scope(routed(("Host", "evil.example"))))


def test_a_name_that_leads_to_loopback_is_refused_there() -> None:
    local = ("127.0.0.1", 8800)
    with pytest.raises(UsageError):
        gate().seen(scope([("Host", "rebound.evil.example:8800")], server=local))
    for host in ("127.0.0.1:8800", "[::1]:8800", "localhost:8800", HOST):
        gate().seen(scope([("Host", host)], server=local))


@pytest.mark.parametrize(("method", "kind"), [("POST", "http"), ("DELETE", "http"), ("PUT", "http"), ("", "websocket")])
@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"http://{HOST}", f"https://{HOST}.evil.example"])
def test_a_page_of_another_origin_can_change_nothing(method: str, kind: str, origin: str) -> None:
    with pytest.raises(Denied):
        gate().seen(scope(routed(("Origin", origin)), method=method, kind=kind))


def test_the_platforms_own_page_may_and_other_pages_may_be_answered_what_a_browser_will_not_show_them() -> None:
    gate().seen(scope(routed(("Origin", f"https://{HOST}")), method="POST"))
    gate().seen(scope(routed(("Origin", f"https://{HOST}")), kind="websocket"))
    gate().seen(scope(routed(("Origin", "https://evil.example"))))


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("unix:anna", "unix:anna"),
    ],
)
def test_guesses_are_counted_by_what_a_person_cannot_change(client: str, counted: str) -> None:
    assert peer_address({"client": (client, 1)}) == counted


@pytest.mark.parametrize("text", ["10.0.0.0/40", "proxy.example", "10.0.0.1-9"])
def test_a_trusted_proxy_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(PaasError, match="PAAS_TRUSTED_PROXIES"):
        networks(text)


def test_a_refusal_is_an_answer_in_json_and_a_websocket_is_closed_before_it_opens() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(gate()(scope([("Host", HOST)]), nothing, send))
    asyncio.run(gate()(scope([("Host", HOST)], kind="websocket"), nothing, send))
    assert sent[0]["status"] == 403
    assert json.loads(sent[1]["body"])["code"] == "Denied"
    assert sent[2]["type"] == "websocket.close"
