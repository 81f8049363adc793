"""Lines from a thread to a client: what an iterator yields is sent as it comes, in batches, with a sign of life.

The core is synchronous and its iterators block. Each stream therefore has a thread of its own, so that a hundred
followers of silent logs keep nobody else waiting; the thread ends when the client goes away, if the iterator can be
closed from outside, else with its next line.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import threading
import types
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from weakref import WeakSet

HEARTBEAT = 15.0
"""Seconds without a line after which an empty one is sent: the client then knows that the server lives."""
HELD = 1 << 20
"""Bytes that wait for a slow client before the iterator has to wait too."""
FILES = 65_536
"""Open files of the server at most; programs that it starts inherit the limit, and some walk through all of it."""

T = TypeVar("T")
Here = Callable[[Callable[[], None]], AbstractContextManager[object]]
"""Holds, while a stream is open, what ends it."""


def _alone(end: Callable[[], None]) -> AbstractContextManager[object]:
    return nullcontext()


def quick_turns() -> None:
    """Have threads take turns after half a millisecond. At Python's 5 ms each of the dozens of looks at the database
    that a list makes waits that long for its turn behind somebody else's, and 200 requests a second pile up."""
    sys.setswitchinterval(0.0005)


def short_collections() -> None:
    """Have what is there now, modules and schemas above all, be no more looked at by the garbage collector: it stays
    until the end. Each full collection of it holds all answers for a tenth of a second."""
    gc.collect()
    gc.freeze()


def many_files() -> None:
    """May have as many files open as it is allowed to, up to 65,536: the soft limit is 1,024 in many places, and each
    connection takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def in_thread(work: Callable[[], T], name: str = "request") -> T:
    """The result of `work`, run in a thread of its own.

    Not a pool: its size would be the number of slow requests after which all others wait. And a daemon: a server that
    has to go does not wait for it.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if done.cancelled() else result())

    def run() -> None:
        try:
            value = work()
        except BaseException as error:
            failure = error
            settle(lambda: done.set_exception(failure))
        else:
            settle(lambda: done.set_result(value))

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done


@dataclass(eq=False)
class Stream:
    """One iterator on its way to one client."""

    lines: Iterator[bytes]
    source: object
    loop: asyncio.AbstractEventLoop
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: deque[bytes] = field(default_factory=deque)
    _size: int = 0
    _ended: bool = False
    _cut: bool = False
    _room: threading.Condition = field(default_factory=threading.Condition)

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._fill, name="stream", daemon=True).start()

    def cut(self, last: bytes = b"") -> None:
        """End it, from any thread: the client sees its end, after the line `last`, and the iterator is closed."""
        with self._room:
            if last and not self._cut and not self._ended:
                self._waiting.append(last)
            self._cut = True
            self._room.notify_all()
        close(self.source)
        self._wake()

    async def take(self) -> bytes | None:
        """All lines that have come, waiting for one; empty: none came for a while; None: the end."""
        while True:
            self._ready.clear()
            with self._room:
                data, ended = b"".join(self._waiting), self._ended or self._cut
                self._waiting.clear()
                self._size = 0
                self._room.notify_all()
            if data:
                return data
            if ended:
                return None
            try:
                await asyncio.wait_for(self._ready.wait(), HEARTBEAT)
            except TimeoutError:
                return b""

    def _fill(self) -> None:
        try:
            for line in self.lines:
                if not self._put(line):
                    break
        finally:
            with self._room:
                self._ended = True
            close(self.source)
            self._wake()

    def _put(self, line: bytes) -> bool:
        """Whether somebody still wants lines."""
        with self._room:
            while self._size > HELD and not self._cut:
                self._room.wait()
            if self._cut:
                return False
            self._waiting.append(line)
            self._size += len(line)
            first = len(self._waiting) == 1
        if first:
            self._wake()
        return True

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            self.loop.call_soon_threadsafe(self._ready.set)


def close(source: object) -> None:
    """Close an iterator, from any thread. One that is being read right now and cannot be closed is left alone."""
    closing: Any = getattr(source, "close", None)
    if closing is None or (isinstance(source, types.GeneratorType) and source.gi_running):
        return
    with suppress(ValueError):  # a generator that began to run between the question and the call
        closing()


@dataclass(slots=True)
class Streams:
    """The streams that are open now."""

    _open: WeakSet[Stream] = field(default_factory=WeakSet)

    async def send(
        self, lines: Iterator[bytes], source: object, *, endless: bool, here: Here = _alone, turned_out: bytes = b""
    ) -> AsyncIterator[bytes]:
        """What the client gets. `endless` ones are cut when the server stops; others end by themselves. `here` holds
        what may cut it earlier, and then `turned_out` is its last line."""
        stream = Stream(lines, source, asyncio.get_running_loop())
        if endless:
            self._open.add(stream)
        stream.start()
        try:
            with here(partial(stream.cut, turned_out)):
                while (data := await stream.take()) is not None:
                    yield data or b"\n"
        finally:
            stream.cut()

    def cut(self) -> None:
        """End all that would not end by themselves."""
        for stream in tuple(self._open):
            stream.cut()
