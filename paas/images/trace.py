"""Reads BuildKit's progress: the protobuf that the Engine sends as `moby.buildkit.trace` (pure, no library).

Field numbers are those of BuildKit's `api/services/control/control.proto` (StatusResponse, Vertex, VertexLog); they
are part of its wire format and have not changed since 18.09. Unknown fields are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Vertex:
    """One step as of now. `started` and `completed` are Unix seconds, 0 when it has not yet."""

    digest: str
    name: str
    cached: bool = False
    started: float = 0.0
    completed: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """Bytes that the step `vertex` wrote to `stream` (1 stdout, 2 stderr); not necessarily whole lines."""

    vertex: str
    stream: int
    data: bytes


def decode(raw: bytes) -> tuple[Vertex | Log, ...]:
    """The steps and logs in one StatusResponse, in order. Raises ValueError when it is cut off or not one."""
    found: list[Vertex | Log] = []
    for number, value in _fields(raw):
        if number == 1 and isinstance(value, bytes):
            found.append(_vertex(value))
        elif number == 3 and isinstance(value, bytes):
            found.append(_log(value))
    return tuple(found)


def _vertex(raw: bytes) -> Vertex:
    values = dict(_fields(raw))
    return Vertex(
        digest=_text(values.get(1)),
        name=_text(values.get(3)),
        cached=bool(values.get(4)),
        started=_seconds(values.get(5)),
        completed=_seconds(values.get(6)),
        error=_text(values.get(7)),
    )


def _log(raw: bytes) -> Log:
    values = dict(_fields(raw))
    data, stream = values.get(4, b""), values.get(3, 0)
    return Log(_text(values.get(1)), stream if isinstance(stream, int) else 0, data if isinstance(data, bytes) else b"")


def _text(value: int | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _seconds(value: int | bytes | None) -> float:
    """A google.protobuf.Timestamp (1 seconds, 2 nanoseconds) as Unix seconds."""
    if not isinstance(value, bytes):
        return 0.0
    parts = dict(_fields(value))
    seconds, nanos = parts.get(1, 0), parts.get(2, 0)
    return (seconds if isinstance(seconds, int) else 0) + (nanos if isinstance(nanos, int) else 0) / 1e9


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field number and value of each field: varints as int, everything else as bytes."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(raw, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _varint(raw, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} at byte {at}")
        if at + size > len(raw):
            raise ValueError(f"cut off: {size} bytes expected at byte {at}, {len(raw) - at} left")
        yield key >> 3, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise ValueError(f"no number at byte {at}")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
