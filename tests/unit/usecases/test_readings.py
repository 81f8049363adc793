"""What stands of a signal between two readings, and when its trouble is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.clock import FakeClock
from paas.model.custom_signal import CustomSignal, Reading, Standing
from paas.usecases.readings import LATE, TOLD, Readings, causes, values

MAIL = CustomSignal(name="mail", path="/m", prometheus="mail", period=10.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def readings(clock: FakeClock) -> Readings:
    made = Readings(clock)
    made.declare({"a1": [MAIL]})
    return made


def one(readings: Readings) -> Reading:
    (found,) = readings.of("a1")
    return found


def test_a_signal_waits_until_it_is_read(readings: Readings, clock: FakeClock) -> None:
    assert one(readings) == Reading(name="mail", state=Standing.WAITING)
    readings.good("a1", MAIL, 3.0)
    assert one(readings) == Reading(name="mail", state=Standing.OK, value=3.0, at=clock.now())


def test_a_value_stands_for_two_periods_after_a_failure_and_then_there_is_none(
    readings: Readings, clock: FakeClock
) -> None:
    readings.good("a1", MAIL, 3.0)
    readings.failed("a1", MAIL, "no answer")
    clock.sleep(2 * MAIL.period + LATE)
    assert (one(readings).state, one(readings).value, one(readings).why) == (Standing.FAILING, 3.0, "no answer")
    clock.sleep(0.1)
    assert (one(readings).state, one(readings).value, one(readings).why) == (Standing.DEAD, None, "no answer")
    assert causes(readings.of("a1")) == {"mail": "no answer"}
    assert values(readings.of("a1")) == {}


def test_one_that_nobody_gets_to_read_is_dead_with_that_as_its_cause(readings: Readings, clock: FakeClock) -> None:
    readings.good("a1", MAIL, 3.0)
    clock.sleep(60)
    assert (one(readings).state, one(readings).value) == (Standing.DEAD, None)
    assert one(readings).why == "no reading has ended for 60 s"


def test_what_is_read_in_part_has_its_value_and_says_who_is_missing(readings: Readings) -> None:
    readings.good("a1", MAIL, 3.0, "1 of 2 replicas gave no number; web.2: no answer")
    found = one(readings)
    assert (found.state, found.value, found.why[:8]) == (Standing.PARTIAL, 3.0, "1 of 2 r")


def test_where_nobody_is_to_be_asked_there_is_no_value_and_no_trouble(readings: Readings) -> None:
    readings.good("a1", MAIL, 3.0)
    readings.off("a1", MAIL, "web is scaled to 0")
    assert one(readings) == Reading(name="mail", state=Standing.OFF, why="web is scaled to 0")


def test_trouble_is_told_after_some_tries_in_a_row_and_its_end_once(readings: Readings) -> None:
    assert [readings.failed("a1", MAIL, "x") for _ in range(TOLD + 2)] == [*[None] * (TOLD - 1), "failing", None, None]
    assert [readings.good("a1", MAIL, 1.0) for _ in range(2)] == ["ok", None]


def test_one_that_sways_between_some_and_no_replicas_is_told_once_for_each_not_at_every_turn(
    readings: Readings,
) -> None:
    told = []
    for _ in range(5):
        told += [readings.good("a1", MAIL, 1.0, "1 of 2"), readings.failed("a1", MAIL, "x")]
    assert [one for one in told if one] == ["partial", "failing"]


def test_what_is_declared_no_more_or_otherwise_is_forgotten_also_if_its_reading_ends_later(readings: Readings) -> None:
    readings.good("a1", MAIL, 3.0)
    other = replace(MAIL, path="/other")
    readings.declare({"a1": [other]})
    readings.good("a1", MAIL, 3.0)
    assert one(readings).state is Standing.WAITING
    readings.declare({})
    assert readings.failed("a1", other, "x") is None
    assert readings.of("a1") == ()
