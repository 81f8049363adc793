"""What a client may put into the server's memory, with a login and without one."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING, cast

import httpx2
import pytest
from fastapi import WebSocketDisconnect
from hypothesis import given
from hypothesis import strategies as st

from paas.errors import Cancelled, UsageError
from paas.frames import FRAME, INPUT_WINDOW, LEAST, OUTPUT_WINDOW
from paas.model import names
from paas.requests.sessions import RunCommand
from paas.server.parsing import AT_ONCE, BODY_LIMIT, MOST_VALUES, from_json, values
from paas.server.sessions import SocketTerminal
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


@pytest.mark.parametrize(
    "many",
    ["{}", "[]", "1", "1.5", '""', '{"a": []}', '"\\\\"', '"a,b", [1', '"\\"," , {}'],
    ids=lambda one: f"many {one}",
)
def test_a_body_of_very_many_values_is_refused_before_it_is_made_into_them(server: Running, many: str) -> None:
    """A megabyte of them would be a hundred in memory, and errors for each a gigabyte."""
    with httpx2.Client(base_url=f"http://{server.settings.listen}", headers=TOKEN) as http:
        answer = http.post("/apps/shop/domains", content=f'{{"add": [{", ".join([many] * MOST_VALUES)}]}}')
    assert (answer.status_code, answer.json()["message"]) == (422, f"the body has more than {MOST_VALUES} values")
    assert not server.operations.started


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.sampled_from('a,[]{}"\\: é'), max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.sampled_from('a,["\\'), max_size=3), inner),
))  # fmt: skip
def test_values_are_counted_as_they_are_whatever_texts_hold(value: object) -> None:
    text = json.dumps({"v": value}).encode()
    assert values_of(value) + 1 <= values(text) <= 2 * values_of(value) + 2


def values_of(value: object) -> int:
    if isinstance(value, dict | list):
        return 1 + sum(values_of(one) for one in (value.values() if isinstance(value, dict) else value))
    return 1


@pytest.mark.parametrize(
    "text", [b'"' + b'\\"' * 500_000, b'"' + b"\\" * 1_000_001, b'"a" ' * 300_000, b"\\" * 1_000_000]
)
def test_what_is_no_json_is_counted_without_going_back(text: bytes) -> None:
    """Each would take minutes if its end was looked for from every place in it."""
    assert values(text) == 1
    with pytest.raises(UsageError, match="is not JSON"):
        from_json(text)


def test_another_encoding_hides_nothing() -> None:
    """In UTF-16 `Ģ` has the byte of a quotation mark: all that follows would seem to be one string."""
    text = '{"a": "Ģ", "b": [' + ", ".join(["{}"] * MOST_VALUES) + "]}"
    with pytest.raises(UsageError):
        from_json(text.encode("utf-16-le"))


def test_all_the_config_an_app_may_have_fits_into_a_body(server: Running) -> None:
    """Also of text whose every character takes two in JSON."""
    server.operations.go.set()
    config = {f"KEY_{number}": '"\n' * (names.MAX_VALUE // 2) for number in range(names.MAX_CONFIG // names.MAX_VALUE)}
    with httpx2.Client(base_url=f"http://{server.settings.listen}", headers=TOKEN, timeout=60) as http:
        answer = http.patch("/apps/shop/config", json={"set": config})
        assert answer.status_code == 200, answer.text
        answer = http.patch("/apps/shop/config", content=b'{"set": {"A": "' + b"x" * BODY_LIMIT + b'"}}')
    assert (answer.status_code, answer.json()["message"]) == (422, f"the body has more than {BODY_LIMIT} bytes")


def test_of_very_many_wrong_fields_few_are_told(server: Running) -> None:
    with httpx2.Client(base_url=f"http://{server.settings.listen}", headers=TOKEN, timeout=60) as http:
        answer = http.patch("/apps/shop/config", json={"set": {f"A{number}": number for number in range(9000)}})
    assert (answer.status_code, len(answer.json()["details"])) == (422, 20)


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
    assert web.taken == INPUT_WINDOW // (1 << 16) + 1
    with pytest.raises(Cancelled):
        terminal.read()


class Slow:
    """The server's end of a WebSocket whose client takes what it is told to have taken, and then goes away."""

    def __init__(self, *frames: bytes) -> None:
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        for frame in frames:
            self.frames.put_nowait(frame)
        self.sent = 0

    async def receive_bytes(self) -> bytes:
        if (frame := await self.frames.get()) is None:
            raise WebSocketDisconnect
        return frame

    async def send_bytes(self, frame: bytes) -> None:
        self.sent += len(frame) - 1


async def shown(web: Slow, size: int, sent: int | None) -> None:
    """A command says so much, of which so much is sent before its client goes away; None: that ends it by itself."""
    terminal = SocketTerminal(cast("WebSocket", web), RunCommand(app="shop", command=("yes",)))
    listening = asyncio.create_task(terminal.listen())
    writing = asyncio.create_task(asyncio.to_thread(terminal.write, b"y" * size))
    if sent is not None:
        async with asyncio.timeout(30):
            while web.sent < sent:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # for what must not come
        assert web.sent == sent
        web.frames.put_nowait(None)
    await asyncio.wait_for(listening, 30)
    with pytest.raises(Cancelled):
        await asyncio.wait_for(writing, 30)
    assert web.sent <= OUTPUT_WINDOW or web.sent == sent


@pytest.mark.parametrize(
    ("frames", "sent"),
    [
        ((), OUTPUT_WINDOW),
        ((b"\x05300000",), OUTPUT_WINDOW + 4 * FRAME),
        ((b"\x05-1",), None),
        ((b"\x05%d" % (OUTPUT_WINDOW + 1),), None),
        ((b"\x05",), None),
        ((b"\x05" + b"9" * 5000,), None),
    ],
)
def test_output_that_a_client_did_not_take_waits_and_nonsense_ends_the_session(
    frames: tuple[bytes, ...], sent: int | None
) -> None:
    asyncio.run(shown(Slow(*frames), 2 * OUTPUT_WINDOW, sent))


def test_input_in_many_small_pieces_is_bounded_by_the_window_too() -> None:
    async def first_of(count: int) -> object:
        web = Slow(*[b"\x00x"] * count)
        terminal = SocketTerminal(cast("WebSocket", web), RunCommand(app="shop", command=("sleep", "60")))
        listening = asyncio.create_task(terminal.listen())
        while not web.frames.empty() and not listening.done():
            await asyncio.sleep(0)
        try:
            return await asyncio.to_thread(terminal.read)
        finally:
            listening.cancel()

    fits = INPUT_WINDOW // LEAST
    assert asyncio.run(first_of(fits)) == b"x"
    with pytest.raises(Cancelled):
        asyncio.run(first_of(fits + 2))


@pytest.mark.parametrize("field", ["message", "version", "origin", "git"])
def test_what_is_kept_with_every_release_is_short(server: Running, field: str) -> None:
    with httpx2.Client(base_url=f"http://{server.settings.listen}", headers=TOKEN) as http:
        answer = http.post("/apps/shop/deploys", json={"source": {"content_id": "x", field: "x" * 100_000}})
    assert answer.status_code == 422
    assert answer.json()["message"].startswith(f"source.{field}: ")
    assert not server.operations.started
