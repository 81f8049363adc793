"""Runs and cron marks on disk."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from paas.errors import Conflict
from paas.model.runs import OPEN, CronMark, Run, RunStatus
from paas.store import words
from paas.store.file import SqlFile, first, rows_of
from paas.store.rows import readable
from paas.store.tables import apps
from paas.store.tables_runs import cron_marks, runs
from paas.store.words import KEPT_JOBS, KEPT_OF_JOB, KEPT_OF_PEOPLE

_OPEN = tuple(status.value for status in OPEN)
_CHANGES = (
    "status", "release", "command", "time_limit", "memory", "cpus", "due_at", "started_at", "ended_at", "exit_code",
    "reason", "stopping",
)  # fmt: skip


class SqlRuns(SqlFile):
    """A `RunStore`."""

    def add_run(self, run: Run, mark: CronMark | None = None) -> None:
        with self._write() as db:
            _known(db, run.app_id)
            if first(db, select(runs.c.serial).where(runs.c.id == run.id)) is not None:
                raise Conflict(f"there is a run {run.id!r} already")
            db.execute(insert(runs).values(**asdict(run) | {"status": run.status.value}))
            if mark is not None:
                _put(db, mark)
            _prune(db, run.app_id, run.job)

    def save_run(self, run: Run) -> None:
        changes = {name: getattr(run, name) for name in _CHANGES} | {"status": run.status.value}
        with self._write() as db:
            db.execute(update(runs).where(runs.c.id == run.id).values(**changes))

    def run(self, app_id: str, run_id: str) -> Run:
        beginning = runs.c.id.startswith(run_id, autoescape=True)
        with self._read() as db:
            found = rows_of(db, select(runs).where(runs.c.app_id == app_id, beginning).limit(2))
            return words.one_run(run_id, [_run(row) for row in found])

    def runs(self, *, app_id: str = "", job: str | None = None, open: bool = False, limit: int = 50) -> tuple[Run, ...]:
        query = select(runs).order_by(runs.c.serial.desc())
        if app_id:
            query = query.where(runs.c.app_id == app_id)
        if job is not None:
            query = query.where(runs.c.job == job)
        if open:
            query = query.where(runs.c.status.in_(_OPEN))
        with self._read() as db:
            return tuple(_run(row) for row in rows_of(db, query.limit(limit) if limit else query))

    def put_mark(self, mark: CronMark) -> None:
        with self._write() as db:
            _known(db, mark.app_id)
            _put(db, mark)

    def delete_mark(self, app_id: str, job: str) -> None:
        with self._write() as db:
            db.execute(delete(cron_marks).where(cron_marks.c.app_id == app_id, cron_marks.c.job == job))

    def marks(self, app_id: str = "") -> tuple[CronMark, ...]:
        query = select(cron_marks).order_by(cron_marks.c.app_id, cron_marks.c.job)
        with self._read() as db:
            found = rows_of(db, query.where(cron_marks.c.app_id == app_id) if app_id else query)
            return tuple(_mark(row) for row in found)


def _known(db: Connection, app_id: str) -> None:
    if first(db, select(apps.c.id).where(apps.c.id == app_id)) is None:
        raise words.no_app(app_id, ())


def _put(db: Connection, mark: CronMark) -> None:
    db.execute(delete(cron_marks).where(cron_marks.c.app_id == mark.app_id, cron_marks.c.job == mark.job))
    db.execute(insert(cron_marks).values(**asdict(mark)))


def _prune(db: Connection, app_id: str, job: str) -> None:
    """Forget the oldest ended runs of this job, and those of jobs that ran long ago."""
    ended = (runs.c.app_id == app_id) & (runs.c.job == job) & runs.c.status.not_in(_OPEN)
    kept = KEPT_OF_JOB if job else KEPT_OF_PEOPLE
    first_gone = select(runs.c.serial).where(ended).order_by(runs.c.serial.desc()).offset(kept).limit(1)
    db.execute(delete(runs).where(ended, runs.c.serial <= first_gone.scalar_subquery()))
    of_jobs = (runs.c.app_id == app_id) & (runs.c.job != "")
    newest_first = select(runs.c.job).where(of_jobs).group_by(runs.c.job).order_by(func.max(runs.c.serial).desc())
    kept_jobs = newest_first.limit(KEPT_JOBS)
    db.execute(delete(runs).where(of_jobs, runs.c.status.not_in(_OPEN), runs.c.job.not_in(kept_jobs)))


@readable
def _run(row: RowMapping) -> Run:
    values = {key: value for key, value in row.items() if key != "serial"}
    return Run(**values | {"status": RunStatus(row["status"])})


@readable
def _mark(row: RowMapping) -> CronMark:
    return CronMark(**row)
