"""A simulation as a picture: lines of text for a terminal, SVG for everything else. Own drawing, no library."""

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
    columns = _columns(run.points, width)
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


def _columns(points: Sequence[Point], width: int) -> list[Sequence[Point]]:
    count = min(width, len(points))
    edges = [round(number * len(points) / count) for number in range(count + 1)]
    return [points[start:end] for start, end in pairwise(edges)]


def rows(label: str, values: Sequence[float], height: int) -> Iterator[str]:
    """Bars `height` lines tall, eight steps a line; the highest value beside the first line. NaN: nothing known."""
    known = [value for value in values if not math.isnan(value)]
    top = max(known, default=0.0) or 1.0
    eighths = [0 if math.isnan(value) else math.ceil(value / top * height * 8 - 1e-9) for value in values]
    for line in range(height - 1, -1, -1):
        bars = "".join(_BARS[min(8, max(0, one - line * 8))] for one in eighths)
        side = f"{label} {top:.3g}" if line == height - 1 else ""
        yield f"{side:>{_SIDE}} {bars}".rstrip()


def _length(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"


# --- SVG -----------------------------------------------------------------------------------------------------------

_SIZE = (960, 170)
_LEFT = 70
_STYLE = (
    "text{font:12px sans-serif;fill:#444}.l{fill:none;stroke-width:1.5}.g{stroke:#ddd}"
    ".t{stroke:#c33;stroke-dasharray:4 3}.o{fill:#c33;fill-opacity:.18}"
)


def svg(runs: Sequence[Run], world: World) -> str:
    """A standing picture: for each run load over capacity, and latency with its target; what is over it is red."""
    width, height = _SIZE
    total = height * 2 * len(runs) + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {total}" width="{width}" height="{total}">']
    parts.append(f'<style>{_STYLE}</style><rect width="{width}" height="{total}" fill="#fff"/>')
    for number, run in enumerate(runs):
        parts += _panel(run, world, number * height * 2)
    return "\n".join([*parts, "</svg>\n"])


def _panel(run: Run, world: World, top: float) -> Iterator[str]:
    columns = _columns(run.points, 440)
    ready = [max(point.ready for point in column) * world.capacity for column in columns]
    load = [max(point.load for point in column) for column in columns]
    p95 = [min(max(point.p95 for point in column), 2 * world.target) for column in columns]
    hours = f"{run.over} s over target, {run.replica_hours:.2f} replica-hours"
    most = max(*ready, *load, 1.0)
    yield f'<text x="{_LEFT}" y="{top + 20}">{_escaped(run.policy)}: {hours}</text>'
    yield from _frame(top + 30, f"{most:.0f}/s")
    yield _line(ready, most, top + 30, "#999")
    yield _line(load, most, top + 30, "#27c")
    yield from _frame(top + 190, f"{2 * world.target:g} s")
    step = (_SIZE[0] - _LEFT - 10) / len(columns)
    for number, column in enumerate(columns):
        if any(point.p95 > world.target for point in column):
            yield f'<rect class="o" x="{_LEFT + number * step:.1f}" y="{top + 190}" width="{step:.2f}" height="120"/>'
    yield f'<path class="t" d="M{_LEFT} {top + 250}H{_SIZE[0] - 10}"/>'
    yield _line(p95, 2 * world.target, top + 190, "#083")


def _frame(top: float, label: str) -> Iterator[str]:
    yield f'<path class="g" d="M{_LEFT} {top}H{_SIZE[0] - 10}M{_LEFT} {top + 120}H{_SIZE[0] - 10}"/>'
    yield f'<text x="{_LEFT - 8}" y="{top + 10}" text-anchor="end">{label}</text>'


def _line(values: Sequence[float], most: float, top: float, colour: str) -> str:
    step = (_SIZE[0] - _LEFT - 10) / len(values)
    heights = (top + 120 - min(value / most, 1) * 120 for value in values)
    points = "L".join(f"{_LEFT + number * step:.1f} {height:.1f}" for number, height in enumerate(heights))
    return f'<path class="l" stroke="{colour}" d="M{points}"/>'


def _escaped(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;")
