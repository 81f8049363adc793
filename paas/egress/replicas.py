"""A GET of one of the platform's own replicas: at the address that the engine says it has, and nowhere else."""

from __future__ import annotations

import http.client
import time

from paas.egress.http import deadline
from paas.errors import PlatformError


def fetch(address: str, host: str, path: str, *, limit: int, seconds: float) -> bytes:
    """The body of an answer with status 200, `limit` bytes at most, all of it within so many seconds. `address` is
    `ip:port`, `host` what is asked for. Redirects are not followed, proxies not used. Raises PlatformError."""
    place, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(place.strip("[]"), int(port), timeout=seconds)
    until = time.monotonic() + seconds
    try:
        connection.connect()
        # The connection forgets its socket once an answer has begun that ends with it: the deadline must not.
        held = connection.sock
        with deadline(max(0.0, until - time.monotonic()), lambda: held) as late:
            try:
                connection.request(
                    "GET", path, headers={"Host": host, "Connection": "close", "User-Agent": "paas-signals"}
                )
                answer = connection.getresponse()
                body = answer.read(limit + 1)
                if answer.length and len(body) <= limit:
                    raise http.client.IncompleteRead(body, answer.length)  # half a number is another number
            except (http.client.HTTPException, ValueError) as error:
                said = f"no answer in {seconds:g} s" if late() else f"no HTTP answer ({type(error).__name__})"
                raise PlatformError(f"GET {path}: {said}") from None
    except TimeoutError:
        raise PlatformError(f"GET {path}: no answer in {seconds:g} s") from None
    except OSError as error:
        raise PlatformError(f"GET {path}: {error.strerror or error}") from None
    finally:
        connection.close()
    if late():
        raise PlatformError(f"GET {path}: no answer in {seconds:g} s")
    if answer.status != 200:
        raise PlatformError(f"GET {path} answered {answer.status}, not 200")
    if len(body) > limit:
        raise PlatformError(f"GET {path}: the answer is larger than {limit} bytes")
    return body
