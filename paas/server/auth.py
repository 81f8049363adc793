"""Who is asking. On the unix socket the kernel says which user it is; over TCP only the token counts.

The socket's file mode is the lock of the first door (its folder belongs to the server's user); whoever may open it is
an owner. Host and forwarded headers mean nothing here.
"""

from __future__ import annotations

import base64
import hmac
import pwd
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paas.errors import Denied

LOCAL = "unix:"
"""Begins the client's address where the connection came over the unix socket; no TCP peer's address can."""


ACTING = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 _.@:-]{0,99}")
"""In whose name an owner at the socket may say to act: what SSH keys and users are called."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and what they may."""

    name: str
    role: str = "owner"


class NotLoggedIn(Denied):
    """No token, or a wrong one."""

    status = 401

    @property
    def code(self) -> str:
        """On the wire it is a Denied like the others."""
        return "Denied"


def identify(scope: Mapping[str, Any], headers: Mapping[str, str], token: str) -> Actor:
    """The actor of a request. Raises NotLoggedIn. An empty `token` lets nobody in over TCP."""
    client = scope.get("client")
    if client and str(client[0]).startswith(LOCAL):
        said = headers.get("paas-as", "")
        return Actor(said if ACTING.fullmatch(said) else str(client[0]).removeprefix(LOCAL))
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
        return Actor("token")
    raise NotLoggedIn("not logged in", hint="set PAAS_TOKEN to the server's token")


def identify_git(scope: Mapping[str, Any], headers: Mapping[str, str], token: str) -> Actor:
    """The same for git, which knows nothing but user names and passwords: the password is the token."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return identify(scope, headers, token)
    try:
        _, _, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except ValueError:
        raise NotLoggedIn("not logged in", hint="the password is the server's token") from None
    return identify(scope, {"authorization": f"Bearer {password}", "paas-as": headers.get("paas-as", "")}, token)


def peer_name(connection: socket.socket) -> str:
    """The name of the user at the other end of a unix socket; `uid:N` where the user has none."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
