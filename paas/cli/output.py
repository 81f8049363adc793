"""What is printed: data on stdout, talk on stderr, nothing that could move a terminal's cursor."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from paas.errors import PaasError

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f"  # control characters but the tab: cursor, title, clipboard
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that reorder what is read
    "\u2028\u2029\ud800-\udfff]"  # line ends for some terminals; halves of characters
)


def escaped(text: str) -> str:
    """The text safe for a terminal: colours taken out, every other control character shown as `\\xNN`."""
    return _UNSAFE.sub(lambda found: ascii(found.group())[1:-1], _COLOUR.sub("", text))


def escaped_lines(text: str) -> list[str]:
    """The same, line by line."""
    return [escaped(line) for line in text.split("\n")]


def talk(text: str, end: str = "\n") -> None:
    """To stderr, as it is. Nobody reading it any more stops nothing that has begun."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except BrokenPipeError:
        unheard(sys.stderr)


def unheard(stream: TextIO) -> None:
    """What is said there from now on goes nowhere: its reader has gone. Python's own flush at exit included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say(text: str = "") -> None:
    """Talk: progress, hints, what to do next."""
    talk("\n".join(escaped_lines(text)))


def put(text: str) -> None:
    """Data, one line or several."""
    print("\n".join(escaped_lines(text)))


def put_json(value: Any) -> None:
    """Data for programs. The shape of an answer is the shape of the use case's dataclass."""
    print(json.dumps(value, indent=2 if sys.stdout.isatty() else None))


def complain(error: PaasError) -> None:
    """`error:`, details, `hint:` on stderr."""
    word = paint("error:", "31;1") if coloured(sys.stderr) else "error:"
    first, *more = escaped_lines(error.message)
    talk(f"{word} {first}")
    for line in more:
        talk(f"  {line}")
    for line in error.details:
        say(f"  {line}")
    if error.hint:
        say(f"hint: {error.hint}")


def coloured(stream: TextIO) -> bool:
    """Whether colour helps there."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and (bool(os.environ.get("FORCE_COLOR")) or stream.isatty())


def paint(text: str, code: str) -> str:
    """The text in an SGR style. Only for our own words."""
    return f"\x1b[{code}m{text}\x1b[0m"


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """Aligned columns without borders, so that `awk` and people read the same. `empty` is said when there is no row.

    A terminal that is too narrow cuts the last column.
    """
    lines = [[escaped(str(cell)) for cell in row] for row in rows]
    if not lines:
        say(empty)
        return
    titles = [head.upper() for head in heads]
    widths = [max(len(line[i]) for line in [titles, *lines]) for i in range(len(titles))]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for number, line in enumerate([titles, *lines]):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        if room and len(text) > room:
            text = text[: room - 1] + "…"
        print(paint(text, "1") if number == 0 and coloured(sys.stdout) else text)


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Names and values of one thing; those without a value are left out."""
    shown = [(name, escaped(str(value))) for name, value in pairs if value not in ("", None, (), [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        print(f"{name.ljust(width)}  {value}")


def ago(at: float) -> str:
    """`12s`, `5m`, `3h`, `9d` since then; a dash for never."""
    if not at:
        return "-"
    seconds = max(0, int(time.time() - at))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def size(count: float | None) -> str:
    """`512 MB` of bytes (binary multiples, as memory limits are); a dash for unknown."""
    if count is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024 or unit == "GB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"


def when(at: float) -> str:
    """The local time, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else "-"
