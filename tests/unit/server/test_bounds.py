"""What a client may put into the server's memory, with a login and without one."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, cast

import httpx2
import pytest

from paas.errors import Cancelled
from paas.requests.sessions import RunCommand
from paas.server.parsing import AT_ONCE
from paas.server.sessions import WINDOW, SocketTerminal
from tests.unit.server.stub import Running

if TYPE_CHECKING:
    from fastapi import WebSocket

TOKEN = {"Authorization": "Bearer let-me-in"}


def test_who_shows_no_login_brings_no_large_body(server: Running) -> None:
    """Neither one that is announced, nor one that just comes."""
    code = b'{"code": "' + b"x" * 10_000 + b'"}'
    for content in (code, iter([code[:5000], code[5000:]])):
        with httpx2.Client(base_url=f"http://{server.settings.listen}") as http:
            answer = http.post("/login", content=content)
        assert (answer.status_code, answer.json()["message"]) == (422, "the body has more than 4096 bytes")
    assert not server.door.seen


def test_whoever_does_not_send_what_they_announced_is_not_waited_for(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paas.server.parsing.STRANGERS_SECONDS", 0.2)
    host, port = server.settings.listen.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        slow.sendall(f"POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n{{".encode())
        answer = slow.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 422 ")
    assert not server.door.seen


def test_few_large_bodies_lie_in_memory_at_a_time_and_small_requests_do_not_wait(
    server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = server.settings.listen.split(":")
    head = f"PATCH /apps/shop/config HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer let-me-in\r\n"
    slow = []
    server.operations.go.set()
    try:
        for _ in range(2 * AT_ONCE):
            slow.append(socket.create_connection((host, int(port))))
            slow[-1].sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode())
        large = {"set": {"A": "x" * 100_000}}
        with httpx2.Client(base_url=f"http://{server.settings.listen}", headers=TOKEN, timeout=30) as http:
            assert http.patch("/apps/shop/config", json={"set": {"A": "x"}}).status_code == 200
            with pytest.raises(httpx2.ReadTimeout):
                http.patch("/apps/shop/config", json=large, timeout=0.5)
            for one in slow:
                one.close()
            assert http.patch("/apps/shop/config", json=large).status_code == 200
    finally:
        for one in slow:
            one.close()
    assert [record for record in caplog.records if record.exc_info] == [], "whoever goes away is no bug of ours"


class Flood:
    """The server's end of a WebSocket whose client sends and sends."""

    taken = 0

    async def receive_bytes(self) -> bytes:
        self.taken += 1
        return b"\0" + bytes(1 << 16)


def test_a_client_that_does_not_keep_to_the_window_ends_its_session_and_fills_no_memory() -> None:
    async def flooded(web: Flood) -> SocketTerminal:
        terminal = SocketTerminal(cast("WebSocket", web), RunCommand(app="shop", command=("sleep", "60")))
        await asyncio.wait_for(terminal.listen(), 60)
        return terminal

    web = Flood()
    terminal = asyncio.run(flooded(web))
    assert web.taken == WINDOW // (1 << 16) + 1
    with pytest.raises(Cancelled):
        terminal.read()


@pytest.mark.parametrize("field", ["message", "version", "origin", "git"])
def test_what_is_kept_with_every_release_is_short(server: Running, field: str) -> None:
    with httpx2.Client(base_url=f"http://{server.settings.listen}", headers=TOKEN) as http:
        answer = http.post("/apps/shop/deploys", json={"source": {"content_id": "x", field: "x" * 100_000}})
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(f"source.{field}: ")
    assert not server.operations.started
