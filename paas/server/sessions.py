"""A command with a terminal over a WebSocket.

The client's first frame is text: the request's fields as JSON (not in the address: they may hold secrets). Then binary
frames, one byte of channel and its data: 0 input, 1 output, 2 error output, 3 a new size (`{"rows": …, "columns": …}`),
4 the end of input. The server's last frame is text: `{"exit_code": n}` or `{"error": {…}}`.
"""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from fastapi import WebSocket, WebSocketDisconnect

from paas.errors import Cancelled, PaasError, UsageError
from paas.interfaces import Resize, Terminal
from paas.requests import Request, Session, parse
from paas.server.parsing import from_json
from paas.server.streams import in_thread

INPUT, OUTPUT, ERRORS, SIZE, END = 0, 1, 2, 3, 4
HELD = 64
"""Frames of input that wait for the command before the client has to wait."""

Run = Callable[[Request, Terminal], int]


async def converse(web: WebSocket, kind: type[Request], run: Run) -> None:
    """Run the session and close. What goes wrong is the last frame; a client that went away ends the command."""
    await web.accept()
    try:
        last = await _answer(web, kind, run)
    except WebSocketDisconnect:
        return
    with suppress(WebSocketDisconnect, RuntimeError):  # the client went away before the answer
        await web.send_text(json.dumps(last))
        await web.close()


async def _answer(web: WebSocket, kind: type[Request], run: Run) -> dict[str, object]:
    try:
        fields = from_json(await _first(web))
        if fields.keys() & web.path_params.keys():
            raise UsageError("a field is given by the path already")
        request = parse(kind, {**fields, **web.path_params})
        assert isinstance(request, Session)
        terminal = SocketTerminal(web, tty=request.tty, interactive=request.interactive)
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

    def __init__(self, web: WebSocket, *, tty: bool, interactive: bool) -> None:
        self.tty = tty
        self.interactive = interactive
        self._web = web
        self._loop = asyncio.get_running_loop()
        self._inputs: queue.Queue[bytes | Resize | None] = queue.Queue()
        self._room = asyncio.Event()
        self._gone = False

    def read(self) -> bytes | Resize | None:
        """The next input; None at its end. Raises Cancelled when the client has gone."""
        item = self._inputs.get()
        if self._inputs.qsize() < HELD:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._room.set)
        if self._gone:
            raise Cancelled("the client went away")
        return item

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Output, as fast as the client takes it. Raises Cancelled when it has gone."""
        channel = ERRORS if stream == "stderr" else OUTPUT
        if self._gone:
            raise Cancelled("the client went away")
        sending = asyncio.run_coroutine_threadsafe(self._web.send_bytes(bytes([channel]) + data), self._loop)
        try:
            sending.result()
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise Cancelled("the client went away") from error

    def close(self) -> None:
        """The session is over: let go of a thread that still reads."""
        self._gone = True
        self._inputs.put(None)

    async def listen(self) -> None:
        """Take the client's frames until it goes away."""
        try:
            while True:
                item = _item(await self._web.receive_bytes())
                self._inputs.put(item)
                if self._inputs.qsize() >= HELD:
                    self._room.clear()
                    await self._room.wait()
        except (WebSocketDisconnect, KeyError, ValueError, RuntimeError):
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
