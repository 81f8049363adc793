"""The HTTP interface, made from `requests/`: one route per request, by its shape. Decides nothing.

    answer      JSON
    operation   NDJSON: `{"kind": "operation", "data": {"id": …}}`, then its events; the last is `result` or `error`
    stream      NDJSON: events, or log lines (`"kind": "log"`), then `result` or `error`; a backup is its bytes
    session     a WebSocket, see `sessions.py` and `frames.py`

An error is `PaasError.as_dict()` with its status. A client that goes away ends its stream, never the operation.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Protocol

from fastapi import FastAPI, Response, WebSocket
from fastapi import Request as HttpRequest
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

import paas
from paas.errors import Cancelled, Denied, NotFound, NotLoggedIn, PaasError, UsageError
from paas.interfaces import Terminal
from paas.model.app import Operation
from paas.model.events import Emit, Event, silent
from paas.model.people import Actor
from paas.model.secret import Secret
from paas.model.service import LogLine
from paas.requests.all import all_requests
from paas.requests.base import Request, parse
from paas.requests.platform import PlatformDown, WatchOperation
from paas.requests.versions import HEADER, check, differ
from paas.server.auth import Authenticator, LoginsLike, NoLogins
from paas.server.crowd import Crowd, known
from paas.server.deploy_hooks import ReceiverLike, add_deploy_hooks
from paas.server.files import Download
from paas.server.gate import Gate, networks, peer_address
from paas.server.git import add_git
from paas.server.guesses import Guesses
from paas.server.parsing import fields_in_url, fields_of, has_body, room
from paas.server.sessions import converse
from paas.server.streams import Here, Streams, in_thread
from paas.server.uploads import add_uploads
from paas.settings import Settings
from paas.usecases.answers import as_json
from paas.usecases.backups import BackupFile
from paas.usecases.metrics import Page
from paas.usecases.operations import as_paas_error
from paas.usecases.presence import Presence

NDJSON = "application/x-ndjson"
Endpoint = Callable[[HttpRequest], Awaitable[Response]]


class DoorLike(Protocol):
    """What runs requests: `usecases.door.Door`."""

    def run(self, request: Request, actor: Actor, emit: Emit, operation: str = "") -> object:
        """The answer, or an iterator for a stream."""

    def admit(self, kind: type[Request], path: Mapping[str, str], actor: Actor) -> None:
        """Raises what a session of this kind would be refused with, before there is one."""

    def session(self, request: Request, actor: Actor, emit: Emit, terminal: Terminal) -> int:
        """The exit code of a command."""


class OperationsLike(Protocol):
    """What starts work that outlives its client: `usecases.operations.Operations`."""

    def start(self, request: Request, actor: Actor) -> Operation:
        """Start it and answer at once."""

    def follow(self, operation_id: str) -> Iterator[Event]:
        """Its events from the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the interface stands on. `stop` is called when the platform was told to go down, and did; `vouched` is the
    router's word."""

    door: DoorLike
    operations: OperationsLike
    settings: Settings
    stop: Callable[[], None] = lambda: None
    streams: Streams = field(default_factory=Streams)
    vouched: Secret = field(default_factory=lambda: Secret(""))
    logins: LoginsLike = field(default_factory=NoLogins)
    presence: Presence = field(default_factory=Presence)
    guesses: Guesses = field(default_factory=Guesses)
    receiver: ReceiverLike | None = None

    @property
    def auth(self) -> Authenticator:
        """Who is asking."""
        return Authenticator(self.settings.token, self.logins, self.guesses)


def create(parts: Parts) -> FastAPI:
    """The application. `/health` needs no login and says no more than that the server lives, and its version."""
    app = FastAPI(title="paas", version=paas.__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.room = room()
    _add_gate(app, parts)
    app.add_exception_handler(PaasError, _paas_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_api_route("/health", _health, methods=["GET"], name="health")
    app.add_api_route("/openapi.json", _openapi(parts), methods=["GET"], name="openapi", response_model=None)
    add_uploads(app, parts.settings, partial(_sender, parts))
    for kind in all_requests():
        if kind.shape == "session":
            app.add_api_websocket_route(kind.path, _session(parts, kind), name=kind.__name__)
        else:
            endpoint = _ENDPOINTS[kind.shape](parts, kind)
            app.add_api_route(kind.path, endpoint, methods=[kind.method], name=kind.__name__, response_model=None)
    if parts.receiver is not None:
        add_deploy_hooks(app, parts.receiver)
    add_git(app, partial(_in_session, parts), partial(_git_actor, parts))
    return app


def _add_gate(app: FastAPI, parts: Parts) -> None:
    settings = parts.settings
    port = settings.server_port if settings.platform_domain else 0
    trusted = networks(settings.trusted_proxies)
    app.add_middleware(Gate, word=parts.vouched, port=port, host=settings.platform_domain, trusted=trusted)
    app.add_middleware(Crowd)  # around the gate


# --- one endpoint per shape ---------------------------------------------------------------------------------------


def _answer(parts: Parts, kind: type[Request]) -> Endpoint:
    async def endpoint(http: HttpRequest) -> Response:
        actor = _stranger(parts, http) if kind.anyone else await _actor(parts, http)
        fields = await fields_of(kind, http)
        return await in_thread(partial(_answered, parts, kind, actor, fields))

    async def read(http: HttpRequest) -> Response:
        """All of it in one thread: two of them cost a short answer a third of its time. It takes no place of its
        person's: a server that is slow for a while refuses none, and a full one breaks off who takes no answer."""
        _check_version(http)
        return await in_thread(lambda: _answered(parts, kind, _identify(parts, http), fields_in_url(http)))

    return endpoint if kind.anyone or has_body(kind) else read


def _answered(parts: Parts, kind: type[Request], actor: Actor, fields: dict[str, object]) -> Response:
    answer = _run(parts, parse(kind, fields), actor)
    if isinstance(answer, Page):
        return Response(answer.text, media_type=answer.media_type)
    return _json(as_json(answer))


def _stream(parts: Parts, kind: type[Request]) -> Endpoint:
    async def endpoint(http: HttpRequest) -> Response:
        actor = await _actor(parts, http)
        request = parse(kind, await fields_of(kind, http))
        answer = await in_thread(partial(_run, parts, request, actor))
        here = partial(parts.presence.here, actor, request)
        if isinstance(answer, BackupFile):
            return Download(answer.path, name=answer.name, here=here)
        if not isinstance(answer, Iterator):
            raise TypeError(f"{kind.__name__} answered {type(answer).__name__}, not a stream")
        return _streamed(parts, answer, here, endless=kind is not WatchOperation)

    return endpoint


def _operation(parts: Parts, kind: type[Request]) -> Endpoint:
    async def endpoint(http: HttpRequest) -> Response:
        actor = await _actor(parts, http)
        request = parse(kind, await fields_of(kind, http))
        operation = await in_thread(partial(_started, parts, request, actor))
        if kind is PlatformDown:
            _stop_after(parts, operation.id)
        events = parts.operations.follow(operation.id)
        first = Event(kind="operation", at=operation.started_at, data={"id": operation.id})
        here = partial(parts.presence.here, actor, WatchOperation(operation=operation.id))
        return _streamed(parts, events, here, endless=False, first=first)

    return endpoint


_ENDPOINTS: Mapping[str, Callable[[Parts, type[Request]], Endpoint]] = {
    "answer": _answer,
    "stream": _stream,
    "operation": _operation,
}


def _session(parts: Parts, kind: type[Request]) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(web: WebSocket) -> None:
        try:
            actor = await _actor(parts, web)
            await in_thread(partial(parts.door.admit, kind, web.path_params, actor))
        except PaasError as error:
            await web.send_denial_response(_json(error.as_dict(), error.status))
            return
        await converse(web, kind, partial(_in_session, parts, actor))

    return endpoint


def _openapi(parts: Parts) -> Endpoint:
    async def endpoint(http: HttpRequest) -> Response:
        await _actor(parts, http)
        return Response(await in_thread(_described), media_type="application/json")

    return endpoint


@cache
def _described() -> bytes:
    """The OpenAPI document. Its making costs some tenths of a second and some megabytes: only for who asks."""
    from paas.server.openapi import document

    return json.dumps(document(), separators=(",", ":")).encode()


async def _health() -> dict[str, str]:
    return {"status": "ok", "version": paas.__version__}


# --- calls into the core ------------------------------------------------------------------------------------------


async def _actor(parts: Parts, http: HTTPConnection) -> Actor:
    _check_version(http)
    return known(http.scope, await in_thread(partial(_identify, parts, http)))


def _identify(parts: Parts, http: HTTPConnection) -> Actor:
    return parts.auth.identify(http.scope, http.headers, peer_address(http.scope))


async def _sender(parts: Parts, http: HTTPConnection) -> Actor:
    """Who sends a source: nobody who may only look at things fills the disk. Raises Denied for those."""
    actor = await _actor(parts, http)
    if not actor.access.deploys:
        raise Denied("sources are sent by who may deploy; you are at most viewer", hint="ask an owner of the app")
    return actor


async def _git_actor(parts: Parts, http: HTTPConnection) -> Actor:
    peer = peer_address(http.scope)
    return known(http.scope, await in_thread(partial(parts.auth.identify_git, http.scope, http.headers, peer)))


def _stranger(parts: Parts, http: HTTPConnection) -> Actor:
    _check_version(http)
    return parts.auth.stranger(http.scope, peer_address(http.scope))


def _check_version(http: HTTPConnection) -> None:
    """Before anything is done for a command line that would not understand the answer."""
    check(http.headers.get(HEADER, paas.__version__), here="server", there="command line")


@contextmanager
def _our_errors() -> Iterator[None]:
    """Nothing but a PaasError gets out; a bug is logged and becomes one without its text."""
    try:
        yield
    except PaasError:
        raise
    except Exception as error:
        raise as_paas_error(error) from error


def _run(parts: Parts, request: Request, actor: Actor) -> object:
    with _our_errors():
        try:
            return parts.door.run(request, actor, silent)
        except NotLoggedIn:
            parts.guesses.failed(actor.peer)
            raise


def _started(parts: Parts, request: Request, actor: Actor) -> Operation:
    with _our_errors():
        return parts.operations.start(request, actor)


def _in_session(parts: Parts, actor: Actor, request: Request, terminal: Terminal) -> int:
    with _our_errors(), parts.presence.here(actor, request, getattr(terminal, "close", _nothing)) as visit:
        try:
            code = parts.door.session(request, actor, silent, terminal)
        except Cancelled:
            if not visit.ended:
                raise
            code = 1
        if visit.ended:
            raise _no_more()
        return code


def _no_more() -> NotLoggedIn:
    """What somebody is told whose stream or session is ended because they may not have it any more."""
    return NotLoggedIn("what allowed this has ended", hint="paas whoami")


def _nothing() -> None:
    """There is nothing to end."""


def _stop_after(parts: Parts, operation_id: str) -> None:
    """Stop the server once this operation has succeeded, whoever still listens."""

    def wait() -> None:
        last = deque(parts.operations.follow(operation_id), maxlen=1)
        if last and last[0].kind == "result":
            parts.stop()

    threading.Thread(target=wait, name="down", daemon=True).start()


# --- the wire -----------------------------------------------------------------------------------------------------


def _streamed(
    parts: Parts, source: Iterator[object], here: Here, *, endless: bool, first: Event | None = None
) -> Response:
    why = _no_more()
    ended = _line(Event(kind="error", message=why.message, data=why.as_dict()))
    body = parts.streams.send(_lines(source, first), source, endless=endless, here=here, turned_out=ended)
    return StreamingResponse(body, media_type=NDJSON)


def _lines(source: Iterator[object], first: Event | None) -> Iterator[bytes]:
    """Each item as a line; a stream of log lines gets an end of its own, so that a broken connection is told apart."""
    if first is not None:
        yield _line(first)
    last = None
    try:
        for last in source:
            yield _line(last)
    except Exception as error:
        failure = as_paas_error(error)
        yield _line(Event(kind="error", message=failure.message, data=failure.as_dict()))
        return
    if not (isinstance(last, Event) and last.kind in ("result", "error")):
        yield _line(Event(kind="result"))


def _line(item: object) -> bytes:
    value = as_json(item)
    if isinstance(item, LogLine) and isinstance(value, dict):
        value = {"kind": "log", **value}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _json(value: object, status: int = 200) -> Response:
    return Response(json.dumps(value, separators=(",", ":")), status_code=status, media_type="application/json")


async def _paas_error(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, PaasError)
    if isinstance(error, UsageError) and not error.hint:
        error.hint = _other_version(http)
    answer = _json(error.as_dict(), error.status)
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


async def _http_error(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = error.status_code in (404, 405)
    failure = NotFound("there is no such address") if known else UsageError(str(error.detail))
    failure.hint = _other_version(http)
    answer = _json(failure.as_dict(), error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def _other_version(http: HttpRequest) -> str:
    """Another version of the command line may know what this server does not."""
    return differ(http.headers.get(HEADER, ""), here="server", there="command line")
