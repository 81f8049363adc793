"""uvicorn as this server needs it, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Iterable
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

import paas
from paas.requests.versions import HEADER
from paas.server.listen import Http, WebSocket
from paas.server.streams import Streams

GRACE = 30.0
"""Seconds that what is under way gets to end when the server is told to stop."""
LOOK = 0.05
"""Seconds between two looks for connections that came while it stopped."""

log = logging.getLogger("paas.server")


class Server(uvicorn.Server):
    """Runs until it is told to stop. `told` is when that was, in seconds of the monotonic clock; 0 before."""

    def __init__(self, app: FastAPI, streams: Streams, grace: float = GRACE) -> None:
        super().__init__(_config(app, grace))
        self._streams = streams
        self.told = 0.0

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing new, cut endless streams, let operations' followers see the end."""
        self.told = time.monotonic()
        log.info("told to stop")
        self._streams.cut()
        late = asyncio.create_task(self._turn_away(_connections(self)))
        try:
            await super().shutdown(sockets)
        finally:
            late.cancel()

    async def _turn_away(self, told: set[Http | WebSocket]) -> None:
        """uvicorn tells those that are there to end, and then waits for all, also for one that was just accepted: it
        may have nothing to say for as long as it likes. One that has, says it until the next look."""
        seen = set[Http | WebSocket]()
        while True:
            await asyncio.sleep(LOOK)
            late = _connections(self) - told
            for one in late & seen:
                told.add(one)
                try:
                    one.shutdown()
                except Exception:
                    log.exception("a connection could not be told to end")
            seen = late


def _connections(server: uvicorn.Server) -> set[Http | WebSocket]:
    return set(cast("Iterable[Http | WebSocket]", server.server_state.connections))


def _config(app: FastAPI, grace: float) -> uvicorn.Config:
    more: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "date_header": False}
    return uvicorn.Config(
        app,
        http=Http,
        ws=WebSocket,
        loop="asyncio",
        lifespan="off",
        proxy_headers=False,
        headers=[(HEADER, paas.__version__)],
        timeout_graceful_shutdown=int(grace),
        ws_max_size=1 << 20,
        ws_per_message_deflate=False,
        **more,
    )
