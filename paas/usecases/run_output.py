"""What runs have said, kept in the home folder after their containers have gone: the end of it, one file a run."""

from __future__ import annotations

import json
import logging
import shutil
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

from paas.model.service import LogLine

KEPT = 1024 * 1024
"""Bytes of a run's output that are kept: its end."""
MOST_LINES = 20_000

log = logging.getLogger("paas.runs")


def keep(home: Path, app_id: str, run_id: str, lines: Iterable[LogLine]) -> None:
    """Write the end of the output down. A full disk costs the output, not the run's outcome."""
    kept: deque[bytes] = deque()
    size, cut = 0, False
    for line in lines:
        kept.append(_as_line(line))
        size += len(kept[-1])
        while size > KEPT or len(kept) > MOST_LINES:
            size -= len(kept.popleft())
            cut = True
    if cut:
        kept.appendleft(_as_line(LogLine(at=0.0, text="… what came before is not kept", stream="stderr")))
    path = _path(home, app_id, run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(b"".join(kept))
    except OSError as error:
        log.warning("the output of run %s could not be kept: %s", run_id, error.strerror)


def read(home: Path, app_id: str, run_id: str, lines: int = 0) -> Iterator[LogLine] | None:
    """The kept output, the last `lines` of it (0: all); None when none is kept."""
    try:
        found = _path(home, app_id, run_id).read_bytes().splitlines()
    except OSError:
        return None
    return (_of_line(line) for line in islice(found, max(0, len(found) - lines) if lines else 0, None))


def forget(home: Path, known: Collection[tuple[str, str]]) -> None:
    """Remove the output of all but these runs, (app id, run id)."""
    folders = {app_id for app_id, _ in known}
    for folder in (home / "runs").glob("*"):
        if folder.name not in folders:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        for path in folder.glob("*.ndjson"):
            if (folder.name, path.stem) not in known:
                path.unlink(missing_ok=True)


def _as_line(line: LogLine) -> bytes:
    return json.dumps({"at": line.at, "text": line.text, "stream": line.stream}).encode("ascii") + b"\n"


def _of_line(line: bytes) -> LogLine:
    values = json.loads(line)
    return LogLine(at=values["at"], text=values["text"], stream=values["stream"], source="run", process="run")


def _path(home: Path, app_id: str, run_id: str) -> Path:
    return home / "runs" / app_id / f"{run_id}.ndjson"
