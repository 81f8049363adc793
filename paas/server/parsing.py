"""The fields of a request out of HTTP: path, query and body. `requests.parse` then checks them.

A body lies in memory as a whole until it is parsed, so few large ones may be here at a time, and of somebody who shows
no login none. Of what it stands for there may not be much more: `{}` are two bytes on the way and seventy in memory.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import partial
from typing import Any

from fastapi import Request as HttpRequest
from starlette.requests import ClientDisconnect

from paas.errors import UsageError
from paas.requests.base import Request
from paas.server.streams import in_thread

BODY_LIMIT = 4 << 20
"""Bytes of a JSON body: a whole config (1 MiB) or a certificate chain, escaped, and room to spare."""
MOST_VALUES = 10_000
"""Values in a JSON body, inner ones too: a config of so many keys is none that somebody wrote."""
STRANGERS = 4 << 10
"""The same of a request that needs no login."""
SMALL = 64 << 10
"""Bodies up to here wait for no others."""
AT_ONCE = 4
"""Larger bodies that arrive at the same time."""
SECONDS, STRANGERS_SECONDS = 60.0, 10.0
"""For a body to arrive, once it is its turn, and for one that needs no login: connections are few."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string of JSON, also one that does not end. It never goes back over what it has read."""


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
        body = await _in_time(http, limit)
        return await in_thread(partial(from_json, body))


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
    """A JSON object in UTF-8. Raises UsageError; an empty text is an empty object."""
    if not text:
        return {}
    given = text.encode() if isinstance(text, str) else text
    if values(given) > MOST_VALUES:
        raise UsageError(f"the body has more than {MOST_VALUES} values")
    try:
        value: Any = json.loads(given.decode())  # bytes it would take in other encodings, too, which were not counted
    except (ValueError, RecursionError):
        raise UsageError("the body is not JSON") from None
    if not isinstance(value, dict):
        raise UsageError("the body is not a JSON object")
    return value


def values(text: bytes) -> int:
    """How many values a JSON text has, or a few more: each but the first is behind one of `,[{` outside of strings.
    Looks no further than that it is too many."""
    found, at = 1, 0
    for string in _STRING.finditer(text):
        found += _begun(text[at : string.start()])
        at = string.end()
        if found > MOST_VALUES:
            return found
    return found + _begun(text[at:])


def _begun(text: bytes) -> int:
    return text.count(b",") + text.count(b"[") + text.count(b"{")
