"""The measurements of a week in `metrics.db`: every sample for an hour, one a minute for a day, one in five minutes for
a week. What is older makes room, so the file stops growing.

A file that is damaged is set aside and begun anew; one that cannot be written (a full disk) is told once and tried
again: the samples of the last quarter of an hour are held in memory, so rules go on without it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

from paas.model.metrics import TIERS, Look, Series, Tier
from paas.model.scaling import Sample
from paas.signals import points

log = logging.getLogger(__name__)

NAME = "metrics.db"


TAIL = 900.0
"""Seconds of samples in memory."""

TIDY = 60.0
"""Seconds between two times that samples are taken together and old ones dropped."""

PAGES = 131_072
"""Pages of 4 kB that the file has at most; when they are full the oldest tenth makes room."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, app TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (app, name));
CREATE TABLE IF NOT EXISTS signal (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS sample (
  step INTEGER NOT NULL, series INTEGER NOT NULL, at REAL NOT NULL, replicas INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (step, series, at)
) WITHOUT ROWID;
"""

_LATEST = "SELECT max((SELECT max(at) FROM sample WHERE step = ? AND series = series.id)) FROM series"
_EMPTY = """DELETE FROM series WHERE NOT EXISTS (
  SELECT 1 FROM sample WHERE step IN (?, ?, ?) AND series = series.id)"""


class Ring:
    """`interfaces.Signals` over a file. Usable from any thread; close it when done."""

    def __init__(self, home: Path, *, now: Callable[[], float] = time.time, pages: int = PAGES) -> None:
        self.path = home / NAME
        self._now = now
        self._pages = pages
        self._guard = threading.RLock()
        self._tail: dict[Series, deque[Sample]] = {}
        self._ids: dict[Series, int] = {}
        self._numbers: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._trouble = ""
        self._look: Look | None = None
        self._db: sqlite3.Connection | None = None
        self._finalizer: weakref.finalize[..., Ring] | None = None
        with self._guard, self._told():
            self._opened()
            self._remember()
        self._tidied = now()

    def close(self) -> None:
        """Give the file back. Idempotent."""
        with self._guard:
            self._shut()

    # --- writing ---------------------------------------------------------------------------------------------------

    def add(self, samples: Mapping[Series, Sample], look: Look | None = None) -> None:
        """Keep one sample of each series, and the look they came from. Never raises: what cannot be written is told and
        held in memory."""
        self._look = look or self._look
        if not samples:
            return
        at = max(one.at for one in samples.values())
        with self._guard:
            self._hold(samples, at)
            with self._told():
                self._write(samples)
                if at - self._tidied >= TIDY or at < self._tidied:
                    self._tidied = at
                    self._tidy(at)

    def _hold(self, samples: Mapping[Series, Sample], at: float) -> None:
        for series, sample in samples.items():
            self._tail.setdefault(series, deque()).append(sample)
        for series, held in list(self._tail.items()):
            while held and not at - TAIL <= held[0].at <= at:
                held.popleft()
            if not held:
                del self._tail[series]

    def _write(self, samples: Mapping[Series, Sample]) -> None:
        with self._transaction() as db:
            rows = [
                (0, self._id(db, series), one.at, one.replicas, points.packed(one.values, self._numbered(db, one)))
                for series, one in samples.items()
            ]
            db.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?)", rows)

    def _tidy(self, now: float) -> None:
        """Take together what a minute (five minutes) has become, and drop what is too old for its tier."""
        with self._transaction() as db:
            for finer, tier in pairwise(TIERS):
                self._thin(db, finer, tier, now)
            # One series after the other: what is of no series in particular is looked for in all of a week's samples.
            known = [id for (id,) in db.execute("SELECT id FROM series").fetchall()]
            # The second from a clock that was wrong: they would never become old.
            old = [(tier.step, id, now - tier.keep) for tier in TIERS for id in known]
            early = [(tier.step, id, now + 2 * TIERS[-1].step) for tier in TIERS for id in known]
            db.executemany("DELETE FROM sample WHERE step = ? AND series = ? AND at <= ?", old)
            db.executemany("DELETE FROM sample WHERE step = ? AND series = ? AND at > ?", early)
            db.execute(_EMPTY, [tier.step for tier in TIERS])
            self._ids = {Series(app, name): id for id, app, name in db.execute("SELECT id, app, name FROM series")}

    def _thin(self, db: sqlite3.Connection, finer: Tier, tier: Tier, now: float) -> None:
        end = now // tier.step * tier.step
        (last,) = db.execute(_LATEST, (tier.step,)).fetchone()
        start = max(last or 0.0, end - finer.keep)
        for (series,) in db.execute("SELECT id FROM series").fetchall():
            found = self._rows(db, finer.step, series, start, end)
            rows = [
                (tier.step, series, one.at, one.replicas, points.packed(one.values, self._numbered(db, one)))
                for one in points.averaged(found, tier.step)
            ]
            db.executemany("INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?)", rows)

    def _id(self, db: sqlite3.Connection, series: Series) -> int:
        if series not in self._ids:
            db.execute("INSERT OR IGNORE INTO series (app, name) VALUES (?, ?)", (series.app_id, series.name))
            query = "SELECT id FROM series WHERE app = ? AND name = ?"
            (self._ids[series],) = db.execute(query, (series.app_id, series.name)).fetchone()
        return self._ids[series]

    def _numbered(self, db: sqlite3.Connection, sample: Sample) -> Mapping[str, int]:
        """Apps name signals of their own, and no name is forgotten: one for which no number is left is not kept."""
        for name in sample.values:
            if name not in self._numbers and len(self._numbers) < points.MOST:
                db.execute("INSERT OR IGNORE INTO signal (name) VALUES (?)", (name,))
                (number,) = db.execute("SELECT id FROM signal WHERE name = ?", (name,)).fetchone()
                self._numbers[name], self._names[number] = number, name
        return self._numbers

    # --- reading ---------------------------------------------------------------------------------------------------

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        """See `interfaces.Signals`; `process` may also be a replica (`web.1`)."""
        series = Series(app_id, process)
        with self._guard:
            held = self._tail.get(series)
            since = self._now() - seconds
            found = tuple(one for one in held if one.at > since) if held else ()
        if seconds <= TAIL or (held and held[0].at <= since):
            return found
        return self.history(app_id, process, since, found[0].at - 1e-6 if found else self._now()) + found

    def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
        """See `interfaces.Signals`: each stretch at the finest there still is of it."""
        return _fewer(self._read(Series(app_id, process), since, until), since, until, points)

    def names(self, app_id: str) -> tuple[str, ...]:
        """See `interfaces.Signals`."""
        with self._guard:
            return tuple(sorted({one.name for one in (*self._ids, *self._tail) if one.app_id == app_id}))

    def last(self) -> Mapping[Series, Sample]:
        """See `interfaces.Signals`."""
        with self._guard:
            return {series: held[-1] for series, held in self._tail.items() if held}

    def look(self) -> Look | None:
        """See `interfaces.Signals`."""
        return self._look

    def _read(self, series: Series, since: float, until: float) -> list[Sample]:
        with self._guard:
            found: list[Sample] = []
            with self._told():
                db = self._opened()
                if series in self._ids:
                    end = until
                    for tier in TIERS:
                        found = list(self._rows(db, tier.step, self._ids[series], since, end)) + found
                        # A sample stands for the time before it.
                        end = min(until, found[0].at - max(tier.step, 0.001)) if found else until
            return found

    def _rows(self, db: sqlite3.Connection, step: int, series: int, since: float, until: float) -> Iterator[Sample]:
        """After `since`, up to `until`."""
        query = "SELECT at, replicas, data FROM sample WHERE step = ? AND series = ? AND at > ? AND at <= ? ORDER BY at"
        for at, replicas, data in db.execute(query, (step, series, since, until)):
            yield Sample(at, replicas, points.unpacked(data, self._names))

    # --- the file --------------------------------------------------------------------------------------------------

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Survive what the file does: begin anew where it is damaged, and tell other trouble once."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self._shut()
            if _damaged(error):
                self._set_aside(error)
            elif _full(error) and self._made_room():
                log.warning("%s is full: its oldest samples make room", self.path)
            elif str(error) != self._trouble:
                self._trouble = str(error)
                log.warning("measurements are only held in memory: %s: %s", self.path, error)
        else:
            self._trouble = ""

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._opened()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.rollback()
            raise
        db.commit()

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = _connect(self.path, self._pages)
            self._finalizer = weakref.finalize(self, self._db.close)
            self._ids = {
                Series(app, name): id for id, app, name in self._db.execute("SELECT id, app, name FROM series")
            }
            self._names = dict(self._db.execute("SELECT id, name FROM signal"))
            self._numbers = {name: number for number, name in self._names.items()}
        return self._db

    def _remember(self) -> None:
        """Have in memory what the file knows of the last while."""
        db, now = self._opened(), self._now()
        for series, id in self._ids.items():
            if held := list(self._rows(db, 0, id, now - TAIL, now)):
                self._tail[series] = deque(held)

    def _shut(self) -> None:
        db, self._db = self._db, None
        self._ids, self._numbers, self._names = {}, {}, {}
        if db is not None and self._finalizer is not None:
            self._finalizer()

    def _set_aside(self, error: Exception) -> None:
        aside = self.path.with_name(f"{self.path.name}.damaged")
        log.warning("%s is damaged (%s): it is begun anew, the old one is %s", self.path, error, aside)
        try:
            self.path.replace(aside)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            self._opened()
        except (sqlite3.Error, OSError) as again:
            log.warning("measurements are only held in memory: %s", again)

    def _made_room(self) -> bool:
        """Drop the oldest tenth of the time that is known. Whether anything could be dropped."""
        try:
            with closing(_connect(self.path, self._pages + self._pages // 10)) as db:
                first, last = db.execute("SELECT min(at), max(at) FROM sample").fetchone()
                if first is None:
                    return False
                db.execute("DELETE FROM sample WHERE at <= ?", (first + (last - first) / 10,))
                db.commit()
        except sqlite3.Error:
            return False
        return True


def _connect(path: Path, pages: int) -> sqlite3.Connection:
    """Raises sqlite3.Error, also for a file that is no database or is damaged where it begins."""
    path.touch(mode=0o600, exist_ok=True)
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last seconds of measurements, and never the file.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA max_page_count = {pages}")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _damaged(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    shape = isinstance(error, sqlite3.OperationalError) and (
        "no such column" in str(error) or "has no col" in str(error)
    )
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or shape


def _full(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _fewer(found: list[Sample], since: float, until: float, most: int) -> tuple[Sample, ...]:
    if not most or len(found) <= most:
        return tuple(found)
    step = (until - since) / most
    groups: dict[int, list[Sample]] = {}
    for one in found:
        groups.setdefault(min(most - 1, int((one.at - since) / step)), []).append(one)
    return tuple(points.together(members, members[-1].at) for _, members in sorted(groups.items()))
