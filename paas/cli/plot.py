"""A simulation, or what was measured, as lines of text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from paas.plan.simulate import Point, Run, World

_BARS = " ▁▂▃▄▅▆▇█"
WIDTH = 72
"""Columns of a plot on a terminal."""
_SIDE = 16


def text(run: Run, world: World, *, width: int = WIDTH) -> list[str]:
    """Load against capacity, replicas and latency, one below the other on the same time line."""
    columns = grouped(run.points, width)
    load = [max(point.load for point in column) for column in columns]
    replicas = [max(point.replicas for point in column) for column in columns]
    p95 = [min(max(point.p95 for point in column), world.timeout) for column in columns]
    over = "".join("!" if any(point.p95 > world.target for point in column) else "·" for column in columns)
    start, end = run.points[0].at, run.points[-1].at + 1
    return [
        *rows("requests/s", load, 4),
        *rows("replicas", [float(one) for one in replicas], 4),
        *rows("p95, s", p95, 3),
        f"{'over target':>{_SIDE}} {over}",
        f"{'':>{_SIDE}} 0{_length(end - start):>{len(columns) - 1}}",
    ]


def grouped(points: Sequence[Point], width: int) -> list[Sequence[Point]]:
    """The points, as many together as makes `width` columns at most."""
    count = min(width, len(points))
    edges = [round(number * len(points) / count) for number in range(count + 1)]
    return [points[start:end] for start, end in pairwise(edges)]


def rows(label: str, values: Sequence[float], height: int) -> Iterator[str]:
    """Bars `height` lines tall, eight steps a line; the highest value beside the first line. NaN: nothing known."""
    known = [value for value in values if not math.isnan(value)]
    top = max(known, default=0.0)
    eighths = [0 if math.isnan(value) else math.ceil(value / (top or 1.0) * height * 8 - 1e-9) for value in values]
    for line in range(height - 1, -1, -1):
        bars = "".join(_BARS[min(8, max(0, one - line * 8))] for one in eighths)
        side = f"{label} {_number(top)}" if known else label
        yield f"{side if line == height - 1 else '':>{_SIDE}} {bars}".rstrip()


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _length(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"
