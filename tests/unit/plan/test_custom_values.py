"""Numbers out of what apps answer: anything else is an error in words."""

from __future__ import annotations

import json
import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.model.custom_signal import Combine, CustomSignal
from paas.plan.custom_values import (
    LARGEST,
    LINE,
    LINES,
    SERIES,
    combined,
    lines_of,
    of_json,
    of_prometheus,
    of_query,
    value_of,
)

TEXT = """# HELP jobs_waiting Jobs.
# TYPE jobs_waiting gauge
jobs_waiting{queue="mail"} 3
jobs_waiting{queue="bills",of="ann \\"a\\" \\\\ b"} 4.5 1795424021000
  jobs_waiting_total\t99 \r
other{queue="mail"} NaN
this line is no metric at all }}}
"""


@pytest.mark.parametrize(
    ("series", "value"),
    [
        ("jobs_waiting", 7.5),
        ('jobs_waiting{queue="mail"}', 3),
        ('jobs_waiting{ queue = "bills" , }', 4.5),
        ('jobs_waiting{of="ann \\"a\\" \\\\ b"}', 4.5),
        ("jobs_waiting_total", 99),
    ],
)
def test_a_series_is_found_by_name_and_labels_and_several_add_up(series: str, value: float) -> None:
    assert of_prometheus(TEXT, series) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no waiting"),
        ("waitin 3\n", "there is no waiting"),
        ("waiting NaN\n", "not a finite number"),
        ("waiting +Inf\nwaiting -Inf\n", "not a finite number"),
        ("waiting 1e308\nwaiting{a='b'} 1e308\n", "cannot be read"),
        ('waiting{a="b 3\n', "cannot be read"),
        ("waiting three\n", "cannot be read"),
        ("waiting{" + '"' * (LINE - 8), "cannot be read"),
        ("waiting{" + ",".join(f'a{at}="b"' for at in range(LINE // 6)) + "} 1", f"longer than {LINE} characters"),
        ("".join(f'waiting{{a="{i}"}} 1\n' for i in range(SERIES + 1)), f"more than {SERIES}"),
        (f'waiting{{a="{"x" * 1900}"}} 1\n' * (LINES // 1900 + 1), f"longer than {LINES} characters together"),
    ],
)
def test_text_that_gives_no_number_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        of_prometheus(text, "waiting")


@given(st.lists(st.tuples(st.sampled_from(["\\\\", '\\"', "a", "a=", " "]), st.integers(0, 2 * LINE)), max_size=40))
def test_no_more_than_a_little_of_what_an_app_answers_is_parsed(lines: list[tuple[str, int]]) -> None:
    """The parser's time grows with the square of a line, and with their number."""
    text = "".join(f'other 1\nwaiting{{a="{what * times}"}} 1\n' for what, times in lines)
    with suppress(ValueError):
        found = lines_of(text, "waiting")
        assert len(found) == len(lines)
        assert sum(map(len, found)) <= LINES
        assert max(map(len, found), default=0) <= LINE


@pytest.mark.parametrize(
    ("value", "pointer", "number"),
    [
        ({"a": {"b": [1, 2.5]}}, "/a/b/1", 2.5),
        ({"a/b": {"m~n": 0}}, "/a~1b/m~0n", 0),
        ({"": 7}, "/", 7),
        ([3], "/0", 3),
    ],
)
def test_a_pointer_leads_to_a_number(value: object, pointer: str, number: float) -> None:
    assert of_json(json.dumps(value), pointer) == number


@pytest.mark.parametrize(
    ("text", "pointer", "words"),
    [
        ("{", "/a", "not JSON"),
        ("[" * 100_000, "/a", "not JSON"),
        ("{}", "/a", "there is no /a"),
        ("[1]", "/1", "there is no /1"),
        ("[1]", "/-1", "there is no /-1"),
        ("[1]", "/00", "there is no /00"),
        ('{"a": "3"}', "/a", "is no number"),
        ('{"a": true}', "/a", "is no number"),
        ('{"a": null}', "/a", "is no number"),
        ('{"a": NaN}', "/a", "not a finite number"),
        ('{"a": 1e999}', "/a", "not a finite number"),
        ('{"a": 1' + "0" * 400 + "}", "/a", "not a finite number"),
    ],
)
def test_json_that_gives_no_number_is_refused_in_words(text: str, pointer: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        of_json(text, pointer)


@pytest.mark.parametrize(("output", "number"), [(b"42\n", 42), (b" -1.5e3 \n", -1500), (b".5", 0.5)])
def test_a_query_answers_one_number(output: bytes, number: float) -> None:
    assert of_query(output) == number


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (b"", "nothing"),
        (b"1\n2\n", "2 rows"),
        (b"1|2\n", "one number"),
        (b"NaN\n", "one number"),
        (b"f\n", "one number"),
        (b"1e9999\n", "finite"),
        (b"\xff\n", "one number"),
        (b"9" * 200, "one number"),
    ],
)
def test_a_query_that_answers_something_else_is_refused_in_words(output: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        of_query(output)


def test_an_answer_that_is_huge_or_no_text_is_refused() -> None:
    signal = CustomSignal(name="waiting", path="/m", prometheus="waiting")
    with pytest.raises(ValueError, match="larger than 1 MiB"):
        value_of(signal, b"x" * (LARGEST + 1))
    with pytest.raises(ValueError, match="UTF-8"):
        value_of(signal, b"\xff\xfe")
    assert value_of(signal, b"waiting 3\n") == 3
    assert value_of(CustomSignal(name="waiting", path="/m", json="/n"), b'{"n": 4}') == 4


def test_replicas_are_combined_as_declared() -> None:
    assert [combined([1, 2, 6], how, 3) for how in Combine] == [9, 3, 6]
    with pytest.raises(ValueError, match="finite"):
        combined([1e308, 1e308], Combine.SUM, 2)
    with pytest.raises(ValueError, match="finite"):
        combined([1e308], Combine.SUM, 2)


def test_who_does_not_answer_counts_as_the_others_do_on_average_and_less_than_half_is_no_value() -> None:
    assert [combined([1, 5], how, 4) for how in Combine] == [12, 3, 5]
    assert [combined([1], how, 3) for how in Combine] == [None, None, None]
    assert [combined([], how, 1) for how in Combine] == [None, None, None]


@given(st.text(max_size=200), st.sampled_from(["waiting", 'waiting{a="b"}']))
def test_whatever_an_app_answers_is_a_finite_number_or_an_error(text: str, series: str) -> None:
    for read, where in ((of_prometheus, series), (of_prometheus, "w"), (of_json, "/a")):
        for answer in (text, f"waiting{text}", f'{{"a":{text}}}'):
            with suppress(ValueError):
                assert math.isfinite(read(answer, where))
