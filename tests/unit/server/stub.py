"""A door and operations that answer from memory, and a real server around them on a unix socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import paas
from paas.errors import Conflict, NotFound, PaasError
from paas.interfaces import Resize, Terminal
from paas.model.app import Operation
from paas.model.events import Emit, Event
from paas.model.people import Actor
from paas.model.secret import Secret
from paas.model.service import LogLine
from paas.requests.addons import FetchBackup
from paas.requests.apps import CreateApp, ListApps, ShowApp
from paas.requests.base import Request
from paas.requests.processes import ReadLogs
from paas.requests.sessions import RunCommand
from paas.requests.versions import HEADER
from paas.server.app import Parts, create
from paas.server.deploy_hooks import ReceiverLike
from paas.server.guesses import Guesses
from paas.server.listen import tcp_socket, unix_socket
from paas.server.serving import Server
from paas.server.streams import Streams
from paas.settings import Settings
from paas.usecases.backups import BackupFile


@dataclass
class Endless:
    """A stream that never ends by itself: `close` may come from any thread."""

    closed: threading.Event = field(default_factory=threading.Event)
    first: bool = True

    def __iter__(self) -> Iterator[LogLine]:
        return self

    def __next__(self) -> LogLine:
        if self.first:
            self.first = False
            return LogLine(at=1.0, text="only line", process="web", replica=1)
        self.closed.wait(30)
        raise StopIteration

    def close(self) -> None:
        self.closed.set()


@dataclass
class Door:
    """Answers by request; `seen` holds what came and from whom."""

    folder: Path
    seen: list[tuple[Request, str, str]] = field(default_factory=list)
    endless: list[Endless] = field(default_factory=list)
    sizes: list[Resize] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    answers: dict[type[Request], object] = field(default_factory=dict)

    def run(self, request: Request, actor: Actor, emit: Emit, operation: str = "") -> object:
        self.seen.append((request, actor.name, actor.access.on_platform()))
        if type(request) in self.answers:
            answer = self.answers[type(request)]
            if isinstance(answer, Exception):
                raise answer
            return answer
        match request:
            case ListApps():
                return ({"name": "shop", "secret": Secret("hidden")},)
            case ShowApp(app="bug"):
                raise RuntimeError("text with a hunter2 in it")
            case ShowApp():
                raise NotFound(f"there is no app {request.app!r}", hint="paas apps", details=("one", "two"))
            case CreateApp():
                return request
            case ReadLogs(follow=True):
                self.endless.append(Endless())
                return iter(self.endless[-1])
            case ReadLogs(process="broken"):
                return self._broken()
            case ReadLogs():
                return (LogLine(at=i, text=f"line {i}", process="web", replica=1) for i in range(request.lines))
            case FetchBackup():
                path = self.folder / "dump"
                path.write_bytes(b"\0dump" * 50_000)
                return BackupFile(path=path, size=path.stat().st_size, name="shop.dump")
            case _:
                return request

    def _broken(self) -> Iterator[LogLine]:
        yield LogLine(at=0, text="before")
        raise Conflict("it broke on the way")

    def admit(self, kind: type[Request], path: Mapping[str, str], actor: Actor) -> None:
        """Everybody may."""

    def session(self, request: Request, actor: Actor, emit: Emit, terminal: Terminal) -> int:
        assert isinstance(request, RunCommand)
        self.seen.append((request, actor.name, actor.access.on_platform()))
        try:
            return self._session(request, terminal)
        finally:
            self.ended.set()

    def _session(self, request: RunCommand, terminal: Terminal) -> int:
        if request.app == "nowhere":
            raise NotFound("there is no app 'nowhere'")
        terminal.write(" ".join(request.command).encode() + b"\n")
        if request.command[0] == "yes":
            for _ in range(int(request.command[1])):
                terminal.write(b"y" * 50_000)
        while (data := terminal.read()) is not None:
            if isinstance(data, Resize):
                self.sizes.append(data)
            else:
                terminal.write(data.upper())
        terminal.write(b"bye\n", "stderr")
        return 7


@dataclass
class Operations:
    """Each goes on until `go` is set; `refused` ones never begin."""

    go: threading.Event = field(default_factory=threading.Event)
    started: list[Operation] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    answers: dict[type[Request], list[object]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def start(self, request: Request, actor: Actor) -> Operation:
        verb = type(request).__name__
        operation = Operation(id=f"op{len(self.started)}", app_id="", verb=verb, actor=actor.name, started_at=1.0)
        self.started.append(operation)
        self.requests.append(request)
        return operation

    def follow(self, operation_id: str) -> Iterator[Event]:
        index, verb = next((i, one.verb) for i, one in enumerate(self.started) if one.id == operation_id)
        yield from self.events or [Event(kind="step", message="begin", at=1.0)]
        self.go.wait(30)
        self.finished.append(operation_id)
        if answers := self.answers.get(type(self.requests[index])):
            answer = answers.pop(0)
            if isinstance(answer, PaasError):
                yield Event(kind="error", message=answer.message, data=answer.as_dict())
            else:
                yield Event(kind="result", data={"answer": answer})
        elif verb == "Rollback":
            failure = Conflict("nothing to go back to", hint="deploy first", details=("v1 only",))
            yield Event(kind="error", message=failure.message, data=failure.as_dict())
        else:
            yield Event(kind="result", data={"answer": {"release": 3}})


@dataclass
class Running:
    """A server that runs in a thread."""

    settings: Settings
    door: Door
    operations: Operations
    stopped: threading.Event
    streams: Streams

    @property
    def remote(self) -> Settings:
        """Settings of a client that comes over TCP with the token."""
        return replace(self.settings, server=f"http://{self.settings.listen}")


@contextmanager
def running(
    folder: Path,
    *,
    version: str = paas.__version__,
    token: str = "let-me-in",
    burst: int = 10_000,
    receiver: ReceiverLike | None = None,
    ping: float = 20.0,
    **changes: object,
) -> Iterator[Running]:
    """A server with the stubs, on a unix socket and a free TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    settings = Settings(home=folder, token=token, listen=listen, **changes)
    door, operations, stopped, streams = Door(folder), Operations(), threading.Event(), Streams()
    guesses = Guesses(burst=burst)
    parts = Parts(
        door=door, operations=operations, settings=settings, stop=stopped.set, streams=streams, guesses=guesses,
        receiver=receiver,
    )  # fmt: skip
    server = Server(create(parts), streams, grace=5)
    server.config.headers = [(HEADER, version)]
    server.config.ws_ping_interval = server.config.ws_ping_timeout = ping
    with unix_socket(settings.socket) as local, tcp_socket(listen, token) as remote:
        thread = threading.Thread(target=server.run, args=([local, remote],), daemon=True)
        thread.start()
        try:
            yield Running(settings, door, operations, stopped, streams)
        finally:
            operations.go.set()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def eventually(look: Callable[[], object], seconds: float = 10) -> None:
    """Poll until true."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
