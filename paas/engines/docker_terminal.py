"""A person's terminal on a process in a container: bytes both ways over the hijacked connection.

After its answer to `attach` or `exec start` the Engine turns the HTTP connection into a plain stream: raw with a
terminal, else frames of 8 bytes header (stream number, length) and payload. Closing the writing half tells the
process that its input has ended while its output still comes.
"""

from __future__ import annotations

import io
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import docker.errors

from paas.interfaces import Resize, Terminal

CHUNK = 65536
RESIZE_PATIENCE = 2.0
DETACH_KEYS = "ctrl-^,ctrl-_,ctrl-^,ctrl-_,ctrl-^"
"""Docker's default (ctrl-p ctrl-q) would swallow the ctrl-p of every shell; nobody types this."""

ResizeTo = Callable[[int, int], None]


class Hijacked:
    """The two-way stream under an upgraded connection."""

    def __init__(self, raw: Any) -> None:
        self._response = raw._response
        # The buffered reader and not the socket below it: it may already hold the first bytes of the stream.
        self._reader: io.BufferedReader = self._response.raw._fp.fp
        self._socket: socket.socket = raw._sock
        self._socket.settimeout(None)

    def send(self, data: bytes) -> None:
        """Send input. Raises OSError when the other side has gone."""
        self._socket.sendall(data)

    def end_input(self) -> None:
        """Say that no more input comes. Over TLS there is no half of a connection to close."""
        if not isinstance(self._socket, ssl.SSLSocket):
            self._shut(socket.SHUT_WR)

    def cut(self) -> None:
        """End both directions; wakes up whoever reads."""
        self._shut(socket.SHUT_RDWR)

    def set_timeout(self, seconds: float) -> None:
        """Let a read that waits longer raise TimeoutError; the stream is of no use afterwards."""
        self._socket.settimeout(seconds)

    def output(self, *, tty: bool) -> Iterator[tuple[str, bytes]]:
        """Output as it comes: (stdout or stderr, bytes), until the process has closed it."""
        return self._raw() if tty else self._frames()

    def close(self) -> None:
        """Give up the connection."""
        self.cut()
        self._response.close()
        self._socket.close()

    def _raw(self) -> Iterator[tuple[str, bytes]]:
        while data := self._read1(CHUNK):
            yield "stdout", data

    def _frames(self) -> Iterator[tuple[str, bytes]]:
        while len(header := self._read_all(8)) == 8:
            number, left = struct.unpack(">BxxxL", header)
            while left:
                data = self._read1(min(left, CHUNK))
                if not data:
                    return
                left -= len(data)
                yield ("stderr" if number == 2 else "stdout"), data

    def _read_all(self, count: int) -> bytes:
        try:
            return self._reader.read(count) or b""
        except (ConnectionError, ValueError):
            return b""

    def _read1(self, count: int) -> bytes:
        try:
            return self._reader.read1(count)
        except (ConnectionError, ValueError):
            return b""

    def _shut(self, how: int) -> None:
        with suppress(OSError):
            self._socket.shutdown(how)


def converse(stream: Hijacked, terminal: Terminal, resize: ResizeTo) -> None:
    """Carry bytes between terminal and process until the process's output ends.

    What the terminal raises is raised here, also when it happened while reading. The thread that reads the terminal
    may outlive this call: nobody can take a blocked read back.
    """
    keyboard = _Keyboard(stream, terminal, resize)
    if terminal.interactive or terminal.tty:
        keyboard.start()
    for name, data in stream.output(tty=terminal.tty):
        terminal.write(data, name)
    keyboard.over = True
    if keyboard.failure:
        raise keyboard.failure


class _Keyboard(threading.Thread):
    """Forwards what the person types."""

    def __init__(self, stream: Hijacked, terminal: Terminal, resize: ResizeTo) -> None:
        super().__init__(name="terminal-input", daemon=True)
        self._stream, self._terminal, self._resize = stream, terminal, resize
        self.failure: Exception | None = None
        self.over = False

    def run(self) -> None:
        try:
            while (data := self._terminal.read()) is not None:
                if self.over or not self._forward(data):
                    return
        except Exception as error:  # whatever it is, the thread that waits for output raises it
            self._fail(error)
        else:
            if self._terminal.interactive:
                self._stream.end_input()

    def _forward(self, data: bytes | Resize) -> bool:
        """Whether there is still somebody to forward to."""
        if isinstance(data, Resize):
            self._resize(data.rows, data.columns)
        elif self._terminal.interactive:
            try:
                self._stream.send(data)
            except OSError:
                return False
        return True

    def _fail(self, error: Exception) -> None:
        if not self.over:
            self.failure = error
            self._stream.cut()


def patiently(resize: Callable[[], None]) -> None:
    """Resize as soon as the process exists: the first size comes before the Engine has started it."""
    deadline = time.monotonic() + RESIZE_PATIENCE
    while True:
        try:
            resize()
        except docker.errors.APIError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)
        else:
            return
