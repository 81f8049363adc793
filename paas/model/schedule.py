"""When schedules fire, in their own time zone, and which bounds they give. Pure; `cronsim` reads cron expressions.

Changes of the clock are as in Debian's cron: a time that is left out in spring fires right after the gap, one that
comes twice in autumn fires once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timezone
from itertools import combinations, islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from paas.model.scaling import Autoscale, ScheduleRule

_START = datetime(2024, 1, 1, tzinfo=timezone.utc)  # noqa: UP017  (a leap year: every date of a calendar follows)
_LEAPS = 1000
"""Times that two schedules are set forward to each other, until it is said that they never meet."""
_ALL_LEAPS = 20_000
"""The same for all schedules of a process together, some half a second."""
_FIELDS = 5
_ANY = CronSim("* * * * *", _START)


def checked(rule: ScheduleRule) -> ScheduleRule:
    """The rule, if it ever fires. Raises ValueError in words."""
    zone = _zone(rule.time_zone)
    if bool(rule.cron) == bool(rule.at):
        raise ValueError("give one of cron and at")
    if rule.at:
        _once(rule)
        return rule
    if len(rule.cron.split()) != _FIELDS:
        raise ValueError(f"cron {rule.cron!r}: expected minute hour day month weekday, such as 0 8 * * mon-fri")
    try:
        next(CronSim(rule.cron, _START.astimezone(zone)))
    except CronSimError as error:
        hint = "minute hour day month weekday, such as 0 8 * * mon-fri"
        raise ValueError(f"cron {rule.cron!r} never fires: {str(error).lower()} ({hint})") from None
    except StopIteration:
        raise ValueError(f"cron {rule.cron!r} never fires: there is no such day") from None
    return rule


def fight(rules: Sequence[ScheduleRule]) -> str:
    """The words for two schedules that fire at the same moment with different bounds; empty when there are none."""
    leaps = iter(range(_ALL_LEAPS))
    for one, other in combinations(rules, 2):
        differ = (one.least, one.most) != (other.least, other.most)
        if differ and (moment := _meeting(one, other, islice(leaps, _LEAPS))) is not None:
            told = datetime.fromtimestamp(moment, ZoneInfo(one.time_zone))
            return f"{name(one)} and {name(other)} both fire at {told:%Y-%m-%d %H:%M} with different bounds"
    return ""


def over(rule: ScheduleRule, now: float) -> bool:
    """Whether it was once, and has ended: it never fires again."""
    return bool(rule.at) and rule.lasts is not None and _once(rule) + rule.lasts <= now


def bounds(rules: Autoscale, now: float) -> tuple[int, int, str]:
    """Least and most replicas at `now`, and the words for the schedule they come from (empty: none is in force)."""
    fired = [(at, rule) for rule in rules.schedules if (at := last(rule, now)) is not None]
    current = [(at, rule) for at, rule in fired if rule.lasts is None or now < at + rule.lasts]
    if not current:
        return rules.least, rules.most, ""
    _, rule = max(current, key=lambda pair: pair[0])
    least = rules.least if rule.least is None else rule.least
    most = rules.most if rule.most is None else rule.most
    # A schedule may say one bound beyond the other one's usual place; then what it says counts.
    return (least, max(least, most), name(rule)) if rule.most is None else (min(least, most), most, name(rule))


def last(rule: ScheduleRule, now: float) -> float | None:
    """The moment it fired last, `now` included; None: not yet."""
    if rule.at:
        at = _once(rule)
        return at if at <= now else None
    # The search is for moments before the one given, and cron knows whole minutes.
    local = datetime.fromtimestamp(int(now) + 1, ZoneInfo(rule.time_zone))
    found = next((one.timestamp() for one in CronSim(rule.cron, local, reverse=True)), None)
    # In the hour that comes twice the search backwards misses what fired when it came first; forwards it is found.
    while found is not None and (after := _first(rule, found + 1)) is not None and after <= now:
        found = after
    return found


def _meeting(one: ScheduleRule, other: ScheduleRule, leaps: Iterable[int]) -> float | None:
    """A moment at which both fire: whichever is behind goes to its first firing that is not before the other's."""
    if not _may_meet(one, other):
        return None
    start = min((_once(rule) for rule in (one, other) if rule.at), default=_START.timestamp())
    here, there = _first(one, start), _first(other, start)
    for _ in leaps:
        if here is None or there is None:
            return None
        if here == there:
            return here
        if here < there:
            here = _first(one, there)
        else:
            there = _first(other, here)
    return None


def _may_meet(one: ScheduleRule, other: ScheduleRule) -> bool:
    """False for two that say at once that they never do: in the same zone, and no minute, hour, month or day in common.
    (What a change of the clock moves to the same moment, once a year, is none of their business.)"""
    if one.at or other.at or one.time_zone != other.time_zone:
        return True
    mine, theirs = CronSim(one.cron, _START), CronSim(other.cron, _START)
    both: list[Collection[object]] = [
        mine.minutes & theirs.minutes, mine.hours & theirs.hours, mine.months & theirs.months,
    ]  # fmt: skip
    if mine.weekdays == theirs.weekdays == _ANY.weekdays and _are_numbers(mine.days | theirs.days):
        both.append(mine.days & theirs.days)
    if mine.days == theirs.days == _ANY.days and _are_numbers(mine.weekdays | theirs.weekdays):
        both.append(mine.weekdays & theirs.weekdays)
    return all(both)


def _are_numbers(days: Iterable[object]) -> bool:
    """Whether they are plain ones, and none such as the last of a month."""
    return all(isinstance(day, int) and day >= 0 for day in days)


def _first(rule: ScheduleRule, start: float) -> float | None:
    """The first moment it fires that is not before `start`; None: there is none."""
    if rule.at:
        at = _once(rule)
        return at if at >= start else None
    local = datetime.fromtimestamp(start - 1, ZoneInfo(rule.time_zone))
    return next((one.timestamp() for one in CronSim(rule.cron, local)), None)


def _once(rule: ScheduleRule) -> float:
    try:
        said = datetime.fromisoformat(rule.at)
    except ValueError:
        raise ValueError(f"{rule.at!r} is no time such as 2026-12-24T08:00") from None
    if said.tzinfo is not None:
        raise ValueError(f"{rule.at!r} names a time zone; it stands in time_zone")
    if not 2000 <= said.year < 3000:
        raise ValueError(f"{rule.at!r} is not in this millennium")
    return said.replace(tzinfo=ZoneInfo(rule.time_zone)).timestamp()


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not there; not a name; a folder of names
        raise ValueError(f"{name!r} is no time zone such as Europe/Berlin") from None


def name(rule: ScheduleRule) -> str:
    """What it is called in words."""
    return f"schedule {rule.cron or rule.at} {rule.time_zone}"
