"""Runs: what is kept of them, and what an engine can do about their containers, as Protocols."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from paas.model.runs import CronMark, ObservedRun, Run
from paas.model.service import LogLine, ServiceSpec


class RunStore(Protocol):
    """Every method is one transaction. Runs and marks go with their app. The oldest ended runs are forgotten."""

    def add_run(self, run: Run, mark: CronMark | None = None) -> None:
        """Keep it and, in the same transaction, the mark: a firing is decided once. Raises Conflict, NotFound."""

    def save_run(self, run: Run) -> None:
        """Replace all but who, what and when of it. One whose app has gone is none: idempotent."""

    def run(self, app_id: str, run_id: str) -> Run:
        """By its id or the unmistakable beginning of it. Raises NotFound."""

    def runs(self, *, app_id: str = "", job: str | None = None, open: bool = False, limit: int = 50) -> tuple[Run, ...]:
        """Newest first (`limit` 0: all); of an app, of a job ("": of people), only those that have not ended."""

    def put_mark(self, mark: CronMark) -> None:
        """One per app and job. Raises NotFound for an unknown app."""

    def delete_mark(self, app_id: str, job: str) -> None:
        """Idempotent."""

    def marks(self, app_id: str = "") -> tuple[CronMark, ...]:
        """By app and job."""


class RunEngine(Protocol):
    """Runs in containers that nobody is connected to. What ended stays until it is removed, output included."""

    def begin_run(self, spec: ServiceSpec) -> None:
        """Start the spec's container for the run `spec.run`, which goes on by itself.

        Raises Conflict when there is one for this run already, PlatformError, and DeployFailed for a command
        that cannot be started at all. Its output is bounded: the last 10 MB are kept.
        """

    def runs(self, app_id: str = "") -> tuple[ObservedRun, ...]:
        """All that are there, ended ones included; by id."""

    def run_logs(self, run_id: str, lines: int = 0, *, follow: bool = False) -> Iterator[LogLine]:
        """What it has said, the last `lines` (0: all); with follow, until it ends. One that is gone said nothing."""

    def stop_run(self, run_id: str, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds. Idempotent; it stays until it is removed."""

    def remove_run(self, run_id: str) -> None:
        """Kill it if it runs, and forget it. Idempotent."""
