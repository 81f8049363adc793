"""The fields of a request out of HTTP: path, query and body. `requests.parse` then checks them.

A body lies in memory as a whole until it is parsed, so few large ones may be here at a time, and of somebody who shows
no login none.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import Request as HttpRequest
from starlette.requests import ClientDisconnect

from paas.errors import UsageError
from paas.requests.base import Request

BODY_LIMIT = 16 << 20
"""Bytes of a JSON body: a whole config (1 MiB) or a certificate chain, escaped, and room to spare."""
STRANGERS = 4 << 10
"""The same of a request that needs no login."""
SMALL = 64 << 10
"""Bodies up to here wait for no others."""
AT_ONCE = 4
"""Larger bodies that arrive at the same time."""
SECONDS, STRANGERS_SECONDS = 60.0, 10.0
"""For a body to arrive, once it is its turn, and for one that needs no login: connections are few."""


def room() -> asyncio.Semaphore:
    """The turns that larger bodies take; one for each application."""
    return asyncio.Semaphore(AT_ONCE)


async def fields_of(kind: type[Request], http: HttpRequest) -> dict[str, object]:
    """The fields of an HTTP request: those of the path, and the rest from the query (GET, DELETE) or a JSON body."""
    if not has_body(kind):
        return fields_in_url(http)
    return _with_path(await body_of(http, STRANGERS if kind.anyone else BODY_LIMIT), http)


def has_body(kind: type[Request]) -> bool:
    """Whether fields of such a request come in a body, which is read only once it is known who asks."""
    return kind.method not in ("GET", "DELETE")


def fields_in_url(http: HttpRequest) -> dict[str, object]:
    """The fields of a request that has no body. Raises UsageError for one that is given twice."""
    return _with_path(dict(_query(http)), http)


def _with_path(given: dict[str, object], http: HttpRequest) -> dict[str, object]:
    both = given.keys() & http.path_params.keys()
    if both:
        raise UsageError(f"{sorted(both)[0]}: is given by the path already")
    return {**given, **http.path_params}


async def body_of(http: HttpRequest, limit: int = BODY_LIMIT) -> dict[str, object]:
    """The JSON object that came. Raises UsageError."""
    announced = http.headers.get("content-length", "")
    size = int(announced) if announced.isdigit() else limit if "transfer-encoding" in http.headers else 0
    if size > limit:
        raise _too_large(limit)
    if size <= SMALL:
        return from_json(await _in_time(http, limit))
    async with http.app.state.room:
        return from_json(await _in_time(http, limit))


async def _in_time(http: HttpRequest, limit: int) -> bytes:
    seconds = SECONDS if limit > STRANGERS else STRANGERS_SECONDS
    try:
        return await asyncio.wait_for(_body(http, limit), seconds)
    except TimeoutError:
        raise UsageError(f"the body did not arrive within {seconds:g} s") from None


def _query(http: HttpRequest) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in http.query_params.multi_items():
        if key in found:
            raise UsageError(f"{key!a}: is given twice")
        found[key] = value
    return found


async def _body(http: HttpRequest, limit: int) -> bytes:
    parts, size = [], 0
    try:
        async for part in http.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
    except ClientDisconnect:
        raise UsageError("the line broke") from None
    return b"".join(parts)


def _too_large(limit: int) -> UsageError:
    return UsageError(f"the body has more than {limit} bytes")


def from_json(text: bytes | str) -> dict[str, object]:
    """A JSON object. Raises UsageError; an empty text is an empty object."""
    if not text:
        return {}
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise UsageError("the body is not a JSON object")
    return value
