"""Words of scheduled work: what a release wants to have run at which times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Overlap(StrEnum):
    """What becomes of a firing while the job's last run still goes on."""

    SKIP = "skip"
    QUEUE = "queue"
    REPLACE = "replace"


class Missed(StrEnum):
    """What becomes of firings that nobody could act on: the server was down, the clock jumped."""

    SKIP = "skip"
    RUN = "run"


@dataclass(frozen=True, slots=True, kw_only=True)
class CronJob:
    """One scheduled job of a release. `schedule` has five fields, read in `zone`.

    `command` is a shell line; empty: that of the process type `process`. `time_limit` seconds. `retries` more tries
    follow a failure. `memory` bytes and `cpus` cores; 0: as the process, else as web. `env` is no place for secrets:
    it stands in a file of the source.
    """

    name: str
    schedule: str
    command: str = ""
    process: str = ""
    zone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    missed: Missed = Missed.SKIP
    time_limit: float = 3600.0
    retries: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    memory: int = 0
    cpus: float = 0.0

    @property
    def timing(self) -> str:
        """What decides when it fires; firings of another timing are not missed ones of this."""
        return f"{self.schedule} {self.zone}"
