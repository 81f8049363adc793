"""`paas metrics`: what was measured, drawn on a terminal."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from statistics import median_high
from typing import Annotated, Any

import typer

from paas.cli.autoscale_rules import troubled
from paas.cli.connection import ask
from paas.cli.lazy import new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import put, put_json, say, size
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app()

EVERY = 5.0
"""Seconds between two drawings while watching: the period of measuring."""

WEEK = 7 * 86_400

_SHOWN = {
    "requests": ("requests/s", 3), "p95": ("p95, s", 2), "in_flight": ("in flight", 2), "cpu": ("cpu, %", 2),
    "memory": ("memory, %", 2),
}  # fmt: skip
"""What is drawn where it is known, in this order: label and lines of a terminal. Signals of the app's own follow."""

_LABELS = {
    **{key: label for key, (label, _) in _SHOWN.items()}, "p50": "p50, s", "p99": "p99, s", "boot": "boot, s",
    "network_in": "net in, kB/s", "network_out": "net out, kB/s", "disk_read": "read, kB/s",
    "disk_write": "written, kB/s", "memory_bytes": "memory, MB",
}  # fmt: skip

_FACTORS = {
    "cpu": 100.0, "memory": 100.0, "memory_bytes": 1 / (1 << 20),
    **dict.fromkeys(("network_in", "network_out", "disk_read", "disk_write"), 0.001),
}  # fmt: skip
"""What a value is multiplied by, to be in the unit of its label."""


@app.command()
def metrics(
    *,
    name: Annotated[str, typer.Argument(metavar="[APP]", help="The app; else as with --app.", show_default=False)] = "",
    app: AppOption = "",
    process: Annotated[
        str, typer.Option("--process", metavar="NAME", help="One process or replica: web, web.1; else all processes.")
    ] = "",
    last: Annotated[str, typer.Option("--last", metavar="TIME", help="How far back: 10m, 1h, 7d.")] = "1h",
    signals: Annotated[
        list[str] | None,
        typer.Option("--signal", metavar="NAME", help="Draw this: network_in, 5xx, unhealthy; again for more."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Draw it again every few seconds.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show CPU, memory, requests, latency and what the app declares, over time.

    With --json --watch there is one line of JSON each time, with what came since the last.
    """
    from paas.requests.metrics import ShowMetrics

    seconds = span(last)
    target = app_of(name or app)
    points = 0 if as_json else 72
    while True:
        answer = ask(ShowMetrics(app=target, process=process, last=seconds, points=points))
        if as_json and watch:
            _line(answer)
            seconds = 2 * EVERY
        elif as_json:
            put_json(answer)
        else:
            _drawn(answer, signals or (), clear=watch and sys.stdout.isatty())
        if not watch:
            return
        time.sleep(EVERY)


def span(text: str, option: str = "--last") -> float:
    """Seconds of `90`, `10m`, `1h`, `7d`, as given for `option`. Raises UsageError."""
    from paas.build import sizes

    number, day = (text.strip()[:-1], True) if text.strip().endswith("d") else (text.strip(), False)
    try:
        found = sizes.seconds(f"{number}h", most=WEEK) * 24 if day else sizes.seconds(number, most=WEEK)
    except ValueError:
        found = math.nan
    if not 10 <= found <= WEEK:
        raise UsageError(f"{option} {text} is no time between 10 seconds and 7 days", hint="10m, 1h, 7d")
    return found


def _line(answer: dict[str, Any]) -> None:
    import json

    print(json.dumps(answer), flush=True)


def _drawn(answer: dict[str, Any], chosen: Sequence[str] = (), *, clear: bool) -> None:
    _known(answer, chosen)
    if clear:
        print("\x1b[H\x1b[2J", end="")
    if not any(one["samples"] for one in answer["series"]):
        say("nothing was measured yet: it is, every few seconds, once a replica runs")
        return
    for one in answer["series"]:
        if one["samples"]:
            _series(answer, one, chosen)
    for line in troubled(answer["signals"]):
        put(line)
    sys.stdout.flush()


def _known(answer: dict[str, Any], chosen: Sequence[str]) -> None:
    """Raises UsageError for a signal that there is nothing of, naming those there are."""
    from paas.model.metrics import STATUS

    there = sorted({key for one in answer["series"] for sample in one["samples"] for key in sample["values"]})
    there += [name for name in STATUS if name not in there and "requests" in there]  # nobody got one: that is 0
    for name in chosen:
        if there and name not in there:
            raise UsageError(f"nothing was measured of {name!r} in that time", hint=f"known are {', '.join(there)}")


def _series(answer: dict[str, Any], one: dict[str, Any], chosen: Sequence[str]) -> None:
    from paas.cli import plot

    now = one["samples"][-1]
    put(f"{answer['app']} {one['name']}: {_now(now)}")
    columns = _columns(one["samples"], answer["since"], answer["until"])
    drawn = [(key, 3) for key in chosen] or _usual(one)
    for key, height in drawn:
        values = [_of(column, key) for column in columns]
        if not all(math.isnan(value) for value in values):
            for line in plot.rows(_LABELS.get(key, key or "replicas"), values, height):
                put(line)
    put(f"{'':>16} {time.strftime('%H:%M', time.localtime(answer['since']))}{'now':>{plot.WIDTH - 5}}")


def _usual(one: dict[str, Any]) -> list[tuple[str, int]]:
    """What is drawn of a process or replica where nothing is chosen; the empty key is the number of replicas."""
    from paas.model.metrics import is_custom

    own = sorted({key for sample in one["samples"] for key in sample["values"] if is_custom(key)})
    replicas = [] if "." in one["name"] else [("", 2)]
    return [
        *replicas, *((key, height) for key, (_, height) in _SHOWN.items()),
        *((key, 2) for key in own if not key.endswith("_max")),
    ]  # fmt: skip


def _columns(samples: list[dict[str, Any]], since: float, until: float) -> list[list[dict[str, Any]]]:
    """As many columns as a plot is wide; empty ones where nothing was measured."""
    from paas.cli import plot

    columns: list[list[dict[str, Any]]] = [[] for _ in range(plot.WIDTH)]
    for sample in samples:
        place = int((sample["at"] - since) / max(1e-9, until - since) * plot.WIDTH)
        columns[min(plot.WIDTH - 1, max(0, place))].append(sample)
    return _filled(columns, _apart(samples) / max(1e-9, until - since) * plot.WIDTH)


def _apart(samples: list[dict[str, Any]]) -> float:
    """Seconds that samples usually are from one another."""
    times: list[float] = [sample["at"] for sample in samples]
    return median_high([after - before for before, after in pairwise(times)] or [0.0])


def _filled(columns: list[list[dict[str, Any]]], width: float) -> list[list[dict[str, Any]]]:
    """A column between two that know something shows what the one before it does, where samples are that far apart:
    usually `width` columns, which is seldom a whole number of them."""
    apart = max(1, math.ceil(width))
    filled = list(columns)
    for number in range(1, len(columns)):
        near = [columns[back] for back in range(number, max(-1, number - apart), -1) if columns[back]]
        filled[number] = near[0] if near else []
    return filled


def _of(column: list[dict[str, Any]], key: str) -> float:
    """The highest value of a column, in the unit of its label; replicas without a key; NaN: not known."""
    values = [_value(sample, key) for sample in column]
    known = [value for value in values if value is not None]
    return max(known, default=math.nan) * _FACTORS.get(key.removesuffix("_max"), 1.0)


def _value(sample: dict[str, Any], key: str) -> float | None:
    """None: not known. A class of status that nobody got is not there, which is none a second."""
    from paas.model.metrics import STATUS

    if not key:
        return float(sample["replicas"])
    values = sample["values"]
    found = values.get(key, 0.0 if key in STATUS and "requests" in values else None)
    return None if found is None else float(found)


def _now(sample: dict[str, Any]) -> str:
    values = sample["values"]
    words = [f"{sample['replicas']} replica{'s' if sample['replicas'] != 1 else ''}"]
    words += [f"cpu {values['cpu']:.0%}"] if "cpu" in values else []
    if "memory" in values:
        words.append(f"memory {values['memory']:.0%} ({size(values['memory_bytes'])})")
    words += [f"{values['requests']:.3g} requests/s"] if "requests" in values else []
    words += [f"p95 {values['p95'] * 1000:.0f} ms"] if values.get("p95") else []
    words += [f"{values['5xx']:.3g} errors/s"] if values.get("5xx") else []
    words += [f"{values['unhealthy']:.0f} unhealthy"] if values.get("unhealthy") else []
    return ", ".join(words)
