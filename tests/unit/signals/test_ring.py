"""The file of measurements."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from paas.model.metrics import Series
from paas.model.scaling import Sample
from paas.signals import points
from paas.signals.ring import NAME, Ring

WEB = Series("a1", "web")
START = 1_800_000_000.0


class Clock:
    """Time that is set."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(tmp_path: Path, clock: Clock) -> Iterator[Ring]:
    made = Ring(tmp_path, now=clock.now)
    yield made
    made.close()


def fill(ring: Ring, clock: Clock, seconds: float, step: float = 5.0, **values: float) -> None:
    end = clock.at + seconds
    while clock.at < end:
        clock.at += step
        ring.add({WEB: Sample(clock.at, 2, values or {"cpu": 0.5})})


def rows(path: Path) -> dict[int, int]:
    with closing(sqlite3.connect(path / NAME)) as db:
        return dict(db.execute("SELECT step, count(*) FROM sample GROUP BY step"))


def test_names_beyond_those_there_are_numbers_for_are_not_kept(
    ring: Ring, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(points, "MOST", 2)
    fill(ring, clock, 5, cpu=0.5, one=1.0, two=2.0)
    assert ring.history("a1", "web", START, clock.at)[-1].values == {"cpu": 0.5, "one": 1.0}


def test_recent_samples_come_back_in_order(ring: Ring, clock: Clock) -> None:
    fill(ring, clock, 60)
    found = ring.recent("a1", "web", 30)
    assert [one.at for one in found] == [clock.at - 25 + 5 * number for number in range(6)]
    assert found[-1] == Sample(clock.at, 2, {"cpu": 0.5})


def test_what_is_unknown_has_no_samples(ring: Ring) -> None:
    assert ring.recent("a1", "web", 3600) == ()
    assert ring.history("nobody", "web", 0, START) == ()


def test_beyond_memory_the_file_answers(ring: Ring, clock: Clock) -> None:
    fill(ring, clock, 3000)
    found = ring.recent("a1", "web", 2500)
    assert len(found) == 500
    assert [one.at for one in found] == sorted({one.at for one in found})


def test_a_restart_forgets_nothing(tmp_path: Path, clock: Clock) -> None:
    first = Ring(tmp_path, now=clock.now)
    fill(first, clock, 300, cpu=0.25, memory=0.5)
    first.close()
    second = Ring(tmp_path, now=clock.now)
    assert second.recent("a1", "web", 100)[-1].values == {"cpu": 0.25, "memory": 0.5}
    assert second.names("a1") == ("web",)
    second.close()


def test_a_minute_is_taken_together_with_its_peak(ring: Ring, clock: Clock) -> None:
    for number in range(12 * 70):
        clock.at += 5
        ring.add({WEB: Sample(clock.at, 1, {"cpu": 0.9 if number % 12 == 3 else 0.1})})
    found = ring.history("a1", "web", START, START + 600)
    assert {round(after.at - before.at) for before, after in pairwise(found)} == {60}
    assert found[3].values["cpu"] == pytest.approx((0.9 + 11 * 0.1) / 12)
    assert found[3].values["cpu_max"] == 0.9


def test_the_file_stops_growing_after_a_week(tmp_path: Path, ring: Ring, clock: Clock) -> None:
    fill(ring, clock, 8 * 86_400, step=300)
    week = rows(tmp_path)
    fill(ring, clock, 86_400, step=300)
    assert rows(tmp_path) == week
    assert week[300] == pytest.approx(7 * 288, abs=2)
    assert week[60] == pytest.approx(288, abs=2)
    assert week[0] == pytest.approx(12, abs=2)


def test_history_is_seamless_over_its_tiers(ring: Ring, clock: Clock) -> None:
    fill(ring, clock, 2 * 86_400, step=30)
    found = ring.history("a1", "web", START, clock.at)
    assert max(after.at - before.at for before, after in pairwise(found)) <= 300
    assert [one.at for one in found] == sorted({one.at for one in found})
    assert all(one.values["cpu"] == pytest.approx(0.5) for one in found)


def test_history_has_at_most_the_points_that_were_asked_for(ring: Ring, clock: Clock) -> None:
    fill(ring, clock, 3600, cpu=0.5)
    found = ring.history("a1", "web", START, clock.at, points=40)
    assert len(found) == 40
    assert found[-1].at == clock.at
    assert found[0].values["cpu"] == pytest.approx(0.5)


def test_series_of_apps_that_are_gone_leave(tmp_path: Path, ring: Ring, clock: Clock) -> None:
    fill(ring, clock, 600)
    clock.at += 8 * 86_400
    ring.add({Series("b2", "web"): Sample(clock.at, 1, {"cpu": 0.1})})
    assert ring.names("a1") == ()
    assert ring.names("b2") == ("web",)


@pytest.mark.parametrize("damage", [b"not a database at all" * 400, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_damaged_file_is_set_aside_and_begun_anew(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    (tmp_path / NAME).write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        ring = Ring(tmp_path, now=clock.now)
    assert "is damaged" in caplog.text
    assert (tmp_path / f"{NAME}.damaged").read_bytes() == damage
    fill(ring, clock, 60)
    assert len(ring.history("a1", "web", START, clock.at)) == 12
    ring.close()


def test_a_file_damaged_while_it_is_used_is_begun_anew(tmp_path: Path, clock: Clock) -> None:
    ring = Ring(tmp_path, now=clock.now)
    fill(ring, clock, 3600)
    ring.close()
    with (tmp_path / NAME).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(os.path.getsize(tmp_path / NAME) - 4096))  # noqa: PTH202
    fill(ring, clock, 60)
    fill(ring, clock, 60)
    assert len(ring.recent("a1", "web", 120)) == 24
    assert ring.history("a1", "web", clock.at - 30, clock.at)
    ring.close()


def test_a_database_of_something_else_is_set_aside(tmp_path: Path, clock: Clock) -> None:
    with closing(sqlite3.connect(tmp_path / NAME)) as db:
        db.execute("CREATE TABLE sample (other TEXT)")
        db.execute("CREATE TABLE series (other TEXT)")
        db.commit()
    ring = Ring(tmp_path, now=clock.now)
    fill(ring, clock, 10)
    assert ring.history("a1", "web", START, clock.at)
    ring.close()


def test_what_cannot_be_written_is_held_in_memory(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / NAME).mkdir()
    with caplog.at_level(logging.WARNING):
        ring = Ring(tmp_path, now=clock.now)
        fill(ring, clock, 60)
    assert len(ring.recent("a1", "web", 60)) == 12
    assert caplog.text.count("only held in memory") == 1
    ring.close()


def test_a_full_file_loses_its_oldest_samples(tmp_path: Path, clock: Clock) -> None:
    ring = Ring(tmp_path, now=clock.now, pages=60)
    many = {f"signal{number}": 1.0 for number in range(20)}
    fill(ring, clock, 3600, **many)
    assert (tmp_path / NAME).stat().st_size <= 66 * 4096
    assert len(ring.recent("a1", "web", 600)) == 120
    assert ring.history("a1", "web", clock.at - 60, clock.at)
    ring.close()


def test_values_that_are_no_numbers_are_left_out(tmp_path: Path, clock: Clock) -> None:
    ring = Ring(tmp_path, now=clock.now)
    clock.at += 5
    ring.add({WEB: Sample(clock.at, 1, {"cpu": float("nan"), "memory": float("inf"), "p95": 0.25})})
    assert ring.history("a1", "web", START, clock.at)[0].values == {"p95": 0.25}
    ring.close()


def test_a_clock_that_was_set_back_does_not_stop_it(ring: Ring, clock: Clock) -> None:
    fill(ring, clock, 300)
    clock.at -= 86_400
    fill(ring, clock, 300)
    assert len(ring.recent("a1", "web", 60)) == 12


def test_only_the_owner_may_read_it(tmp_path: Path, ring: Ring) -> None:
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
