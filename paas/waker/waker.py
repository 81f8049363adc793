"""A loopback port for each app that may sleep: what comes there is held, the app is woken once, the bytes go on.

Bytes are passed as they are, not parsed: WebSocket, chunked bodies, Expect, keep-alive survive because nobody touches
them. What a client sends meanwhile waits in bounded buffers and then in the kernel's, so no body is lost and none fills
the memory. A connection that brings no byte wakes nobody. Only the router reaches these ports; who is led here is an
app's own traffic, since every app has a port of its own.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

log = logging.getLogger("paas.waker")

HELD = 500
"""Connections of one app that are held at the same time; more are told to come again in a second."""
BUFFER = 16 * 1024
"""Bytes of one connection that are read ahead; asyncio holds twice that at most."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds after an app could not be woken in which nobody tries again; doubled each time."""
CONNECT, LINGER = 5.0, 2.0
"""Seconds to reach a replica that is awake; seconds in which what still comes after a refusal is thrown away."""
PIECE = 64 * 1024

Ready = Callable[[str], None]
Wake = Callable[[str, Ready], str]
"""Wakes an app (its id), blocking, and answers the `ip:port` of a healthy replica, which it may say earlier by calling
what it was given. Raises what kept it from that."""


@dataclass(slots=True)
class _App:
    app_id: str
    port: int
    server: asyncio.Server
    waking: asyncio.Future[str] | None = None
    held: int = 0
    pause: float = 0.0
    not_before: float = 0.0


@dataclass(slots=True)
class Waker:
    """One thread with a loop. `listen` as often as the apps that may sleep change; `stop` at the end."""

    wake: Wake
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _apps: dict[str, _App] = field(default_factory=dict)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)
    _thread: threading.Thread | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    def start(self) -> None:
        """Begin; nothing is listened at yet."""
        self._thread = threading.Thread(target=self._loop.run_forever, name="waker", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Close all ports and connections."""
        if self._thread is None:
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(seconds)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(seconds)
        if not self._thread.is_alive():
            self._loop.close()
        self._thread = None

    def listen(self, app_id: str, port: int = 0) -> int:
        """Have a port for the app: this one when it is free, else another. Idempotent. Raises OSError."""
        return asyncio.run_coroutine_threadsafe(self._listen(app_id, port), self._loop).result(10)

    def forget_all_but(self, app_ids: Iterable[str]) -> None:
        """Close the ports of other apps; what is connected there ends by itself."""
        asyncio.run_coroutine_threadsafe(self._forget(frozenset(app_ids)), self._loop).result(10)

    def listening(self, app_id: str) -> bool:
        """Whether the app has a port."""
        return app_id in self._apps

    # --- ports --------------------------------------------------------------------------------------------------

    async def _listen(self, app_id: str, port: int) -> int:
        async with self._opening:  # two who ask at once must not open two ports
            if app_id in self._apps:
                return self._apps[app_id].port
            try:
                server = await self._open(app_id, port)
            except OSError:
                server = await self._open(app_id, 0)
            found = int(server.sockets[0].getsockname()[1])
            self._apps[app_id] = _App(app_id, found, server)
            return found

    async def _open(self, app_id: str, port: int) -> asyncio.Server:
        async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._came(app_id, reader, writer)

        return await asyncio.start_server(came, "127.0.0.1", port, limit=BUFFER, backlog=1024)

    async def _forget(self, kept: frozenset[str]) -> None:
        for app_id in self._apps.keys() - kept:
            self._apps.pop(app_id).server.close()

    async def _close(self) -> None:
        await self._forget(frozenset())
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    # --- connections --------------------------------------------------------------------------------------------

    async def _came(self, app_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            first = await reader.read(PIECE)
            app = self._apps.get(app_id)
            if first and app:
                await self._serve(app, first, reader, writer)
        except (OSError, asyncio.CancelledError) as error:
            log.debug("a connection of %s ended: %r", app_id, error)
        finally:
            writer.close()

    async def _serve(self, app: _App, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if app.held >= HELD:
            await _refuse(first, reader, writer, 1, "too many requests wait for it")
            return
        app.held += 1
        try:
            address = await self._awake(app)
        except Exception:
            wait = app.not_before - self._loop.time()
            await _refuse(first, reader, writer, max(1, math.ceil(wait)), "it could not be started")
            return
        finally:
            app.held -= 1
        await self._pass(address, first, reader, writer)

    async def _awake(self, app: _App) -> str:
        """The address of a replica, of one waking for all who wait. Raises what kept it from that."""
        if app.waking is None:
            if self._loop.time() < app.not_before:
                raise ConnectionRefusedError("the last waking failed")
            app.waking = self._loop.create_future()
            threading.Thread(target=self._wake, args=(app, app.waking), name=f"wake-{app.app_id}", daemon=True).start()
        return await asyncio.shield(app.waking)

    def _wake(self, app: _App, waking: asyncio.Future[str]) -> None:
        """The thread of one waking: it may take long, and other apps' must not wait for it."""
        found: str | Exception

        def ready(address: str) -> None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_answer, waking, address)

        try:
            found = self.wake(app.app_id, ready)
        except Exception as error:
            log.warning("%s could not be woken: %s", app.app_id, type(error).__name__)
            found = error
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._woken, app, waking, found)

    def _woken(self, app: _App, waking: asyncio.Future[str], found: str | Exception) -> None:
        app.waking = None
        if isinstance(found, str):
            app.pause = app.not_before = 0.0
        else:
            app.pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, app.pause * 2))
            app.not_before = self._loop.time() + app.pause
        _answer(waking, found)

    async def _pass(
        self, address: str, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, port = address.rpartition(":")
        try:
            connecting = asyncio.open_connection(host, int(port), limit=BUFFER)
            back, forth = await asyncio.wait_for(connecting, CONNECT)
        except (OSError, TimeoutError):
            await _refuse(first, reader, writer, 1, "it does not accept connections")
            return
        try:
            forth.write(first)
            await asyncio.gather(_pump(reader, forth), _pump(back, writer))
        finally:
            forth.close()


def _answer(waking: asyncio.Future[str], found: str | Exception) -> None:
    """What those hear who wait; the first word counts."""
    if waking.done():
        return
    if isinstance(found, str):
        waking.set_result(found)
    else:
        waking.set_exception(found)
        waking.exception()  # seen, also when every client has left


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while piece := await source.read(PIECE):
        sink.write(piece)
        await sink.drain()
    with suppress(OSError):
        sink.write_eof()


async def _refuse(
    first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait: int, why: str
) -> None:
    """An honest page. What still comes is thrown away for a moment: closing at once would reset the page unread."""
    page = f"503: this app was asleep, and {why}. Try again in {wait} s.\n".encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(page)}\r\nRetry-After: {wait}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    ).encode()
    writer.write(head if first.startswith(b"HEAD ") else head + page)
    await writer.drain()
    writer.write_eof()
    with suppress(TimeoutError):
        await asyncio.wait_for(_discard(reader), LINGER)


async def _discard(reader: asyncio.StreamReader) -> None:
    while await reader.read(PIECE):
        pass
