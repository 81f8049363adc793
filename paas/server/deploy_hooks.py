"""Where git hosts deliver: `POST /deploy-hooks/{id}`. No token: the id is a secret, and the signature is what counts.

202 with the delivery's id and what was decided; 200 for a ping. A body is read only for an address that exists, up to a
limit, within some seconds, some of one hook at a time. What is on its way lies in a file, so that who sends slowly
takes neither memory nor anybody else's turn.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Protocol, TypeVar
from weakref import WeakValueDictionary

from fastapi import FastAPI, Response
from fastapi import Request as HttpRequest
from starlette.requests import ClientDisconnect

from paas.errors import PaasError, TooMany, UsageError
from paas.server.crowd import of_hook
from paas.server.streams import in_thread
from paas.usecases.answers import as_json
from paas.usecases.hook_receiver import LIMIT, Received, TooLarge
from paas.usecases.operations import as_paas_error

T = TypeVar("T")
AT_ONCE = 8
"""Bodies that are in memory at the same time: all of them have arrived."""
OF_ONE = 4
"""Deliveries to one hook that arrive at the same time; others of that hook wait."""
IN_MEMORY = 1 << 16
"""Bytes of a body that is on its way; of a larger one all lies in a file."""
SECONDS = 20.0
"""For one body to arrive, and to wait for the turn to: git hosts give up after ten."""


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
    turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def endpoint(http: HttpRequest) -> Response:
        hook_id = http.path_params["hook_id"]
        await _ours(partial(receiver.known, hook_id))
        of_hook(http.scope, hook_id)
        _announced(http)
        async with _turn(turns, hook_id):
            with SpooledTemporaryFile(IN_MEMORY) as file:
                await _arrived(http, file)
                headers = dict(http.headers.items())
                async with room:
                    received = await _ours(lambda: receiver.receive(hook_id, headers, file.read()))
        status = 200 if received.status == "pinged" else 202
        return Response(json.dumps(as_json(received)), status_code=status, media_type="application/json")

    return endpoint


@asynccontextmanager
async def _turn(turns: WeakValueDictionary[str, asyncio.Semaphore], hook_id: str) -> AsyncIterator[None]:
    turn = turns.setdefault(hook_id, asyncio.Semaphore(OF_ONE))
    try:
        await asyncio.wait_for(turn.acquire(), SECONDS)
    except TimeoutError:
        raise TooMany("too many deliveries are on their way to this hook", hint="try again in a minute") from None
    try:
        yield
    finally:
        turn.release()


def _announced(http: HttpRequest) -> None:
    length = http.headers.get("content-length", "")
    if length.isdigit() and int(length) > LIMIT:
        raise TooLarge(f"the body has more than {LIMIT} bytes")


async def _arrived(http: HttpRequest, file: IO[bytes]) -> None:
    """Write the body to the file, and go back to its start."""
    try:
        async with asyncio.timeout(SECONDS):
            async for part in http.stream():
                if file.tell() + len(part) > LIMIT:
                    raise TooLarge(f"the body has more than {LIMIT} bytes")
                file.write(part)
    except TimeoutError:
        raise UsageError(f"the body did not arrive within {SECONDS:g} s") from None
    except ClientDisconnect:
        raise UsageError("the line broke") from None
    file.seek(0)


async def _ours(work: Callable[[], T]) -> T:
    """Nothing but a PaasError gets out."""
    try:
        return await in_thread(work, name="deploy-hook")
    except PaasError:
        raise
    except Exception as error:
        raise as_paas_error(error) from error
