"""When schedules fire: cron and once, in time zones, and when clocks change."""

from __future__ import annotations

import contextlib
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.model.scaling import Autoscale, ScheduleRule
from paas.model.schedule import bounds, checked, fight, last, over

BERLIN = ZoneInfo("Europe/Berlin")


def moment(text: str, *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


def berlin(cron: str, **said: object) -> ScheduleRule:
    return ScheduleRule(cron=cron, time_zone="Europe/Berlin", **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "fired"),
    [
        ("2026-11-23T07:59:59", "2026-11-22T08:00"),
        ("2026-11-23T08:00:00", "2026-11-23T08:00"),
        ("2026-03-29T07:59:00", "2026-03-28T08:00"),  # the night in which clocks go on
        ("2026-03-29T08:00:00", "2026-03-29T08:00"),
        ("2026-10-25T08:00:00", "2026-10-25T08:00"),  # and back
    ],
)
def test_eight_o_clock_is_eight_on_the_clock_of_the_place(now: str, fired: str) -> None:
    assert last(berlin("0 8 * * *"), moment(now)) == moment(fired)


def test_a_time_that_is_left_out_in_spring_fires_after_the_gap() -> None:
    rule = berlin("30 2 * * *")
    gap_ends = moment("2026-03-29T03:00")
    assert last(rule, gap_ends - 1) == moment("2026-03-28T02:30")
    assert last(rule, gap_ends) == gap_ends
    assert last(rule, moment("2026-03-30T02:30")) == moment("2026-03-30T02:30")


def test_a_time_that_comes_twice_in_autumn_fires_once() -> None:
    rule = berlin("30 2 * * *")
    first, second = moment("2026-10-25T02:30"), moment("2026-10-25T02:30", fold=1)
    assert second - first == 3600
    assert last(rule, second + 60) == first


@pytest.mark.parametrize("minutes", range(0, 121, 15))
def test_what_fired_in_the_hour_that_comes_twice_is_not_forgotten_when_it_comes_again(minutes: int) -> None:
    first = moment("2026-10-25T02:30")
    assert last(berlin("30 2 * * *"), first + minutes * 60) == first
    held = Autoscale(schedules=(berlin("30 2 * * *", least=5, lasts=7200),))
    assert bounds(held, first + minutes * 60)[0] == (5 if minutes < 120 else 1)


def test_a_single_time_that_is_left_out_or_comes_twice_fires_once() -> None:
    spring = ScheduleRule(at="2026-03-29T02:30", time_zone="Europe/Berlin", least=4)
    autumn = ScheduleRule(at="2026-10-25T02:30", time_zone="Europe/Berlin", least=4)
    before, after = moment("2026-03-29T01:59:59"), moment("2026-03-29T03:30")
    assert last(spring, before) is None
    assert before < (last(spring, after) or 0) <= after
    first, second = moment("2026-10-25T02:30"), moment("2026-10-25T02:30", fold=1)
    assert last(autumn, first - 1) is None
    assert last(autumn, first) == last(autumn, second + 60) == first


def test_a_schedule_lasts_its_hours_also_when_clocks_change() -> None:
    rules = Autoscale(schedules=(berlin("0 22 * * sat", least=5, lasts=8 * 3600),))
    begun = moment("2026-10-24T22:00")
    assert bounds(rules, begun + 8 * 3600 - 1)[0] == 5
    assert bounds(rules, begun + 8 * 3600)[0] == 1
    assert datetime.fromtimestamp(begun + 8 * 3600, BERLIN).hour == 5


def test_once_is_once() -> None:
    rule = ScheduleRule(at="2026-12-24T08:00", time_zone="Europe/Berlin", least=4)
    at = moment("2026-12-24T08:00")
    assert last(rule, at - 1) is None
    assert last(rule, at + 1e6) == at


def test_a_lower_maximum_takes_the_minimum_with_it_and_a_higher_minimum_the_maximum() -> None:
    rules = Autoscale(least=4, most=6)
    for said, expected in (({"most": 2}, (2, 2)), ({"least": 9}, (9, 9)), ({"least": 5}, (5, 6))):
        rule = ScheduleRule(at="2026-01-01", **said)  # type: ignore[arg-type]
        assert (
            bounds(Autoscale(least=rules.least, most=rules.most, schedules=(rule,)), moment("2026-02-01"))[:2]
            == expected
        )


def test_schedules_fight_only_where_they_meet() -> None:
    eight, nine = berlin("0 8 * * *", least=2), berlin("0 9 * * *", least=3)
    assert fight([eight, nine]) == ""
    assert "both fire" in fight([eight, nine, ScheduleRule(cron="0 7 * * *", least=4)])  # 8 in Berlin, in winter
    assert "2026-05-01 08:00" in fight([eight, ScheduleRule(at="2026-05-01T06:00", least=4)])


@pytest.mark.parametrize(
    ("often", "seldom", "when"),
    [("*/10 * * * *", "0 0 1 6 *", "2024-06-01 00:00"), ("* * * * *", "0 8 3 * *", "2024-01-03 08:00")],
)
def test_one_that_fires_often_is_seen_to_fight_with_one_that_seldom_does(often: str, seldom: str, when: str) -> None:
    for pair in ((often, seldom), (seldom, often)):
        assert f"both fire at {when}" in fight([berlin(cron, least=at + 2) for at, cron in enumerate(pair)])


def test_many_that_never_meet_are_told_apart_without_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [berlin(f"{minute} * * * *", least=minute + 1) for minute in range(50)]
    rules += [berlin(f"59 8 {day} * *", least=day) for day in range(1, 28)]
    rules += [berlin(f"58 8 * * {day}", least=day + 1) for day in range(6)]
    monkeypatch.setattr("paas.model.schedule._first", lambda *_: pytest.fail("every minute of years was looked at"))
    assert fight(rules) == ""


def test_a_single_time_that_has_ended_is_over() -> None:
    ended = ScheduleRule(at="2026-12-24T08:00", least=4, lasts=3600.0)
    at = datetime(2026, 12, 24, 8, tzinfo=ZoneInfo("UTC")).timestamp()
    assert not over(ended, at + 3599)
    assert over(ended, at + 3600)
    assert not over(ScheduleRule(at="2020-01-01", least=4), at), "it holds until another one begins"
    assert not over(berlin("0 8 * * *", lasts=60.0), at)


@pytest.mark.parametrize("cron", ["* * * * * *", "@daily", "0 8 * *"])
def test_a_cron_has_five_fields(cron: str) -> None:
    with pytest.raises(ValueError, match="expected minute hour day month weekday"):
        checked(ScheduleRule(cron=cron, least=1))


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_any_text_is_a_schedule_or_a_told_error(cron: str, at: str, zone: str) -> None:
    with contextlib.suppress(ValueError):
        rule = checked(ScheduleRule(cron=cron, at=at, time_zone=zone or "UTC"))
        assert last(rule, 1e10) is not None


@pytest.mark.parametrize("at", ["9999-12-31T23:59", "0001-01-01T00:00"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Midway"])
def test_the_ends_of_the_calendar_are_told_or_taken(at: str, zone: str) -> None:
    with contextlib.suppress(ValueError):
        fight([checked(ScheduleRule(at=at, time_zone=zone, least=1)), berlin("0 8 * * *", least=2)])
