"""When scheduled jobs are due, over changes of the clock, stops of the server and jumps of the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from paas.model.cron import CronJob, Missed, Overlap
from paas.model.runs import CronMark
from paas.plan.due import LATE, MOST_COUNTED, SET_BACK, Verdict, firings, upcoming, verdict

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
HOURLY = CronJob(name="tidy", schedule="0 * * * *", command="true")
NOON = datetime(2026, 6, 1, 12, tzinfo=ZoneInfo("UTC")).timestamp()


def mark(job: CronJob, seen_at: float, **changes: str) -> CronMark:
    return CronMark(app_id="a", job=job.name, timing=job.timing, seen_at=seen_at, **changes)


def look(job: CronJob, seen_at: float, now: float, *, busy: bool = False, waiting: bool = False) -> Verdict:
    return verdict(job, mark(job, seen_at), busy=busy, waiting=waiting, now=now)


def local(job: CronJob, since: datetime, count: int) -> list[str]:
    found = islice(upcoming(job, since.timestamp()), count)
    return [f"{datetime.fromtimestamp(at, ZoneInfo(job.zone)):%m-%d %H:%M%z}" for at in found]


def test_a_time_that_spring_leaves_out_fires_right_after_the_gap_once() -> None:
    job = replace(HOURLY, schedule="30 2 * * *", zone="Europe/Berlin")
    assert local(job, datetime(2026, 3, 28, 12, tzinfo=BERLIN), 2) == ["03-29 03:00+0200", "03-30 02:30+0200"]


def test_a_time_that_autumn_brings_twice_fires_once() -> None:
    job = replace(HOURLY, schedule="30 2 * * *", zone="Europe/Berlin")
    assert local(job, datetime(2026, 10, 24, 12, tzinfo=BERLIN), 2) == ["10-25 02:30+0200", "10-26 02:30+0100"]


def test_an_hourly_job_follows_real_time_through_both_changes() -> None:
    job = replace(HOURLY, zone="Europe/Berlin")
    for day in (datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 10, 24, 12, tzinfo=BERLIN)):
        found = list(islice(upcoming(job, day.timestamp()), 30))
        assert {later - at for at, later in pairwise(found)} == {3600.0}


@given(
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1)),
)
def test_a_daily_job_fires_once_on_every_day_of_any_zone(zone: str, hour: int, minute: int, start: datetime) -> None:
    job = replace(HOURLY, schedule=f"{minute} {hour} * * *", zone=zone)
    found = list(islice(upcoming(job, start.replace(tzinfo=ZoneInfo(zone)).timestamp()), 40))
    days = [datetime.fromtimestamp(at, ZoneInfo(zone)).date() for at in found]
    assert [later.toordinal() - day.toordinal() for day, later in pairwise(days)] == [1] * 39


@given(
    zone=st.sampled_from(ZONES),
    schedule=st.sampled_from(("*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1,2,3 * * *", "0 0 1 * *")),
    start=st.integers(1_700_000_000, 1_900_000_000),
    cuts=st.lists(st.integers(1, 40_000), min_size=1, max_size=20),
)
def test_looking_more_often_finds_the_same_firings(zone: str, schedule: str, start: int, cuts: list[int]) -> None:
    job = replace(HOURLY, schedule=schedule, zone=zone)
    seen, at = [], float(start)
    for cut in cuts:
        seen += firings(job, at, at + cut)
        at += cut
    assert seen == list(firings(job, float(start), at))
    assert len(set(seen)) == len(seen)


@given(
    overlap=st.sampled_from(tuple(Overlap)),
    missed=st.sampled_from(tuple(Missed)),
    waits=st.lists(st.floats(0.2, 20_000), min_size=1, max_size=30),
    busy=st.booleans(),
)
def test_no_firing_is_ever_decided_twice(overlap: Overlap, missed: Missed, waits: list[float], busy: bool) -> None:
    job = replace(HOURLY, schedule="*/5 * * * *", overlap=overlap, missed=missed)
    now, seen = NOON, NOON
    decided: list[float] = []
    for wait in waits:
        now += wait
        said = look(job, seen, now, busy=busy)
        decided += [one.due_at for one in said.decisions]
        assert sum(one.act == "run" for one in said.decisions) <= 1
        seen = seen if said.seen_at is None else said.seen_at
    assert len(set(decided)) == len(decided)
    assert decided == sorted(decided)


def test_a_job_that_is_new_or_has_another_schedule_begins_with_its_next_firing() -> None:
    assert verdict(HOURLY, None, busy=False, waiting=False, now=NOON) == Verdict(seen_at=NOON)
    other = mark(replace(HOURLY, schedule="0 0 1 1 *"), NOON - 86_400)
    assert verdict(HOURLY, other, busy=False, waiting=False, now=NOON) == Verdict(seen_at=NOON)


def test_what_was_missed_is_left_out_or_made_up_for_once() -> None:
    now = NOON + 5 * 3600 + 600
    (skipped,) = look(HOURLY, NOON, now).decisions
    assert (skipped.act, skipped.due_at) == ("skip", NOON + 5 * 3600)
    assert "missed 5 times" in skipped.why
    (made_up,) = look(replace(HOURLY, missed=Missed.RUN), NOON, now).decisions
    assert (made_up.act, made_up.due_at) == ("run", NOON + 5 * 3600)


def test_a_firing_that_is_on_time_stands_for_those_that_were_missed() -> None:
    said = look(replace(HOURLY, missed=Missed.RUN), NOON, NOON + 3 * 3600 + LATE - 1)
    assert [(one.act, one.due_at) for one in said.decisions] == [("skip", NOON + 7200), ("run", NOON + 10_800)]


def test_ten_years_without_a_server_are_told_as_one_note() -> None:
    job = replace(HOURLY, schedule="* * * * *")
    said = look(job, NOON, NOON + 10 * 365 * 86_400)
    assert [one.act for one in said.decisions] == ["skip", "run"]
    assert f"{MOST_COUNTED}+ times" in said.decisions[0].why


def test_a_clock_that_was_set_back_fires_nothing_twice_and_is_followed_again() -> None:
    assert look(HOURLY, NOON, NOON - 600) == Verdict()
    assert look(HOURLY, NOON + SET_BACK + 1, NOON) == Verdict(seen_at=NOON)


def test_a_run_that_goes_on_is_met_as_the_job_says() -> None:
    now = NOON + 3600
    acts = {policy: look(replace(HOURLY, overlap=policy), NOON, now, busy=True).decisions[0].act for policy in Overlap}
    assert acts == {Overlap.SKIP: "skip", Overlap.QUEUE: "queue", Overlap.REPLACE: "replace"}
    (second,) = look(replace(HOURLY, overlap=Overlap.QUEUE), NOON, now, busy=True, waiting=True).decisions
    assert (second.act, second.why) == ("skip", "one waits already")


def test_a_paused_job_decides_nothing() -> None:
    paused = mark(HOURLY, NOON, paused_by="ann")
    assert verdict(HOURLY, paused, busy=False, waiting=False, now=NOON + 7200) == Verdict()
