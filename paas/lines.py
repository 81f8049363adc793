"""A WebSocket for code that is not asynchronous: any thread may send, one reads.

The library has such a client, too. It reads and writes one TLS connection from two threads, which OpenSSL forbids: with
TLS 1.3 it hangs now and then, where it writes its request while it reads the session ticket of the server. Here one
thread has the connection, and TLS is asyncio's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection, connect

T = TypeVar("T")


class Line:
    """An open connection. What is done with one that has ended raises ConnectionClosed."""

    def __init__(self, loop: _Loop, web: ClientConnection) -> None:
        self._loop = loop
        self._web = web

    def send(self, frame: str | bytes) -> None:
        """Send it, as fast as the other side takes it."""
        self._loop.result(self._web.send(frame))

    def __iter__(self) -> Iterator[str | bytes]:
        """The frames that come, until the other side closes as one does."""
        from websockets.exceptions import ConnectionClosedOK

        while True:
            try:
                frame = self._loop.result(self._web.recv())
            except ConnectionClosedOK:
                return
            yield frame


@contextmanager
def connected(connecting: Callable[[], connect]) -> Iterator[Line]:
    """A line, closed when the block ends. Raises what connecting does: WebSocketException, OSError."""
    with _Loop() as loop:
        web = loop.result(_connect(connecting))
        try:
            yield Line(loop, web)
        finally:
            loop.result(web.close())


async def _connect(connecting: Callable[[], connect]) -> ClientConnection:
    return await connecting()


class _Loop:
    """Runs on a thread of its own. What is under way in it at its end is cancelled."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._guard = threading.Lock()
        self._over = False

    def __enter__(self) -> _Loop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._guard:
            self._over = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._runner.close()

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """What it comes to, for another thread. Raises ConnectionClosed where this has ended."""
        from websockets.exceptions import ConnectionClosedError

        with self._guard:
            if self._over:
                work.close()
                raise ConnectionClosedError(None, None)
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise ConnectionClosedError(None, None) from None
