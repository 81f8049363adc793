"""Which scheduled jobs are due, and what becomes of each firing. Pure: the time is an argument.

A firing is acted on when it is seen at most LATE seconds after its moment. An older one was missed: the server was
down, or the clock jumped forward. Firings are decided once: the mark moves on, whatever was decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from typing import Literal
from zoneinfo import ZoneInfo

from cronsim import CronSim

from paas.model.cron import CronJob, Missed, Overlap
from paas.model.runs import CronMark

LATE = 90.0
"""Seconds after which a firing counts as missed."""
SET_BACK = 3600.0
"""A mark so many seconds ahead was set by a clock that was wrong; after a smaller step back one waits, so that nothing
runs twice."""
MOST_COUNTED = 1000
"""Missed firings that are counted one by one."""

Act = Literal["run", "skip", "queue", "replace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about a firing at `due_at`, and why; `why` is empty for one that simply runs."""

    act: Act
    due_at: float
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a look at one job came to. `seen_at` is the new mark; None: the mark stays as it is."""

    decisions: tuple[Decision, ...] = ()
    seen_at: float | None = None


def firings(job: CronJob, after: float, until: float) -> Iterator[float]:
    """The moments after `after` up to and including `until`, in order. A time that is left out in spring fires right
    after the gap, one that comes twice in autumn fires once; schedules of every hour or minute follow real time."""
    return takewhile(lambda at: at <= until, upcoming(job, after))


def upcoming(job: CronJob, after: float) -> Iterator[float]:
    """The moments after `after`. Ends for a schedule that fires no more."""
    local = datetime.fromtimestamp(int(after), ZoneInfo(job.zone))
    return (at for one in CronSim(job.schedule, local) if (at := one.timestamp()) > after)


def verdict(job: CronJob, mark: CronMark | None, *, busy: bool, waiting: bool, now: float) -> Verdict:
    """What is due of a job whose schedule was followed up to `mark` (None: never).

    `busy`: its last run still goes on; `waiting`: one is queued behind that.
    """
    if mark is not None and mark.paused_by:
        return Verdict()
    if mark is None or mark.timing != job.timing or mark.seen_at > now + SET_BACK:
        return Verdict(seen_at=now)
    found = list(islice(firings(job, mark.seen_at, now), MOST_COUNTED))
    if not found:
        return Verdict()
    if len(found) == MOST_COUNTED:
        # The last ones are what counts; those between are too many to look at each.
        found = [*found, *firings(job, max(found[-1], now - LATE), now)]
    fresh = [at for at in found if now - at <= LATE]
    missed = found[: len(found) - len(fresh)]
    decided = [*_missed(job, missed, superseded=bool(fresh))]
    # Several on-time firings at once (a tick that came late): the last one stands for all.
    decided += [Decision(act="run", due_at=at) for at in fresh[-1:]]
    settled = tuple(_overlap(job, one, busy, waiting) if one.act == "run" else one for one in decided)
    return Verdict(decisions=settled, seen_at=found[-1])


def _missed(job: CronJob, missed: list[float], *, superseded: bool) -> Iterator[Decision]:
    if not missed:
        return
    count = f"{len(missed)}{'+' if len(missed) >= MOST_COUNTED else ''} times" if len(missed) > 1 else "once"
    why = f"missed {count}: the server was not running, or the clock was set forward"
    if job.missed is Missed.RUN and not superseded:
        yield Decision(act="run", due_at=missed[-1], why=why)
    else:
        yield Decision(act="skip", due_at=missed[-1], why=why)


def _overlap(job: CronJob, one: Decision, busy: bool, waiting: bool) -> Decision:
    if not busy and not waiting:
        return one
    if job.overlap is Overlap.REPLACE:
        return Decision(act="replace", due_at=one.due_at, why=one.why)
    if job.overlap is Overlap.QUEUE and not waiting:
        return Decision(act="queue", due_at=one.due_at, why=one.why)
    why = "one waits already" if waiting and job.overlap is Overlap.QUEUE else "the run before still goes on"
    return Decision(act="skip", due_at=one.due_at, why=why)
