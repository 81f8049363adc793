"""Asks Traefik itself: its API, ping and metrics on the loopback port. Reads only, decides nothing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

TIMEOUT = 2.0
"""Seconds for one answer; it is a neighbour on loopback, a slow one is in trouble."""

LARGEST = 64 << 20
"""Bytes of metrics that are read: 400,000 lines, the latencies of all statuses and methods of two apps."""
PIECE = 1 << 20


class Silent(Exception):
    """Traefik gave no answer of use."""


class Api:
    """Traefik's API on `127.0.0.1:port`."""

    def __init__(self, port: int) -> None:
        self._port = port

    def router(self, name: str) -> dict[str, Any] | None:
        """A router as it is live; None when there is none of that name. Raises Silent."""
        return self._json(f"/api/http/routers/{quote(name, safe='')}@file")

    def service(self, name: str) -> dict[str, Any] | None:
        """A service as it is live; None when there is none of that name. Raises Silent."""
        return self._json(f"/api/http/services/{quote(name, safe='')}@file")

    def everything(self) -> dict[str, Any]:
        """All routers and services, by name with `@file`. Raises Silent."""
        return self._json("/api/rawdata") or {}

    def overview(self) -> dict[str, Any]:
        """Counts of routers, services and certificates, and how many have errors. Raises Silent."""
        return self._json("/api/overview") or {}

    def version(self) -> str:
        """Traefik's version. Raises Silent."""
        return str((self._json("/api/version") or {}).get("Version", ""))

    def metrics(self) -> Iterator[str]:
        """The Prometheus text, in pieces of whole lines: what apps answer decides how long it is. Raises Silent, also
        while it is read and where it is larger than `LARGEST`."""
        with self._asked("/metrics") as response:
            if response.status != 200:
                raise Silent(f"/metrics answered {response.status}")
            rest, size = b"", 0
            while piece := response.read(PIECE):
                size += len(piece)
                if size > LARGEST:
                    raise Silent(f"/metrics is larger than {LARGEST >> 20} MiB")
                whole, end, last = (rest + piece).rpartition(b"\n")
                rest = last
                yield (whole + end).decode(errors="replace")
            if response.length:  # read by pieces, an end that comes too soon is no error
                raise Silent("/metrics was cut")
            yield rest.decode(errors="replace")

    def _json(self, path: str) -> dict[str, Any] | None:
        status, body = self._get(path)
        if status == 404:
            return None
        if status != 200:
            raise Silent(f"{path} answered {status}")
        try:
            found = json.loads(body)
        except ValueError as error:
            raise Silent(f"{path} did not answer JSON") from error
        if not isinstance(found, dict):
            raise Silent(f"{path} did not answer an object")
        return found

    def _get(self, path: str) -> tuple[int, bytes]:
        with self._asked(path) as response:
            return response.status, response.read()

    @contextmanager
    def _asked(self, path: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        try:
            connection.request("GET", path)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Silent(f"127.0.0.1:{self._port} does not answer: {error}") from error
        finally:
            connection.close()
