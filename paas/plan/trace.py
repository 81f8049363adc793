"""Text → load trace: CSV of times and requests/s (or counts), or an access log. Pure; wrong lines are named.

| First line | Read as |
| --- | --- |
| `time,requests/s`, or no heading | rates: each holds until the next time |
| `time,requests` | counts: so many requests until the next time |
| `… [01/Jul/1995:00:00:01 -0400] …` | common log format: one request a line, counted in steps of 10 s |

Times are seconds or ISO (`2026-11-23T08:00:00`, UTC unless they say otherwise).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain, pairwise
from statistics import median

from paas.errors import ConfigError
from paas.plan.simulate import Trace

LOG_STEP = 10.0
"""Seconds in which the lines of an access log are counted together."""
LONGEST = 93 * 86_400
"""Seconds a trace may span: every one of them is simulated."""
GAP = 3.0
"""So many times the usual distance between two lines is a gap."""

_LOGGED = re.compile(r"\[(\d{2}/[A-Za-z]{3}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]")
_HEADINGS = {"requests/s": False, "rps": False, "rate": False, "requests": True, "count": True}

Row = tuple[int, float, float]
"""Number of the line, time, value."""


def read(lines: Iterable[str], name: str, *, hold: bool = False) -> Trace:
    """The trace. `hold`: a gap keeps the rate before it. Raises ConfigError with file and line."""
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    numbered = ((number, line) for number, line in numbered if line and not line.startswith("#"))
    first = next(numbered, None)
    if first is None:
        raise ConfigError("the trace is empty", where=name, hint="lines of time,requests/s: 0,12.5")
    if _LOGGED.search(first[1]):
        return _logged(chain([first], numbered), name)
    counts = _counts(first, name)
    rows = [_row(number, line, name) for number, line in (numbered if counts is not None else chain([first], numbered))]
    _ordered(rows, name, hold=hold)
    return _trace(rows, name, counts=bool(counts))


def _counts(line: tuple[int, str], name: str) -> bool | None:
    """Whether the values are counts; None when the first line is no heading."""
    number, heading = line
    first, _, second = (part.strip().lower() for part in heading.partition(","))
    if first[:1].isdigit() or first[:1] in "-+.":
        return None
    if second not in _HEADINGS:
        raise ConfigError(
            f"{heading[:60]!r} is no heading", where=f"{name}:{number}", hint=f"time, and one of {', '.join(_HEADINGS)}"
        )
    return _HEADINGS[second]


def _row(number: int, line: str, name: str) -> Row:
    parts = [part.strip() for part in line.split(",")]
    where = f"{name}:{number}"
    if len(parts) != 2:
        raise ConfigError(f"expected time,requests/s, not {line[:60]!r}", where=where)
    try:
        value = float(parts[1])
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise ConfigError(f"{parts[1][:40]!r} is no number of requests", where=where)
    return number, _time(parts[0], where), value


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
    if not math.isfinite(at) or at < 0:
        raise ConfigError(f"{text[:40]!r} is no time", where=where, hint="seconds, or 2026-11-23T08:00:00")
    return at


def _ordered(rows: list[Row], name: str, *, hold: bool) -> None:
    if len(rows) < 2:
        raise ConfigError("a trace has two lines at least", where=name)
    for before, after in pairwise(rows):
        if after[1] <= before[1]:
            told = f"the time is not after that of line {before[0]}"
            raise ConfigError(told, where=f"{name}:{after[0]}", hint="sort the lines by time")
    usual = median(after[1] - before[1] for before, after in pairwise(rows))
    for before, after in pairwise(rows):
        if not hold and after[1] - before[1] > GAP * usual:
            told = f"{after[1] - before[1]:g} s are missing after line {before[0]} (lines are {usual:g} s apart)"
            hint = "fill them in, or --hold-gaps keeps the rate before them"
            raise ConfigError(told, where=f"{name}:{after[0]}", hint=hint)


def _trace(rows: list[Row], name: str, *, counts: bool) -> Trace:
    times = tuple(at for _, at, _ in rows)
    end = times[-1] + (times[-1] - times[-2])
    _short(times[0], end, name)
    spans = (after - at for at, after in zip(times, (*times[1:], end), strict=True))
    rates = tuple(value / span if counts else value for (_, _, value), span in zip(rows, spans, strict=True))
    return Trace(times, rates, end)


def _logged(numbered: Iterable[tuple[int, str]], name: str) -> Trace:
    """Requests counted in steps; the steps without one are zero. Lines may be out of order, as servers write them."""
    counts: Counter[int] = Counter()
    for number, line in numbered:
        found = _LOGGED.search(line)
        if found is None:
            continue  # the logs of others have broken lines; what has no time cannot be counted
        try:
            at = datetime.strptime(found[1], "%d/%b/%Y:%H:%M:%S %z").timestamp()
        except ValueError:
            raise ConfigError(f"{found[1]} is no time", where=f"{name}:{number}") from None
        counts[int(at // LOG_STEP)] += 1
    first, last = min(counts), max(counts)
    _short(first * LOG_STEP, last * LOG_STEP, name)
    steps = range(first, last + 1)
    return Trace(
        tuple(step * LOG_STEP for step in steps),
        tuple(counts[step] / LOG_STEP for step in steps),
        (last + 1) * LOG_STEP,
    )


def _short(start: float, end: float, name: str) -> None:
    if end - start > LONGEST:
        raise ConfigError(
            f"the trace spans more than {LONGEST // 86_400} days", where=name, hint="cut a part out of it"
        )
