"""A line to a real WebSocket server, by TLS as it is spoken today."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator

import pytest
import trustme
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from paas.lines import connected


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def url(authority: trustme.CA) -> Iterator[str]:
    """Of a server that says each frame again, closes at `bye` and vanishes at `gone`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        server = runner.run(_serve(context))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield f"wss://localhost:{server.sockets[0].getsockname()[1]}"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            runner.run(server.wait_closed())


async def _serve(context: ssl.SSLContext) -> Server:
    return await serve(_again, "localhost", 0, ssl=context)


async def _again(web: ServerConnection) -> None:
    async for frame in web:
        if frame == "bye":
            return
        if frame == "gone":
            web.transport.abort()
            return
        await web.send(frame)


@pytest.fixture(scope="module")
def connecting(authority: trustme.CA, url: str) -> Callable[[], connect]:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    return lambda: connect(url, ssl=trust, proxy=None, open_timeout=5)


def test_each_of_many_gets_its_answer(connecting: Callable[[], connect]) -> None:
    """A client that reads and writes TLS from two threads hangs in one of a few dozen."""
    for number in range(150):
        with connected(connecting) as line:
            line.send(f"{number}")
            assert next(iter(line)) == f"{number}"


def test_it_is_written_while_it_is_read(connecting: Callable[[], connect]) -> None:
    with connected(connecting) as line:
        writing = threading.Thread(target=lambda: [line.send(bytes([n % 256]) * 1000) for n in range(500)])
        writing.start()
        frames = iter(line)
        assert [next(frames) for _ in range(500)] == [bytes([n % 256]) * 1000 for n in range(500)]
        writing.join()


def test_it_ends_where_the_other_side_closes(connecting: Callable[[], connect]) -> None:
    with connected(connecting) as line:
        line.send("a")
        line.send("bye")
        assert list(line) == ["a"]
        with pytest.raises(ConnectionClosed):
            line.send("b")


def test_who_vanishes_is_an_error(connecting: Callable[[], connect]) -> None:
    with connected(connecting) as line:
        line.send("gone")
        with pytest.raises(ConnectionClosedError):
            list(line)


def test_after_the_block_it_is_closed_for_all_threads(connecting: Callable[[], connect]) -> None:
    with connected(connecting) as line:
        reading = threading.Thread(target=lambda: read.append(list(line)))
        read: list[list[str | bytes]] = []
        reading.start()
    reading.join(10)
    assert read == [[]]
    with pytest.raises(ConnectionClosedError):
        line.send("late")


def test_where_nobody_is_no_thread_is_left() -> None:
    with pytest.raises(OSError), connected(lambda: connect("ws://127.0.0.1:9", proxy=None)):
        pass
    assert "line" not in [one.name for one in threading.enumerate()]
