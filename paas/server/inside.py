"""What the apps themselves reach of the platform: `PUT`, `GET` and `DELETE $PAAS_API/protect`, and nothing else.

One small listener per app network, on the machine's own address there: nobody outside that machine reaches it, and the
address that a request comes from is the container's. Containers have no capability to use another one. No other route,
no login, no state: a request is read (8 KiB and 10 seconds at most), answered, and its connection closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h11

from paas.errors import NotFound, PaasError, UsageError
from paas.usecases import protection
from paas.usecases.answers import as_json
from paas.usecases.context import Context
from paas.usecases.operations import as_paas_error

log = logging.getLogger("paas.inside")

PATH = "/protect"
LOOK = 2.0
"""Seconds between two looks for networks that came or went."""
LONGEST = 10.0
"""Seconds that a request may take."""
LARGEST = 8 * 1024
MOST = 8
"""Requests of one app at once."""


@dataclass(slots=True)
class Inside:
    """Listens while it runs, in a thread of its own."""

    context: Context
    _loop: asyncio.AbstractEventLoop | None = None
    _stopped: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _servers: dict[tuple[str, str], asyncio.Server] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _open: Counter[str] = field(default_factory=Counter)

    def start(self) -> None:
        """Begin; PAAS_API_PORT 0 means never."""
        if self.context.settings.api_port:
            self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="inside", daemon=True)
            self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Take nothing more."""
        if self._loop and self._stopped and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)
        if self._thread:
            self._thread.join(seconds)

    async def _run(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        while not self._stopped.is_set():
            try:
                await self._follow(await asyncio.to_thread(self.context.engine.gateways))
            except PaasError as error:
                self._tell(f"the apps' networks cannot be seen: {error.message}")
            except Exception:
                log.exception("the apps' networks could not be followed")
            try:
                await asyncio.wait_for(self._stopped.wait(), LOOK)
            except TimeoutError:
                continue
        for server in self._servers.values():
            server.close()

    async def _follow(self, gateways: Mapping[str, str]) -> None:
        """Listen on these addresses and no others."""
        wanted = {(app_id, address) for app_id, address in gateways.items() if address}
        for gone in self._servers.keys() - wanted:
            self._servers.pop(gone).close()
        for app_id, address in wanted - self._servers.keys():
            try:
                self._servers[app_id, address] = await self._listen(app_id, address)
            except OSError as error:
                self._tell(f"cannot listen on {address}:{self.context.settings.api_port}: {error.strerror or error}")

    async def _listen(self, app_id: str, address: str) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                if self._open[app_id] < MOST:
                    self._open[app_id] += 1
                    try:
                        async with asyncio.timeout(LONGEST):
                            await self._serve(app_id, reader, writer)
                    finally:
                        self._open[app_id] -= 1
            except (TimeoutError, OSError, h11.ProtocolError):
                pass
            finally:
                writer.close()

        return await asyncio.start_server(serve, address, self.context.settings.api_port, limit=LARGEST)

    async def _serve(self, app_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGEST)
        try:
            request, body = await _read(connection, reader)
            peer = str(writer.get_extra_info("peername")[0])
            status, answer = await asyncio.to_thread(self._answer, app_id, peer, request, body)
        except h11.RemoteProtocolError as error:
            status, answer = 400, {"code": "UsageError", "message": str(error)}
        except UsageError as error:
            status, answer = error.status, error.as_dict()
        data = json.dumps(answer).encode() + b"\n"
        headers = [("content-type", "application/json"), ("content-length", str(len(data))), ("connection", "close")]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=data), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()

    def _answer(self, app_id: str, peer: str, request: h11.Request, body: bytes) -> tuple[int, Any]:
        url = urlsplit(request.target.decode("ascii", "replace"))
        if url.path != PATH:
            return 404, NotFound("there is nothing here but /protect").as_dict()
        try:
            match request.method:
                case b"PUT":
                    found = protection.protect(self.context, app_id, peer, _minutes(url.query, body))
                case b"DELETE":
                    found = protection.release(self.context, app_id, peer)
                case b"GET":
                    found = protection.shown(self.context, app_id, peer)
                case _:
                    return 405, {"code": "UsageError", "message": "PUT, GET or DELETE"}
        except Exception as error:
            failure = as_paas_error(error)
            return failure.status, failure.as_dict()
        return 200, as_json(found)

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            log.warning("%s; replicas there cannot ask to be spared", message)


async def _read(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    """The request and its body. Raises UsageError for one that is too large, h11.RemoteProtocolError, OSError."""
    request, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(4096))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
            if len(body) > LARGEST:
                raise UsageError("the request is too large")
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            return request, body
        else:
            raise ConnectionError("the request never came")


def _minutes(query: str, body: bytes) -> object:
    """`?minutes=30`, `{"minutes": 30}`, or the usual. Raises UsageError."""
    said = parse_qs(query, keep_blank_values=True).get("minutes")
    if said:
        return said[-1]
    if not body.strip():
        return protection.STANDARD
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError('expected JSON such as {"minutes": 30}') from None
    if not isinstance(found, dict) or set(found) - {"minutes"}:
        raise UsageError('expected {"minutes": 30} and nothing else')
    return found.get("minutes", protection.STANDARD)
