"""Words of runs: commands that run once in a container of their own, by a schedule or because somebody asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run is on its way."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"


OPEN = (RunStatus.QUEUED, RunStatus.RUNNING)
"""What has not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, kept. `job` is the scheduled job (empty: somebody's command), `due_at` when it was or is due.

    `command` is as it was typed. `detached`: it belongs to the server, else to a person's terminal. `time_limit`
    seconds (0: none), `memory` bytes and `cpus` cores (0: those of web). `attempt` counts from 1. `actor` is who asked;
    `cron` for a schedule. `reason` is a sentence: why it ended as it did, or was skipped. `stopping` says who or what
    asks it to end.
    """

    id: str
    app_id: str
    command: str
    actor: str
    due_at: float
    status: RunStatus = RunStatus.RUNNING
    job: str = ""
    release: int = 0
    detached: bool = True
    time_limit: float = 0.0
    memory: int = 0
    cpus: float = 0.0
    attempt: int = 1
    started_at: float = 0.0
    ended_at: float = 0.0
    exit_code: int | None = None
    reason: str = ""
    stopping: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CronMark:
    """How far a job's schedule was followed: firings up to `seen_at` have been decided, by the schedule `timing`.

    `paused_by` is who paused it (empty: nobody), `paused_at` when.
    """

    app_id: str
    job: str
    timing: str
    seen_at: float
    paused_by: str = ""
    paused_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedRun:
    """A run's container as it is. `id` is the run's. Times are Unix seconds; `exit_code` None while it runs."""

    id: str
    app_id: str
    running: bool
    started_at: float = 0.0
    ended_at: float = 0.0
    exit_code: int | None = None
    oom: bool = False
    memory: int = 0
