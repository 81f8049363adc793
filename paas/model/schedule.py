"""When schedules fire, in their own time zone, and which bounds they give. Pure; `cronsim` reads cron expressions.

Changes of the clock are as in Debian's cron: a time that is left out in spring fires right after the gap, one that
comes twice in autumn fires once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from paas.model.scaling import Autoscale, ScheduleRule

_START = datetime(2024, 1, 1, tzinfo=timezone.utc)  # noqa: UP017  (a leap year: every date of a calendar follows)
_LOOKED_AT = 1500
"""Firings of a schedule that are compared with those of another."""


def checked(rule: ScheduleRule) -> ScheduleRule:
    """The rule, if it ever fires. Raises ValueError in words."""
    zone = _zone(rule.time_zone)
    if bool(rule.cron) == bool(rule.at):
        raise ValueError("give one of cron and at")
    if rule.at:
        _once(rule)
        return rule
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
    for number, one in enumerate(rules):
        for other in rules[number + 1 :]:
            if (one.least, one.most) != (other.least, other.most) and (moment := _meeting(one, other)):
                told = datetime.fromtimestamp(moment, ZoneInfo(one.time_zone))
                return f"{_name(one)} and {_name(other)} both fire at {told:%Y-%m-%d %H:%M} with different bounds"
    return ""


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
    return (least, max(least, most), _name(rule)) if rule.most is None else (min(least, most), most, _name(rule))


def last(rule: ScheduleRule, now: float) -> float | None:
    """The moment it fired last, `now` included; None: not yet."""
    if rule.at:
        at = _once(rule)
        return at if at <= now else None
    # The search is for moments before the one given, and cron knows whole minutes.
    local = datetime.fromtimestamp(int(now) + 1, ZoneInfo(rule.time_zone))
    return next((one.timestamp() for one in CronSim(rule.cron, local, reverse=True)), None)


def _meeting(one: ScheduleRule, other: ScheduleRule) -> float | None:
    start = min((_once(rule) for rule in (one, other) if rule.at), default=_START.timestamp())
    theirs = set(_firings(other, start))
    return next((at for at in _firings(one, start) if at in theirs), None)


def _firings(rule: ScheduleRule, start: float) -> Iterator[float]:
    """The moments from `start` on."""
    if rule.at:
        yield _once(rule)
        return
    local = datetime.fromtimestamp(start - 1, ZoneInfo(rule.time_zone))
    yield from (one.timestamp() for one in islice(CronSim(rule.cron, local), _LOOKED_AT))


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


def _name(rule: ScheduleRule) -> str:
    return f"schedule {rule.cron or rule.at} {rule.time_zone}"
