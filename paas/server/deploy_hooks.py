"""Where git hosts deliver: `POST /deploy-hooks/{id}`. No token: the id is a secret, and the signature is what counts.

202 with the delivery's id and what was decided; 200 for a ping. A body is read only for an address that exists, up to a
limit, some at a time, within some seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest
from starlette.requests import ClientDisconnect

from paas.errors import PaasError, UsageError
from paas.server.streams import in_thread
from paas.usecases.answers import as_json
from paas.usecases.hook_receiver import LIMIT, Received, TooLarge
from paas.usecases.operations import as_paas_error

T = TypeVar("T")
AT_ONCE = 8
"""Bodies that are in memory at the same time."""
SECONDS = 20.0
"""For one body to arrive: git hosts give up after ten."""


class ReceiverLike(Protocol):
    """What takes deliveries in: `usecases.hook_receiver.Receiver`."""

    def known(self, hook_id: str) -> None:
        """Raises NotFound."""

    def receive(self, hook_id: str, headers: Mapping[str, str], body: bytes) -> Received:
        """Raises PaasError with the status to answer with."""


def add_deploy_hooks(app: FastAPI, receiver: ReceiverLike) -> None:
    """Have the application answer git hosts."""
    app.add_api_route("/deploy-hooks/{hook_id}", _delivered(receiver), methods=["POST"], response_model=None)


def _delivered(receiver: ReceiverLike) -> Callable[[HttpRequest], Awaitable[Response]]:
    room = asyncio.Semaphore(AT_ONCE)

    async def endpoint(http: HttpRequest) -> Response:
        hook_id = http.path_params["hook_id"]
        await _ours(partial(receiver.known, hook_id))
        _announced(http)
        async with room:
            try:
                body = await asyncio.wait_for(_body(http), SECONDS)
            except TimeoutError:
                raise UsageError(f"the body did not arrive within {SECONDS:g} s") from None
            headers = dict(http.headers.items())
            received = await _ours(partial(receiver.receive, hook_id, headers, body))
        status = 200 if received.status == "pinged" else 202
        return Response(json.dumps(as_json(received)), status_code=status, media_type="application/json")

    return endpoint


def _announced(http: HttpRequest) -> None:
    length = http.headers.get("content-length", "")
    if length.isdigit() and int(length) > LIMIT:
        raise TooLarge(f"the body has more than {LIMIT} bytes")


async def _body(http: HttpRequest) -> bytes:
    parts, size = [], 0
    try:
        async for part in http.stream():
            size += len(part)
            if size > LIMIT:
                raise TooLarge(f"the body has more than {LIMIT} bytes")
            parts.append(part)
    except ClientDisconnect:
        raise UsageError("the line broke") from None
    return b"".join(parts)


async def _ours(work: Callable[[], T]) -> T:
    """Nothing but a PaasError gets out."""
    try:
        return await in_thread(work, name="deploy-hook")
    except PaasError:
        raise
    except Exception as error:
        raise as_paas_error(error) from error
