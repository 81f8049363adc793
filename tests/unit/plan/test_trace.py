"""Traces: rates, counts and access logs; what is wrong is told with its line."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.errors import ConfigError
from paas.plan import trace
from paas.plan.simulate import Trace
from paas.plan.trace import read

NASA = """\
199.72.81.55 - - [01/Jul/1995:00:00:01 -0400] "GET /history/apollo/ HTTP/1.0" 200 6245
unicomp6.unicomp.net - - [01/Jul/1995:00:00:06 -0400] "GET /shuttle/countdown/ HTTP/1.0" 200 3985
a broken line
burger.letters.com - - [01/Jul/1995:00:00:04 -0400] "GET /shuttle/ HTTP/1.0" 304 0
burger.letters.com - - [01/Jul/1995:00:00:31 -0400] "GET / HTTP/1.0" 304 0
"""


def lines(*text: str, hold: bool = False) -> Trace:
    return read(text, "t.csv", hold=hold)


def test_rates_hold_until_the_next_time() -> None:
    found = lines("# a comment", "time,requests/s", "0,10", "", "60,20")
    assert list(found.seconds())[59:61] == [(59.0, 10.0), (60.0, 20.0)]
    assert found.end == 120
    assert lines("0,10", "60,20") == found
    assert lines("\ufefftime,requests/s\r\n", "0,10\r\n", "60,20\r\n") == found


def test_counts_are_spread_over_their_time() -> None:
    assert list(lines("time,requests", "0,600", "60,30").rates) == [10.0, 0.5]


def test_times_may_be_iso_and_utc_is_meant() -> None:
    found = lines("2026-11-23T08:00:00,1", "2026-11-23T10:00:00+01:00,2")
    assert list(found.times) == [1795420800.0, 1795424400.0]


RATES = st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 1000)), min_size=2, max_size=60)


@given(RATES)
def test_every_request_of_a_trace_comes_whatever_its_steps(said: list[tuple[float, float]]) -> None:
    times = list(itertools.accumulate((apart for apart, _ in said), initial=0.0))
    found = Trace(times[:-1], [rate for _, rate in said], times[-1])
    seconds = list(found.seconds())
    assert sum(came for _, came in seconds) == pytest.approx(sum(apart * rate for apart, rate in said))
    assert [at for at, _ in seconds] == [float(at) for at in range(len(seconds))]


def test_cells_may_stand_in_quotes() -> None:
    found = read(['"time","requests/s"', '"2026-11-23 08:00:00","10"', '"2026-11-23 08:01:00", "20"'], "t.csv")
    assert (list(found.rates), found.times[1] - found.times[0]) == ([10, 20], 60)
    assert list(read(['"0","10"', '"10","20"'], "t.csv").rates) == [10, 20]


def test_counts_of_parts_of_a_second_are_added_up() -> None:
    found = lines("time,requests", "0,10", "0.1,20", "0.2,10", "0.3,5")
    assert [round(came, 9) for _, came in found.seconds()] == [45.0]


def test_seconds_from_a_start_are_no_moments() -> None:
    assert not lines("0,1", "60,1").dated
    assert lines("2026-11-23T08:00:00,1", "2026-11-23T08:01:00,1").dated


def test_an_access_log_is_counted_in_steps_with_those_of_nothing_between() -> None:
    found = read(NASA.splitlines(), "access_log")
    assert list(found.rates) == [0.3, 0.0, 0.0, 0.1]
    assert found.times[0] == 804571200.0
    assert found.end - found.times[0] == 40


def test_lines_finer_than_a_second_for_months_are_refused_before_they_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert trace.MOST_LINES == 93 * 86_400
    monkeypatch.setattr(trace, "MOST_LINES", 10_000)
    endless = (f"{number / 4},1" for number in itertools.count())
    with pytest.raises(ConfigError, match=r"t\.csv:10001: a trace has 10,000 lines at most"):
        read(endless, "t.csv")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ([], "t.csv: the trace is empty"),
        (["0,1"], "two lines"),
        (["0,1", "5"], "t.csv:2: expected time,requests/s"),
        (["0,1", "5,many"], "t.csv:2: 'many' is no number"),
        (["0,1", "5,nan"], "t.csv:2: 'nan' is no number"),
        (["0,1", "5,-3"], "t.csv:2: '-3' is no number"),
        (["0,1", "yesterday,3"], "t.csv:2: 'yesterday' is no time"),
        (["0,1", "inf,3"], "t.csv:2: 'inf' is no time"),
        (["0,1", "5,1e308"], "t.csv:2: '1e308' is no number"),
        (["time,requests", "0,1e9", "0.000001,1e9"], "t.csv: 1e+15 requests/s are more than anybody has"),
        (["1e16,5", "1.0000000000000002e16,5"], "t.csv:1: '1e16' is after the year 9999"),
        (["1795424021000,5", "1795424081000,5"], "'1795424021000' is after the year 9999"),
        (["0,1", "10,1", "5,1"], "t.csv:3: the time is not after that of line 2"),
        (["0,1", "# so", "0,1"], "t.csv:3: the time is not after that of line 1"),
        (["0,1", "10,1", "20,1", "60,1"], "t.csv:4: 40 s are missing after line 3"),
        (["when,users", "0,1"], "t.csv:1: 'when,users' is no heading"),
        (["0,1", "99999999,1"], "spans more than 93 days"),
        (["time;requests"], "t.csv:1: 'time;requests' is no heading"),
        (["\0\1\2"], "t.csv: this is no text"),
        (['a - - [32/Jul/1995:00:00:01 -0400] "GET /"'], "t.csv:1: 32/Jul/1995:00:00:01 -0400 is no time"),
        (['a [01/Jul/1995:00:00:01 -0400]', "", 'a [01/Jul/1996:00:00:01 -0400]'],
         "t.csv:3: the trace spans more than 93 days"),
    ],
)  # fmt: skip
def test_a_wrong_trace_is_refused_with_its_line(text: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        lines(*text)
    assert told in caught.value.message


def test_a_gap_may_be_held() -> None:
    assert lines("0,1", "10,1", "20,1", "60,1", hold=True).end == 100


@given(st.lists(st.text(max_size=30), max_size=8))
def test_any_text_is_a_trace_or_a_told_error(text: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        assert lines(*text).end > 0
