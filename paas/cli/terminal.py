"""This terminal, for a command that runs elsewhere: raw while it runs, with its size; or plain pipes."""

from __future__ import annotations

import os
import select
import signal
import sys
from typing import Any

from paas.interfaces import Resize

CHUNK = 1 << 16


def screen() -> Resize:
    """How large this terminal is; 24 × 80 where it does not say."""
    try:
        size = os.get_terminal_size(0)
    except OSError:
        return Resize(24, 80)
    return Resize(size.lines or 24, size.columns or 80)


class LocalTerminal:
    """See interfaces.Terminal. In raw mode Ctrl-C is a byte for the command, not a signal for us."""

    def __init__(self, *, tty: bool, interactive: bool) -> None:
        self.tty = tty
        self.interactive = interactive
        self._before: list[Any] = []
        self._resized = (-1, -1)
        self._handler: Any = None

    def __enter__(self) -> LocalTerminal:
        if self.tty:
            import termios
            import tty

            self._resized = os.pipe()
            os.set_blocking(self._resized[1], False)
            self._before = termios.tcgetattr(0)
            tty.setraw(0)
            self._handler = signal.signal(signal.SIGWINCH, self._winch)
        return self

    def __exit__(self, *_: object) -> None:
        if self.tty:
            import termios

            signal.signal(signal.SIGWINCH, self._handler)
            termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def read(self) -> bytes | Resize | None:
        """The next keys or size; None at the end of input."""
        if not self.interactive:
            return None
        if self.tty:
            ready, _, _ = select.select([0, self._resized[0]], [], [])
            if self._resized[0] in ready:
                os.read(self._resized[0], CHUNK)
                return screen()
        try:
            return os.read(0, CHUNK) or None
        except OSError:  # the terminal has gone
            return None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """What the command says, byte for byte."""
        out = sys.stderr.buffer if stream == "stderr" else sys.stdout.buffer
        out.write(data)
        out.flush()

    def _winch(self, number: int, frame: object) -> None:
        try:
            os.write(self._resized[1], b".")
        except BlockingIOError:
            return
