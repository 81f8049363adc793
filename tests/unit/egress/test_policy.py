"""Which addresses the platform connects to: what is public, what only looks it, and what the operator allows."""

from __future__ import annotations

import contextlib
import socket
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.egress.connect import Place, connected, found, is_ours
from paas.egress.policy import ANYWHERE, Policy, Refused, literal
from paas.errors import ConfigError, Denied, UsageError

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "2a00:1450:4001::5"]
REFUSED = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "192.0.2.1",
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::7f00:1", "::a00:1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "fec0::1", "5f00::1", "3fff::1", "::ffff:0:10.0.0.1", "192.0.0.8",
    "192.88.99.1",
]  # fmt: skip


def answering(*addresses: str) -> Any:
    """A resolver that says this of every name."""
    return lambda host, port, **_: [(0, 0, 0, "", (address, port)) for address in addresses]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert Policy().reason(ip_address(address)) == ""


@pytest.mark.parametrize("address", REFUSED)
def test_this_machine_private_networks_and_metadata_are_refused_however_they_are_written(address: str) -> None:
    assert Policy().reason(ip_address(address))
    with pytest.raises(Denied):
        found(f"[{address}]" if ":" in address else address, 80, Policy())


@given(st.ip_addresses(v=4))
def test_an_address_inside_an_ipv6_address_is_judged_as_itself(address: Any) -> None:
    refused = bool(Policy().reason(address))
    for text in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert bool(Policy().reason(ip_address(text))) == refused, text


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "127.0.0.01", "1.2.3", "10.0.0.1.", "0x", "1",
        "fe80::1%eth0", "[fe80::1%25eth0]", "[::1", "::1]x", "a b", "a\nb", "", "-x", "a..b", "ex%61mple.com", "a@b",
        "127.0.0.1:80", "ⓛocalhost", "127。0。0。1", "x" * 254, "evil.com\\.good.com",
    ],
)  # fmt: skip
def test_hosts_that_are_written_oddly_are_neither_names_nor_addresses(host: str) -> None:
    with pytest.raises(UsageError):
        literal(host)


@pytest.mark.parametrize("host", ["example.com", "example.com.", "my_service", "xn--bcher-kva.example", "0x.example"])
def test_names_are_left_to_the_resolver(host: str) -> None:
    assert literal(host) is None


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("93.184.216.34", "10.0.0.1"), ("93.184.216.34", "::1")])
def test_a_name_is_refused_when_only_one_of_its_addresses_is(addresses: tuple[str, ...]) -> None:
    with pytest.raises(Refused) as refused:
        found("example.com", 443, Policy(), resolve=answering(*addresses))
    assert "PAAS_EGRESS_ALLOW=example.com" in refused.value.hint
    assert "10.0.0.1" not in str(refused.value.as_dict()), "what an internal name means is nobody's business"


def test_a_name_is_asked_once_and_the_connection_goes_to_what_it_meant_then() -> None:
    answers = [("93.184.216.34",), ("127.0.0.1",)]

    def rebinding(host: str, port: int, **_: object) -> Any:
        return answering(*answers.pop(0))(host, port)

    place = found("example.com", 443, Policy(), resolve=rebinding)
    assert [str(address) for address in place.addresses] == ["93.184.216.34"]
    assert len(answers) == 1


def test_a_connection_takes_the_first_address_that_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        place = Place("example.com", port, (ip_address("127.0.0.2"), ip_address("127.0.0.1")))
        with connected(place, 5) as connection:
            assert connection.getpeername() == ("127.0.0.1", port)


@pytest.mark.timeout(40)
def test_addresses_that_do_not_answer_share_the_time() -> None:
    with contextlib.ExitStack() as kept:
        open_one = kept.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = open_one.getsockname()[1]
        kept.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(4):  # so many that the next one is not answered
            waiting = kept.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        silent = (ip_address("127.0.0.2"),) * 99
        with pytest.raises(TimeoutError):
            connected(Place("example.com", port, silent), 1)
        with connected(Place("example.com", port, (*silent, ip_address("127.0.0.1"))), 1) as connection:
            assert (connection.getpeername()[0], connection.gettimeout()) == ("127.0.0.1", 1)


def test_a_name_that_means_nothing_is_said_so() -> None:
    def nothing(*_: object, **__: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(ConfigError, match="cannot be resolved"):
        found("no.example", 443, Policy(), resolve=nothing)


def test_the_machines_own_addresses_are_known() -> None:
    assert is_ours(ip_address("127.0.0.1"))
    assert not is_ours(ip_address("93.184.216.34"))


@pytest.mark.parametrize(
    ("allow", "host", "addresses", "may"),
    [
        ("10.1.0.0/16", "git.corp", ("10.1.2.3",), True),
        ("10.1.0.0/16", "git.corp", ("10.2.2.3",), False),
        ("10.1.0.0/16", "git.corp", ("::ffff:10.1.2.3",), True),
        ("git.corp", "git.corp", ("10.2.2.3",), True),
        ("git.corp", "GIT.corp.", ("10.2.2.3",), True),
        ("git.corp", "evil-git.corp", ("10.2.2.3",), False),
        ("*.corp", "git.corp", ("10.2.2.3",), True),
        ("*.corp", "corp", ("10.2.2.3",), False),
        ("*.corp", "evilcorp", ("10.2.2.3",), False),
        ("a.example, 127.0.0.1  10.0.0.0/8", "127.0.0.1", ("127.0.0.1",), True),
        ("fd00::/8", "git.corp", ("fd00::5",), True),
    ],
)
def test_what_the_operator_allows_is_reached(allow: str, host: str, addresses: tuple[str, ...], may: bool) -> None:
    policy = Policy.of(allow)
    if may:
        assert found(host, 443, policy, resolve=answering(*addresses))
        return
    with pytest.raises(Refused):
        found(host, 443, policy, resolve=answering(*addresses))


def test_the_platforms_own_range_is_refused_also_where_it_is_public() -> None:
    policy = Policy.of("", "198.51.100.0/24,11.0.0.0/16")
    assert policy.reason(ip_address("11.0.3.4")) == "a network of the platform"
    assert policy.reason(ip_address("11.1.3.4")) == ""


def test_who_could_go_anywhere_without_the_platform_may_with_it() -> None:
    assert found("anything.corp", 22, ANYWHERE, resolve=answering("10.0.0.1")).trusted


@pytest.mark.parametrize("allow", ["http://a.example", "10.0.0.0/33", "*", "a b/c", "*.*.x", "1.2.3", "a..b"])
def test_an_entry_that_is_neither_host_nor_range_is_refused(allow: str) -> None:
    with pytest.raises(ConfigError, match="PAAS_EGRESS_ALLOW"):
        Policy.of(allow)
