"""A loopback port for each app that may sleep: what comes there is held, the app is woken once, the bytes go on.

Bytes are passed as they are, not parsed: WebSocket, chunked bodies, Expect, keep-alive survive because nobody touches
them. One piece of each connection is read; what a client sends meanwhile waits in the kernel's buffers, so no body is
lost and none fills the memory. A connection that brings no byte wakes nobody. Only the router reaches these ports,
which closes a connection when its client has gone; who is led here is an app's own traffic, since every app has a port
of its own.
"""

from __future__ import annotations

import asyncio
import logging
import math
import resource
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

log = logging.getLogger("paas.waker")

HELD, ALL = 500, 4000
"""Connections of one app that are held at the same time, and those of all apps, held and passed on: more are told to
come again in a second. An eighth of the files that the process may open bounds them too, since each may take two."""
HOLD = 240.0
"""Seconds that a connection is held: the router gives a request 300 to arrive whole (`PAAS_REQUEST_TIMEOUT`), and what
is left of its body comes only afterwards."""
LOOK = 1.0
"""Seconds between two looks whether who waits is still there."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds after an app could not be woken in which nobody tries again; doubled each time."""
CONNECT, LINGER, SILENT = 5.0, 2.0, 30.0
"""Seconds to reach a replica that is awake; seconds in which what still comes after a refusal is thrown away; seconds
until the first byte of a connection."""
FIRST, PIECE = 16 * 1024, 64 * 1024
"""Bytes of one connection that are read ahead while it is held; and at once while it is passed on."""
ESTABLISHED = 1
"""The kernel's number for a connection that neither side has closed."""

Ready = Callable[[str], None]
Wake = Callable[[str, Ready], str]
"""Wakes an app (its id), blocking, and answers the `ip:port` of a healthy replica, which it may say earlier by calling
what it was given. Raises what kept it from that."""


def _room() -> int:
    return min(ALL, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)


@dataclass(slots=True)
class _App:
    app_id: str
    port: int
    accepting: asyncio.Task[None]
    waking: asyncio.Future[str] | None = None
    held: int = 0
    pause: float = 0.0
    not_before: float = 0.0


@dataclass(slots=True)
class Waker:
    """One thread with a loop. `listen` as often as the apps that may sleep change; `stop` at the end. A connection
    waits `hold` seconds, `held` of one app do at once; of all apps there are `room`. `pause` is the first one, seconds.
    """

    wake: Wake
    hold: float = HOLD
    pause: float = FIRST_PAUSE
    held: int = HELD
    room: int = field(default_factory=_room)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _apps: dict[str, _App] = field(default_factory=dict)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)
    _thread: threading.Thread | None = None

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

    # --- ports --------------------------------------------------------------------------------------------------

    async def _listen(self, app_id: str, port: int) -> int:
        if app_id not in self._apps:  # nothing is awaited here: two who ask at once get one port
            try:
                door = _open(port)
            except OSError:
                door = _open(0)
            accepting = self._loop.create_task(self._accept(app_id, door))
            self._apps[app_id] = _App(app_id, int(door.getsockname()[1]), accepting)
        return self._apps[app_id].port

    async def _accept(self, app_id: str, door: socket.socket) -> None:
        with door:
            while True:
                try:
                    client, _ = await self._loop.sock_accept(door)
                except OSError as error:
                    log.warning("%s: a connection cannot be taken: %s", app_id, error)
                    await asyncio.sleep(LOOK)
                    continue
                task = self._loop.create_task(self._came(app_id, client))
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)

    async def _forget(self, kept: frozenset[str]) -> None:
        gone = [self._apps.pop(app_id).accepting for app_id in self._apps.keys() - kept]
        for accepting in gone:
            accepting.cancel()
        await asyncio.gather(*gone, return_exceptions=True)

    async def _close(self) -> None:
        await self._forget(frozenset())
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    # --- connections --------------------------------------------------------------------------------------------

    async def _came(self, app_id: str, client: socket.socket) -> None:
        with client:
            try:
                async with asyncio.timeout(SILENT):
                    first = await self._loop.sock_recv(client, FIRST)
                app = self._apps.get(app_id)
                if first and app:
                    await self._serve(app, first, client)
            except* OSError as ended:
                log.debug("a connection of %s ended: %r", app_id, ended.exceptions)

    async def _serve(self, app: _App, first: bytes, client: socket.socket) -> None:
        if len(self._connections) > self.room or app.held >= self.held:
            await self._refuse(first, client, 1, "too many requests wait")
            return
        app.held += 1
        try:
            waking = self._awake(app)
            if not await self._stays(client, waking):
                return
        finally:
            app.held -= 1
        if not waking.done():
            await self._refuse(first, client, 10, "it is still starting")
        elif waking.exception():
            wait = app.not_before - self._loop.time()
            await self._refuse(first, client, max(1, math.ceil(wait)), "it could not be started")
        else:
            await self._pass(waking.result(), first, client)

    async def _stays(self, client: socket.socket, waking: asyncio.Future[str]) -> bool:
        """Wait until the waking is decided or `hold` seconds are over; whether the client is there then. Who has gone
        leaves its place at once, and its request is nobody's any more."""
        end = self._loop.time() + self.hold
        while not _gone(client):
            left = end - self._loop.time()
            if waking.done() or left <= 0:
                return True
            await asyncio.wait([waking], timeout=min(LOOK, left))
        return False

    def _awake(self, app: _App) -> asyncio.Future[str]:
        """The address of a replica, of one waking for all who wait; or what kept it from that."""
        if app.waking is not None:
            return app.waking
        waking: asyncio.Future[str] = self._loop.create_future()
        if self._loop.time() < app.not_before:
            _answer(waking, ConnectionRefusedError("the last waking failed"))
            return waking
        app.waking = waking
        try:
            threading.Thread(target=self._wake, args=(app, waking), name=f"wake-{app.app_id}", daemon=True).start()
        except RuntimeError as error:  # the machine has no thread left
            self._woken(app, waking, error)
        return waking

    def _wake(self, app: _App, waking: asyncio.Future[str]) -> None:
        """The thread of one waking: it may take long, and other apps' must not wait for it."""
        found: str | Exception

        def ready(address: str) -> None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_answer, waking, address)

        try:
            found = self.wake(app.app_id, ready)
        except Exception as error:
            found = error
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._woken, app, waking, found)

    def _woken(self, app: _App, waking: asyncio.Future[str], found: str | Exception) -> None:
        app.waking = None
        if isinstance(found, str):
            app.pause = app.not_before = 0.0
        else:
            log.warning("%s could not be woken: %s", app.app_id, type(found).__name__)
            app.pause = min(LONGEST_PAUSE, max(self.pause, app.pause * 2))
            app.not_before = self._loop.time() + app.pause
        _answer(waking, found)

    async def _pass(self, address: str, first: bytes, client: socket.socket) -> None:
        host, _, port = address.rpartition(":")
        with socket.socket() as replica:
            replica.setblocking(False)
            replica.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                async with asyncio.timeout(CONNECT):
                    await self._loop.sock_connect(replica, (host, int(port)))
            except OSError:
                await self._refuse(first, client, 1, "it does not accept connections")
                return
            await self._loop.sock_sendall(replica, first)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(client, replica))
                both.create_task(self._pump(replica, client))

    async def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        while piece := await self._loop.sock_recv(source, PIECE):
            await self._loop.sock_sendall(sink, piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    async def _refuse(self, first: bytes, client: socket.socket, wait: int, why: str) -> None:
        """An honest page. What still comes is thrown away for a moment: closing at once would reset it unread."""
        page = f"503: this app was asleep, and {why}. Try again in {wait} s.\n".encode()
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(page)}\r\nRetry-After: {wait}\r\nCache-Control: no-store\r\n"
            "Connection: close\r\n\r\n"
        ).encode()
        async with asyncio.timeout(LINGER):
            await self._loop.sock_sendall(client, head if first.startswith(b"HEAD ") else head + page)
            client.shutdown(socket.SHUT_WR)
            while await self._loop.sock_recv(client, PIECE):
                pass


def _open(port: int) -> socket.socket:
    """Listen on loopback. Raises OSError."""
    door = socket.create_server(("127.0.0.1", port), backlog=1024)
    door.setblocking(False)
    door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what is accepted there inherits it
    return door


def _gone(client: socket.socket) -> bool:
    """Whether the other side has closed. The kernel knows, also while bytes that came before wait unread."""
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != ESTABLISHED


def _answer(waking: asyncio.Future[str], found: str | Exception) -> None:
    """What those hear who wait; the first word counts."""
    if waking.done():
        return
    if isinstance(found, str):
        waking.set_result(found)
    else:
        waking.set_exception(found)
        waking.exception()  # seen, also when every client has left
