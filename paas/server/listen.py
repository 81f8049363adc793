"""The server's doors: uvicorn's protocols, with the unix peer's user as the client's address, and their sockets.

Each TCP door has room for so many connections. Where there is none, those of nobody known give way, the one first that
has been so the longest: no request, half a one, a body that a stranger does not send, an answer that one does not take.
"""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from asyncio.transports import BaseTransport
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from paas.errors import ConfigError, PlatformError, ServerUnavailable
from paas.server.auth import LOCAL, peer_name
from paas.server.crowd import PLACE

LONGEST_SOCKET = 107
"""Bytes of a unix socket's path: the kernel's sockaddr_un holds 108 with the final NUL."""
CONNECTIONS = 1000
"""Those of one TCP door at the same time, or an eighth of the files that the server may have open. The unix socket,
which only the server's own user can open, has no such limit."""
_FULL = json.dumps(ServerUnavailable("too many people are at this server", hint="try again in a minute").as_dict())
_BUSY = (
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    f"Content-Length: {len(_FULL)}\r\n\r\n{_FULL}"
).encode()


class Http(H11Protocol):
    """HTTP; `scope["client"]` of a local connection is `("unix:<user>", 0)`."""

    since = 0.0
    """When it came, or its last request did."""
    refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client = _local(transport) or self.client
        self.since = self.loop.time()
        self.refused = not _room_for(self)

    def data_received(self, data: bytes) -> None:
        if self.refused:
            self.transport.write(_BUSY)
            self.transport.close()
            return
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self.since = self.loop.time()

    def of_nobody(self) -> bool:
        """Whether it carries nothing of anybody who is known."""
        return self.cycle is None or self.cycle.response_complete or _stranger(self.scope)


class WebSocket(WebSocketsSansIOProtocol):
    """The same for WebSockets."""

    since = 0.0
    scope: Any = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self.client = _local(transport) or self.client
        self.since = self.loop.time()

    def of_nobody(self) -> bool:
        """Whether nobody known has it: one that was refused, or is about to be."""
        return _stranger(self.scope)


def _stranger(scope: Mapping[str, Any] | None) -> bool:
    place = (scope or {}).get(PLACE)
    return place is None or not place.whose


def _room_for(newcomer: Http) -> bool:
    """Whether its door has room for one more, if need be for that of others."""
    port = (newcomer.server or ("", None))[1]
    if port is None:
        return True
    others = [
        one for one in cast("set[Http | WebSocket]", newcomer.connections)
        if one is not newcomer and one.server and one.server[1] == port and not one.transport.is_closing()
    ]  # fmt: skip
    too_many = len(others) + 1 - min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8)
    if too_many <= 0:
        return True
    going = sorted((one for one in others if one.of_nobody()), key=lambda one: one.since)[:too_many]
    for one in going:
        one.transport.abort()
    return len(going) == too_many


def _local(transport: BaseTransport) -> tuple[str, int] | None:
    connection = cast("socket.socket | None", transport.get_extra_info("socket"))
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    return LOCAL + peer_name(connection), 0


def unix_socket(path: Path) -> socket.socket:
    """A listening socket that only this user may open. A file left by a killed server goes first, so the caller
    must hold the home's lock. Raises ConfigError for a path that is too long."""
    if len(str(path).encode()) > LONGEST_SOCKET:
        raise ConfigError(f"{path} is too long for a socket", hint="set PAAS_HOME to a shorter path")
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Bound under another name and then renamed: there is no moment in which it is there but open to others, or there
    # but not yet answered.
    coming = path.with_suffix(".new")
    coming.unlink(missing_ok=True)
    try:
        listener.bind(str(coming))
        coming.chmod(0o600)
        listener.listen(512)
        coming.rename(path)
    except OSError:
        listener.close()
        with suppress(OSError):
            coming.unlink()
        raise
    return listener


def tcp_socket(address: str, token: str) -> socket.socket:
    """A listening socket on `host:port`. Raises ConfigError without a token or for a wrong address."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(
            f"{address!r} is no address to listen on", where="PAAS_LISTEN", hint="host:port, for example 127.0.0.1:8800"
        )
    if not token:
        raise ConfigError(
            "a server that listens on TCP needs a token", where="PAAS_TOKEN", hint="set it to a long random text"
        )
    try:
        return _at_once(
            socket.create_server(
                (host.strip("[]"), int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
            )
        )
    except OSError as error:
        raise PlatformError(f"cannot listen on {address}: {error.strerror or error}") from error


def router_socket(port: int) -> socket.socket:
    """The listening socket that the platform's own router comes by; see `gate.py`. Raises PlatformError."""
    try:
        return _at_once(socket.create_server(("127.0.0.1", port), backlog=512))
    except (OSError, OverflowError) as error:
        raise PlatformError(
            f"port {port} for the router cannot be opened: {error}", hint="set PAAS_SERVER_PORT to a free port"
        ) from error


def _at_once(listener: socket.socket) -> socket.socket:
    """Connections of this one send what they have. asyncio sees to that only for sockets it opened itself; without it
    the body of an answer waits for the other side to acknowledge its head: 40 ms for each."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
