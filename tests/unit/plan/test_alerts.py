"""What samples come to, when an alert fires, and when it is over."""

from __future__ import annotations

import pytest

from paas.model.alert import Alert, Standing
from paas.model.scaling import Sample
from paas.plan.alerts import BLIND, amount, bound, condition, judged, lasting, value, window

SLOW = Alert(name="slow", metric="p95", above=0.8, lasts=60.0)


def samples(*values: dict[str, float]) -> list[Sample]:
    return [Sample(at=float(at), replicas=1, values=one) for at, one in enumerate(values)]


def after(alert: Alert, *values: float | None, every: float = 15.0, standing: Standing | None = None) -> Standing:
    found = standing or Standing()
    for turn, one in enumerate(values):
        found = judged(alert, found, one, turn * every)
    return found


@pytest.mark.parametrize(
    ("metric", "seen", "found"),
    [
        ("p95", [{"p95": 1.0}, {"p95": 3.0}], 2.0),
        ("p95", [{"p95": 1.0, "requests": 3.0}, {"requests": 0.0}], 1.0),
        ("p95", [{"requests": 0.0, "p95": 0.0, "in_flight": 0.0}], 0.0),
        ("p95", [{"requests": 0.0, "in_flight": 20.0}], None),
        ("p95", [{"cpu": 0.1}], None),
        ("p95", [], None),
        ("jobs", [{"jobs": 7.0}, {}], 7.0),
        ("4xx", [{"requests": 4.0, "4xx": 4.0}, {"requests": 4.0, "2xx": 4.0}, {"requests": 0.0}, {}], 4 / 3),
        ("5xx", [{"cpu": 0.2}], None),
        ("errors", [{"requests": 10.0, "2xx": 9.0, "5xx": 1.0}, {"requests": 10.0, "2xx": 10.0}], 0.05),
        ("errors", [{"requests": 0.0}], 0.0),
        ("errors", [{"cpu": 0.2}], None),
    ],
)
def test_the_samples_of_a_while_are_one_value(metric: str, seen: list[dict[str, float]], found: float | None) -> None:
    assert value(Alert(name="a", metric=metric, above=1.0), samples(*seen)) == found


def test_it_fires_after_as_long_as_it_says_without_a_break() -> None:
    assert not after(SLOW, 1.0, 1.0, 1.0, 1.0).firing
    assert after(SLOW, 1.0, 1.0, 1.0, 1.0, 1.0) == Standing(value=1.0, since=0.0, firing=True, seen=60.0)
    assert not after(SLOW, 1.0, 1.0, 1.0, 0.7, 1.0, 1.0, 1.0).firing
    assert not after(SLOW, *(0.8,) * 9).firing, "at its bound it is not beyond it"


def test_after_the_clock_was_set_back_it_lasts_from_then() -> None:
    before = Standing(value=1.0, since=5000.0, seen=5000.0)
    back = judged(SLOW, before, 1.0, 100.0)
    assert (back.since, back.firing) == (100.0, False)
    assert judged(SLOW, back, 1.0, 100.0 + SLOW.lasts).firing


def test_it_is_over_with_the_first_good_value() -> None:
    assert after(SLOW, *(1.0,) * 9, 0.7) == Standing(value=0.7, seen=135.0)


def test_one_that_does_not_last_fires_at_once() -> None:
    assert after(Alert(name="down", metric="healthy", below=1.0, lasts=0.0), 0.0).firing


def test_without_metrics_it_stays_as_it_was_and_then_is_no_longer_kept_up() -> None:
    fires = after(SLOW, *(1.0,) * 5)
    silent = judged(SLOW, fires, None, 75.0)
    assert (silent.firing, silent.value) == (True, None)
    assert judged(SLOW, silent, None, 60.0 + BLIND).firing
    assert not judged(SLOW, silent, None, 61.0 + BLIND).firing
    assert not judged(SLOW, Standing(), None, 1e9).firing


def test_between_two_bounds_nothing_fires() -> None:
    both = Alert(name="band", metric="requests", above=10.0, below=2.0, lasts=0.0)
    assert [after(both, one).firing for one in (1.0, 2.0, 5.0, 10.0, 11.0)] == [True, False, False, False, True]
    assert condition(both) == "requests of web above 10 requests/s or below 2 requests/s for 0 s"
    assert (bound(both, 11.0), bound(both, 1.0)) == ("above 10 requests/s", "below 2 requests/s")


def test_words() -> None:
    said = [amount("p95", 0.0351), amount("p95", 1.24), amount("errors", 0.051), amount("memory", 0.9),
            amount("requests", 200.0), amount("network_in", 12_345_678.0), amount("jobs", 7.0), amount("5xx", 0.5),
            amount("healthy", 2.0)]  # fmt: skip
    assert said == ["35.1 ms", "1.24 s", "5.1 %", "90 %", "200 requests/s", "12 345 678 bytes/s", "7", "0.5 answers/s",
                    "2 replicas"]  # fmt: skip
    assert [lasting(one) for one in (0.0, 90.0, 300.0, 7200.0)] == ["0 s", "90 s", "5 min", "2 h"]


def test_the_window_is_a_minute_or_as_long_as_the_alert_lasts() -> None:
    assert [window(Alert(name="a", metric="cpu", above=0.5, lasts=lasts)) for lasts in (0, 30, 600)] == [15, 30, 60]
