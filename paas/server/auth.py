"""Who is asking. On the unix socket the kernel says which user it is; over TCP only tokens count.

The socket's file mode is the lock of the first door (its folder belongs to the server's user); whoever may open it is
the platform's owner. Host and forwarded headers mean nothing here: `gate.py` has made the client's address true.
"""

from __future__ import annotations

import base64
import hmac
import pwd
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from paas.errors import NotLoggedIn, TooManyAttempts
from paas.model.people import NOTHING, Actor, owner
from paas.server.guesses import Guesses

LOCAL = "unix:"
"""Begins the client's address where the connection came over the unix socket; no TCP peer's address can."""

ACTING = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 _.@:-]{0,159}")
"""For whom, or in whose name, a program at the socket may say to go on: what tokens, SSH keys and users are called."""


class LoginsLike(Protocol):
    """Who somebody is, by what they show: `usecases.logins.Logins`."""

    def by_token(self, text: str, peer: str = "") -> Actor:
        """Raises NotLoggedIn."""

    def by_acting(self, said: str, user: str) -> Actor:
        """Raises NotLoggedIn."""

    def recently_good(self, text: str) -> bool:
        """Whether this token was good a while ago."""


class NoLogins:
    """Nobody has a token."""

    def by_token(self, text: str, peer: str = "") -> Actor:
        raise NotLoggedIn("not logged in")

    def by_acting(self, said: str, user: str) -> Actor:
        return owner(said or user, "socket")

    def recently_good(self, text: str) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Turns a request's headers into an Actor. `token` is the server's own (PAAS_TOKEN), its bearer the platform's
    owner; empty: there is none. Wrong ones are counted by the peer's address."""

    token: str = ""
    logins: LoginsLike = field(default_factory=NoLogins)
    guesses: Guesses = field(default_factory=Guesses)

    def identify(self, scope: Mapping[str, Any], headers: Mapping[str, str], peer: str) -> Actor:
        """The actor of a request from `peer`. Raises NotLoggedIn, TooManyAttempts."""
        if user := local_user(scope):
            said = headers.get("paas-as", "")
            return self.logins.by_acting(said if ACTING.fullmatch(said) else "", user)
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            raise NotLoggedIn("not logged in", hint="paas login URL, or set PAAS_TOKEN")
        return self._by_token(given.strip(), peer)

    def identify_git(self, scope: Mapping[str, Any], headers: Mapping[str, str], peer: str) -> Actor:
        """The same for git, which knows nothing but user names and passwords: the password is the token."""
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic" or local_user(scope):
            return self.identify(scope, headers, peer)
        try:
            _, _, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
        except ValueError:
            raise NotLoggedIn("not logged in", hint="the password is a token: paas tokens create") from None
        return self._by_token(password, peer)

    def stranger(self, scope: Mapping[str, Any], peer: str) -> Actor:
        """Who asks without a login. Raises TooManyAttempts."""
        if not local_user(scope):
            self._check_guesses(peer)
        return Actor(name="nobody", via="invite", peer=peer, access=NOTHING)

    def failed(self, peer: str) -> None:
        """Somebody there showed something wrong."""
        self.guesses.failed(peer)

    def _by_token(self, given: str, peer: str) -> Actor:
        # A token that was good lately passes: its owner must not suffer from who guesses behind the same address.
        if not self.logins.recently_good(given):
            self._check_guesses(peer)
        if self.token and hmac.compare_digest(given.encode(), self.token.encode()):
            return Actor(name="token", via="token", peer=peer)
        try:
            return self.logins.by_token(given, peer)
        except NotLoggedIn:
            self.failed(peer)
            raise

    def _check_guesses(self, peer: str) -> None:
        if wait := self.guesses.wait(peer):
            raise TooManyAttempts(
                "too many wrong tokens or codes came from your address", hint=f"try again in {wait:.0f} s"
            )


def local_user(scope: Mapping[str, Any]) -> str:
    """The user at the other end of the unix socket; empty for a connection over TCP."""
    client = scope.get("client")
    text = str(client[0]) if client else ""
    return text.removeprefix(LOCAL) if text.startswith(LOCAL) else ""


def peer_name(connection: socket.socket) -> str:
    """The name of the user at the other end of a unix socket; `uid:N` where the user has none."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
