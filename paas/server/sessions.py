"""A command with a terminal over a WebSocket.

The client's first frame is text: the request's fields as JSON (not in the address: they may hold secrets). Then binary
frames, one byte of channel and its data: 0 input, 1 output, 2 error output, 3 a new size (`{"rows": …, "columns": …}`),
4 the end of input, 5 from the server: that many bytes of input were taken (a decimal number). The server's last frame
is text: `{"exit_code": n}` or `{"error": {…}}`.

A client may have WINDOW bytes of input on the way; the session of one that sends more ends. Leaving that to TCP would
lock both sides up: each could wait for the other to read.
"""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Callable
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import suppress
from functools import partial

from fastapi import WebSocket, WebSocketDisconnect

from paas.errors import Cancelled, PaasError, UsageError
from paas.interfaces import Resize, Terminal
from paas.requests.base import Request, parse
from paas.requests.sessions import Session
from paas.server.parsing import from_json
from paas.server.streams import in_thread

INPUT, OUTPUT, ERRORS, SIZE, END, TAKEN = range(6)
WINDOW = 1 << 18
FRAMES = 10_000
"""Frames that may wait, whatever their size: nobody who keeps to the window has as many."""
LAST = 10.0
"""Seconds that a client has to take the last frame."""

Run = Callable[[Request, Terminal], int]


async def converse(web: WebSocket, kind: type[Request], run: Run) -> None:
    """Run the session and close. What goes wrong is the last frame; a client that went away ends the command."""
    await web.accept()
    try:
        last = await _answer(web, kind, run)
    except WebSocketDisconnect:
        return
    # The client may have gone away before the answer, or take none.
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(LAST):
            await web.send_text(json.dumps(last))
            await web.close()


async def _answer(web: WebSocket, kind: type[Request], run: Run) -> dict[str, object]:
    try:
        fields = from_json(await _first(web))
        if fields.keys() & web.path_params.keys():
            raise UsageError("a field is given by the path already")
        request = parse(kind, {**fields, **web.path_params})
        assert isinstance(request, Session)
        terminal = SocketTerminal(web, request)
        listening = asyncio.create_task(terminal.listen())
        try:
            return {"exit_code": await in_thread(partial(run, request, terminal), name="session")}
        finally:
            listening.cancel()
            terminal.close()
    except PaasError as error:
        return {"error": error.as_dict()}


async def _first(web: WebSocket) -> str:
    try:
        return await web.receive_text()
    except KeyError:
        raise UsageError("the first frame is not text") from None


class SocketTerminal:
    """The person's end of the command: the WebSocket, as the engine's threads see it."""

    def __init__(self, web: WebSocket, request: Session) -> None:
        self.tty = request.tty
        self.interactive = request.interactive
        self._web = web
        self._loop = asyncio.get_running_loop()
        self._inputs: queue.Queue[bytes | Resize | None] = queue.Queue()
        self._came = 0
        self._taken = 0
        self._gone = False
        self._closed = asyncio.Event()
        if request.tty:
            self._inputs.put(Resize(request.rows, request.columns))

    def read(self) -> bytes | Resize | None:
        """The next input; None at its end. Raises Cancelled when the client has gone."""
        item = self._inputs.get()
        if self._gone:
            raise Cancelled("the client went away")
        if isinstance(item, bytes):
            self._taken += len(item)
            self._send(bytes([TAKEN]) + str(len(item)).encode())
        return item

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Output, as fast as the client takes it. Raises Cancelled when it has gone."""
        channel = ERRORS if stream == "stderr" else OUTPUT
        if self._gone:
            raise Cancelled("the client went away")
        self._send(bytes([channel]) + data)

    def _send(self, frame: bytes) -> None:
        coroutine = self._until_closed(frame)
        try:
            asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        except (WebSocketDisconnect, RuntimeError, OSError, FutureCancelled) as error:
            coroutine.close()
            raise Cancelled("the client went away") from error

    async def _until_closed(self, frame: bytes) -> None:
        """A client that takes nothing would hold the session for ever. Raises Cancelled when it is closed."""
        task, closed = asyncio.ensure_future(self._web.send_bytes(frame)), asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({task, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Cancelled("the client went away")
            task.result()
        finally:
            task.cancel()
            closed.cancel()

    def close(self) -> None:
        """The session is over: let go of threads that still read or write. From any thread."""
        self._gone = True
        self._inputs.put(None)
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._closed.set)

    async def listen(self) -> None:
        """Take the client's frames until it goes away or sends more than the window, which would lie in memory."""
        with suppress(WebSocketDisconnect, KeyError, ValueError, RuntimeError):
            while self._inputs.qsize() <= FRAMES and self._came - self._taken <= WINDOW:
                item = _item(await self._web.receive_bytes())
                self._came += len(item) if isinstance(item, bytes) else 0
                self._inputs.put(item)
        self.close()


def _item(frame: bytes) -> bytes | Resize | None:
    """Raises ValueError for a frame that means nothing."""
    channel, data = frame[0] if frame else -1, frame[1:]
    if channel == INPUT:
        return data
    if channel == SIZE:
        size = json.loads(data)
        return Resize(int(size["rows"]), int(size["columns"]))
    if channel == END:
        return None
    raise ValueError(f"unknown channel {channel}")
