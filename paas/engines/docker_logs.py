"""Log lines of replicas, merged by time; with follow, replicas that appear later join in.

Every message of the json-file driver comes as one frame that starts with its time; a line longer than 16 KB comes as
several, of which only the last one ends with a newline.
"""

from __future__ import annotations

import heapq
import queue
import socket
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import docker.errors
import requests.exceptions
import urllib3.exceptions
from docker import APIClient

from paas.engines.docker_client import Connection, socket_of
from paas.engines.docker_observe import nanoseconds
from paas.errors import EngineUnavailable, PaasError
from paas.model.service import LogLine

LINE_LIMIT = 64 * 1024
"""Bytes of a line that are kept together; a longer one is cut and marked with `…` at both sides of each cut."""

CUT = "…"

FAILURES = (OSError, requests.exceptions.RequestException, urllib3.exceptions.HTTPError)
"""What a read raises when its connection ends in the middle."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A container whose log is read, and what its lines are called."""

    id: str
    process: str
    replica: int


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A line or a part of one. `at` is Unix nanoseconds."""

    at: int
    stream: str
    data: bytes
    begins: bool = True
    ends: bool = True


def pieces(frames: Iterable[tuple[int, bytes]]) -> Iterator[Piece]:
    """Lines out of frames (stream number, payload), put together again up to LINE_LIMIT."""
    open_lines: dict[int, Piece] = {}
    for number, payload in frames:
        stamp, _, rest = payload.partition(b" ")
        try:
            at = nanoseconds(stamp.decode("ascii"))
        except ValueError:
            continue
        held = open_lines.pop(number, None)
        name = "stderr" if number == 2 else "stdout"
        line = Piece(held.at if held else at, name, (held.data if held else b"") + rest, held.begins if held else True)
        if line.data.endswith(b"\n"):
            yield _with(line, line.data[:-1], ends=True)
        elif len(line.data) >= LINE_LIMIT:
            at_byte = _boundary(line.data)
            yield _with(line, line.data[:at_byte], ends=False)
            open_lines[number] = Piece(at, name, line.data[at_byte:], begins=False)
        else:
            open_lines[number] = line
    yield from open_lines.values()


def _with(line: Piece, data: bytes, *, ends: bool) -> Piece:
    return Piece(line.at, line.stream, data, line.begins, ends)


def _boundary(data: bytes) -> int:
    """The end of the last whole UTF-8 character, so that a cut splits none."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            width = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) if back >= width else len(data) - back
    return len(data)


def log_line(piece: Piece, origin: Origin) -> LogLine:
    """The piece as a LogLine; bytes that are no UTF-8 become U+FFFD."""
    text = piece.data.removesuffix(b"\r").decode("utf-8", "replace")
    return LogLine(
        at=piece.at / 1e9,
        text=f"{'' if piece.begins else CUT}{text}{'' if piece.ends else CUT}",
        process=origin.process,
        replica=origin.replica,
        stream=piece.stream,
    )


def read(api: APIClient, id: str, *, lines: int = 0, since: int = 0, follow: bool = False) -> Any:
    """The streamed answer to a request for a container's log. `since` is Unix nanoseconds; the client's for good."""
    params: dict[str, str | int] = {
        "stdout": 1,
        "stderr": 1,
        "timestamps": 1,
        "follow": int(follow),
        "tail": str(lines) if lines else "all",
    }
    if since:
        params["since"] = f"{since // 10**9}.{since % 10**9:09d}"
    url = f"{api.base_url}/v{api.api_version}/containers/{id}/logs"
    response = api.get(url, params=params, stream=True, timeout=None if follow else api.timeout)
    if response.status_code != 200:
        with response:
            raise docker.errors.APIError(response.reason, response=response, explanation=_reason(response))
    return response


def _reason(response: Any) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError):
        return str(response.reason)


def frames(response: Any) -> Iterator[tuple[int, bytes]]:
    """Frames of a streamed answer until it ends."""
    raw = response.raw
    while len(header := raw.read(8)) == 8:
        number, length = struct.unpack(">BxxxL", header)
        yield number, raw.read(length)


class Reader:
    """One container's log over a connection of its own; `close` may come from any thread.

    `since` moves on with every line that was read, so that a second reader goes on where this one ended.
    """

    def __init__(self, connection: Connection, origin: Origin, *, lines: int = 0, since: int = 0) -> None:
        self.origin = origin
        self.since = since
        self._connection = connection
        self._lines = lines
        self._response: Any = None
        self._closed = False
        self._guard = threading.Lock()

    def lines(self, *, follow: bool = False) -> Iterator[LogLine]:
        """The lines until the log or, with follow, the container's run ends. A container that has gone has none."""
        with (
            self._connection.stream() as api,
            suppress(docker.errors.NotFound),
            read(api, self.origin.id, lines=self._lines, since=self.since, follow=follow) as response,
        ):
            if self._opened(response):
                yield from self._read(response)

    def close(self) -> None:
        """End the reading; whoever reads sees the end."""
        with self._guard:
            self._closed = True
            if self._response is not None:
                shut(self._response)

    def _opened(self, response: Any) -> bool:
        with self._guard:
            self._response = response
            return not self._closed

    def _read(self, response: Any) -> Iterator[LogLine]:
        try:
            for piece in pieces(frames(response)):
                self.since = piece.at + 1
                yield log_line(piece, self.origin)
        except FAILURES:
            if not self._closed:
                raise


def response_of(stream: Any) -> Any:
    """The answer under one of docker's cancellable streams: its own `cancel` frees a socket that is still read."""
    return stream._response


def shut(response: Any) -> None:
    """Shut the connection under a streamed answer, so that a thread that waits for it wakes up."""
    with suppress(OSError, AttributeError):
        socket_of(response).shutdown(socket.SHUT_RDWR)


def tail(readers: Sequence[Reader], lines: int) -> Generator[LogLine, None, None]:
    """The last `lines` (0: all) of several logs, merged by time."""
    merged = heapq.merge(*(reader.lines() for reader in readers), key=lambda line: line.at)
    try:
        yield from deque(merged, maxlen=lines) if lines else merged
    finally:
        for reader in readers:
            reader.close()


Origins = Callable[[], Sequence[Origin]]
"""Asks the Engine which containers there are to read now."""


class Followed:
    """Lines as they come. An iterator whose `close` may be called from any thread: a waiting `next` then ends.

    First what is there already, merged by time; then whatever comes, from containers of now and of later.
    """

    def __init__(
        self, connection: Connection, origins: Origins, filters: Mapping[str, Any], *, lines: int = 0, since: int = 0
    ) -> None:
        readers = [Reader(connection, one, lines=lines, since=since) for one in origins()]
        self._past = tail(readers, lines)
        self._live = _Live(connection, origins, filters, readers)
        # The threads know `_live` only: a stream that is dropped instead of closed ends them, too.
        self._finalizer = weakref.finalize(self, self._live.end)

    def __iter__(self) -> Followed:
        return self

    def __next__(self) -> LogLine:
        for line in self._past:
            return line
        try:
            item = self._live.next()
        except PaasError:
            self.close()
            raise
        if item is None:
            self.close()
            raise StopIteration
        return item

    def close(self) -> None:
        """End it with its threads and connections. Idempotent."""
        self._finalizer()
        with suppress(ValueError):  # another thread is reading the past just now: it ends by itself
            self._past.close()


class _Live:
    """The threads behind a followed log: one waits for containers to start, one for each container's lines."""

    def __init__(
        self, connection: Connection, origins: Origins, filters: Mapping[str, Any], past: Sequence[Reader]
    ) -> None:
        self._connection = connection
        self._origins = origins
        self._filters = filters
        self._past = past
        self._out: queue.Queue[LogLine | PaasError | None] = queue.Queue(1000)
        self._over = threading.Event()
        self._guard = threading.Lock()
        self._readers: dict[str, Reader] = {}
        self._again: set[str] = set()
        self._since: dict[str, int] = {}
        self._events: Any = None
        self._threads: list[threading.Thread] = []

    def next(self) -> LogLine | None:
        """The next line, None at the end. Raises EngineUnavailable when the Engine went away."""
        if not self._threads and not self._over.is_set():
            self._since = {reader.origin.id: reader.since for reader in self._past}
            self._spawn(self._watch)
        item = None if self._over.is_set() else self._out.get()
        if isinstance(item, PaasError):
            raise item
        return item

    def end(self) -> None:
        """End all threads and connections. Idempotent, from any thread."""
        self._over.set()
        with self._guard:
            readers, events, threads = list(self._readers.values()), self._events, list(self._threads)
        for reader in readers:
            reader.close()
        if events is not None:
            shut(events)
        self._release_reader()
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(1)

    def _release_reader(self) -> None:
        """Tell whoever waits for a line, even when the queue is full."""
        with suppress(queue.Empty, queue.Full):
            if self._out.full():
                self._out.get_nowait()
            self._out.put_nowait(None)

    def _spawn(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, name="logs", daemon=True)
        with self._guard:
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]
        thread.start()

    def _put(self, item: LogLine | PaasError) -> None:
        """Hand an item over, waiting for whoever is slower."""
        while not self._over.is_set():
            try:
                self._out.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def _watch(self) -> None:
        """Read what runs now and whatever starts later."""
        try:
            with self._connection.stream() as api:
                # Events of this second that were before the list only make us look once more.
                stream = api.events(since=int(time.time()), decode=True, filters=dict(self._filters))
                with self._guard:
                    self._events = response_of(stream)
                self._read_all()
                for event in stream:
                    if self._over.is_set():
                        return
                    if event.get("Action") == "start":
                        self._read_all(started=str(event.get("id", "")))
            self._put(EngineUnavailable("the Docker Engine ended its events", hint="is it being restarted?"))
        except PaasError as error:
            self._put(error)

    def _read_all(self, started: str = "") -> None:
        for origin in self._origins():
            if started in ("", origin.id):
                self._begin(origin)

    def _begin(self, origin: Origin) -> None:
        with self._guard:
            if origin.id in self._readers:
                # It still reads the end of an earlier run, and goes on with the next one afterwards.
                self._again.add(origin.id)
                return
            reader = Reader(self._connection, origin, since=self._since.get(origin.id, 0))
            self._readers[origin.id] = reader
        self._spawn(self._read_one, reader)

    def _read_one(self, reader: Reader) -> None:
        again = True
        while again and not self._over.is_set():
            # When the Engine goes away, the thread that watches events says so.
            with suppress(PaasError):
                for line in reader.lines(follow=True):
                    self._put(line)
            with self._guard:
                again = reader.origin.id in self._again
                self._again.discard(reader.origin.id)
                if not again:
                    self._since[reader.origin.id] = reader.since
                    self._readers.pop(reader.origin.id, None)
