"""Lines out of the frames of a container's log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paas.engines.docker_logs import LINE_LIMIT, Origin, Piece, log_line, pieces

STAMP = b"2026-11-23T10:00:00.000000001Z "
ORIGIN = Origin("c1", "web", 2)


def texts(*frames: tuple[int, bytes]) -> list[tuple[str, str]]:
    return [
        (line.stream, line.text)
        for line in (log_line(piece, ORIGIN) for piece in pieces((n, STAMP + data) for n, data in frames))
    ]


def test_each_frame_is_a_line_of_its_stream() -> None:
    assert texts((1, b"out\n"), (2, b"err\n"), (1, b"\n")) == [("stdout", "out"), ("stderr", "err"), ("stdout", "")]


def test_parts_of_one_line_are_put_together_while_the_other_stream_goes_on() -> None:
    frames = [(1, b"a" * 16384), (2, b"err\n"), (1, b"b\n")]
    assert texts(*frames) == [("stderr", "err"), ("stdout", "a" * 16384 + "b")]


def test_a_line_without_an_end_is_shown_at_the_end() -> None:
    assert texts((1, b"no newline")) == [("stdout", "no newline")]


def test_a_carriage_return_at_the_end_is_taken_off() -> None:
    assert texts((1, b"50%\r100%\r\n")) == [("stdout", "50%\r100%")]


def test_a_cut_splits_no_character() -> None:
    line = ("x" + "é" * LINE_LIMIT).encode() + b"\n"
    parts = [line[at : at + 16384] for at in range(0, len(line), 16384)]
    found = [text for _, text in texts(*((1, part) for part in parts))]
    assert len(found) > 1
    assert "\ufffd" not in "".join(found)
    assert "".join(text.strip("…") for text in found) == "x" + "é" * LINE_LIMIT
    assert found[0].endswith("…")
    assert found[-1].startswith("…")


@given(st.lists(st.binary(max_size=50).map(lambda data: data.replace(b"\n", b"")), max_size=20))
def test_any_bytes_come_out_as_text(lines: list[bytes]) -> None:
    found = texts(*((1, line + b"\n") for line in lines))
    assert [text for _, text in found] == [line.removesuffix(b"\r").decode("utf-8", "replace") for line in lines]


def test_frames_without_a_time_are_passed_over() -> None:
    assert list(pieces([(1, b"no time at all\n"), (1, b"")])) == []


def test_a_line_knows_where_and_when_it_came_from() -> None:
    line = log_line(Piece(1_500_000_000, "stderr", b"x"), ORIGIN)
    assert (line.at, line.process, line.replica, line.source) == (1.5, "web", 2, "app")
