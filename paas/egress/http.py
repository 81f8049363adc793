"""One HTTP request to an address that somebody gave. No redirect is followed, the answer is cut, the whole has a
deadline, and nothing of this machine's environment (proxies, netrc) takes part."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from paas.egress.connect import Place, connected, found
from paas.egress.policy import Policy, literal
from paas.errors import UsageError

SECONDS = 15.0
"""For one request, from the first packet to the last byte of the answer."""
AGAIN = 0.2
"""Seconds between two cuts of what goes on after the deadline."""
KEPT = 4096
"""Bytes of the answer that are read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` is the beginning of the body. Status 3xx means just that: nobody went there."""

    status: int
    text: str


def checked_url(url: str) -> SplitResult:
    """The parts of an http(s) URL that hides nothing. Raises UsageError, which never shows the URL: it may be a
    password."""
    odd = not url.isascii() or any(ord(char) <= 32 or ord(char) == 127 for char in url) or "\\" in url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        odd, parts, port = True, urlsplit(""), None
    if odd or len(url) > 2000 or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError("this is not an http or https URL", hint="for example: https://example.com/hook")
    if "@" in parts.netloc or parts.fragment:
        raise UsageError("a URL with a user, a password or a # part is not taken", hint="https://host/path")
    literal(_host(parts))
    return parts


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    policy: Policy,
    tls: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> Answer:
    """POST it. Raises UsageError, Refused, ConfigError (no such name), OSError (TimeoutError, ssl.SSLError included)
    when there was no answer."""
    parts = checked_url(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    place = found(_host(parts), port, policy)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _Connection(place, tls or ssl.create_default_context() if parts.scheme == "https" else None, seconds)
    try:
        with deadline(seconds, lambda: connection.held) as late:
            try:
                connection.request("POST", target, body, {**headers, "Host": parts.netloc, "Connection": "close"})
                answer = connection.getresponse()
                return Answer(answer.status, answer.read(KEPT).decode("utf-8", "replace"))
            except OSError:  # TLS's refusals are ValueErrors as well
                raise
            except (http.client.HTTPException, ValueError) as error:
                said = f"no answer in {seconds:g} s" if late() else f"no HTTP answer ({type(error).__name__})"
                raise OSError(said) from None
    finally:
        connection.close()


@contextmanager
def deadline(seconds: float, current: Callable[[], socket.socket | None]) -> Iterator[Callable[[], bool]]:
    """Cut the connection when the time is up: a timeout of the socket alone starts anew with every byte. Yields
    whether it was. Raises TimeoutError for whatever that broke."""
    late, done = threading.Event(), threading.Event()
    until = time.monotonic() + seconds

    def cut() -> None:
        if done.wait(seconds):
            return
        late.set()
        while True:  # there may be no connection yet, or soon another one: the same with TLS around it
            with suppress(OSError, AttributeError):
                open_now = current()
                if open_now is not None:
                    open_now.shutdown(socket.SHUT_RDWR)
            if done.wait(AGAIN):
                return

    cutter = threading.Thread(target=cut, name="deadline", daemon=True)
    cutter.start()
    try:
        yield late.is_set
    except OSError:
        # The socket's own clock may have been the first to say so.
        if late.is_set() or time.monotonic() >= until:
            raise TimeoutError(f"no answer in {seconds:g} s") from None
        raise
    finally:
        done.set()
        cutter.join()


class _Connection(http.client.HTTPConnection):
    """A connection to a place that was checked; the name is used for TLS and the Host header alone."""

    def __init__(self, place: Place, tls: ssl.SSLContext | None, seconds: float) -> None:
        super().__init__(place.host, place.port, timeout=seconds)
        self._place = place
        self._tls = tls
        self._seconds = seconds
        self.held: socket.socket | None = None
        """Its socket, also once an answer has begun that ends with it: then the connection itself forgets it."""

    def connect(self) -> None:
        """As decided before."""
        plain = connected(self._place, self._seconds)
        self.sock = self.held = plain
        if self._tls is not None:
            try:
                self.sock = self.held = self._tls.wrap_socket(plain, server_hostname=self._place.host)
            except BaseException:
                plain.close()
                raise


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host
