"""What `paas metrics` draws."""

from __future__ import annotations

import math
from typing import Any

import pytest

from paas.cli import metrics, plot
from paas.errors import UsageError


def answer(count: int, every: float = 5.0, **values: float) -> dict[str, Any]:
    samples = [{"at": 1000 + every * number, "replicas": 2, "values": values} for number in range(1, count + 1)]
    series = [{"name": "web", "samples": samples}]
    return {"app": "shop", "since": 1000.0, "until": 1000 + every * count, "series": series, "signals": []}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("10m", 600), ("1h", 3600), ("7d", 604_800), ("0.5d", 43_200)]
)
def test_spans_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert metrics.span(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1s", "8d", "-1h", "nan", "d", "1w"])
def test_other_spans_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="10 seconds and 7 days"):
        metrics.span(text)


def test_a_picture_has_the_last_values_in_words_and_a_row_for_each_signal(capsys: pytest.CaptureFixture[str]) -> None:
    metrics._drawn(
        answer(100, cpu=0.5, memory=0.25, memory_bytes=64 << 20, requests=12.0, p95=0.3, queue=7.0, unhealthy=1.0),
        clear=False,
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == ("shop web: 2 replicas, cpu 50%, memory 25% (64 MB), 12 requests/s, p95 300 ms, 1 unhealthy")
    assert [line[:16].strip() for line in lines[1:-1] if line[:16].strip()] == [
        "replicas 2", "requests/s 12", "p95, s 0.3", "cpu, % 50", "memory, % 25", "queue 7",
    ]  # fmt: skip


def test_columns_in_which_nothing_was_measured_stay_empty(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(36, requests=1.0)
    found["until"] = 1000 + 5 * 72
    columns = metrics._columns(found["series"][0]["samples"], found["since"], found["until"])
    assert [bool(column) for column in columns[40:]] == [False] * 32
    assert all(columns[1:36])


@pytest.mark.parametrize(("every", "seconds"), [(5.03, 300.0), (5.0, 300.0), (300.0, 7200.0), (5.03, 900.0)])
def test_samples_that_are_no_whole_number_of_columns_apart_leave_no_stripes(every: float, seconds: float) -> None:
    found = answer(int(seconds / every), every=every, requests=1.0)
    columns = metrics._columns(found["series"][0]["samples"], found["since"], found["since"] + seconds)
    first = next(number for number, column in enumerate(columns) if column)
    assert all(columns[first:])


def test_a_class_of_status_that_nobody_got_is_drawn_as_none(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(36, cpu=0.5, requests=2.0)
    metrics._drawn(found, ["5xx"], clear=False)
    assert "5xx 0" in capsys.readouterr().out
    with pytest.raises(UsageError, match="nothing was measured of '5xx'"):
        metrics._drawn(answer(36, cpu=0.5), ["5xx"], clear=False)


def test_few_samples_fill_the_columns_between_them() -> None:
    found = answer(12, every=300.0, requests=1.0)
    columns = metrics._columns(found["series"][0]["samples"], found["since"], found["until"])
    assert all(columns[6:])


def test_a_signal_that_cannot_be_read_is_told_with_its_cause(capsys: pytest.CaptureFixture[str]) -> None:
    dead = {"name": "mail", "state": "dead", "value": None, "at": 0.0, "why": "web.1: no answer in 3 s"}
    metrics._drawn(answer(3, cpu=0.5) | {"signals": [dead]}, clear=False)
    assert capsys.readouterr().out.splitlines()[-1] == "signal mail has no value: web.1: no answer in 3 s"


def test_nothing_measured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    metrics._drawn(answer(0), clear=False)
    assert "nothing was measured yet" in capsys.readouterr().err


def test_rows_show_what_is_not_known_as_nothing() -> None:
    assert list(plot.rows("x", [math.nan, 1.0, math.nan], 1)) == [f"{'x 1':>16}  █"]
    assert list(plot.rows("x", [math.nan], 1)) == [f"{'x':>16}"]


def test_rows_say_what_the_highest_value_is() -> None:
    assert list(plot.rows("x", [0.0, 0.0], 1)) == [f"{'x 0':>16}"]
    assert list(plot.rows("x", [12_345.6], 1)) == [f"{'x 12346':>16} █"]


def test_what_is_chosen_is_drawn_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(3, cpu=0.5, network_out=25_000.0, memory_bytes=64 << 20, **{"5xx": 2.0})
    metrics._drawn(found, ["5xx", "network_out", "memory_bytes"], clear=False)
    lines = capsys.readouterr().out.splitlines()[1:-1]
    assert [line[:16].strip() for line in lines if line[:16].strip()] == ["5xx 2", "net out, kB/s 25", "memory, MB 64"]
    with pytest.raises(UsageError, match="nothing was measured of 'netork'") as refused:
        metrics._drawn(found, ["netork"], clear=False)
    assert refused.value.hint == "known are 5xx, cpu, memory_bytes, network_out"
