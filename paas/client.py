"""Sends any request of `requests.py` to the server, over this machine's unix socket or to a URL with a token.

Answers are JSON as they come; errors are raised as the class they were on the server. Knows the shapes of the wire
(see `server/app.py`), nothing of what requests mean.
"""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2

import paas
from paas.errors import PaasError, PlatformError, ServerUnavailable, UsageError, by_code
from paas.model.events import Event
from paas.model.service import LogLine
from paas.requests import Request
from paas.settings import Settings

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from paas.interfaces import Terminal

CONNECT, SILENT, ANSWER = 5.0, 60.0, 900.0
"""Seconds: to connect; without a sign of life on a stream (the server gives one every 15 s); for an answer (a plan may
have to fetch a repository first)."""
PART = 1 << 18

WriteTar = Callable[[IO[bytes]], None]


class Client:
    """A connection to one server. Every method may raise the PaasError that the server met, and ServerUnavailable."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.local = not settings.server
        self._answered = False
        headers = {"Paas-Version": paas.__version__}
        self._http: httpx2.Client
        if self.local:
            transport = httpx2.HTTPTransport(uds=str(settings.socket))
            self._http = httpx2.Client(transport=transport, base_url="http://paas", headers=headers, timeout=_timeout())
        else:
            if not settings.token:
                raise UsageError("a server at an address needs a token", hint="set PAAS_TOKEN")
            headers["Authorization"] = f"Bearer {settings.token}"
            self._http = httpx2.Client(base_url=_url(settings.server), headers=headers, timeout=_timeout())

    @classmethod
    def connect(cls, settings: Settings) -> Client:
        """A client of the server of these settings; nothing is sent yet."""
        return cls(settings)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    def version(self) -> str:
        """The server's version; empty when it does not answer."""
        try:
            with self._reached():
                return str(self._http.get("/health", timeout=_timeout(CONNECT)).json()["version"])
        except (ServerUnavailable, ValueError, KeyError):
            return ""

    def ask(self, request: Request) -> Any:
        """The answer of a request of shape `answer`, as JSON values."""
        with self._reached():
            answer = self._http.request(**_parts(request), timeout=_timeout(ANSWER))
        _check(answer)
        return answer.json()

    def follow(self, request: Request) -> Iterator[Event]:
        """The events of an operation or of WatchOperation, as they happen; the last one is `result`.

        The first event of an operation is `operation`, data its id. An `error` event is raised as its PaasError. A
        client that stops reading leaves the operation running.
        """
        for value in self._lines(request):
            if value.get("kind") == "error":
                raise error_of(value.get("data", {}))
            yield _event(value)

    def lines(self, request: Request) -> Iterator[LogLine]:
        """The log lines of a stream, as they come."""
        for value in self._lines(request):
            if value.get("kind") == "error":
                raise error_of(value.get("data", {}))
            if value.get("kind") == "log":
                yield _log_line(value)

    def upload(self, write: WriteTar) -> str:
        """The id of the upload of what `write` writes. It is spooled to disk first: its length is announced."""
        with tempfile.TemporaryFile(prefix="paas-upload-") as spool:
            digest = self._spool(write, spool)
            size = spool.tell()
            spool.seek(0)
            with self._reached():
                headers = {"Content-Length": str(size)}
                answer = self._http.put("/uploads", content=_content(spool), headers=headers, timeout=_timeout(ANSWER))
        _check(answer)
        if answer.json()["sha256"] != digest:
            raise PlatformError("the upload arrived damaged", hint="try again")
        return str(answer.json()["upload"])

    def download(self, request: Request, into: IO[bytes]) -> int:
        """Write the bytes of a backup to a file; their number."""
        size = 0
        with self._reached(), self._http.stream(**_parts(request), timeout=_timeout(SILENT)) as answer:
            _check_stream(answer)
            for part in answer.iter_bytes():
                into.write(part)
                size += len(part)
        return size

    def session(self, request: Request, terminal: Terminal) -> int:
        """Run a command with this terminal; its exit code. One end or the other going away ends it."""
        import websockets.exceptions as trouble

        path, fields = address(request)
        try:
            with self._websocket(path) as web:
                web.send(json.dumps(fields))
                return _converse(web, terminal)
        except trouble.InvalidStatus as error:
            raise _refused(error.response.body) from None
        except trouble.WebSocketException as error:
            raise _broken() from error
        except OSError as error:
            raise unreachable(self.settings, error) from error

    def _websocket(self, path: str) -> ClientConnection:
        from websockets.sync.client import connect, unix_connect

        if self.local:
            return unix_connect(str(self.settings.socket), f"ws://paas{path}", compression=None, open_timeout=CONNECT)
        headers = {"Authorization": f"Bearer {self.settings.token}"}
        url = "ws" + _url(self.settings.server).removeprefix("http") + path
        return connect(url, additional_headers=headers, compression=None, open_timeout=CONNECT)

    def _spool(self, write: WriteTar, spool: IO[bytes]) -> str:
        """Local uploads go as they are, others are compressed."""
        try:
            if self.local:
                write(spool)
            else:
                with gzip.GzipFile(fileobj=spool, mode="wb", compresslevel=1, mtime=0) as packed:
                    write(packed)  # type: ignore[arg-type]
            end = spool.tell()
        except OSError as error:
            raise PlatformError(
                f"the source cannot be packed: {error.strerror or error}", hint="free some space, or set TMPDIR"
            ) from error
        spool.seek(0)
        digest = hashlib.sha256()
        for part in _content(spool):
            digest.update(part)
        spool.seek(end)
        return digest.hexdigest()

    def _lines(self, request: Request) -> Iterator[Mapping[str, Any]]:
        """The JSON objects of a stream. Raises ServerUnavailable when it breaks before its end."""
        last = ""
        with self._reached(), self._http.stream(**_parts(request), timeout=_timeout(SILENT)) as answer:
            _check_stream(answer)
            for line in answer.iter_lines():
                if line.strip():
                    value = json.loads(line)
                    last = str(value.get("kind", ""))
                    yield value
        if last not in ("result", "error"):
            raise _broken()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        if self.local and not self._answered:
            # The transport would leave a refused connection to the garbage collector; ours also knows why.
            _knock(self.settings)
        try:
            yield
            self._answered = True
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise unreachable(self.settings, error) from error
        except httpx2.TransportError as error:
            raise _broken() from error


def _knock(settings: Settings) -> None:
    """Raise ServerUnavailable when nobody listens on the unix socket."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(CONNECT)
            probe.connect(str(settings.socket))
    except OSError as error:
        raise unreachable(settings, error) from error


def unreachable(settings: Settings, error: Exception) -> ServerUnavailable:
    """No server answers at its address."""
    if settings.server:
        return ServerUnavailable(f"no server answers at {settings.server}: {error}", hint="check PAAS_HOST")
    if "denied" in str(error).lower():
        return ServerUnavailable(
            f"{settings.socket} may not be opened by this user",
            hint="run as the platform's owner (sudo), or set PAAS_HOME",
        )
    return ServerUnavailable("the platform does not run", hint="paas up")


def _broken() -> ServerUnavailable:
    return ServerUnavailable(
        "the connection to the server broke", hint="paas operations shows what still runs; paas watch ID follows it"
    )


def _timeout(seconds: float = ANSWER) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=CONNECT)


def _url(server: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@]+/?", server):
        raise UsageError(f"PAAS_HOST {server!r} is no server's address", hint="https://host or http://host:port")
    return server.rstrip("/")


def _parts(request: Request) -> dict[str, Any]:
    """Method, address, and the other fields as query or JSON body, defaults left out."""
    path, fields = address(request)
    if request.method in ("GET", "DELETE"):
        query = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in fields.items()}
        return {"method": request.method, "url": path, "params": query}
    return {"method": request.method, "url": path, "json": fields}


def address(request: Request) -> tuple[str, dict[str, Any]]:
    """The path of a request, and the fields that are not part of it and not at their default."""
    fields = dataclasses.asdict(request)  # type: ignore[call-overload]
    path = request.path
    for name in re.findall(r"\{(\w+)\}", request.path):
        path = path.replace(f"{{{name}}}", _segment(name, str(fields.pop(name))))
    defaults = {one.name: one.default for one in dataclasses.fields(request)}  # type: ignore[arg-type]
    return path, {key: value for key, value in fields.items() if value != defaults[key]}


def _segment(name: str, value: str) -> str:
    if value in ("", ".", "..") or "/" in value or not value.isprintable():
        raise UsageError(f"{value!r} is no {name}", hint="names have letters, digits and dashes")
    return quote(value, safe="")


INPUT, OUTPUT, ERRORS, SIZE, END, TAKEN = range(6)
WINDOW, FRAME = 1 << 18, 1 << 16
"""Channels of a session, and how many bytes of input may be on the way: see server/sessions.py."""


def _converse(web: ClientConnection, terminal: Terminal) -> int:
    window = _Window()
    threading.Thread(target=_send_input, args=(web, terminal, window), name="terminal-input", daemon=True).start()
    try:
        for frame in web:
            if isinstance(frame, bytes):
                _receive(frame, terminal, window)
                continue
            last = json.loads(frame)
            if "error" in last:
                raise error_of(last["error"])
            return int(last["exit_code"])
    finally:
        window.close()
    raise _broken()


def _receive(frame: bytes, terminal: Terminal, window: _Window) -> None:
    if frame[0] == TAKEN:
        window.give(int(frame[1:]))
    else:
        terminal.write(frame[1:], "stderr" if frame[0] == ERRORS else "stdout")


def _send_input(web: ClientConnection, terminal: Terminal, window: _Window) -> None:
    """What the person types, to the end. Ends silently with the connection: the other thread says why."""
    from websockets.exceptions import ConnectionClosed

    with suppress(ConnectionClosed):
        while (data := terminal.read()) is not None:
            if not isinstance(data, bytes):
                web.send(bytes([SIZE]) + json.dumps({"rows": data.rows, "columns": data.columns}).encode())
                continue
            for start in range(0, len(data), FRAME):
                part = data[start : start + FRAME]
                if not window.take(len(part)):
                    return
                web.send(bytes([INPUT]) + part)
        web.send(bytes([END]))


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


def _refused(body: bytes | bytearray | None) -> PaasError:
    try:
        return error_of(json.loads(body or b""))
    except ValueError:
        return PlatformError("the server refused the session")


def _content(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(PART):
        yield part


def _check_stream(answer: httpx2.Response) -> None:
    if answer.status_code >= 400:
        answer.read()
    _check(answer)


def _check(answer: httpx2.Response) -> None:
    """Raise what the server met, and say when it is another server than this client can talk to."""
    theirs = answer.headers.get("Paas-Version", paas.__version__)
    if not speaks(theirs):
        raise PlatformError(
            f"this is paas {paas.__version__}, the server is paas {theirs}",
            hint="use the same version on both sides; paas up restarts this machine's server in this one",
        )
    if answer.status_code >= 400:
        try:
            raise error_of(answer.json())
        except ValueError:
            raise PlatformError(f"the server answered {answer.status_code}") from None


def speaks(version: str) -> bool:
    """Whether a server of that version understands this client."""
    return _major(version) == _major(paas.__version__)


def _major(version: str) -> tuple[str, ...]:
    """What must be equal: the first number, and while that is 0 the second too."""
    first, *rest = version.split(".")
    return (first, *rest[:1]) if first == "0" else (first,)


def error_of(value: Mapping[str, Any]) -> PaasError:
    """The PaasError that this JSON is of."""
    kind = by_code(str(value.get("code", "")))
    return kind(
        str(value.get("message", "the server failed")),
        hint=str(value.get("hint", "")),
        details=tuple(map(str, value.get("details", ()))),
    )


def _event(value: Mapping[str, Any]) -> Event:
    return Event(
        kind=str(value.get("kind", "")),
        message=str(value.get("message", "")),
        app=str(value.get("app", "")),
        at=float(value.get("at", 0)),
        data=value.get("data", {}),
    )


def _log_line(value: Mapping[str, Any]) -> LogLine:
    return LogLine(**{one.name: value[one.name] for one in dataclasses.fields(LogLine) if one.name in value})
