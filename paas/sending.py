"""Sends a file to a server over a line that may be slow or break, with the server's word on how much has arrived.

The wire is `server/uploads.py`. Knows nothing of connections: `Call` sends one request, and raises ServerUnavailable
when the line breaks.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from paas.errors import Conflict, NotFound, ServerUnavailable

Told = Callable[[int, int], None]
"""Is told how many bytes were sent, and of how many."""
Call = Callable[[str, str, "bytes | IO[bytes]", Mapping[str, str]], Any]
"""`(method, path, body, headers)` → the answer's JSON."""

WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before each new try; as soon as one gets further, they begin anew. A server that starts anew, and a line that
changes from one network to another, are back within that."""


def untold(sent: int, size: int) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class Counted:
    """A file that tells how much of it was read."""

    file: IO[bytes]
    sent: int
    size: int
    told: Told

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self.file.read(size)
        self.sent += len(data)
        self.told(min(self.sent, self.size), self.size)
        return data


@dataclass(slots=True)
class Sending:
    """One file of `size` bytes and that digest."""

    call: Call
    file: IO[bytes]
    size: int
    sha256: str
    told: Told = untold
    announced: Mapping[str, int] = field(default_factory=dict)
    """What else the server hears before anything is sent."""
    sleep: Callable[[float], None] = time.sleep

    def all(self) -> str:
        """The id under which the server has it. Raises ServerUnavailable when nothing gets through any more, and what
        the server says of it."""
        path = f"/uploads/{self._asked('POST', '/uploads', {**self.announced, 'size': self.size})['upload']}"
        here, tries = 0, 0
        while here < self.size:
            try:
                self._more(path, here)
                reached = int(self._asked("GET", path)["offset"])
            except (ServerUnavailable, Conflict):
                reached = self._reached(path, here)
            tries = 0 if reached > here else tries + 1
            here = reached
            if tries >= len(WAITS):
                raise ServerUnavailable("the line to the server carries nothing", hint="try again later")
            if tries:
                self.sleep(WAITS[tries - 1])
        return str(self._asked("POST", path, {"sha256": self.sha256})["upload"])

    def _more(self, path: str, here: int) -> None:
        self.file.seek(here)
        body: Any = Counted(self.file, here, self.size, self.told)
        headers = {"Content-Length": str(self.size - here), "Upload-Offset": str(here)}
        self.call("PATCH", path, body, headers)

    def _reached(self, path: str, here: int) -> int:
        """What the server has of it after the line broke."""
        for wait in (*WAITS, None):
            try:
                return int(self.call("GET", path, b"", {})["offset"])
            except ServerUnavailable:
                if wait is None:
                    raise
                self.sleep(wait)
        return here

    def _asked(self, method: str, path: str, fields: Mapping[str, object] | None = None) -> Any:
        """A short request, which may be sent again. A completed upload that is completed again is not there: then the
        first answer was lost, and it is complete."""
        body = json.dumps(fields).encode() if fields is not None else b""
        for number, wait in enumerate((*WAITS, None)):
            try:
                return self.call(method, path, body, {})
            except NotFound:
                if number and fields and "sha256" in fields:
                    return {"upload": path.rpartition("/")[2]}
                raise
            except ServerUnavailable:
                if wait is None:
                    raise
                self.sleep(wait)
        raise ServerUnavailable("the server cannot be reached")
