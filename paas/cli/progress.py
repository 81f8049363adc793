"""Events of an operation as a person sees them happen: steps with their time, output lines, warnings. On stderr.

On a terminal the step that runs has a spinner and a clock; elsewhere every line is printed once, without colour.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from paas.cli.output import escaped, say, talk
from paas.model.events import Event

LONG = 1.0
"""Seconds from which on a step's time is worth a word."""
SILENT = frozenset({"operation", "result", "served", "audit", "done"})

Show = Callable[[Event], None]


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[Show]:
    """What to call with each event."""
    if quiet:
        yield lambda event: None
    elif live():
        with _Live() as screen:
            yield screen.show
    else:
        yield plain


def live() -> bool:
    """Whether stderr can show a line that changes."""
    if os.environ.get("TERM") == "dumb" or os.environ.get("CI"):
        return False
    return sys.stderr.isatty()


def plain(event: Event) -> None:
    """One event as lines."""
    for line in lines_of(event):
        talk(line)


def lines_of(event: Event) -> list[str]:
    """The event as plain lines; none for those that say nothing to a person."""
    said = [escaped(line) for line in event.message.split("\n")]
    match event.kind:
        case "step":
            return [f"- {said[0]}", *said[1:]]
        case "done":
            seconds = _seconds(event)
            return [f"  done in {seconds:.1f} s"] if seconds >= LONG else []
        case "output":
            return [f"    {line}" for line in said]
        case kind if kind.endswith(".failed"):
            return [f"warning: {said[0]}", *(f"  {line}" for line in said[1:])]
        case "warning" | "crash":
            return [f"{event.kind}: {said[0]}", *(f"  {line}" for line in said[1:])]
        case kind if kind in SILENT or not event.message:
            return []
    return [f"  {line}" for line in said]


def _seconds(event: Event) -> float:
    value = event.data.get("seconds", 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0


class _Live:
    """The step that runs, with a spinner and a clock; what happened scrolls above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        clock = TimeElapsedColumn()
        text = TextColumn("{task.description}", markup=False)
        self._progress = Progress(SpinnerColumn(), text, clock, console=self._console, transient=True)
        self._task: Any = None

    def __enter__(self) -> _Live:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._progress.stop()

    def show(self, event: Event) -> None:
        """One event."""
        if event.kind == "step":
            self._end()
            self._task = self._progress.add_task(escaped(event.message.partition("\n")[0]), total=None)
        elif event.kind == "done":
            self._end()
            self._print(f"✓ {escaped(event.message.partition(chr(10))[0])}  {_seconds(event):.1f} s", "green")
        else:
            style = {"output": "dim", "warning": "yellow", "crash": "red"}.get(event.kind, "")
            for line in lines_of(event):
                self._print(line, style)

    def _print(self, line: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(line, style=style))

    def _end(self) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None


def told(lines: tuple[str, ...] | list[str]) -> None:
    """Warnings that came with an answer."""
    for line in lines:
        say(f"warning: {line}")
