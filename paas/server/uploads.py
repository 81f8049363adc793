"""Takes an upload from the wire to the disk, as it comes: never in memory as a whole."""

from __future__ import annotations

import hashlib
from functools import partial

from fastapi import Request as HttpRequest

from paas.errors import PlatformError, UsageError
from paas.model.people import Actor
from paas.server.streams import in_thread
from paas.settings import Settings
from paas.usecases import uploads

PART = 1 << 20
"""Bytes that are written at once."""


async def receive(http: HttpRequest, settings: Settings, who: Actor) -> dict[str, object]:
    """`{"upload": id, "size": bytes, "sha256": …}`. Raises UsageError when it is too large, PlatformError when it
    cannot be written. An upload that broke off leaves nothing."""
    upload = await in_thread(partial(uploads.begin, settings, who))
    digest, size, part = hashlib.sha256(), 0, bytearray()
    try:
        _announced(http, upload.limit)
        async for data in http.stream():
            part += data
            size += len(data)
            if len(part) >= PART:
                digest.update(part)
                await in_thread(partial(_write, upload, bytes(part)))
                part.clear()
        digest.update(part)
        await in_thread(partial(_write, upload, bytes(part)))
        upload_id = await in_thread(upload.finish)
    except BaseException:
        upload.abort()
        raise
    return {"upload": upload_id, "size": size, "sha256": digest.hexdigest()}


def _announced(http: HttpRequest, limit: int) -> None:
    """Refuse at once what says that it will be too large."""
    length = http.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise UsageError(
            f"the upload has {length} bytes; the limit is {limit}",
            hint="leave data out with .paasignore, or raise PAAS_UPLOAD_LIMIT",
        )


def _write(upload: uploads.Upload, data: bytes) -> None:
    try:
        upload.write(data)
    except OSError as error:
        raise PlatformError(
            f"the upload cannot be kept: {error.strerror or error}",
            hint="free some space; paas doctor shows what uses it",
        ) from error
