"""The home folder belongs to one server: its lock, its pid file, the settings it began with, its log."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from paas.errors import Conflict, PaasError, PlatformError
from paas.settings import Settings, told

LOG, LOCK, PID = "server.log", "server.lock", "server.pid"
BEGAN = "server.settings"
LOG_BYTES, LOG_FILES = 5 << 20, 3


@contextmanager
def owned(home: Path) -> Iterator[None]:
    """Own this home while the block runs. Raises Conflict naming the server that has it, PlatformError when the
    folder cannot be used.

    The lock is the kernel's, so a killed server leaves none. The pid file is for people and scripts, and what a killed
    or crashed server leaves of it says that it did not end by itself.
    """
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (home / LOCK).open("a")
    except OSError as error:
        raise PlatformError(
            f"{home} cannot be used: {error.strerror}", hint="run as its owner, or set PAAS_HOME to a folder of yours"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Conflict(
                f"a server runs for {home} already (pid {_pid(home)})", hint="paas status; paas down stops it"
            ) from None
        pid = home / PID
        pid.write_text(f"{os.getpid()}\n")
        try:
            yield
        except PaasError:
            pid.unlink(missing_ok=True)
            raise
        pid.unlink(missing_ok=True)


def began(settings: Settings) -> None:
    """Keep what this server began with, secrets left out: `paas up` replaces one whose settings are others by now."""
    path = settings.home / BEGAN
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(told(settings)))
    draft.replace(path)


def _pid(home: Path) -> str:
    try:
        return (home / PID).read_text().strip() or "unknown"
    except OSError:
        return "unknown"


def log_to(home: Path, level: str) -> None:
    """Log to `<home>/server.log` as JSON lines, a few files of a few megabytes at most."""
    if level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        level = "info"
    handler = RotatingFileHandler(home / LOG, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their every request and connection is noise even for us.
    for noisy in ("urllib3", "docker", "asyncio", "websockets", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: root.critical("the server ended", exc_info=(kind, error, trace))


class JsonLines(logging.Formatter):
    """`{"at": …, "level": …, "logger": …, "message": …, "trace": …}`, one line a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        facts: dict[str, object] = {
            "at": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            facts["trace"] = self.formatException(record.exc_info)
        return json.dumps(facts)
