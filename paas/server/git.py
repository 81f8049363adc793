"""git's own HTTP protocol ("smart HTTP"): the same session as over a WebSocket, as two requests, neither of which
knows of the other.

    GET  /git/{app}.git/info/refs?service=git-receive-pack     what there is
    POST /git/{app}.git/git-receive-pack                       a push; git-upload-pack: a fetch

The token is the password of Basic authentication, whatever the user's name. Errors are text: git shows them as it
gets them. Bodies pass through in pieces, both ways; nobody holds a whole one.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from paas.errors import Cancelled, NotFound, NotLoggedIn, PaasError, PlatformError, UsageError
from paas.interfaces import Resize, Terminal
from paas.model.people import Actor
from paas.requests.base import parse
from paas.requests.git import GitSession
from paas.server.streams import in_thread

PIECE = 1 << 16
WAITING = 8
"""Pieces that may wait on their way in, and on their way out."""
CAUSE = 5.0
"""Seconds that a session which was ended has to say why."""

SERVICES = {"git-receive-pack": "receive-pack", "git-upload-pack": "upload-pack"}
T = TypeVar("T")
Run = Callable[[Actor, GitSession, Terminal], int]
Endpoint = Callable[[HttpRequest], Awaitable[Response]]
Who = Callable[[HttpRequest], Awaitable[Actor]]


def add_git(app: FastAPI, run: Run, who: Who) -> None:
    """Have the application speak it. `run` runs a session and raises nothing but PaasErrors; `who` says who asks."""
    app.add_api_route("/git/{app}.git/info/refs", _told(_refs(run, who)), methods=["GET"], response_model=None)
    app.add_api_route("/git/{app}.git/{service}", _told(_rpc(run, who)), methods=["POST"], response_model=None)


def _refs(run: Run, who: Who) -> Endpoint:
    async def endpoint(http: HttpRequest) -> Response:
        actor = await who(http)
        name = http.query_params.get("service", "")
        request = _request(http, name, "refs")
        wire = Wire(asyncio.get_running_loop())
        wire.start(partial(run, actor, request, wire))
        await wire.end_input()
        line = f"# service={name}\n".encode()
        return await _answer(wire, f"application/x-{name}-advertisement", b"%04x%s0000" % (len(line) + 4, line))

    return endpoint


def _rpc(run: Run, who: Who) -> Endpoint:
    async def endpoint(http: HttpRequest) -> Response:
        actor = await who(http)
        name = http.path_params["service"]
        request = _request(http, name, "rpc")
        # No page in a browser can send this kind of body elsewhere, also not with a password the browser knows.
        if http.headers.get("content-type") != f"application/x-{name}-request":
            raise UsageError(f"this is no request of {name}")
        body = _unpacked(http)
        wire = Wire(asyncio.get_running_loop())
        wire.start(partial(run, actor, request, wire))
        try:
            await wire.give_all(body)
        except BaseException:
            wire.cut()
            raise
        return await _answer(wire, f"application/x-{name}-result")

    return endpoint


def _told(endpoint: Endpoint) -> Endpoint:
    """Errors as git's client shows them."""

    async def told(http: HttpRequest) -> Response:
        try:
            return await endpoint(http)
        except ClientDisconnect:
            return Response(status_code=499)
        except PaasError as error:
            lines = [f"error: {error.message}", *error.details, *([f"hint: {error.hint}"] if error.hint else [])]
            answer = Response("\n".join(lines) + "\n", status_code=error.status, media_type="text/plain")
            if isinstance(error, PlatformError):
                answer.headers["Connection"] = "close"  # the rest of the body may never come
            if isinstance(error, NotLoggedIn):
                answer.headers["WWW-Authenticate"] = 'Basic realm="paas", charset="UTF-8"'
            return answer

    return told


def _request(http: HttpRequest, name: str, step: str) -> GitSession:
    if name not in SERVICES:
        raise NotFound("only git push and git fetch are answered here", hint="is this an old git?")
    return parse(GitSession, {"app": http.path_params["app"], "service": SERVICES[name], "step": step})


async def _answer(wire: Wire, kind: str, begin: bytes = b"") -> Response:
    """The answer, once there is something to say. Raises what the session raised before that."""
    first = await wire.first()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield begin + first
            async for piece in wire.output():
                yield piece
        finally:
            wire.cut()

    return _Answer(body(), media_type=kind, headers={"Cache-Control": "no-cache"})


class _Answer(StreamingResponse):
    """One that is not finished when the session was ended: git waits for ever for the rest of an answer that ends
    between two of its packets, and gives up at once when the connection breaks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(Cancelled):
            await super().__call__(scope, receive, send)


async def _unpacked(http: HttpRequest) -> AsyncIterator[bytes]:
    """The body in pieces, however it was sent: a few bytes that stand for very many are no danger."""
    packed = http.headers.get("content-encoding", "") in ("gzip", "x-gzip")
    unpack = zlib.decompressobj(31) if packed else None
    async for part in http.stream():
        if unpack is None:
            yield part
            continue
        rest = part
        try:
            while rest and not unpack.eof:
                yield unpack.decompress(rest, PIECE)
                rest = unpack.unconsumed_tail
        except zlib.error:
            raise UsageError("the body is not what its encoding says") from None


class Wire:
    """The person's end of a session whose input is one body and whose output another one."""

    tty = False
    interactive = True

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING)
        self._output: asyncio.Queue[bytes] = asyncio.Queue(WAITING)
        self._output_came = asyncio.Event()
        self._errors: tuple[str, ...] = ()
        self._gone = asyncio.Event()
        self._session: asyncio.Task[int] | None = None

    # --- the session's side, in threads of its own

    def read(self) -> bytes | Resize | None:
        """The next piece of input; None at its end. Raises Cancelled when the client has gone."""
        return self._wait(self._either(self._input.get()))

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Output, as fast as the client takes it; error output only explains a session without any. Raises Cancelled
        when the client has gone."""
        if stream == "stdout":
            self._wait(self._either(self._put(data)))
        else:
            self._errors = (*self._errors, *data.decode(errors="replace").splitlines())[-5:]

    async def _put(self, data: bytes) -> None:
        await self._output.put(data)
        self._output_came.set()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (RuntimeError, FutureCancelled) as error:  # the loop has ended
            work.close()
            raise Cancelled("the client went away") from error

    async def _either(self, work: Coroutine[Any, Any, T]) -> T:
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise Cancelled("the client went away")
            return task.result()
        finally:
            task.cancel()
            gone.cancel()

    # --- the server's side, in its loop

    def start(self, run: Callable[[], int]) -> None:
        """Begin the session."""
        self._session = asyncio.ensure_future(in_thread(run, name="git"))
        # What it raises after its first output has nowhere to go.
        self._session.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def give(self, piece: bytes | None) -> None:
        """One piece of input, as fast as the session takes it; what comes after its end is dropped."""
        await self._while_it_lasts(self._input.put(piece))

    async def give_all(self, body: AsyncIterator[bytes]) -> None:
        """All of the input, or what has come when the session is ended; also what a session that ended by itself does
        not want any more: who sends reads no answer before."""

        async def given() -> None:
            async for piece in body:
                await self.give(piece)
            await self.end_input()

        task, gone = asyncio.ensure_future(given()), asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            task.cancel()
            gone.cancel()

    async def end_input(self) -> None:
        """There is no more."""
        await self.give(None)

    async def first(self) -> bytes:
        """The first output; empty when it ended without any. Raises what the session raised instead."""
        piece = await self._next()
        if piece is None:
            assert self._session is not None
            await asyncio.wait({self._session}, timeout=CAUSE)
            if not self._session.done():
                raise NotLoggedIn("what allowed this has ended")
            if code := self._session.result():
                raise PlatformError(f"git ended with {code}", details=self._errors)
        return piece or b""

    async def output(self) -> AsyncIterator[bytes]:
        """All that follows. Raises Cancelled when it was cut before its end."""
        while (piece := await self._next()) is not None:
            yield piece
        if self._gone.is_set():
            raise Cancelled("this session was ended")

    def cut(self) -> None:
        """The client has gone, or has all it wanted."""
        self._gone.set()

    def close(self) -> None:
        """The same, from any thread."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.cut)

    async def _next(self) -> bytes | None:
        if self._output.empty():
            await self._while_it_lasts(self._until_output())
        return None if self._output.empty() else self._output.get_nowait()

    async def _until_output(self) -> None:
        self._output_came.clear()
        if self._output.empty():
            await self._output_came.wait()

    async def _while_it_lasts(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._session is not None
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({task, gone, self._session}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
            gone.cancel()
