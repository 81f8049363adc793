"""Follows the schedules and looks after runs: begins what is due, ends what takes too long, keeps what became of it.

`step` is called every second and only asks which apps need a look; each look is a short thread of its own, so no app
waits for another. A firing is written down as a run, together with how far the schedule was followed, before anything
starts: a server killed at any point never runs one twice. What goes on when a server starts is found by its container.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from paas.errors import NotFound, PaasError
from paas.model import shell
from paas.model.app import App, Release
from paas.model.cron import CronJob
from paas.model.runs import CronMark, ObservedRun, Run, RunStatus
from paas.model.secret import Secret
from paas.plan.due import LATE, Decision, upcoming, verdict
from paas.usecases import run_output
from paas.usecases.context import Context
from paas.usecases.cron import BY_SCHEDULE, as_now, ask_to_end, queued
from paas.usecases.runs import GRACE, begin, deciding, spec_of, tell
from paas.usecases.switch import base_release

MOST_JOBS = 10
"""Scheduled runs that go on at once on this machine; others wait for their turn."""
MOST_LOOKS = 8
TIDY = 300
"""Steps between two looks for what nobody needs any more."""
RETRY = 30.0
"""Seconds before the second try, doubled before each further one."""
INTERRUPTED = "the server was stopped before it began"
LOST = "its container is gone: the machine or the Engine was stopped while it ran"

log = logging.getLogger("paas.cron")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What the store says at a revision: the apps, which of them (ids) have runs that wait or go on, and the marks by
    app id and job."""

    revision: int
    apps: tuple[App, ...]
    going: frozenset[str]
    marks: Mapping[tuple[str, str], CronMark]


@dataclass(slots=True)
class Scheduler:
    """One per server; `open` once before the first `step`."""

    context: Context
    period: float = 1.0
    _jobs: dict[str, tuple[int, tuple[CronJob, ...]]] = field(default_factory=dict)
    _next: dict[tuple[str, str], tuple[CronMark, float]] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _steps: int = 0
    _kept: _Kept | None = None

    def open(self) -> None:
        """Settle what a killed server left: commands in terminals that are gone, and runs whose time has passed."""
        now = self.context.clock.now()
        for run in self.context.store.runs(open=True, limit=0):
            if not run.detached:
                self._remove_quietly(run.id)
                reason = "the server was stopped while it ran"
                self._save(replace(run, status=RunStatus.INTERRUPTED, ended_at=now, reason=reason))
            elif run.status is RunStatus.QUEUED and now - run.due_at > LATE:
                self._save(replace(run, status=RunStatus.INTERRUPTED, ended_at=now, reason=INTERRUPTED))

    def step(self) -> None:
        """One look around. Raises EngineUnavailable; then nothing is decided about runs that go on."""
        tidy = self._steps % TIDY == 0
        self._steps += 1
        kept = self._kept_now()
        for app in kept.apps:
            if app.id in kept.going or self._is_due(app, kept.marks):
                self._spawn(f"app {app.id}", lambda app=app: self.look(app))  # type: ignore[misc]
        if tidy:
            self._spawn("tidy", self.tidy)

    def _kept_now(self) -> _Kept:
        """Read again only when something was written."""
        store = self.context.store
        revision = store.revision()
        if self._kept is None or self._kept.revision != revision:
            self._kept = _Kept(
                revision=revision,
                apps=store.apps(),
                going=frozenset(run.app_id for run in store.runs(open=True, limit=0)),
                marks={(mark.app_id, mark.job): mark for mark in store.marks()},
            )
        return self._kept

    def look(self, app: App) -> None:
        """Decide about one app: firings, then runs that go on, then runs that wait."""
        with deciding(self.context, app.id):
            app = self.context.store.app(app.id)
            release = base_release(self.context.store, app)
            self._fire(app, release)
            seen = {one.id: one for one in self.context.engine.runs(app.id)}
            for run in self.context.store.runs(app_id=app.id, open=True, limit=0):
                if run.status is RunStatus.RUNNING and run.detached:
                    self._attend(app, run, seen.get(run.id))
            waiting = self.context.store.runs(app_id=app.id, open=True, limit=0)
            for run in reversed(waiting):  # the oldest first
                if run.status is RunStatus.QUEUED:
                    self._begin(app, release, run)

    def tidy(self) -> None:
        """Remove containers of runs that have ended, and output of runs that are forgotten."""
        there = {app.id for app in self.context.store.apps()}
        for one in self.context.engine.runs():
            if one.app_id not in there:
                self.context.engine.forget(one.app_id)  # it was destroyed while a run of it began
                continue
            with deciding(self.context, one.app_id):
                if one.id not in {run.id for run in self.context.store.runs(app_id=one.app_id, open=True, limit=0)}:
                    self.context.engine.remove_run(one.id)
        known = {(run.app_id, run.id) for run in self.context.store.runs(limit=0)}
        run_output.forget(self.context.settings.home, known)

    # --- what is due --------------------------------------------------------------------------------------------

    def _is_due(self, app: App, marks: Mapping[tuple[str, str], CronMark]) -> bool:
        """Whether a job fires, is new, or is there no more."""
        jobs = self._jobs_of(app)
        if {job for app_id, job in marks if app_id == app.id} - {job.name for job in jobs}:
            gone = [mark for (app_id, job), mark in marks.items() if app_id == app.id and not mark.paused_by]
            if {mark.job for mark in gone} - {job.name for job in jobs}:
                return True
        now = self.context.clock.now()
        return any(self._next_of(job, marks.get((app.id, job.name)), now) <= now for job in jobs)

    def _jobs_of(self, app: App) -> tuple[CronJob, ...]:
        """The wanted release's; a release never changes, so it is read once."""
        known = self._jobs.get(app.id)
        if known is None or known[0] != app.wanted:
            known = self._jobs[app.id] = (app.wanted, base_release(self.context.store, app).cron)
        return known[1]

    def _next_of(self, job: CronJob, mark: CronMark | None, now: float) -> float:
        """When to look at the job again; 0: now."""
        if mark is None:
            return 0.0
        if mark.paused_by:
            return now + 1
        if mark.timing != job.timing or mark.seen_at > now:
            return 0.0 if mark.timing != job.timing or mark.seen_at > now + 60 else now + 1
        known = self._next.get((mark.app_id, mark.job))
        if known is None or known[0] != mark:
            known = (mark, next(upcoming(job, mark.seen_at), float("inf")))
            self._next[mark.app_id, mark.job] = known
        return known[1]

    def _fire(self, app: App, release: Release) -> None:
        marks = {mark.job: mark for mark in self.context.store.marks(app.id)}
        for name in marks.keys() - {job.name for job in release.cron}:
            if not marks[name].paused_by:
                self.context.store.delete_mark(app.id, name)
        now = self.context.clock.now()
        for job in release.cron if release.image else ():
            open_runs = self.context.store.runs(app_id=app.id, job=job.name, open=True, limit=0)
            said = verdict(
                job,
                marks.get(job.name),
                busy=any(run.status is RunStatus.RUNNING for run in open_runs),
                waiting=any(run.status is RunStatus.QUEUED for run in open_runs),
                now=now,
            )
            if said.seen_at is None:
                continue
            mark = CronMark(app_id=app.id, job=job.name, timing=job.timing, seen_at=said.seen_at)
            for decision in said.decisions:
                self._decided(app, release, job, decision, mark=mark, going=open_runs)
            if not said.decisions:
                self.context.store.put_mark(mark)

    def _decided(
        self, app: App, release: Release, job: CronJob, decision: Decision, *, mark: CronMark, going: tuple[Run, ...]
    ) -> None:
        run = queued(app, job, release, actor=BY_SCHEDULE, due_at=decision.due_at, why=decision.why)
        if decision.act == "skip":
            run = replace(run, status=RunStatus.SKIPPED, ended_at=self.context.clock.now())
        if decision.act == "replace":
            ask_to_end(self.context, going, "replaced by its next run")
            for waiting in going:
                if waiting.status is RunStatus.QUEUED:
                    self._save(replace(waiting, status=RunStatus.SKIPPED, ended_at=self.context.clock.now(),
                                       reason="replaced by the next run"))  # fmt: skip
        self.context.store.add_run(run, mark)
        if decision.act == "skip":
            tell(self.context, app, "cron.skipped", run, f"{job.name} was left out: {decision.why}")

    # --- what goes on -------------------------------------------------------------------------------------------

    def _begin(self, app: App, release: Release, run: Run) -> None:
        """Start a run that waits, if it is its turn."""
        now = self.context.clock.now()
        if run.due_at > now:
            return
        job = next((one for one in release.cron if one.name == run.job), None)
        by_itself = run.actor == BY_SCHEDULE or run.attempt > 1
        paused = self._paused_by(app, run.job) if by_itself else ""
        if job is None or paused:
            reason = f"paused by {paused}" if paused else f"v{release.number} has no job {run.job}"
            self._save(replace(run, status=RunStatus.SKIPPED, ended_at=now, reason=reason))
            return
        running = replace(as_now(run, job, release), status=RunStatus.RUNNING, started_at=now)
        if not self._takes_turn(running):
            return
        env = {key: Secret(value) for key, value in job.env.items()}
        command = shell.argv(running.command) if running.command else ()
        spec = spec_of(self.context, app, release, running, command=command, env=env, process=job.process or "web")
        try:
            begin(self.context, running, spec)
        except PaasError as error:
            failed = replace(running, status=RunStatus.FAILED, ended_at=now, reason=f"did not start: {error.message}")
            self._after(app, failed)

    def _takes_turn(self, running: Run) -> bool:
        """Write it down as running unless its job, or as many jobs as may, go on already."""
        with self._guard:
            going = [run for run in self.context.store.runs(open=True, limit=0) if run.status is RunStatus.RUNNING]
            jobs = [run for run in going if run.job]
            if len(jobs) >= MOST_JOBS or any((r.app_id, r.job) == (running.app_id, running.job) for r in jobs):
                return False
            self.context.store.save_run(running)
            return True

    def _attend(self, app: App, run: Run, seen: ObservedRun | None) -> None:
        """Take note of its end, or see to it."""
        now = self.context.clock.now()
        if seen is None:
            self._after(app, self._save(replace(run, status=RunStatus.INTERRUPTED, ended_at=now, reason=LOST)))
        elif not seen.running:
            self._finish(app, run, seen)
        else:
            if not run.stopping and run.time_limit and now - run.started_at > run.time_limit:
                run = self._save(replace(run, stopping=f"its time limit of {run.time_limit:g} s was over"))
            if run.stopping:
                self._spawn(f"stop {run.id}", lambda: self.context.engine.stop_run(run.id, GRACE))

    def _finish(self, app: App, run: Run, seen: ObservedRun) -> None:
        """Keep its output and its outcome, then let its container go."""
        run_output.keep(self.context.settings.home, app.id, run.id, self.context.engine.run_logs(run.id))
        status, reason = outcome(run, seen)
        ended = replace(
            run,
            status=status,
            reason=reason,
            exit_code=seen.exit_code,
            ended_at=seen.ended_at or self.context.clock.now(),
        )
        self._after(app, self._save(ended))
        self._remove_quietly(run.id)

    def _after(self, app: App, run: Run) -> None:
        """Tell of a scheduled run that failed, and try again where that was asked for."""
        if not run.job or run.status in (RunStatus.SUCCEEDED, RunStatus.STOPPED):
            return
        tell(self.context, app, "cron.failed", run, f"{run.job} failed: {run.reason}")
        job = next((one for one in self._jobs_of(app) if one.name == run.job), None)
        if job is None or run.attempt > job.retries or run.status is RunStatus.INTERRUPTED:
            return
        if self._paused_by(app, run.job) or self._waits(app, run.job):
            return  # what waits already is the next try; one at most waits
        release = base_release(self.context.store, app)
        wait = RETRY * 2 ** (run.attempt - 1)
        again = queued(app, job, release, actor=run.actor, due_at=self.context.clock.now() + wait)
        again = replace(again, attempt=run.attempt + 1, reason=f"again after {run.id} failed")
        self.context.store.add_run(again)

    def _paused_by(self, app: App, job: str) -> str:
        """Who paused the job; empty: nobody."""
        return next((mark.paused_by for mark in self.context.store.marks(app.id) if mark.job == job), "")

    def _waits(self, app: App, job: str) -> bool:
        open_runs = self.context.store.runs(app_id=app.id, job=job, open=True, limit=0)
        return any(run.status is RunStatus.QUEUED for run in open_runs)

    # --- the hands ----------------------------------------------------------------------------------------------

    def _save(self, run: Run) -> Run:
        self.context.store.save_run(run)
        return run

    def _remove_quietly(self, run_id: str) -> None:
        """What cannot be removed now is by `tidy`."""
        try:
            self.context.engine.remove_run(run_id)
        except PaasError as error:
            log.warning("the container of run %s is left for later: %s", run_id, error.message)

    def _spawn(self, key: str, work: Callable[[], None]) -> None:
        """Do it in a thread, unless it is being done or too much is."""
        with self._guard:
            kind = key.partition(" ")[0]
            if key in self._busy or sum(one.startswith(kind) for one in self._busy) >= MOST_LOOKS:
                return
            self._busy.add(key)

        def run() -> None:
            try:
                work()
            except NotFound:
                log.debug("%s: destroyed meanwhile", key)
            except PaasError as error:
                log.warning("%s: %s", key, error.message)
            except Exception:
                log.exception("%s failed", key)
            finally:
                with self._guard:
                    self._busy.discard(key)

        threading.Thread(target=run, name=f"cron-{key}", daemon=True).start()


def outcome(run: Run, seen: ObservedRun) -> tuple[RunStatus, str]:
    """How a run ended, and why in words."""
    if seen.exit_code is None:
        return RunStatus.INTERRUPTED, "it was never started: the server was stopped while it began"
    if run.stopping:
        timed_out = run.stopping.startswith("its time limit")
        return (RunStatus.TIMED_OUT if timed_out else RunStatus.STOPPED), run.stopping
    if seen.oom:
        limit = f" of {seen.memory / (1 << 20):.0f} MiB" if seen.memory else ""
        return RunStatus.FAILED, f"it was killed over its memory limit{limit}"
    if seen.exit_code == 0:
        return RunStatus.SUCCEEDED, run.reason
    return RunStatus.FAILED, f"it exited with code {seen.exit_code}"
