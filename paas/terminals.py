"""A person's end of a session over a WebSocket: what is typed goes to the command, what it says to the terminal.

Knows the frames (see `server/sessions.py`), nothing of connections. Input is sent no faster than the command takes it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paas.interfaces import Terminal
    from paas.lines import Line

INPUT, OUTPUT, ERRORS, SIZE, END, TAKEN = range(6)
WINDOW, FRAME = 1 << 18, 1 << 16
"""Channels of a session, and how many bytes of input may be on the way: see server/sessions.py."""


def converse(line: Line, terminal: Terminal) -> Mapping[str, Any]:
    """Pass bytes both ways until the command has ended. The server's last word: `exit_code`, or `error`, a PaasError as
    JSON; empty when the line ended without one."""
    window = _Window()
    threading.Thread(target=_send_input, args=(line, terminal, window), name="terminal-input", daemon=True).start()
    try:
        for frame in line:
            if not isinstance(frame, bytes):
                last: Mapping[str, Any] = json.loads(frame)
                return last
            _receive(frame, terminal, window)
    finally:
        window.close()
    return {}


def _receive(frame: bytes, terminal: Terminal, window: _Window) -> None:
    if frame[0] == TAKEN:
        window.give(int(frame[1:]))
    else:
        terminal.write(frame[1:], "stderr" if frame[0] == ERRORS else "stdout")


def _send_input(line: Line, terminal: Terminal, window: _Window) -> None:
    """What the person types, to the end. Ends silently with the connection: the other thread says why."""
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        while (data := terminal.read()) is not None:
            if not isinstance(data, bytes):
                line.send(bytes([SIZE]) + json.dumps({"rows": data.rows, "columns": data.columns}).encode())
                continue
            for start in range(0, len(data), FRAME):
                part = data[start : start + FRAME]
                if not window.take(len(part)):
                    return
                line.send(bytes([INPUT]) + part)
        line.send(bytes([END]))


class _Window:
    """How much more input may be sent now."""

    def __init__(self) -> None:
        self._left = WINDOW
        self._closed = False
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        """Wait for room and take it; False when the session is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._left >= size)
            self._left -= size
            return not self._closed

    def give(self, size: int) -> None:
        """The command took that much."""
        with self._changed:
            self._left += size
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
