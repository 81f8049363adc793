"""Commands with a terminal: in a new container of the wanted release, or inside a replica that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from paas.errors import Cancelled, DeployFailed, NotFound, PaasError, UsageError
from paas.interfaces import Terminal
from paas.model import names
from paas.model.app import App, Release
from paas.model.runs import Run, RunStatus
from paas.model.secret import Secret
from paas.model.service import Replica, State
from paas.requests.sessions import ExecCommand, RunCommand
from paas.usecases.context import Act, Context
from paas.usecases.processes import deployed, memory_size, replica_name
from paas.usecases.runs import argv, as_typed, new_id, spec_of


def run_command(context: Context, request: RunCommand, act: Act, terminal: Terminal) -> int:
    """Run a command in a container of its own with the wanted release's image and config; its exit code.

    Raises Conflict before the first deploy, PaasError when `timeout` seconds were not enough.
    """
    app = context.store.app(request.app)
    release = deployed(context, app)
    env = {names.config_key(key): Secret(names.config_value(key, value)) for key, value in request.env.items()}
    now = context.clock.now()
    run = Run(
        id=new_id(), app_id=app.id, command=as_typed(request.command), actor=act.actor, due_at=now, started_at=now,
        release=release.number, detached=False, time_limit=request.timeout, cpus=request.cpus or 0.0,
        memory=memory_size(request.memory) if request.memory else 0,
    )  # fmt: skip
    spec = spec_of(context, app, release, run, command=argv(request.command), env=env)
    context.store.add_run(run)
    with _noted(context, run) as ended:
        try:
            ended.append(context.engine.run_once(spec, request.timeout, terminal))
        except DeployFailed as error:
            raise TimedOut(f"the command did not end within {request.timeout:g} s and was ended") from error
        return ended[0]


class TimedOut(PaasError):
    """A command took longer than it may."""


@contextmanager
def _noted(context: Context, run: Run) -> Iterator[list[int]]:
    """Keep what becomes of the run: the exit code that is put into the list, or why there is none."""
    codes: list[int] = []
    status, reason = RunStatus.FAILED, ""
    try:
        yield codes
        status = RunStatus.FAILED if codes[0] else RunStatus.SUCCEEDED
        reason = f"it exited with code {codes[0]}" if codes[0] else ""
    except BaseException as error:
        reason = error.message if isinstance(error, PaasError) else type(error).__name__
        if isinstance(error, TimedOut):
            status = RunStatus.TIMED_OUT
        elif isinstance(error, Cancelled):
            status = RunStatus.STOPPED
        raise
    finally:
        ended = replace(run, status=status, reason=reason, ended_at=context.clock.now())
        context.store.save_run(replace(ended, exit_code=codes[0] if codes else None))


def exec_command(context: Context, request: ExecCommand, act: Act, terminal: Terminal) -> int:
    """Run a command inside a running replica; its exit code. Raises NotFound listing the replicas that run."""
    app = context.store.app(request.app)
    release = deployed(context, app)
    if not request.replica and _is_replica(request.command[0], release):
        said = request.command[0]
        raise UsageError(f"{said} is a replica, not a command", hint=f"paas exec --replica {said} -- COMMAND")
    running = _running(context, app)
    wanted = request.replica or next((name for name in running if name.startswith("web.")), "")
    if not running and (sleep := context.store.sleep(app.id)) is not None and sleep.asleep:
        raise NotFound(f"{app.name} is asleep: no replica of it runs", hint=f"paas sleep wake {app.name}, or paas run")
    if wanted not in running:
        words = f"{app.name} has no running replica {wanted!r}" if wanted else f"no replica of {app.name} runs"
        raise NotFound(words, hint=f"running: {', '.join(running) or 'none; try paas run'}")
    return context.engine.exec(running[wanted].id, argv(request.command), terminal)


def _is_replica(word: str, release: Release) -> bool:
    """Whether it reads `web.2`, and not as a program of that name."""
    process, dot, number = word.rpartition(".")
    return bool(dot) and number.isascii() and number.isdigit() and release.process(process) is not None


def _running(context: Context, app: App) -> dict[str, Replica]:
    """Replicas that a command can run in, healthy ones and newer releases first, by name."""
    found = [
        (replica.state is not State.HEALTHY, -service.key.release, replica_name(service.key.process, replica), replica)
        for service in context.engine.observe(app.id)
        if service.kind == "replica"
        for replica in service.replicas
        if replica.state in (State.HEALTHY, State.STARTING, State.UNHEALTHY)
    ]
    names_of: dict[str, Replica] = {}
    for _, _, name, replica in sorted(found, key=lambda item: item[:3]):
        names_of.setdefault(name, replica)
    return names_of
