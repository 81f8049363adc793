"""Runs: commands in containers of their own. How they begin, who asked, how they are ended, and what they said.

Whatever decides about the runs of an app holds the app's lock of runs (`deciding`): a run that is written down and has
no container was interrupted, unless somebody is just beginning it.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from paas.errors import Conflict, PaasError
from paas.model import names
from paas.model.app import App, ProcessSpec, Release
from paas.model.cron import CronJob
from paas.model.events import Event, silent
from paas.model.runs import OPEN, Run, RunStatus
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Limits, LogLine, ServiceSpec
from paas.plan.wanted import environment
from paas.requests.runs import ListRuns, ReadRunLogs, ShowRun, StartRun, StopRun
from paas.usecases import run_output
from paas.usecases.context import Act, Context
from paas.usecases.processes import deployed, memory_size

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL of a run that is ended."""
MOST_AT_ONCE = 20
"""Detached commands of people that go on at once in an app."""
MOST_OF_ONE = 40
"""Those of one person, in all apps together: nobody gets the machine by having many apps."""
LONGEST = 4000
"""Characters of a command that are kept."""
HIDDEN = "(a command)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunShown:
    """One run. Times are Unix seconds (0: not yet); `seconds` how long it went on, `exit_code` None where there is
    none, `reason` a sentence. The command of a person is for those who may run commands; others see that there was
    one."""

    id: str
    app: str
    status: str
    command: str
    actor: str
    job: str
    release: int
    detached: bool
    due_at: float
    started_at: float
    ended_at: float
    seconds: float
    exit_code: int | None
    attempt: int
    time_limit: float
    memory: int
    cpus: float
    reason: str


def start_run(context: Context, request: StartRun, act: Act) -> RunShown:
    """Begin a command that belongs to the server. Raises Conflict before the first deploy and when too many go on,
    DeployFailed for a command that the image does not have."""
    app = context.store.app(request.app)
    release = deployed(context, app)
    env = {names.config_key(key): Secret(names.config_value(key, value)) for key, value in request.env.items()}
    run = Run(
        id=new_id(), app_id=app.id, command=as_typed(request.command), actor=act.actor, due_at=context.clock.now(),
        time_limit=request.time_limit, memory=memory_size(request.memory) if request.memory else 0,
        cpus=request.cpus or 0.0, release=release.number, started_at=context.clock.now(),
    )  # fmt: skip
    spec = spec_of(context, app, release, run, command=argv(request.command), env=env)
    with deciding(context, app.id, act):
        _add(context, app, run, act)
        begin(context, run, spec)
    return shown(app, run)


def _add(context: Context, app: App, run: Run, act: Act) -> None:
    """Write the run down, unless as many go on as may. Counting and writing is one at a time on the whole platform."""
    with context.locks.hold("detached runs", "a moment", act.emit):
        going = [one for one in context.store.runs(job="", open=True, limit=0) if one.detached]
        here = sum(one.app_id == app.id for one in going)
        if here >= MOST_AT_ONCE:
            raise Conflict(f"{here} commands of {app.name} go on already", hint="end one: paas runs stop RUN")
        own = sum(one.actor == run.actor for one in going)
        if own >= MOST_OF_ONE:
            message = f"{own} commands that {run.actor} started go on already"
            raise Conflict(message, hint="end one: paas runs lists those of an app, paas runs stop RUN ends one")
        context.store.add_run(run)


def list_runs(context: Context, request: ListRuns, act: Act) -> tuple[RunShown, ...]:
    """Newest first."""
    app = context.store.app(request.app)
    job = "" if request.people else (request.job or None)
    found = context.store.runs(app_id=app.id, job=job, limit=request.limit)
    return tuple(shown(app, run, hidden=not act.may(app.id, "operator")) for run in found)


def show_run(context: Context, request: ShowRun, act: Act) -> RunShown:
    """One of them. Raises NotFound."""
    app = context.store.app(request.app)
    return shown(app, context.store.run(app.id, request.run), hidden=not act.may(app.id, "operator"))


def read_run_logs(context: Context, request: ReadRunLogs, act: Act) -> Iterator[LogLine]:
    """Out of its container while it is there, else what was kept. What a person's terminal got is not kept."""
    app = context.store.app(request.app)
    run = context.store.run(app.id, request.run)
    if not run.detached:
        raise Conflict("its output went to the terminal it was typed in", hint="paas run --detach keeps the output")
    if run.status not in OPEN:
        kept = run_output.read(context.settings.home, app.id, run.id, request.lines)
        return kept if kept is not None else iter(())
    return context.engine.run_logs(run.id, request.lines, follow=request.follow)


def stop_run(context: Context, request: StopRun, act: Act) -> RunShown:
    """Ask a run to end; one that only waits is not begun. Raises Conflict for one that has ended."""
    app = context.store.app(request.app)
    with deciding(context, app.id, act):
        run = context.store.run(app.id, request.run)
        if run.status not in OPEN:
            raise Conflict(f"run {run.id} has ended ({run.status.value})", hint=f"paas runs show {run.id}")
        if not run.detached:
            raise Conflict("it goes on in somebody's terminal", hint="it ends with Ctrl-C there")
        stopped = replace(run, stopping=f"stopped by {act.actor}")
        if run.status is RunStatus.QUEUED:
            stopped = replace(stopped, status=RunStatus.STOPPED, reason=stopped.stopping, ended_at=context.clock.now())
        context.store.save_run(stopped)
    return shown(app, stopped)


# --- for those who begin and end runs -----------------------------------------------------------------------------


def deciding(context: Context, app_id: str, act: Act | None = None) -> AbstractContextManager[None]:
    """The app's lock of runs: short, never held while a command goes on."""
    return context.locks.hold(f"runs {app_id}", "its runs", act.emit if act else silent)


def begin(context: Context, run: Run, spec: ServiceSpec) -> None:
    """Start the container of a run that is written down as running. A failure is its outcome, and raised."""
    try:
        context.engine.begin_run(spec)
    except PaasError as error:
        context.store.save_run(
            replace(
                run, status=RunStatus.FAILED, ended_at=context.clock.now(), reason=f"did not start: {error.message}"
            )
        )
        raise


def spec_of(
    context: Context, app: App, release: Release, run: Run, *, command: tuple[str, ...], env: Mapping[str, Secret],
    process: str = "web",
) -> ServiceSpec:  # fmt: skip
    """What a run's container is made from: the release's image, config and network, the limits of its process."""
    limits = (release.process(process) or release.process("web") or ProcessSpec(name="web")).limits
    return ServiceSpec(
        app_id=app.id,
        app_name=app.name,
        process="run",
        release=release.number,
        image=release.image,
        command=command,
        env={**environment(app, release, release.number), **env},
        limits=Limits(memory=run.memory or limits.memory, cpus=run.cpus or limits.cpus, pids=limits.pids),
        health=HealthCheck(kind=HealthKind.RUNNING),
        networks=(f"{context.settings.instance}-{app.id}",),
        kind="oneoff",
        run=run.id,
    )


def argv(command: tuple[str, ...]) -> tuple[str, ...]:
    """A single word with blanks in it is a shell line, as people write it; several words go as they are."""
    if len(command) == 1 and any(blank in command[0] for blank in " \t\n"):
        return ("/bin/sh", "-c", command[0])
    return command


def as_typed(command: tuple[str, ...]) -> str:
    """The command on one line."""
    text = command[0] if len(command) == 1 else shlex.join(command)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def new_id() -> str:
    """The id of a run: 10 hex digits."""
    return secrets.token_hex(5)


def tell(context: Context, app: App, kind: str, run: Run, message: str) -> None:
    """Keep an event about a scheduled run."""
    facts = {"job": run.job, "run": run.id, "exit_code": run.exit_code, "due_at": run.due_at, "reason": run.reason}
    event = Event(kind=kind, app=app.name, message=message, at=context.clock.now(), data=facts)
    context.store.add_event(event, app.id, "", run.actor)


def what_runs(job: CronJob, release: Release) -> str:
    """The command line of a job; empty: the image's own command. Raises Conflict when its process has gone."""
    if job.command:
        return job.command
    process = release.process(job.process)
    if process is None:
        raise Conflict(f"v{release.number} has no process {job.process!r}")
    return process.command


def shown(app: App, run: Run, *, hidden: bool = False) -> RunShown:
    """The run for people."""
    end = run.ended_at
    return RunShown(
        id=run.id, app=app.name, status=run.status.value, actor=run.actor, job=run.job, release=run.release,
        command=HIDDEN if hidden and not run.job else run.command,
        detached=run.detached, due_at=run.due_at, started_at=run.started_at, ended_at=run.ended_at,
        seconds=round(end - run.started_at, 3) if end and run.started_at else 0.0, exit_code=run.exit_code,
        attempt=run.attempt, time_limit=run.time_limit, memory=run.memory, cpus=run.cpus, reason=run.reason,
    )  # fmt: skip
