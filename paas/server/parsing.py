"""The fields of a request out of HTTP: path, query and body. `requests.parse` then checks them."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request as HttpRequest

from paas.errors import UsageError
from paas.requests.base import Request

BODY_LIMIT = 16 << 20
"""Bytes of a JSON body: a whole config (1 MiB) or a certificate chain, escaped, and room to spare."""


async def fields_of(kind: type[Request], http: HttpRequest) -> dict[str, object]:
    """The fields of an HTTP request: those of the path, and the rest from the query (GET, DELETE) or a JSON body."""
    return _with_path(await body_of(http), http) if has_body(kind) else fields_in_url(http)


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


async def body_of(http: HttpRequest) -> dict[str, object]:
    """The JSON object that came. Raises UsageError."""
    return from_json(await _body(http))


def _query(http: HttpRequest) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in http.query_params.multi_items():
        if key in found:
            raise UsageError(f"{key!a}: is given twice")
        found[key] = value
    return found


async def _body(http: HttpRequest) -> bytes:
    parts, size = [], 0
    async for part in http.stream():
        size += len(part)
        if size > BODY_LIMIT:
            raise UsageError(f"the body has more than {BODY_LIMIT} bytes")
        parts.append(part)
    return b"".join(parts)


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
