"""Scheduled jobs as people see them: when they fire, how it went, run now, pause, resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice

from paas.errors import Conflict, NotFound
from paas.model.app import App, Release
from paas.model.cron import CronJob, Overlap
from paas.model.runs import CronMark, Run, RunStatus
from paas.plan.due import upcoming
from paas.requests.cron import ListCron, PauseCron, ResumeCron, RunCron, ShowCron
from paas.usecases.context import Act, Context
from paas.usecases.processes import deployed
from paas.usecases.runs import RunShown, deciding, new_id, shown, what_runs
from paas.usecases.switch import base_release

BY_SCHEDULE = "cron"
"""The actor of a run that nobody asked for."""
NEXT = 5
"""Firings that are shown ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobShown:
    """One scheduled job. `next` are its next firings (Unix seconds; none while paused), `last` its newest run.

    `memory` and `cpus` 0: as its process, else as web. `env` are keys.
    """

    app: str
    name: str
    schedule: str
    zone: str
    command: str
    process: str
    overlap: str
    missed: str
    time_limit: float
    retries: int
    memory: int
    cpus: float
    env: tuple[str, ...]
    paused_by: str
    next: tuple[float, ...]
    last: RunShown | None


def list_cron(context: Context, request: ListCron, act: Act) -> tuple[JobShown, ...]:
    """In the order of `paas.toml`."""
    app = context.store.app(request.app)
    release = base_release(context.store, app)
    marks = {mark.job: mark for mark in context.store.marks(app.id)}
    return tuple(_shown(context, app, release, job, marks) for job in release.cron)


def show_cron(context: Context, request: ShowCron, act: Act) -> JobShown:
    """One of them. Raises NotFound listing those there are."""
    app = context.store.app(request.app)
    release = base_release(context.store, app)
    marks = {mark.job: mark for mark in context.store.marks(app.id)}
    return _shown(context, app, release, job_of(app, release, request.job), marks, ahead=NEXT)


def run_cron(context: Context, request: RunCron, act: Act) -> RunShown:
    """Have it run as soon as it may. Raises Conflict while it goes on, unless its policy says what to do then."""
    app = context.store.app(request.app)
    release = deployed(context, app)
    job = job_of(app, release, request.job)
    with deciding(context, app.id, act):
        open_runs = context.store.runs(app_id=app.id, job=job.name, open=True, limit=0)
        if open_runs and job.overlap is Overlap.SKIP:
            raise Conflict(f"{job.name} goes on", hint=f"paas cron logs {open_runs[0].id} -f, or paas runs stop")
        if any(one.status is RunStatus.QUEUED for one in open_runs):
            raise Conflict(f"one run of {job.name} waits already", hint="paas cron history shows it")
        if job.overlap is Overlap.REPLACE:
            ask_to_end(context, open_runs, f"replaced: {act.actor} ran it anew")
        run = queued(app, job, release, actor=act.actor, due_at=context.clock.now())
        context.store.add_run(run)
    return shown(app, run)


def pause_cron(context: Context, request: PauseCron, act: Act) -> JobShown:
    """Fire no more."""
    app = context.store.app(request.app)
    release = base_release(context.store, app)
    job = job_of(app, release, request.job)
    with deciding(context, app.id, act):
        mark = _mark(context, app, job)
        if not mark.paused_by:
            context.store.put_mark(replace(mark, paused_by=act.actor, paused_at=context.clock.now()))
    return show_cron(context, ShowCron(app=app.id, job=job.name), act)


def resume_cron(context: Context, request: ResumeCron, act: Act) -> JobShown:
    """Fire from now on; what would have fired meanwhile is not made up for."""
    app = context.store.app(request.app)
    release = base_release(context.store, app)
    job = job_of(app, release, request.job)
    with deciding(context, app.id, act):
        if _mark(context, app, job).paused_by:
            context.store.put_mark(
                CronMark(app_id=app.id, job=job.name, timing=job.timing, seen_at=context.clock.now())
            )
    return show_cron(context, ShowCron(app=app.id, job=job.name), act)


# --- for those who follow schedules -------------------------------------------------------------------------------


def job_of(app: App, release: Release, name: str) -> CronJob:
    """The job of that name. Raises NotFound listing the others."""
    for job in release.cron:
        if job.name == name:
            return job
    known = ", ".join(job.name for job in release.cron)
    raise NotFound(
        f"{app.name} has no scheduled job {name!r}", hint=f"it has: {known}" if known else "see docs/cron.md"
    )


def queued(app: App, job: CronJob, release: Release, *, actor: str, due_at: float, why: str = "") -> Run:
    """A run of a job that waits to begin."""
    return Run(
        id=new_id(), app_id=app.id, job=job.name, command=what_runs(job, release), actor=actor, due_at=due_at,
        status=RunStatus.QUEUED, release=release.number, time_limit=job.time_limit, memory=job.memory,
        cpus=job.cpus, reason=why,
    )  # fmt: skip


def as_now(run: Run, job: CronJob, release: Release) -> Run:
    """A run that waited, as the release that is wanted now says its job: command and limits belong to image and env."""
    return replace(
        run, command=what_runs(job, release), release=release.number, time_limit=job.time_limit, memory=job.memory,
        cpus=job.cpus,
    )  # fmt: skip


def ask_to_end(context: Context, going: tuple[Run, ...], why: str) -> None:
    """Have these runs ended by whoever looks after them."""
    for run in going:
        if run.status is RunStatus.RUNNING and not run.stopping:
            context.store.save_run(replace(run, stopping=why))


def _mark(context: Context, app: App, job: CronJob) -> CronMark:
    known = next((mark for mark in context.store.marks(app.id) if mark.job == job.name), None)
    return known or CronMark(app_id=app.id, job=job.name, timing=job.timing, seen_at=context.clock.now())


def _shown(
    context: Context, app: App, release: Release, job: CronJob, marks: Mapping[str, CronMark], *, ahead: int = 1
) -> JobShown:
    mark = marks.get(job.name)
    paused = mark.paused_by if mark else ""
    last = next(iter(context.store.runs(app_id=app.id, job=job.name, limit=1)), None)
    return JobShown(
        app=app.name, name=job.name, schedule=job.schedule, zone=job.zone, command=what_runs(job, release),
        process=job.process, overlap=job.overlap.value, missed=job.missed.value, time_limit=job.time_limit,
        retries=job.retries, memory=job.memory, cpus=job.cpus, env=tuple(sorted(job.env)), paused_by=paused,
        next=() if paused else tuple(islice(upcoming(job, context.clock.now()), ahead)),
        last=shown(app, last) if last else None,
    )  # fmt: skip
