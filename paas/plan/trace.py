"""Text → load trace: CSV of times and requests/s (or counts), or an access log. Pure; wrong lines are named.

| First line | Read as |
| --- | --- |
| `time,requests/s`, or no heading | rates: each holds until the next time |
| `time,requests` | counts: so many requests until the next time |
| `… [01/Jul/1995:00:00:01 -0400] …` | common log format: one request a line, counted in steps of 10 s |

Times are seconds or ISO (`2026-11-23T08:00:00`, UTC unless they say otherwise). Lines are looked at one by one: what is
kept of a trace are two numbers a line, of an access log one a step, so its size is bounded however long the file is.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, pairwise
from statistics import median

from paas.errors import ConfigError
from paas.plan.simulate import Trace

LOG_STEP = 10.0
"""Seconds in which the lines of an access log are counted together."""
LONGEST = 93 * 86_400
"""Seconds a trace may span: every one of them is simulated."""
MOST_LINES = LONGEST
"""Lines of a CSV at most: one for each second that can be simulated."""
MOST_RATE = 1e9
"""Requests/s at most: nobody has as many."""
LAST_TIME = 253_402_300_799.0
"""The end of the year 9999 in Unix seconds."""
GAP = 3.0
"""So many times the usual distance between two lines is a gap."""

_LOGGED = re.compile(r"\[(\d{2}/[A-Za-z]{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]")
_HEADINGS = {"requests/s": False, "rps": False, "rate": False, "requests": True, "count": True}

Line = tuple[int, str]
"""Its number in the file, and the text without what is around it."""


def read(lines: Iterable[str], name: str, *, hold: bool = False) -> Trace:
    """The trace. `hold`: a gap keeps the rate before it. Raises ConfigError with file and line."""
    numbered = _said(lines)
    first = next(numbered, None)
    if first is None:
        raise ConfigError("the trace is empty", where=name, hint="lines of time,requests/s: 0,12.5")
    if "\0" in first[1]:
        raise ConfigError("this is no text", where=name, hint="CSV or an access log in UTF-8, or one of them gzipped")
    if _LOGGED.search(first[1]):
        return _logged(chain([first], numbered), name)
    counts = _counts(first, name)
    if counts is None:
        numbered = chain([first], numbered)
    return _trace(*_columns(numbered, name, hold=hold), name, counts=bool(counts))


def _said(lines: Iterable[str]) -> Iterator[Line]:
    """Without empty lines, comments, and the mark that some programs write before everything else."""
    for number, line in enumerate(lines, 1):
        text = (line.removeprefix("\ufeff") if number == 1 else line).strip()
        if text and not text.startswith("#"):
            yield number, text


def _counts(line: tuple[int, str], name: str) -> bool | None:
    """Whether the values are counts; None when the first line is no heading."""
    number, heading = line
    first, _, second = (_bare(part).lower() for part in heading.partition(","))
    if first[:1].isdigit() or first[:1] in "-+.":
        return None
    if second not in _HEADINGS:
        raise ConfigError(
            f"{heading[:60]!r} is no heading", where=f"{name}:{number}", hint=f"time, and one of {', '.join(_HEADINGS)}"
        )
    return _HEADINGS[second]


def _columns(numbered: Iterable[Line], name: str, *, hold: bool) -> tuple[array[float], array[float]]:
    """Times and values, in order and without gaps."""
    times, values, places = array("d"), array("d"), array("Q")
    for number, line in numbered:
        at, value = _row(number, line, name)
        if times and at <= times[-1]:
            told = f"the time is not after that of line {places[-1]}"
            raise ConfigError(told, where=f"{name}:{number}", hint="sort the lines by time, one line a time")
        if len(times) == MOST_LINES:
            told = f"a trace has {MOST_LINES:,} lines at most, one a second for {LONGEST // 86_400} days"
            raise ConfigError(told, where=f"{name}:{number}", hint="add up what came in each second or minute")
        times.append(at)
        values.append(value)
        places.append(number)
    if len(times) < 2:
        raise ConfigError("a trace has two lines at least", where=name)
    if not hold:
        _whole(times, places, name)
    return times, values


def _row(number: int, line: str, name: str) -> tuple[float, float]:
    parts = [_bare(part) for part in line.split(",")]
    where = f"{name}:{number}"
    if len(parts) != 2:
        raise ConfigError(f"expected time,requests/s, not {line[:60]!r}", where=where)
    try:
        value = float(parts[1])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not 0 <= value <= MOST_RATE:
        raise ConfigError(f"{parts[1][:40]!r} is no number of requests", where=where)
    return _time(parts[0], where), value


def _bare(cell: str) -> str:
    """Without the quotes that spreadsheets and dashboards write around what they export."""
    return cell.strip().removeprefix('"').removesuffix('"').strip()


def _time(text: str, where: str) -> float:
    try:
        at = float(text)
    except ValueError:
        at = math.nan
        try:
            moment = datetime.fromisoformat(text)
            at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass
    if math.isfinite(at) and at > LAST_TIME:
        raise ConfigError(
            f"{text[:40]!r} is after the year 9999", where=where, hint="seconds since 1970, not milliseconds"
        )
    if not math.isfinite(at) or at < 0:
        raise ConfigError(f"{text[:40]!r} is no time", where=where, hint="seconds, or 2026-11-23T08:00:00")
    return at


def _whole(times: array[float], places: array[int], name: str) -> None:
    """Refuse gaps."""
    usual = median(after - before for before, after in pairwise(times))
    for index, (before, after) in enumerate(pairwise(times)):
        if after - before > GAP * usual:
            told = f"{after - before:g} s are missing after line {places[index]} (lines are {usual:g} s apart)"
            hint = "fill them in, or --hold-gaps keeps the rate before them"
            raise ConfigError(told, where=f"{name}:{places[index + 1]}", hint=hint)


def _trace(times: array[float], values: array[float], name: str, *, counts: bool) -> Trace:
    end = times[-1] + (times[-1] - times[-2])
    _short(times[0], end, name)
    if not counts:
        return Trace(times, values, end)
    spans = (after - at for at, after in zip(times, chain(times[1:], [end]), strict=True))
    rates = array("d", (value / span for value, span in zip(values, spans, strict=True)))
    if (highest := max(rates)) > MOST_RATE:
        told = f"{highest:.3g} requests/s are more than anybody has"
        raise ConfigError(told, where=name, hint="are the lines further apart than their times say?")
    return Trace(times, rates, end)


def _logged(numbered: Iterable[Line], name: str) -> Trace:
    """Requests counted in steps; the steps without one are zero. Lines may be out of order, as servers write them."""
    counts: Counter[int] = Counter()
    first, last = math.inf, -math.inf
    for number, line in numbered:
        found = _LOGGED.search(line)
        if found is None:
            continue  # the logs of others have broken lines; what has no time cannot be counted
        at = _log_time(found[1])
        if math.isnan(at):
            raise ConfigError(f"{found[1]} is no time", where=f"{name}:{number}")
        if not first <= at <= last:
            first, last = min(first, at), max(last, at)
            _short(first, last, f"{name}:{number}")
        counts[int(at // LOG_STEP)] += 1
    steps = range(int(first // LOG_STEP), int(last // LOG_STEP) + 1)
    return Trace(
        array("d", (step * LOG_STEP for step in steps)),
        array("d", (counts[step] / LOG_STEP for step in steps)),
        (steps[-1] + 1) * LOG_STEP,
    )


@lru_cache(maxsize=256)
def _log_time(text: str) -> float:
    """Unix time; NaN for what is none. A busy log says the same second many times."""
    try:
        return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except (ValueError, OverflowError):
        return math.nan


def _short(start: float, end: float, name: str) -> None:
    if end - start > LONGEST:
        raise ConfigError(
            f"the trace spans more than {LONGEST // 86_400} days", where=name, hint="cut a part out of it"
        )
