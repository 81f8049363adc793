"""Takes an upload from the wire to the disk, as it comes: never in memory as a whole.

PUT   /uploads        all of it at once: `{"upload", "size", "sha256"}`. One that broke off leaves nothing
POST  /uploads        `{"size"}` → `{"upload", "offset": 0}`: one that comes in parts, over lines that break. With
                      `unpacked` bytes and `files` of a source, one that is too large is refused before it comes
GET   /uploads/{id}   `{"upload", "offset"}`: how much of it is here; whoever was still sending it is cut
PATCH /uploads/{id}   more of it, from `Upload-Offset` on, which must be where it stopped (409)
POST  /uploads/{id}   `{"sha256"}` of the whole: it is complete
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest
from starlette.requests import ClientDisconnect

from paas.errors import Conflict, PlatformError, UsageError
from paas.model.people import Actor
from paas.server.parsing import body_of
from paas.server.streams import in_thread
from paas.settings import Settings
from paas.usecases import uploads

PART = 1 << 20
"""Bytes that are written at once."""
Identify = Callable[[HttpRequest], Awaitable[Actor]]
Answer = Mapping[str, object]
T = TypeVar("T")


def add_uploads(app: FastAPI, settings: Settings, identify: Identify) -> None:
    """Have the application take uploads. `identify` raises for who may not."""
    parts = Parts(settings)

    def add(path: str, method: str, answer: Callable[[HttpRequest, Actor], Awaitable[Answer]]) -> None:
        async def endpoint(http: HttpRequest) -> Response:
            text = json.dumps(dict(await answer(http, await identify(http))), separators=(",", ":"))
            return Response(text, media_type="application/json")

        app.add_api_route(path, endpoint, methods=[method], response_model=None)

    add("/uploads", "PUT", partial(_receive, settings))
    add("/uploads", "POST", parts.start)
    add("/uploads/{upload}", "GET", parts.offset)
    add("/uploads/{upload}", "PATCH", parts.append)
    add("/uploads/{upload}", "POST", parts.complete)


async def _receive(settings: Settings, http: HttpRequest, who: Actor) -> Answer:
    """Raises UsageError when it is too large, PlatformError when it cannot be written."""
    upload = await in_thread(partial(uploads.begin, settings, who))
    digest, size = hashlib.sha256(), 0
    try:
        _announced(http, upload.limit)
        async for part in _parts(http):
            digest.update(part)
            size += len(part)
            await _kept(partial(upload.write, part))
        upload_id = await in_thread(upload.finish)
    except BaseException:
        upload.abort()
        raise
    return {"upload": upload_id, "size": size, "sha256": digest.hexdigest()}


@dataclass(slots=True, weakref_slot=True)
class _Turn:
    """Who may write an upload: one connection at a time, the last one that came."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    whose: object = None


@dataclass(slots=True)
class Parts:
    """Uploads that come in parts. A connection that is dead for the other side may live on here for minutes: whoever
    comes for the same upload after it has the turn, and the dead one's leftovers are refused."""

    settings: Settings
    _turns: WeakValueDictionary[str, _Turn] = field(default_factory=WeakValueDictionary)

    async def start(self, http: HttpRequest, who: Actor) -> Answer:
        """A new one. Raises UsageError, PlatformError."""
        said = await body_of(http)
        size, unpacked, files = (_number(said, name) for name in ("size", "unpacked", "files"))
        uploads.check_size(self.settings, unpacked, files)
        upload = await _kept(partial(uploads.start, self.settings, who, size))
        return {"upload": upload, "offset": 0}

    async def offset(self, http: HttpRequest, who: Actor) -> Answer:
        """How much is here. Raises NotFound."""
        turn = self._turn(http)
        async with turn.lock:
            turn.whose = None
            return await self._here(http, who)

    async def append(self, http: HttpRequest, who: Actor) -> Answer:
        """More of it. Raises NotFound, Conflict, UsageError, PlatformError. What came before the line broke is kept."""
        upload, turn = _named(http), self._turn(http)
        async with turn.lock:
            here = await self._here(http, who)
            if http.headers.get("upload-offset", "") != str(here["offset"]):
                raise Conflict(f"{here['offset']} bytes of the upload are here", hint="Upload-Offset must say so")
            turn.whose = http
        try:
            async for part in _parts(http, whatever=True):
                async with turn.lock:
                    if turn.whose is not http:
                        raise Conflict("the upload goes on by another connection")
                    await _kept(partial(uploads.append, self.settings, upload, part))
        except ClientDisconnect:
            raise UsageError("the line broke") from None
        return await self._here(http, who)

    async def complete(self, http: HttpRequest, who: Actor) -> Answer:
        """All of it is here. Raises NotFound, UsageError."""
        upload, turn, digest = _named(http), self._turn(http), (await body_of(http)).get("sha256")
        if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise UsageError("sha256: must be that of the whole, in hex")
        async with turn.lock:
            turn.whose = None
            await self._here(http, who)
            size = await in_thread(partial(uploads.complete, self.settings, upload, digest))
        return {"upload": upload, "size": size, "sha256": digest}

    async def _here(self, http: HttpRequest, who: Actor) -> Answer:
        upload = _named(http)
        return {"upload": upload, "offset": await in_thread(partial(uploads.offset, self.settings, upload, who))}

    def _turn(self, http: HttpRequest) -> _Turn:
        return self._turns.setdefault(_named(http), _Turn())


def _number(said: Mapping[str, object], name: str) -> int:
    """Raises UsageError for what is none, and for a size that is not said."""
    found = said.get(name, None if name == "size" else 0)
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise UsageError(f"{name}: must be the number of {'files' if name == 'files' else 'bytes'}")
    return found


def _named(http: HttpRequest) -> str:
    return str(http.path_params["upload"])


async def _parts(http: HttpRequest, *, whatever: bool = False) -> AsyncIterator[bytes]:
    """The body in parts worth a write; `whatever` came before the line broke, too."""
    part = bytearray()
    try:
        async for data in http.stream():
            part += data
            if len(part) >= PART:
                yield bytes(part)
                part.clear()
    except ClientDisconnect:
        if whatever and part:
            yield bytes(part)
        raise
    if part:
        yield bytes(part)


def _announced(http: HttpRequest, limit: int) -> None:
    """Refuse at once what says that it will be too large."""
    length = http.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise uploads.too_large(f"the upload has {length} bytes; the limit is {limit}")


async def _kept(work: Callable[[], T]) -> T:
    try:
        return await in_thread(work)
    except OSError as error:
        raise PlatformError(
            f"the upload cannot be kept: {error.strerror or error}",
            hint="free some space; paas doctor shows what uses it",
        ) from error
