"""Address ranges for apps' networks."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.engines.docker_networks import free, parse_ranges, routes, taken
from paas.errors import ConfigError

RANGE = parse_ranges("10.213.0.0/16")


def test_networks_are_carved_in_order_past_what_is_taken() -> None:
    assert free(RANGE, []) == IPv4Network("10.213.0.0/26")
    occupied = [IPv4Network("10.213.0.0/25"), IPv4Network("10.213.0.130/32"), IPv4Network("192.168.0.0/16")]
    assert free(RANGE, occupied) == IPv4Network("10.213.0.192/26")


def test_a_full_range_gives_none_and_the_next_range_is_used() -> None:
    assert free(RANGE, [IPv4Network("10.0.0.0/8")]) is None
    both = parse_ranges("10.213.0.0/16, 172.30.0.0/24")
    assert free(both, [IPv4Network("10.0.0.0/8")]) == IPv4Network("172.30.0.0/26")


def test_a_range_smaller_than_a_network_is_used_whole() -> None:
    assert free(parse_ranges("10.9.8.0/28"), []) == IPv4Network("10.9.8.0/28")


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(17, 32)), max_size=30))
def test_a_carved_network_never_overlaps(found: list[tuple[int, int, int]]) -> None:
    occupied = [IPv4Network((f"10.213.{a}.{b}", prefix), strict=False) for a, b, prefix in found]
    subnet = free(RANGE, occupied)
    assert subnet is None or (
        subnet.prefixlen == 26 and subnet.subnet_of(RANGE[0]) and not any(subnet.overlaps(one) for one in occupied)
    )


def test_ranges_that_are_none_are_refused_with_the_setting() -> None:
    with pytest.raises(ConfigError, match="PAAS_SUBNETS"):
        parse_ranges("10.213.0.1/16")


def test_the_engines_networks_are_read_ipv6_and_none_left_out() -> None:
    listed = [
        {"IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}, {"Subnet": "fd00::/64"}]}},
        {"IPAM": {"Config": None}},
        {"IPAM": None},
    ]
    assert taken(listed) == {IPv4Network("172.17.0.0/16")}


def test_the_machines_routes_are_read_without_the_default_one() -> None:
    text = (
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "tun0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        "broken\n"
    )
    assert routes(text) == {IPv4Network("10.213.0.0/16")}
    assert routes("") == set()
