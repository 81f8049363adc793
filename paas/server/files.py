"""Files on their way to a client, which stop when what allowed them ends."""

from __future__ import annotations

import threading
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from paas.server.streams import Here


class Ended(Exception):
    """What allowed it has ended."""


class Download(FileResponse):
    """A file, of which nothing more is sent once `here` says that its visit has ended. The connection then breaks
    before the length that was promised, so that no client takes what it has for the whole."""

    def __init__(self, path: Path, *, name: str, here: Here) -> None:
        super().__init__(path, filename=name, media_type="application/octet-stream")
        self._here = here

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ended = threading.Event()

        async def send_on(message: Message) -> None:
            if ended.is_set():
                raise Ended
            await send(message)

        with self._here(ended.set):
            try:
                await super().__call__(scope, receive, send_on)
            except Ended:
                return  # The server closes a connection whose answer is not complete.
