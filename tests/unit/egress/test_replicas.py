"""A GET of one replica over real sockets: whatever it answers, it takes no more than its time and its size."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from paas.egress.replicas import fetch
from paas.errors import PlatformError

Answer = Callable[[socket.socket], None]


@contextmanager
def replica(answer: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """Its address, and the requests that it was sent; each gets `answer`."""
    asked: list[bytes] = []
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    asked.append(connection.recv(65536))
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            stop.set()
            thread.join()


def says(text: bytes) -> Answer:
    return lambda connection: connection.sendall(text)


def again_and_again(head: bytes, piece: bytes, apart: float) -> Answer:
    """`piece` until the other side has gone."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(apart)

    return answer


def get(address: str, *, limit: int = 1000, seconds: float = 20.0) -> bytes:
    return fetch(address, "shop.internal", "/metrics?a=1", limit=limit, seconds=seconds)


def test_the_body_of_a_good_answer_is_returned_and_the_host_is_that_of_the_app() -> None:
    with replica(says(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\njobs 3\n")) as (address, asked):
        assert get(address) == b"jobs 3\n"
    assert asked[0].startswith(b"GET /metrics?a=1 HTTP/1.1\r\n")
    assert b"\r\nHost: shop.internal\r\n" in asked[0]
    assert asked[0].count(b"\r\nHost:") == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_error_and_is_not_followed(status: int) -> None:
    with replica(says(b"HTTP/1.1 200 OK\r\n\r\nsecret")) as (other, theirs):
        head = f"HTTP/1.1 {status} Found\r\nLocation: http://{other}/\r\nContent-Length: 0\r\n\r\n"
        with (
            replica(says(head.encode())) as (address, _),
            pytest.raises(PlatformError, match=f"answered {status}, not 200"),
        ):
            get(address)
    assert theirs == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), "answered 500, not 200"),
        (says(b"HTTP/1.1 204 None\r\n\r\n"), "answered 204, not 200"),
        (says(b""), "no HTTP answer"),
        (says(b"\x00\xff\x00 what\r\n\r\n"), "no HTTP answer"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001), "larger than 1000 bytes"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort"), "no HTTP answer"),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "no HTTP answer"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n"), "no HTTP answer"),
        (again_and_again(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 100, 0), "larger than 1000 bytes"),
    ],
)
def test_what_is_no_answer_with_a_small_body_is_refused_in_words(answer: Answer, words: str) -> None:
    with replica(answer) as (address, _), pytest.raises(PlatformError, match=words):
        get(address)


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection: connection.recv(1),
        again_and_again(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.05),
        again_and_again(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    ],
    ids=["silent", "drips", "continues for ever"],
)
def test_one_that_takes_its_time_is_cut_off(answer: Answer) -> None:
    with replica(answer) as (address, _), pytest.raises(PlatformError, match=r"no answer in 0\.5 s$"):
        get(address, limit=1 << 20, seconds=0.5)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(PlatformError, match="refused"):
        get(address)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with replica(says(b"HTTP/1.1 200 OK\r\n\r\njobs 3\n")) as (address, _):
        assert get(address) == b"jobs 3\n"
