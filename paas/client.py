"""Sends any request of `requests/` to the server, over this machine's unix socket or to a URL with a token.

Answers are JSON as they come; errors are raised as the class they were on the server. Knows the shapes of the wire
(see `server/app.py`), nothing of what requests mean.
"""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import paas
from paas.errors import ConfigError, PaasError, PlatformError, ServerUnavailable, UsageError, by_code
from paas.frames import MOST_FRAMES
from paas.model.events import Event
from paas.requests.base import Request
from paas.requests.versions import HEADER, check
from paas.sending import Sending, Told, untold
from paas.settings import Settings
from paas.terminals import converse

if TYPE_CHECKING:
    from websockets.asyncio.client import connect

    from paas.interfaces import Terminal
    from paas.model.service import LogLine

CONNECT, SILENT, ANSWER = 5.0, 60.0, 900.0
"""Seconds: to connect; without a sign of life on a stream (the server gives one every 15 s); for an answer (a plan may
have to fetch a repository first)."""
CLOSE = 2.0
"""Seconds that a server has to agree that a session is over."""
LARGEST = 1 << 18
"""Bytes of one frame of a session: of its error, where that is long."""
PART = 1 << 18

WriteTar = Callable[[IO[bytes]], None]


class Client:
    """A connection to one server. Every method may raise the PaasError that the server met, and ServerUnavailable."""

    def __init__(self, settings: Settings, acting: str = "", *, anonymous: bool = False) -> None:
        self.settings = settings
        self.local = not settings.server
        self._headers = {HEADER: paas.__version__}
        if acting:
            self._headers["Paas-As"] = acting
        if not self.local and not anonymous:
            self._headers["Authorization"] = f"Bearer {_token(settings)}"

    @classmethod
    def connect(cls, settings: Settings, acting: str = "", *, anonymous: bool = False) -> Client:
        """A client of the server of these settings; nothing is sent yet. On this machine's socket, `acting` is in whose
        name it asks, for the record: such as an SSH key's. `anonymous`: without a token, to log in."""
        return cls(settings, acting, anonymous=anonymous)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open between requests: each has a connection of its own, so that none is ever stale."""

    def version(self) -> str:
        """The server's version; empty when it does not answer."""
        try:
            with self._open("GET", "/health", None, CONNECT) as answer:
                return str(_json(answer)["version"])
        except (ServerUnavailable, ValueError, KeyError):
            return ""

    def ask(self, request: Request) -> Any:
        """The answer of a request of shape `answer`, as JSON values."""
        with self._open(*_parts(request), ANSWER) as answer:
            _check(answer)
            return _json(answer)

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

    def upload(
        self, write: WriteTar, told: Told = untold, *, packing: bool = True, announced: Mapping[str, int] | None = None
    ) -> str:
        """The id of the upload of what `write` writes. It is spooled to disk first: its length is announced, and over a
        line that breaks it is sent on from where it stopped. `told` hears how much was sent. A source may be packed for
        the way (`packing`); `announced` says its `unpacked` bytes and `files`, which a server elsewhere checks."""
        with tempfile.TemporaryFile(prefix="paas-upload-") as spool:
            digest = self._spool(write, spool, packing and not self.local)
            size = spool.tell()
            spool.seek(0)
            if not self.local:
                return Sending(self._call, spool, size, digest, told, announced or {}).all()
            kept = self._call("PUT", "/uploads", spool, {"Content-Length": str(size)})
        if kept["sha256"] != digest:
            raise PlatformError("the upload arrived damaged", hint="try again")
        return str(kept["upload"])

    def _call(self, method: str, path: str, body: bytes | IO[bytes], headers: Mapping[str, str]) -> Any:
        with self._open(method, path, body, SILENT, headers) as answer:
            _check(answer)
            return _json(answer)

    def download(self, request: Request, into: IO[bytes]) -> int:
        """Write the bytes of a backup to a file; their number."""
        size = 0
        with self._open(*_parts(request), SILENT) as answer:
            _check(answer)
            for part in _body(answer):
                into.write(part)
                size += len(part)
        return size

    def session(self, request: Request, terminal: Terminal) -> int:
        """Run a command with this terminal; its exit code. One end or the other going away ends it."""
        import websockets.exceptions as trouble

        from paas.lines import connected

        path, fields = address(request)
        try:
            with connected(lambda: _websocket(self.settings, path, self._headers)) as line:
                line.send(json.dumps(fields))
                said = converse(line, terminal)
        except trouble.InvalidStatus as error:
            raise _refused(error.response.body) from None
        except trouble.WebSocketException as error:
            raise _broken() from error
        except BrokenPipeError:  # of the terminal: who read what the command says has gone
            raise
        except OSError as error:
            raise unreachable(self.settings, error) from error
        if not said:
            raise _broken()
        if "error" in said:
            raise error_of(said["error"])
        return int(said["exit_code"])

    def _spool(self, write: WriteTar, spool: IO[bytes], packing: bool) -> str:
        try:
            if not packing:
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
        with self._open(*_parts(request), SILENT) as answer:
            _check(answer)
            for line in _lines_of(_body(answer)):
                if line.strip():
                    value = json.loads(line)
                    last = str(value.get("kind", ""))
                    yield value
        if last not in ("result", "error"):
            raise _broken()

    @contextmanager
    def _open(
        self, method: str, path: str, body: bytes | IO[bytes] | None, timeout: float, more: Mapping[str, str] = {}
    ) -> Iterator[HTTPResponse]:
        """The answer to one request, not read yet. `timeout` is how long the other side may be silent, in seconds."""
        with closing(_connection(self.settings)) as connection:
            try:
                connection.connect()
                connection.sock.settimeout(timeout)
            except OSError as error:
                raise unreachable(self.settings, error) from error
            with closing(_exchange(connection, method, path, body, {**self._headers, **more})) as answer:
                yield answer


class _UnixConnection(HTTPConnection):
    """HTTP over the unix socket at `path`."""

    def __init__(self, path: str) -> None:
        super().__init__("paas", timeout=CONNECT, blocksize=PART)
        self._path = path

    def connect(self) -> None:
        """Raises OSError when nobody listens, and then leaves no socket behind."""
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.settimeout(CONNECT)
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


def _connection(settings: Settings) -> HTTPConnection:
    if not settings.server:
        return _UnixConnection(str(settings.socket))
    scheme, _, place = server_url(settings.server).partition("://")
    try:
        if scheme == "http":
            return HTTPConnection(place, timeout=CONNECT, blocksize=PART)
        proxy, headers = _proxy(place)
        secured = http.client.HTTPSConnection(proxy or place, timeout=CONNECT, blocksize=PART, context=_trust(settings))
    except http.client.InvalidURL:
        raise _no_address(settings.server) from None
    if proxy:
        secured.set_tunnel(place, headers=headers)
    return secured


def _trust(settings: Settings) -> ssl.SSLContext:
    """What a server's certificate is checked by. Raises ConfigError for a file of authorities that cannot be used."""
    found = ssl.create_default_context()
    if settings.server_ca:
        try:
            found.load_verify_locations(settings.server_ca)
        except OSError as error:  # an SSLError is one, too
            raise ConfigError(
                f"cannot be used: {error.strerror or error}",
                where=settings.server_ca,
                hint="a file of authorities, PEM",
            ) from error
    return found


def _proxy(place: str) -> tuple[str, dict[str, str]]:
    """`host:port` of the proxy by which a server is reached, as HTTPS_PROXY and NO_PROXY say, and what it is told;
    empty: directly."""
    if not {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} & os.environ.keys():
        return "", {}
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    url = proxies.get("https") or proxies.get("all", "")
    if not url or proxy_bypass(place):
        return "", {}
    login, _, proxy = urlsplit(url if "//" in url else f"//{url}").netloc.rpartition("@")
    told = base64.b64encode(unquote(login).encode()).decode()
    return proxy, {"Proxy-Authorization": f"Basic {told}"} if login else {}


def _exchange(
    connection: HTTPConnection, method: str, path: str, body: bytes | IO[bytes] | None, headers: Mapping[str, str]
) -> HTTPResponse:
    """Send a request, wait for the head of its answer. An answer may come before all of the request was taken."""
    try:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body, headers)
        return connection.getresponse()
    except (OSError, HTTPException) as error:
        raise _broken() from error


def _body(answer: HTTPResponse) -> Iterator[bytes]:
    """What comes, as it comes. Raises ServerUnavailable when it ends before its announced end."""
    while part := _read(lambda: answer.read1(PART)):
        yield part
    if answer.length:
        raise _broken()


def _json(answer: HTTPResponse) -> Any:
    return json.loads(_read(answer.read))


def _read(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except (OSError, HTTPException) as error:
        raise _broken() from error


def _lines_of(parts: Iterator[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    for part in parts:
        first, *more = part.split(b"\n")
        begun.append(first)
        for line in more:
            yield b"".join(begun)
            begun = [line]
    yield b"".join(begun)


def unreachable(settings: Settings, error: Exception) -> ServerUnavailable:
    """No server answers at its address."""
    if settings.server and (why := getattr(error, "verify_message", "")):  # an SSLCertVerificationError
        return ServerUnavailable(
            f"the certificate of {settings.server} is not trusted: {why}",
            hint="paas login --ca FILE, or PAAS_HOST_CA, names the authority that it is of",
        )
    if settings.server:
        return ServerUnavailable(
            f"no server answers at {settings.server}: {_reason(error)}",
            hint="check the address: paas contexts shows where commands go",
        )
    if "denied" in str(error).lower():
        return ServerUnavailable(
            f"{settings.socket} may not be opened by this user",
            hint="run as the platform's owner (sudo), or set PAAS_HOME",
        )
    return ServerUnavailable("the platform does not run", hint="paas up")


def _reason(error: Exception) -> str:
    """In the system's words: libraries put theirs around them."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) and number > 0 else str(error)


def _broken() -> ServerUnavailable:
    return ServerUnavailable(
        "the connection to the server broke", hint="paas operations shows what still runs; paas watch ID follows it"
    )


def server_url(server: str) -> str:
    """The address without its last slash. Raises UsageError for what is none."""
    if not re.fullmatch(r"https?://[^\s/@]+/?", server):
        raise _no_address(server)
    return server.rstrip("/")


def _no_address(server: str) -> UsageError:
    return UsageError(f"PAAS_HOST {server!r} is no server's address", hint="https://host or http://host:port")


def _token(settings: Settings) -> str:
    if not settings.token:
        raise UsageError("a server at an address needs a token", hint="set PAAS_TOKEN")
    if not (settings.token.isascii() and settings.token.isprintable()):
        raise UsageError("PAAS_TOKEN is no token", hint="tokens have letters, digits and signs of ASCII")
    return settings.token


def _parts(request: Request) -> tuple[str, str, bytes | None]:
    """Method, path with query, and JSON body; defaults are left out."""
    path, fields = address(request)
    if request.method not in ("GET", "DELETE"):
        return request.method, path, json.dumps(fields).encode()
    query = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in fields.items()}
    return request.method, f"{path}?{urlencode(query)}" if query else path, None


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


def _websocket(settings: Settings, path: str, headers: Mapping[str, str]) -> connect:
    from websockets.asyncio.client import connect, unix_connect

    # What waits to be shown stays within the window of the session (frames.py), so that pings behind it are read.
    common: dict[str, Any] = {
        "additional_headers": headers, "compression": None, "open_timeout": CONNECT, "close_timeout": CLOSE,
        "max_queue": MOST_FRAMES, "max_size": LARGEST,
    }  # fmt: skip
    if not settings.server:
        return unix_connect(str(settings.socket), f"ws://paas{path}", **common)
    url = "ws" + server_url(settings.server).removeprefix("http") + path
    return connect(url, ssl=_trust(settings) if url.startswith("wss:") else None, **common)


def _refused(body: bytes | bytearray | None) -> PaasError:
    try:
        return error_of(json.loads(body or b""))
    except ValueError:
        return PlatformError("the server refused the session")


def _content(file: IO[bytes]) -> Iterator[bytes]:
    while part := file.read(PART):
        yield part


def _check(answer: HTTPResponse) -> None:
    """Raise what the server met, and say when it is another server than this client can talk to."""
    check(answer.headers.get(HEADER, paas.__version__), here="command line", there="server")
    if answer.status >= 400:
        try:
            raise error_of(_json(answer))
        except ValueError:
            raise PlatformError(f"the server answered {answer.status}") from None


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
    from paas.model.service import LogLine  # the services' words take 10 ms, and few commands read logs

    return LogLine(**{one.name: value[one.name] for one in dataclasses.fields(LogLine) if one.name in value})
