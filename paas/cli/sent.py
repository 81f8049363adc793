"""How far an upload is: a bar for a terminal, else a line now and then. Only for those that take their time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from paas.cli.output import say
from paas.cli.output import size as size_of
from paas.cli.progress import live

if TYPE_CHECKING:
    from paas.sending import Told

AFTER, EACH = 1.0, 10.0
"""Seconds until anything is said, and between lines."""


@contextmanager
def sent() -> Iterator[Told]:
    """Tells how far an upload is once it takes more than a second: a bar for a terminal, else a line now and then."""
    shown = _Bar() if live() else _Lines()
    try:
        yield shown.told
    finally:
        shown.close()


@dataclass(slots=True)
class _Lines:
    """A line each ten seconds."""

    next: float = field(default_factory=lambda: time.monotonic() + AFTER)

    def told(self, done: int, size: int) -> None:
        """So much of it."""
        if time.monotonic() >= self.next:
            self.next = time.monotonic() + EACH
            say(f"  sent {size_of(done)} of {size_of(size)} ({100 * done // max(1, size)} %)")

    def close(self) -> None:
        """There is nothing to end."""


@dataclass(slots=True)
class _Bar:
    """A bar with the rate and the time that is left."""

    begin: float = field(default_factory=lambda: time.monotonic() + AFTER)
    bar: Any = None
    task: Any = None

    def told(self, done: int, size: int) -> None:
        """So much of it."""
        if self.bar is None and time.monotonic() >= self.begin:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

            columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self.bar.start()
            self.task = self.bar.add_task("", total=size)
        if self.bar is not None:
            self.bar.update(self.task, completed=done)

    def close(self) -> None:
        """Take it off the screen."""
        if self.bar is not None:
            self.bar.stop()
