"""A person's end of a session over a WebSocket: what is typed goes to the command, what it says to the terminal.

Knows the frames (see `frames.py`), nothing of connections. What comes is taken as fast as the terminal shows it, and
input is sent no faster than the command takes it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from paas.frames import END, ERRORS, INPUT, INPUT_WINDOW, OUTPUT_WINDOW, SIZE, TAKEN, Window, pieces, taken, weight

if TYPE_CHECKING:
    from paas.interfaces import Terminal
    from paas.lines import Line


def converse(line: Line, terminal: Terminal) -> Mapping[str, Any]:
    """Pass bytes both ways until the command has ended. The server's last word: `exit_code`, or `error`, a PaasError as
    JSON; empty when the line ended without one."""
    window, shown = Window(INPUT_WINDOW), 0
    threading.Thread(target=_send_input, args=(line, terminal, window), name="terminal-input", daemon=True).start()
    try:
        for frame in line:
            if not isinstance(frame, bytes):
                last: Mapping[str, Any] = json.loads(frame)
                return last
            channel, data = frame[:1], frame[1:]
            if channel == bytes([TAKEN]):
                window.give(int(data))
                continue
            terminal.write(data, "stderr" if channel == bytes([ERRORS]) else "stdout")
            shown += weight(data)
            if shown >= OUTPUT_WINDOW // 4:
                _say_taken(line, shown)
                shown = 0
    finally:
        window.close()
    return {}


def _say_taken(line: Line, count: int) -> None:
    """To a server that may have closed already: what it sent before that is still to be shown."""
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        line.send(taken(count))


def _send_input(line: Line, terminal: Terminal, window: Window) -> None:
    """What the person types, to the end. Ends silently with the connection: the other thread says why."""
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        while (data := terminal.read()) is not None:
            if not isinstance(data, bytes):
                line.send(bytes([SIZE]) + json.dumps({"rows": data.rows, "columns": data.columns}).encode())
                continue
            for part in pieces(data):
                if not window.take(weight(part)):
                    return
                line.send(bytes([INPUT]) + part)
        line.send(bytes([END]))
