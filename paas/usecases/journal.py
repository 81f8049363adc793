"""The events of an operation, written as they happen and readable from the start at any time.

One file an operation, `<home>/operations/<id>.ndjson`, an event a line. Readers of a running operation are woken by a
condition, never poll. A full disk must not stop the work itself: then the last events are kept in memory only.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from paas.errors import NotFound
from paas.model.events import Event
from paas.usecases.answers import as_json

MOST_OUTPUT = 16 * 1024 * 1024
"""Bytes of build output kept for one operation; what comes later is left out, and that is said."""
LONGEST_LINE = 64 * 1024
KEPT = 500
"""Journals of that many last operations are kept."""
LAST = frozenset({"result", "error"})


@dataclass(slots=True)
class Journal:
    """The events of one running operation. Any thread may append; any number may follow."""

    path: Path
    _file: BinaryIO | None = None
    _output: int = 0
    _lines: int = 0
    _unwritten: list[Event] = field(default_factory=list)
    _ended: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def append(self, event: Event) -> None:
        """Write the event down and wake who follows. After the last one (`result` or `error`) nothing is taken."""
        with self._changed:
            if self._ended or not self._has_room(event):
                return
            self._write(event)
            self._ended = event.kind in LAST
            if self._ended:
                self._release()
            self._changed.notify_all()

    def close(self) -> None:
        """Give the file back, whatever was written last."""
        with self._changed:
            self._ended = True
            self._release()
            self._changed.notify_all()

    def follow(self) -> Iterator[Event]:
        """All events from the start; ends after the last one."""
        file: BinaryIO | None = None
        lines = unwritten = 0
        ended = False
        try:
            while not ended:
                with self._changed:
                    while not (self._ended or self._lines > lines or len(self._unwritten) > unwritten):
                        self._changed.wait()
                    target, fresh, ended = self._lines, self._unwritten[unwritten:], self._ended
                if file is None and target:
                    file = self.path.open("rb")
                while file is not None and lines < target:
                    event = from_line(file.readline())
                    lines += 1
                    if event is not None:
                        yield event
                yield from fresh
                unwritten += len(fresh)
        finally:
            if file is not None:
                file.close()

    def _has_room(self, event: Event) -> bool:
        """Whether an output line may still be written; the first that may not leaves a note in its place."""
        if event.kind != "output":
            return True
        if self._output > MOST_OUTPUT:
            return False
        self._output += len(event.message)
        if self._output > MOST_OUTPUT:
            self._write(Event(kind="note", at=event.at, message="more output follows; it is not kept"))
        return self._output <= MOST_OUTPUT

    def _write(self, event: Event) -> None:
        """To the file, unbuffered; once a line could not be written whole, this and all later ones to memory."""
        line = as_line(event)
        try:
            if self._unwritten or self._opened().write(line) != len(line):
                self._unwritten.append(event)
                return
        except OSError:
            self._unwritten.append(event)
            return
        self._lines += 1

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = cast(BinaryIO, self.path.open("ab", buffering=0))
        return self._file


@dataclass(slots=True)
class Journals:
    """The journals of a home folder: the running ones by id, the ended ones as files."""

    folder: Path
    _running: dict[str, Journal] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def open(self, operation_id: str) -> Journal:
        """A new journal for an operation that starts now."""
        journal = Journal(self._path(operation_id))
        with self._guard:
            self._running[operation_id] = journal
        return journal

    def running(self, operation_id: str) -> Journal:
        """The journal of an operation that was opened here and has not ended."""
        with self._guard:
            return self._running[operation_id]

    def close(self, operation_id: str) -> None:
        """The operation has ended; who follows it reads on to the end."""
        with self._guard:
            journal = self._running.pop(operation_id, None)
        if journal is not None:
            journal.close()

    def follow(self, operation_id: str) -> Iterator[Event]:
        """Its events from the start, until it ends. Raises NotFound when nothing of it is kept."""
        with self._guard:
            journal = self._running.get(operation_id)
        if journal is not None:
            return journal.follow()
        path = self._path(operation_id)
        if not path.is_file():
            raise NotFound(f"no events are kept of operation {operation_id!r}", hint="see: paas events")
        return read(path)

    def so_far(self, operation_id: str) -> Iterator[Event]:
        """What is written of it by now; never waits."""
        return read(self._path(operation_id))

    def end(self, operation_id: str, event: Event) -> None:
        """Write the last event of an operation that a killed server left open."""
        path = self._path(operation_id)
        if any(kept.kind in LAST for kept in read(path)):
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with path.open("ab") as file:
            file.write(b"\n" + as_line(event))

    def collect(self) -> None:
        """Remove the files of all but the last operations. What cannot be removed is left."""
        files = sorted(self.folder.glob("*.ndjson"), key=_age, reverse=True)
        for path in files[KEPT:]:
            if path.stem not in self._running:
                path.unlink(missing_ok=True)

    def _path(self, operation_id: str) -> Path:
        """Ids are hex; anything else is looked up as a name that does not exist, never as a path."""
        return self.folder / f"{operation_id if operation_id.isalnum() else 'none'}.ndjson"


def read(path: Path) -> Iterator[Event]:
    """The events of a file; a line that a kill cut off is left out."""
    try:
        with path.open("rb") as file:
            for line in file:
                event = from_line(line)
                if event is not None:
                    yield event
    except FileNotFoundError:
        return


def as_line(event: Event) -> bytes:
    """The event as one line of JSON, in ASCII."""
    text = event.message
    if len(text) > LONGEST_LINE:
        text = f"{text[:LONGEST_LINE]}… ({len(text)} characters)"
    values = {"kind": event.kind, "message": text, "app": event.app, "at": event.at, "data": as_json(event.data)}
    return json.dumps(values).encode("ascii") + b"\n"


def from_line(line: bytes) -> Event | None:
    """The event of a line; None when it is none."""
    try:
        values = json.loads(line)
    except ValueError:
        return None
    if not isinstance(values, Mapping) or "kind" not in values or not line.endswith(b"\n"):
        return None
    return Event(**{key: values[key] for key in ("kind", "message", "app", "at", "data") if key in values})


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
