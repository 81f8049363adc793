"""A simulation as a picture: a few shapes, written as SVG by ourselves and as PNG by Pillow (`paasctl[plot]`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from paas.cli.plot import grouped
from paas.errors import UsageError
from paas.plan.simulate import YEAR, Point, Run, World

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_WIDTH, _PANEL, _HEAD = 960, 350, 36
"""Pixels of the picture, of the panel of one run in it, and of the legend above them."""
_LEFT, _RIGHT, _HEIGHT = 70, 930, 120
"""Edges of a plot, and how tall it is."""
DAY = 86_400
_APART = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, DAY, 2 * DAY, 7 * DAY)
"""Seconds between two names on the axis of time."""
_SCALE = 2
"""Pixels of a PNG for one of the picture: it is looked at on dense screens."""
_GREY, _BLUE, _GREEN, _RED, _PALE = "#999999", "#2277cc", "#008833", "#cc3333", "#dddddd"


@dataclass(frozen=True, slots=True)
class Words:
    """Text whose baseline begins (or ends, or has its middle) there."""

    x: float
    y: float
    text: str
    right: bool = False
    middle: bool = False


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    colour: str
    width: float = 1.5


@dataclass(frozen=True, slots=True)
class Patch:
    """A pale red box."""

    x: float
    y: float
    width: float
    height: float


Shape = Words | Stroke | Patch


def draw(path: Path, runs: Sequence[Run], world: World, *, png: bool = False) -> None:
    """Write the picture. Raises UsageError where that cannot be, or the library for PNG is not there."""
    data = _png(runs, world) if png else svg(runs, world).encode()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def shapes(runs: Sequence[Run], world: World) -> Iterator[Shape]:
    """For each run load over capacity, and latency over its target; what is beyond it is red. All by the same scale."""
    yield from _legend(world)
    most = max(1.0, *(max(point.load, point.ready * world.capacity) for run in runs for point in run.points))
    for number, run in enumerate(runs):
        yield from _panel(run, world, _HEAD + number * _PANEL, most)


def _legend(world: World) -> Iterator[Shape]:
    lines = (
        ("load, requests/s", _BLUE), ("capacity of all replicas", _GREY), ("p95, s", _GREEN),
        (f"its target, {world.target:g} s", _RED),
    )  # fmt: skip
    for number, (text, colour) in enumerate(lines):
        x = _LEFT + number * 190
        yield Stroke(((x, 20), (x + 24, 20)), colour, 2)
        yield Words(x + 30, 24, text)
    yield Patch(_LEFT + 760, 13, 24, 14)
    yield Words(_LEFT + 790, 24, "over it")


def _panel(run: Run, world: World, top: float, most: float) -> Iterator[Shape]:
    columns = grouped(run.points, 440)
    ready = [max(point.ready for point in column) * world.capacity for column in columns]
    load = [max(point.load for point in column) for column in columns]
    p95 = [min(max(point.p95 for point in column), 2 * world.target) for column in columns]
    told = f"{run.policy}: {run.over} s over target, {run.replica_hours:.2f} replica-hours, {run.failed} failed"
    yield Words(_LEFT, top + 20, told)
    times = list(_times(run))
    yield from _frame(top + 30, f"{most:.0f}/s", "0", times)
    yield _line(ready, most, top + 30, _GREY)
    yield _line(load, most, top + 30, _BLUE)
    yield from _over(columns, world, top + 190)
    yield from _frame(top + 190, f"{2 * world.target:g} s", "0", times)
    yield Stroke(((_LEFT, top + 250), (_RIGHT, top + 250)), _RED, 1)
    yield _line(p95, 2 * world.target, top + 190, _GREEN)
    for x, text in times:
        yield Words(x, top + 190 + _HEIGHT + 18, text, middle=True)


def _over(columns: Sequence[Sequence[Point]], world: World, top: float) -> Iterator[Shape]:
    """A box for each stretch of columns over the target: boxes side by side would show their seams."""
    step = (_RIGHT - _LEFT) / len(columns)
    first = 0
    for over, part in groupby(any(point.p95 > world.target for point in column) for column in columns):
        length = len(list(part))
        if over:
            yield Patch(_LEFT + first * step, top, length * step, _HEIGHT)
        first += length


def _times(run: Run) -> Iterator[tuple[float, str]]:
    """Where round times stand, and their names: since the start, or of a dated trace those of the day (UTC)."""
    begin = run.points[0].at
    apart = next((one for one in _APART if run.seconds / one <= 9), math.ceil(run.seconds / 9 / DAY) * DAY)
    first = math.ceil(begin / apart) * apart if begin >= YEAR else begin
    for number in range(int((begin + run.seconds - first) // apart) + 1):
        at = first + number * apart
        yield _LEFT + (at - begin) / run.seconds * (_RIGHT - _LEFT), _named(at, at - begin, apart)


def _named(at: float, since: float, apart: float) -> str:
    if at >= YEAR:
        return f"{datetime.fromtimestamp(at, UTC):{'%d %b' if apart >= DAY else '%H:%M:%S' if apart < 60 else '%H:%M'}}"
    unit, name = (1, "s") if apart < 60 else (60, "min") if apart < 3600 else (3600, "h") if apart < DAY else (DAY, "d")
    return f"{since / unit:g} {name}" if since else "0"


def _frame(top: float, highest: str, lowest: str, times: Sequence[tuple[float, str]]) -> Iterator[Shape]:
    for y in (top, top + _HEIGHT):
        yield Stroke(((_LEFT, y), (_RIGHT, y)), _PALE, 1)
    for x, _ in times:
        yield Stroke(((x, top), (x, top + _HEIGHT)), _PALE, 1)
    yield Words(_LEFT - 8, top + 10, highest, right=True)
    yield Words(_LEFT - 8, top + _HEIGHT, lowest, right=True)


def _line(values: Sequence[float], most: float, top: float, colour: str) -> Stroke:
    step = (_RIGHT - _LEFT) / len(values)
    heights = [top + _HEIGHT - min(value / most, 1) * _HEIGHT for value in values]
    corners = ((_LEFT + (number + side) * step, y) for number, y in enumerate(heights) for side in (0, 1))
    return Stroke(tuple(corners), colour)


def svg(runs: Sequence[Run], world: World) -> str:
    """The picture as text."""
    height = _HEAD + _PANEL * len(runs)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f'<style>text{{font:12px sans-serif;fill:#444}}</style><rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        *(_tag(shape) for shape in shapes(runs, world)),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _tag(shape: Shape) -> str:
    match shape:
        case Words(x, y, text, right, middle):
            anchor = ' text-anchor="end"' if right else ' text-anchor="middle"' if middle else ""
            return f'<text x="{x:g}" y="{y:g}"{anchor}>{escape(text)}</text>'
        case Stroke(points, colour, width):
            path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            return f'<path fill="none" stroke="{colour}" stroke-width="{width:g}" d="M{path}"/>'
        case Patch(x, y, width, height):
            box = f'x="{x:.1f}" y="{y:g}" width="{width:.2f}" height="{height:g}"'
            return f'<rect fill="{_RED}" fill-opacity=".18" {box}/>'


def _png(runs: Sequence[Run], world: World) -> bytes:
    """The picture as bytes. Raises UsageError without Pillow."""
    from io import BytesIO

    try:
        from PIL import Image, ImageDraw
    except ImportError:
        hint = "pip install 'paasctl[plot]', or --svg FILE, which needs nothing"
        raise UsageError("--png needs Pillow, which is not installed", hint=hint) from None
    image = Image.new("RGB", (_WIDTH * _SCALE, (_HEAD + _PANEL * len(runs)) * _SCALE), "#ffffff")
    pen = ImageDraw.Draw(image, "RGBA")
    for shape in shapes(runs, world):
        _drawn(pen, shape)
    data = BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def _drawn(pen: ImageDraw, shape: Shape) -> None:
    match shape:
        case Words(x, y, text, right, middle):
            at, anchor = (x * _SCALE, y * _SCALE), "rs" if right else "ms" if middle else "ls"
            pen.text(at, text, fill="#444444", anchor=anchor, font_size=12 * _SCALE)
        case Stroke(points, colour, width):
            scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
            pen.line(scaled, fill=colour, width=round(width * _SCALE), joint="curve")
        case Patch(x, y, width, height):
            corners = (x * _SCALE, y * _SCALE, (x + width) * _SCALE, (y + height) * _SCALE)
            pen.rectangle(corners, fill=(204, 51, 51, 46))
