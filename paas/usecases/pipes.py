"""Programs' ends of a command in a container: bytes from a file or a script in, bytes to a file or into memory out."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

from paas.errors import PlatformError
from paas.interfaces import Resize

CHUNK = 1 << 16
KEPT = 1 << 16
"""Bytes of error output that are kept: its end, where the cause stands."""


class Pipe:
    """A terminal that is none: `source` goes to the command, its output to `sink` (None: kept in `out`).

    What reading and writing raise (a full disk, more output than `most` bytes without a sink) ends the command and is
    raised by the engine.
    """

    def __init__(self, source: BinaryIO | None = None, sink: BinaryIO | None = None, most: int | None = None) -> None:
        self.tty = False
        self.interactive = source is not None
        self._source = source or BytesIO()
        self._kept = BytesIO()
        self._sink = sink or self._kept
        self._errors = b""
        self._most = most

    def read(self) -> bytes | Resize | None:
        """The next bytes for the command; None at their end."""
        return self._source.read(CHUNK) or None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Output of the command."""
        if stream == "stderr":
            self._errors = (self._errors + data)[-KEPT:]
        else:
            if self._most is not None and self._kept.tell() + len(data) > self._most:
                raise PlatformError(f"the command printed more than {self._most} bytes and was ended")
            self._sink.write(data)

    @property
    def out(self) -> bytes:
        """What it wrote, when there is no sink."""
        return self._kept.getvalue()

    @property
    def errors(self) -> tuple[str, ...]:
        """The last lines of its error output."""
        return tuple(self._errors.decode(errors="replace").splitlines()[-20:])
