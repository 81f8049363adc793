"""The OpenAPI document of the server, made from `requests/` and the types of what their handlers return.

One path per request, as `app.py` serves it; nothing here is written twice, so nothing drifts. Sessions are WebSockets,
which OpenAPI has no words for, and git speaks its own protocol: docs/api.md tells of both.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

import paas
from paas.model.events import Event
from paas.requests.all import all_requests
from paas.requests.base import Request
from paas.requests.platform import WatchOperation
from paas.server.schemas import Schema, Schemas
from paas.usecases.backups import BackupFile
from paas.usecases.handlers import HANDLERS
from paas.usecases.hook_receiver import Received
from paas.usecases.metrics import Page

ERRORS = {
    401: "Not logged in: no token, or one that does not count any more.",
    403: "The caller's role does not allow it.",
    404: "There is no such thing, or none that the caller may see.",
    409: "What is there stands against it.",
    422: "A field is wrong: the message names it.",
    426: "The command line that asks is of a version this server does not speak with (`Paas-Version`).",
    429: "Too many wrong tokens or codes from this address, or more open at the same time than one person gets.",
    501: "This engine, router or stack cannot do it.",
    503: "The Docker Engine, the router, the disk or another part of the platform does not answer.",
}
NDJSON = "application/x-ndjson"
INFO = """Every command of `paas` is one request here. A caller shows a token: `Authorization: Bearer …`; on the
server's own unix socket the user of the process counts. See docs/api.md."""


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1, as JSON values. Made at the first call."""
    schemas = Schemas()
    paths: dict[str, Schema] = {}
    for kind in all_requests():
        if kind.shape != "session":
            paths.setdefault(kind.path, {})[kind.method.lower()] = _operation(kind, schemas)
    for path, operations in {**_others(schemas), **_uploads()}.items():
        paths.setdefault(path, {}).update(operations)
    return {
        "openapi": "3.1.0",
        "info": {"title": "paas", "version": paas.__version__, "description": " ".join(INFO.split())},
        "security": [{"token": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {str(status): _error(said) for status, said in ERRORS.items()},
            "schemas": {"Error": ERROR, **dict(sorted(schemas.named.items()))},
        },
    }


ERROR: Schema = {
    "type": "object",
    "description": "What is wrong, and what to do next.",
    "properties": {
        "code": {"type": "string", "description": "The kind of failure, such as NotFound."},
        "message": {"type": "string"},
        "hint": {"type": "string"},
        "details": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["code", "message", "hint", "details"],
    "additionalProperties": False,
}


def _error(said: str) -> Schema:
    return {"description": said, "content": _json({"$ref": "#/components/schemas/Error"})}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


# --- a request ----------------------------------------------------------------------------------------------------


def _operation(kind: type[Request], schemas: Schemas) -> Schema:
    said = inspect.cleandoc(kind.__doc__ or "")
    found: Schema = {
        "operationId": kind.__name__,
        "tags": [kind.__module__.rpartition(".")[2]],
        "summary": said.partition("\n")[0],
        "description": said,
        "x-role": kind.permission,
        "parameters": list(_parameters(kind)),
        "responses": _responses(_success(kind, schemas), *ERRORS),
    }
    if kind.anyone:
        found["security"] = []
    if kind.method not in ("GET", "DELETE"):
        found["requestBody"] = {"required": bool(_body(kind).get("required")), "content": _json(_body(kind))}
    return found


def _responses(success: Schema, *errors: int) -> Schema:
    return {"200": success, **{str(status): {"$ref": f"#/components/responses/{status}"} for status in errors}}


def _in_path(kind: type[Request]) -> list[str]:
    return re.findall(r"{(\w+)}", kind.path)


def _schema(kind: type[Request]) -> Schema:
    """All fields of a request; references stand where they are used, so that a part of it stands for itself."""
    made: Schema = TypeAdapter(kind).json_schema()
    definitions = made.pop("$defs", {})

    def inlined(value: Any) -> Any:
        if isinstance(value, list):
            return [inlined(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inlined(definitions[value["$ref"].rpartition("/")[2]])
        return {key: inlined(item) for key, item in value.items()}

    return dict(inlined(made))


def _parameters(kind: type[Request]) -> Iterator[Schema]:
    properties, needed, places = _schema(kind).get("properties", {}), _schema(kind).get("required", []), _in_path(kind)
    for name, schema in properties.items():
        if name in places:
            yield {"name": name, "in": "path", "required": True, "schema": schema}
        elif kind.method in ("GET", "DELETE"):
            yield {"name": name, "in": "query", "required": name in needed, "schema": schema}


def _body(kind: type[Request]) -> Schema:
    whole, places = _schema(kind), _in_path(kind)
    properties = {name: schema for name, schema in whole.get("properties", {}).items() if name not in places}
    needed = [name for name in whole.get("required", []) if name not in places]
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": needed} if needed else made


def _success(kind: type[Request], schemas: Schemas) -> Schema:
    # Operations are followed where they are kept, by no handler.
    answer = Iterator[Event] if kind is WatchOperation else get_type_hints(HANDLERS[kind])["return"]
    if answer is Page:
        return {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    if answer is BackupFile:
        return {"description": "The bytes.", "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
    if kind.shape == "answer":
        return {"description": "The answer.", "content": _json(schemas.of(answer))}
    if kind.shape == "stream":
        said, line = "Lines, each a JSON object; `result` or `error` is the last one's kind.", get_args(answer)[0]
    else:
        said, line = (
            "Events, each a JSON object on a line: first `operation` with its id; last `result` with what `x-result` "
            "describes as data, or `error` with an Error as data.",
            answer,
        )
    return {"description": said, "content": {NDJSON: {"schema": {"type": "string"}, "x-result": schemas.of(line)}}}


# --- what is no request -------------------------------------------------------------------------------------------


def _others(schemas: Schemas) -> Schema:
    text: Schema = {"type": "string"}
    health = {"type": "object", "properties": {"status": text, "version": text}, "required": ["status", "version"]}
    delivered = _responses(_ok("A ping.", schemas.of(Received)), 404, 422, 429, 503)
    delivered |= {"202": _ok("Taken; what was decided.", schemas.of(Received))}
    delivered |= {"401": _error("The signature is missing or wrong."), "413": _error("The body is too large.")}
    delivered |= {"409": _error("This delivery was taken before.")}
    return {
        "/health": {
            "get": {
                "operationId": "Health", "summary": "Whether the server lives, and its version.", "security": [],
                "responses": {"200": _ok("It lives.", health)},
            }
        },
        "/openapi.json": {
            "get": {
                "operationId": "OpenApi", "summary": "This document.",
                "responses": _responses(_ok("This document.", {"type": "object"}), 401, 429),
            }
        },
        "/deploy-hooks/{hook_id}": {
            "post": {
                "operationId": "Deliver", "summary": "Where git hosts deliver what was pushed; signed.", "security": [],
                "parameters": [{"name": "hook_id", "in": "path", "required": True, "schema": text}],
                "requestBody": {"content": _json({"type": "object"})},
                "responses": delivered,
            }
        },
    }  # fmt: skip


def _uploads() -> Schema:
    """Sources and dumps on their way in; the id that comes back is what a deploy names."""
    text: Schema = {"type": "string"}
    number: Schema = {"type": "integer"}
    whole = {"type": "object", "properties": {"upload": text, "size": number, "sha256": text}}
    part = {"type": "object", "properties": {"upload": text, "offset": number}}
    count: Schema = {**number, "minimum": 0}
    sizes: Schema = {"size": count, "unpacked": count, "files": count}
    size = {"type": "object", "properties": sizes, "required": ["size"]}
    digest = {"type": "object", "properties": {"sha256": {**text, "pattern": "^[0-9a-f]{64}$"}}, "required": ["sha256"]}
    data = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    named = {"name": "upload", "in": "path", "required": True, "schema": text}
    place = {"name": "Upload-Offset", "in": "header", "required": True, "schema": text}

    def one(name: str, said: str, answer: Schema, **more: Any) -> Schema:
        return {"operationId": name, "summary": said, "responses": _responses(_ok(said, answer), *ERRORS), **more}

    return {
        "/uploads": {
            "put": one("Upload", "All of an upload at once.", whole, requestBody={"content": data}),
            "post": one("StartUpload", "An upload that comes in parts.", part, requestBody={"content": _json(size)}),
        },
        "/uploads/{upload}": {
            "get": one("UploadOffset", "How much of an upload is here.", part, parameters=[named]),
            "patch": one(
                "UploadMore", "More of an upload, from where it stopped.", part, parameters=[named, place],
                requestBody={"content": data},
            ),
            "post": one(
                "EndUpload", "All of an upload is here.", whole, parameters=[named],
                requestBody={"content": _json(digest)},
            ),
        },
    }  # fmt: skip


def _ok(said: str, schema: Schema) -> Schema:
    return {"description": said, "content": _json(schema)}
