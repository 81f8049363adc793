"""Runs and cron marks in memory."""

from __future__ import annotations

from dataclasses import replace

from paas.errors import Conflict
from paas.model.runs import OPEN, CronMark, Run
from paas.store import words
from paas.store.memory_parts import MemoryParts, transaction
from paas.store.words import KEPT_JOBS, KEPT_OF_JOB, KEPT_OF_PEOPLE


class MemoryRuns(MemoryParts):
    """A `RunStore`: runs oldest first."""

    @transaction
    def add_run(self, run: Run, mark: CronMark | None = None) -> None:
        self._has_app(run.app_id)
        if run.id in self.state.runs.runs:
            raise Conflict(f"there is a run {run.id!r} already")
        self.state.runs.runs[run.id] = run
        if mark is not None:
            self.state.runs.marks[mark.app_id, mark.job] = mark
        same = [one for one in self.state.runs.runs.values() if (one.app_id, one.job) == (run.app_id, run.job)]
        ended = [one.id for one in same if one.status not in OPEN]
        for gone in (*ended[: -(KEPT_OF_JOB if run.job else KEPT_OF_PEOPLE)], *self._of_old_jobs(run.app_id)):
            del self.state.runs.runs[gone]

    def _of_old_jobs(self, app_id: str) -> list[str]:
        """Ended runs of jobs that ran before the last KEPT_JOBS."""
        of_jobs = [one for one in self.state.runs.runs.values() if one.app_id == app_id and one.job]
        newest_first = dict.fromkeys(reversed([one.job for one in of_jobs]))
        kept = set(list(newest_first)[:KEPT_JOBS])
        return [one.id for one in of_jobs if one.job not in kept and one.status not in OPEN]

    @transaction
    def save_run(self, run: Run) -> None:
        if before := self.state.runs.runs.get(run.id):
            self.state.runs.runs[run.id] = replace(
                before, status=run.status, release=run.release, command=run.command, time_limit=run.time_limit,
                memory=run.memory, cpus=run.cpus, due_at=run.due_at, started_at=run.started_at, ended_at=run.ended_at,
                exit_code=run.exit_code, reason=run.reason, stopping=run.stopping,
            )  # fmt: skip

    def run(self, app_id: str, run_id: str) -> Run:
        known = list(self.state.runs.runs.values())
        return words.one_run(run_id, [one for one in known if one.app_id == app_id and one.id.startswith(run_id)])

    def runs(self, *, app_id: str = "", job: str | None = None, open: bool = False, limit: int = 50) -> tuple[Run, ...]:
        found = [
            one for one in reversed(list(self.state.runs.runs.values()))
            if app_id in ("", one.app_id) and job in (None, one.job) and (not open or one.status in OPEN)
        ]  # fmt: skip
        return tuple(found[:limit] if limit else found)

    @transaction
    def put_mark(self, mark: CronMark) -> None:
        self._has_app(mark.app_id)
        self.state.runs.marks[mark.app_id, mark.job] = mark

    @transaction
    def delete_mark(self, app_id: str, job: str) -> None:
        self.state.runs.marks.pop((app_id, job), None)

    def marks(self, app_id: str = "") -> tuple[CronMark, ...]:
        found = sorted(self.state.runs.marks.items())
        return tuple(mark for _, mark in found if app_id in ("", mark.app_id))

    def _has_app(self, app_id: str) -> None:
        if app_id not in self.state.apps:
            raise words.no_app(app_id, ())

    def _forget_runs_of(self, app_id: str) -> None:
        """Within a transaction: what goes with an app."""
        kept = self.state.runs
        kept.runs = {key: run for key, run in kept.runs.items() if run.app_id != app_id}
        kept.marks = {key: mark for key, mark in kept.marks.items() if mark.app_id != app_id}
