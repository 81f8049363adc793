"""Files of traces: encodings, gzip, and sizes that are no trace's."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from paas.cli import trace_file
from paas.errors import ConfigError

CSV = b"time,requests/s\n0,10\n60,20\n"


def rates(path: Path, data: bytes) -> list[float]:
    path.write_bytes(data)
    return list(trace_file.load(path, hold=False).rates)


@pytest.mark.parametrize(
    "data",
    [CSV, CSV.replace(b"\n", b"\r\n"), CSV.replace(b"\n", b"\r"), b"\xef\xbb\xbf" + CSV, gzip.compress(CSV)],
    ids=["plain", "CRLF", "CR", "BOM", "gzip"],
)
def test_the_same_trace_in_all_the_ways_that_programs_save_it(tmp_path: Path, data: bytes) -> None:
    assert rates(tmp_path / "t", data) == [10.0, 20.0]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "t: the trace is empty"),
        (b"\r\n\r\n# nothing\r\n", "t: the trace is empty"),
        (CSV.decode().encode("utf-16"), "t: this is UTF-16"),
        (bytes(range(200)), "t: this is no text"),
        (gzip.compress(CSV)[:-9], "t: cannot be unpacked"),
        (b"\x1f\x8bthis is no gzip", "t: cannot be unpacked"),
        (gzip.compress(b"0,1\n5,x\n"), "t:2: 'x' is no number of requests"),
        (b"0," + b"1" * 70_000, "t:1: the line is longer than 65,536 characters"),
    ],
    ids=["empty", "nothing", "UTF-16", "binary", "cut", "no gzip", "wrong line", "one line"],
)
def test_what_is_no_trace_is_told(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rates(tmp_path / "t", data)
    assert caught.value.message.startswith(told)
    assert caught.value.exit_code == 5


def test_a_folder_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        trace_file.load(tmp_path, hold=False)


def test_text_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "MOST", 1024**2)
    line = b'a - - [01/Jul/1995:00:00:01 -0400] "GET / HTTP/1.0" 200 1\n'
    with pytest.raises(ConfigError, match="more than 0 GiB of text"):
        rates(tmp_path / "t", gzip.compress(line * 20_000))


def test_an_access_log_takes_memory_for_its_steps_and_not_for_its_lines(tmp_path: Path) -> None:
    line = b'a - - [01/Jul/1995:00:00:01 -0400] "GET / HTTP/1.0" 200 1\n'
    data = gzip.compress(line * 200_000)
    tracemalloc.start()
    found = rates(tmp_path / "t", data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [20_000.0]
    assert peak < len(line) * 200_000 / 4
