"""Stands before every route: from where a request comes, and whether it may come this way. Asks nobody who he is.

`scope["client"]` behind it is true: `("unix:<user>", 0)`, or the address of the person's machine. Over the listener
that belongs to the router, only a request with the router's word is let in, and its `X-Forwarded-For` counts; on every
other way in, forwarded headers are taken off unread. So nobody can say for himself where he comes from.

Also refused here: other host names than the platform's (a name somebody else leads to this machine), and requests
that a page of another origin makes a browser send.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from paas.errors import Denied, PaasError, UsageError
from paas.model.secret import Secret
from paas.routers.vouch import HEADER
from paas.server.auth import LOCAL

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

FORWARDED = b"x-forwarded-for"
_WORD = HEADER.lower().encode()
_UNHEARD = (b"forwarded", b"x-real-ip", b"x-forwarded-", _WORD)
"""Beginnings of headers that no route ever sees."""
_SAFE = ("GET", "HEAD", "OPTIONS")


class Misdirected(UsageError):
    """The request names a host that is not this server."""

    status = 421

    @property
    def code(self) -> str:
        """On the wire it is a UsageError like the others."""
        return "UsageError"


@dataclass(frozen=True, slots=True)
class Gate:
    """ASGI middleware. `port` is that of the router's listener, `host` the platform's own (both empty: there is none);
    `trusted` are proxies in front of the router."""

    app: App
    word: Secret
    port: int = 0
    host: str = ""
    trusted: tuple[Network, ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on with its true peer, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        try:
            seen = self.seen(scope)
        except PaasError as error:
            await _refuse(scope, send, error)
            return
        await self.app(seen, receive, send)

    def seen(self, scope: Scope) -> Scope:
        """The scope with the true client. Raises Denied or Misdirected."""
        headers = _Headers(scope.get("headers") or ())
        scope = {**scope, "headers": headers.passed()}
        client = scope.get("client")
        if client and str(client[0]).startswith(LOCAL):
            return scope
        if self._by_router(scope):
            self._vouched(headers)
            scope["client"] = (self._forwarded(headers), 0)
            scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        else:
            self._named(scope, headers.one(b"host"))
        self._own_page(scope, headers)
        return scope

    def _by_router(self, scope: Scope) -> bool:
        server = scope.get("server")
        return bool(self.port and server and server[1] == self.port and _loopback(str(server[0])))

    def _vouched(self, headers: _Headers) -> None:
        given = headers.all(_WORD)
        word = self.word.reveal().encode()
        if not word or len(given) != 1 or not hmac.compare_digest(given[0], word):
            raise Denied("this port is the router's", hint="come by the platform's host, or by this machine's socket")
        if _host(headers.one(b"host")) != self.host:
            raise Misdirected("this server is not the one of that host")

    def _forwarded(self, headers: _Headers) -> str:
        """The last address that no trusted proxy has. Raises UsageError when the router named none."""
        found = ""
        for text in reversed(b",".join(headers.all(FORWARDED)).decode("latin-1").split(",")):
            address = _address(text)
            if address is None:
                break
            found = str(address)
            if not any(address.version == net.version and address in net for net in self.trusted):
                break
        if not found:
            raise UsageError("the router does not say who asks")
        return found

    def _named(self, scope: Scope, host: bytes) -> None:
        """On loopback: no name but this machine's. A browser would send others here (DNS rebinding)."""
        server, name = scope.get("server"), _host(host)
        if not server or not _loopback(str(server[0])):
            return
        # No page anywhere has an origin of one label.
        if "." in name and name != self.host and _address(name) is None:
            raise Misdirected("this server is not the one of that host")

    def _own_page(self, scope: Scope, headers: _Headers) -> None:
        origin = headers.one(b"origin").decode("latin-1").lower()
        if not origin or (scope["type"] == "http" and scope["method"] in _SAFE):
            return
        scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
        own = f"{scheme}://{headers.one(b'host').decode('latin-1').lower()}"
        if origin != own:
            raise Denied("a page of another origin may not do this")


def peer_address(scope: Mapping[str, Any]) -> str:
    """What guesses are counted by: the user of a socket, an IPv4 address, the /64 of an IPv6 address (its owner has
    all of it). Behind the gate nobody can choose it."""
    client = scope.get("client")
    text = str(client[0]) if client else ""
    address = None if text.startswith(LOCAL) else _address(text)
    if address is None or address.version == 4:
        return text if address is None else str(address)
    return str(ipaddress.ip_network(f"{address}/64", strict=False))


def networks(text: str) -> tuple[Network, ...]:
    """`10.0.0.1, 10.1.0.0/16` as networks. Raises UsageError naming what is none."""
    found = []
    for part in text.replace(",", " ").split():
        try:
            found.append(ipaddress.ip_network(part, strict=False))
        except ValueError:
            raise UsageError(f"PAAS_TRUSTED_PROXIES: {part!r} is no address range", hint="like 10.1.0.0/16") from None
    return tuple(found)


class _Headers:
    """Raw headers, in which a name may occur more than once."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._pairs = list(pairs)

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self._pairs if key.lower() == name]

    def one(self, name: bytes) -> bytes:
        """The only one; of several the claim is not believed."""
        found = self.all(name)
        if len(found) > 1:
            raise UsageError(f"the header {name.decode()} is there more than once")
        return found[0].strip() if found else b""

    def passed(self) -> list[tuple[bytes, bytes]]:
        return [pair for pair in self._pairs if not pair[0].lower().startswith(_UNHEARD)]


def _host(header: bytes) -> str:
    """The name in a Host header, without its port, in small letters."""
    text = header.decode("latin-1").lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0].rstrip(".")


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _loopback(host: str) -> bool:
    address = _address(host)
    return address is not None and address.is_loopback


async def _refuse(scope: Scope, send: Send, error: PaasError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": error.message[:100]})
        return
    body = json.dumps(error.as_dict(), separators=(",", ":")).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
