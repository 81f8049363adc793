"""What BuildKit's progress says, decoded without a protobuf library."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.images.trace import Log, Vertex, decode

RECORDED = Path(__file__).with_name("buildkit-trace.jsonl")

STEP = (
    b"\x0a\x2a"  # 1: a vertex of 42 bytes
    b"\x0a\x04sha1"  # 1 digest
    b"\x1a\x10RUN echo \xc3\xa9\xc3\xa9 :)"  # 3 name
    b"\x20\x01"  # 4 cached
    b"\x2a\x06\x08\x80\xc0\x9a\xf5\x06"  # 5 started: seconds
    b"\x32\x06\x08\x82\xc0\x9a\xf5\x06"  # 6 completed: seconds
)
LOG = b"\x1a\x0e\x0a\x04sha1\x18\x02\x22\x04hi\n\x00"  # 3: a log of 14 bytes: 1 vertex, 3 stream, 4 message


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def chunk(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def recorded() -> list[Vertex | Log]:
    lines = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    traces = [line["aux"] for line in lines if line.get("id") == "moby.buildkit.trace"]
    return [item for trace in traces for item in decode(base64.b64decode(trace))]


def test_a_step_is_read_with_its_name_times_and_whether_it_was_cached() -> None:
    assert decode(STEP) == (Vertex("sha1", "RUN echo éé :)", True, 1_856_413_696.0, 1_856_413_698.0),)


def test_a_log_is_read_with_its_stream_and_raw_bytes() -> None:
    assert decode(LOG) == (Log("sha1", 2, b"hi\n\x00"),)


def test_statuses_warnings_and_fields_from_the_future_are_passed_over() -> None:
    unknown = chunk(2, b"status") + chunk(9, b"?") + varint(10 << 3) + varint(7) + b"\x5d1234" + b"\x6112345678"
    assert decode(unknown + LOG + unknown) == decode(LOG)


@pytest.mark.parametrize("length", range(1, len(STEP)))
def test_a_trace_that_is_cut_off_is_an_error_not_half_a_step(length: int) -> None:
    with pytest.raises(ValueError, match=r"cut off|no number"):
        decode(STEP[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_either_decoded_or_a_value_error(raw: bytes) -> None:
    try:
        found = decode(raw)
    except ValueError:
        return
    assert all(isinstance(item, Vertex | Log) for item in found)


@given(st.text(), st.text(), st.integers(0, 2**63 - 1), st.integers(0, 999_999_999), st.booleans())
def test_what_is_encoded_comes_back(digest: str, name: str, seconds: int, nanos: int, cached: bool) -> None:
    when = varint(1 << 3) + varint(seconds) + varint(2 << 3) + varint(nanos)
    body = chunk(1, digest.encode("utf-8", "replace")) + chunk(3, name.encode("utf-8", "replace"))
    body += varint(4 << 3) + varint(int(cached)) + chunk(5, when)
    (found,) = decode(chunk(1, body))
    assert isinstance(found, Vertex)
    assert found.name == name.encode("utf-8", "replace").decode()
    assert (found.cached, found.started) == (cached, seconds + nanos / 1e9)


def test_a_recorded_build_is_read_whole() -> None:
    items = recorded()
    names = {item.name for item in items if isinstance(item, Vertex)}
    assert "[2/3] WORKDIR /x" in names
    failed = [item for item in items if isinstance(item, Vertex) and item.error]
    assert "exit code: 7" in failed[-1].error
    assert failed[-1].completed >= failed[-1].started > 1_700_000_000
    said = b"".join(item.data for item in items if isinstance(item, Log) and item.stream == 1)
    assert said.decode() == "héllo\nno newline"
