"""The kernel's list of connections: real ones of this process, and messages as bytes."""

from __future__ import annotations

import socket
import struct
import time
from contextlib import ExitStack

import pytest

from paas.routers.traefik import connections


def message(state: int, *, sent: int = 0, received: int = 0, total: int = 1, size: int = 240) -> bytes:
    info = bytearray(size)
    if size >= 136:
        struct.pack_into("=I", info, 44, sent)
        struct.pack_into("=I", info, 52, received)
        struct.pack_into("=Q", info, 128, total)
    head = bytearray(72)
    head[0], head[1] = socket.AF_INET, state
    struct.pack_into("!H", head, 6, 8000)
    head[24:28] = bytes((10, 0, 0, 7))
    return bytes(head) + struct.pack("=HH", 4 + len(info), 2) + bytes(info)


@pytest.mark.parametrize(
    ("said", "busy"),
    [
        (message(1, sent=10, received=500), True),
        (message(1, sent=500, received=10), False),
        (message(1, sent=20, received=20), False),
        (message(1, sent=20, received=20, total=0), True),
        (message(1, sent=9000, received=5000), True),
        (message(2, size=0), True),
        (message(1, size=104), True),
    ],
    ids=["asked", "answered", "answered at once", "new", "upgraded", "not accepted", "old kernel"],
)
def test_a_connection_is_busy_while_an_answer_is_awaited(said: bytes, busy: bool) -> None:
    (found,) = connections.parsed(said, socket.AF_INET, 1.0)
    assert found == connections.Connection("10.0.0.7:8000", busy)


def test_a_message_that_is_cut_off_is_passed_over() -> None:
    assert list(connections.parsed(b"\x02\x01", socket.AF_INET, 1.0)) == []
    assert len(list(connections.parsed(message(1)[:80], socket.AF_INET, 1.0))) == 1


@pytest.mark.parametrize(("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_requests_on_their_way_are_counted_by_server(family: socket.AddressFamily, host: str) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket(family))
        server.bind((host, 0))
        server.listen(8)
        port = server.getsockname()[1]
        name = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
        for _ in range(3):
            client = stack.enter_context(socket.create_connection((host, port)))
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        # None of them is accepted yet: what waits in the backlog counts.
        assert connections.in_flight([name, "192.0.2.1:80"]) == {name: 3, "192.0.2.1:80": 0}
        accepted = stack.enter_context(server.accept()[0])
        accepted.recv(100)
        accepted.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        deadline = time.monotonic() + 10
        while connections.in_flight([name], idle=60.0)[name] != 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert connections.in_flight([name], idle=60.0)[name] == 2
