"""The file of a trace, as a load: text in UTF-8, plain or gzipped. Read a line at a time, never as a whole."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING

from paas.errors import ConfigError

if TYPE_CHECKING:
    from paas.plan.simulate import Trace

LONGEST_LINE = 65_536
"""Characters; those of access logs are a tenth of that where they are long."""
MOST = 8 * 1024**3
"""Characters of a file at most, as they are after gunzip: some 70 million requests of an access log."""
_GZIP = b"\x1f\x8b"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def load(path: Path, *, hold: bool) -> Trace:
    """The trace of a file. `hold`: a gap keeps the rate before it. Raises ConfigError with file and line."""
    from paas.plan import trace

    try:
        with path.open("rb") as file:
            return trace.read(_lines(file, path.name), path.name, hold=hold)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigError(f"cannot be unpacked: {error}", where=path.name, hint="is the download whole?") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from None


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    """Lines of any ending; what is no UTF-8 in an access log concerns nobody."""
    mark = file.read(2)
    file.seek(0)
    if mark in _UTF_16:
        raise ConfigError("this is UTF-16", where=name, hint="save it as UTF-8")
    plain = gzip.GzipFile(fileobj=file) if mark == _GZIP else file
    with TextIOWrapper(plain, encoding="utf-8-sig", errors="replace") as text:
        yield from _bounded(text, name)


def _bounded(text: TextIOWrapper, name: str) -> Iterator[str]:
    number, size = 0, 0
    while line := text.readline(LONGEST_LINE + 1):
        number, size = number + 1, size + len(line)
        if len(line) > LONGEST_LINE:
            told = f"the line is longer than {LONGEST_LINE:,} characters"
            raise ConfigError(told, where=f"{name}:{number}", hint="is this a load trace?")
        if size > MOST:
            told = f"the trace has more than {MOST // 1024**3} GiB of text"
            raise ConfigError(told, where=f"{name}:{number}", hint="cut a part out of it, or add it up by minutes")
        yield line
