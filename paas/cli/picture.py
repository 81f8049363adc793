"""A simulation as a picture: a few shapes, written as SVG by ourselves and as PNG by Pillow (`paasctl[plot]`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from paas.cli.plot import grouped
from paas.errors import UsageError
from paas.plan.simulate import Run, World

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_WIDTH, _PANEL = 960, 340
"""Pixels of the picture, and of the panel of one run in it."""
_LEFT, _RIGHT, _HEIGHT = 70, 950, 120
"""Edges of a plot, and how tall it is."""
_SCALE = 2
"""Pixels of a PNG for one of the picture: it is looked at on dense screens."""
_GREY, _BLUE, _GREEN, _RED, _PALE = "#999999", "#2277cc", "#008833", "#cc3333", "#dddddd"


@dataclass(frozen=True, slots=True)
class Words:
    """Text whose baseline begins (or, `right`, ends) there."""

    x: float
    y: float
    text: str
    right: bool = False


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
    """For each run load (blue) over capacity (grey), and latency (green) with its target; what is over it is red."""
    for number, run in enumerate(runs):
        yield from _panel(run, world, number * _PANEL)


def _panel(run: Run, world: World, top: float) -> Iterator[Shape]:
    columns = grouped(run.points, 440)
    ready = [max(point.ready for point in column) * world.capacity for column in columns]
    load = [max(point.load for point in column) for column in columns]
    p95 = [min(max(point.p95 for point in column), 2 * world.target) for column in columns]
    most = max(*ready, *load, 1.0)
    told = f"{run.policy}: {run.over} s over target, {run.replica_hours:.2f} replica-hours"
    yield Words(_LEFT, top + 20, told)
    yield from _frame(top + 30, f"{most:.0f}/s")
    yield _line(ready, most, top + 30, _GREY)
    yield _line(load, most, top + 30, _BLUE)
    yield from _frame(top + 190, f"{2 * world.target:g} s")
    step = (_RIGHT - _LEFT) / len(columns)
    for number, column in enumerate(columns):
        if any(point.p95 > world.target for point in column):
            yield Patch(_LEFT + number * step, top + 190, step, _HEIGHT)
    yield Stroke(((_LEFT, top + 250), (_RIGHT, top + 250)), _RED, 1)
    yield _line(p95, 2 * world.target, top + 190, _GREEN)


def _frame(top: float, label: str) -> Iterator[Shape]:
    for y in (top, top + _HEIGHT):
        yield Stroke(((_LEFT, y), (_RIGHT, y)), _PALE, 1)
    yield Words(_LEFT - 8, top + 10, label, right=True)


def _line(values: Sequence[float], most: float, top: float, colour: str) -> Stroke:
    step = (_RIGHT - _LEFT) / len(values)
    points = (
        (_LEFT + number * step, top + _HEIGHT - min(value / most, 1) * _HEIGHT) for number, value in enumerate(values)
    )
    return Stroke(tuple(points), colour)


def svg(runs: Sequence[Run], world: World) -> str:
    """The picture as text."""
    height = _PANEL * len(runs) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f'<style>text{{font:12px sans-serif;fill:#444}}</style><rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        *(_tag(shape) for shape in shapes(runs, world)),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _tag(shape: Shape) -> str:
    match shape:
        case Words(x, y, text, right):
            anchor = ' text-anchor="end"' if right else ""
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
    image = Image.new("RGB", (_WIDTH * _SCALE, (_PANEL * len(runs) + 10) * _SCALE), "#ffffff")
    pen = ImageDraw.Draw(image, "RGBA")
    for shape in shapes(runs, world):
        _drawn(pen, shape)
    data = BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def _drawn(pen: ImageDraw, shape: Shape) -> None:
    match shape:
        case Words(x, y, text, right):
            at = (x * _SCALE, y * _SCALE)
            pen.text(at, text, fill="#444444", anchor="rs" if right else "ls", font_size=12 * _SCALE)
        case Stroke(points, colour, width):
            scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
            pen.line(scaled, fill=colour, width=round(width * _SCALE), joint="curve")
        case Patch(x, y, width, height):
            corners = (x * _SCALE, y * _SCALE, (x + width) * _SCALE, (y + height) * _SCALE)
            pen.rectangle(corners, fill=(204, 51, 51, 46))
