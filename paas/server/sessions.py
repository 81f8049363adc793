"""A command with a terminal over a WebSocket, in the frames of `frames.py`.

The session of a client that sends more than its window ends.
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
from paas.frames import (
    END,
    ERRORS,
    INPUT,
    INPUT_WINDOW,
    OUTPUT,
    OUTPUT_WINDOW,
    SIZE,
    TAKEN,
    Window,
    pieces,
    taken,
    weight,
)
from paas.interfaces import Resize, Terminal
from paas.requests.base import Request, parse
from paas.requests.sessions import Session
from paas.server.parsing import from_json
from paas.server.streams import in_thread

FRAMES = 10_000
"""Frames that may wait, of any kind: nobody who keeps to the window and changes a size by hand has as many."""
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
        self._room = Window(OUTPUT_WINDOW)
        if request.tty:
            self._inputs.put(Resize(request.rows, request.columns))

    def read(self) -> bytes | Resize | None:
        """The next input; None at its end. Raises Cancelled when the client has gone."""
        item = self._inputs.get()
        if self._gone:
            raise Cancelled("the client went away")
        if isinstance(item, bytes):
            self._taken += weight(item)
            self._send(taken(weight(item)))
        return item

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Output, as fast as the client takes it. Raises Cancelled when it has gone."""
        channel = bytes([ERRORS if stream == "stderr" else OUTPUT])
        for part in pieces(data):
            if not self._room.take(weight(part)):
                raise Cancelled("the client went away")
            self._send(channel + part)

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
        self._room.close()
        self._inputs.put(None)
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._closed.set)

    async def listen(self) -> None:
        """Take the client's frames until it goes away or sends more than the window, which would lie in memory."""
        with suppress(WebSocketDisconnect, KeyError, ValueError, RuntimeError):
            while self._inputs.qsize() <= FRAMES and self._came - self._taken <= INPUT_WINDOW:
                frame = await self._web.receive_bytes()
                if frame[:1] == bytes([TAKEN]):
                    self._room.give(_number(frame[1:]))
                    continue
                item = _item(frame)
                self._came += weight(item) if isinstance(item, bytes) else 0
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


def _number(data: bytes) -> int:
    """Raises ValueError for what is no number of bytes that one may have been sent."""
    number = int(data) if data.isdigit() else 0
    if not 0 < number <= OUTPUT_WINDOW:
        raise ValueError(f"{data[:20]!r} bytes cannot have been taken")
    return number
