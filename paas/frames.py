"""The frames of a session, as both of its ends know them: `terminals.py` and `server/sessions.py`.

The client's first frame is text: the request's fields as JSON (not in the address: they may hold secrets). Then binary
frames, one byte of channel and its data. From the client: 0 input, 3 a new size (`{"rows": …, "columns": …}`), 4 the
end of input. From the server: 1 output, 2 error output. From either: 5, that many bytes were taken (a decimal number).
The server's last frame is text: `{"exit_code": n}` or `{"error": {…}}`.

Each end may have a window of bytes on the way that the other one has not taken. Leaving that to TCP would lock both up,
where each waits for the other to read; and an end that does not read, because a pager shows its first screen, would not
answer whether it is still there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

INPUT, OUTPUT, ERRORS, SIZE, END, TAKEN = range(6)
FRAME = 1 << 16
"""Bytes that one frame carries at most."""
INPUT_WINDOW, OUTPUT_WINDOW = 1 << 18, 1 << 20
"""Bytes."""
LEAST = 256
"""Bytes that a frame counts at least, so that a window is no more frames than memory has room for."""
MOST_FRAMES = (INPUT_WINDOW + OUTPUT_WINDOW) // LEAST + 10
"""That many an end may have that it has not looked at yet: what is taken is told in no more frames than came."""


def weight(data: bytes) -> int:
    """What a frame of input or output with this data takes of the window, and is told to have been taken."""
    return max(len(data), LEAST)


def pieces(data: bytes) -> Iterator[bytes]:
    """What is to be sent, in parts that fit a frame."""
    return (data[start : start + FRAME] for start in range(0, len(data), FRAME))


def taken(count: int) -> bytes:
    """The frame that tells the other end that so much of what it sent was taken."""
    return bytes([TAKEN]) + str(count).encode()


class Window:
    """How much more may be sent now. Any thread."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._closed = False
        self._changed = threading.Condition()

    def take(self, size: int) -> bool:
        """Wait for room and take it; False when the session is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._left >= size)
            self._left -= size
            return not self._closed

    def give(self, size: int) -> None:
        """The other end took that much."""
        with self._changed:
            self._left += size
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
