"""Commands with a terminal: in a new container of the wanted release, or inside a replica that runs."""

from __future__ import annotations

from collections.abc import Mapping

from paas.errors import DeployFailed, NotFound, PaasError
from paas.interfaces import Terminal
from paas.model import names
from paas.model.app import App, ProcessSpec, Release
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Replica, ServiceSpec, State
from paas.plan.wanted import environment
from paas.requests.sessions import ExecCommand, RunCommand
from paas.usecases.context import Act, Context
from paas.usecases.processes import deployed, replica_name


def run_command(context: Context, request: RunCommand, act: Act, terminal: Terminal) -> int:
    """Run a command in a container of its own with the wanted release's image and config; its exit code.

    Raises Conflict before the first deploy, PaasError when `timeout` seconds were not enough.
    """
    app = context.store.app(request.app)
    release = deployed(context, app)
    env = {names.config_key(key): Secret(names.config_value(key, value)) for key, value in request.env.items()}
    spec = one_off(context, app, release, argv(request.command), env)
    try:
        return context.engine.run_once(spec, request.timeout, terminal)
    except DeployFailed as error:
        raise PaasError(f"the command did not end within {request.timeout:g} s and was killed") from error


def exec_command(context: Context, request: ExecCommand, act: Act, terminal: Terminal) -> int:
    """Run a command inside a running replica; its exit code. Raises NotFound listing the replicas that run."""
    app = context.store.app(request.app)
    deployed(context, app)
    running = _running(context, app)
    wanted = request.replica or next((name for name in running if name.startswith("web.")), "")
    if wanted not in running:
        words = f"{app.name} has no running replica {wanted!r}" if wanted else f"no replica of {app.name} runs"
        raise NotFound(words, hint=f"running: {', '.join(running) or 'none; try paas run'}")
    return context.engine.exec(running[wanted].id, argv(request.command), terminal)


def one_off(
    context: Context, app: App, release: Release, command: tuple[str, ...], env: Mapping[str, Secret]
) -> ServiceSpec:
    """What a command of a person runs in: the release's image, config and network, the limits of web."""
    web = release.process("web") or ProcessSpec(name="web")
    return ServiceSpec(
        app_id=app.id,
        app_name=app.name,
        process="run",
        release=release.number,
        image=release.image,
        command=command,
        env={**environment(app, release, release.number), **env},
        limits=web.limits,
        health=HealthCheck(kind=HealthKind.RUNNING),
        networks=(f"{context.settings.instance}-{app.id}",),
        kind="oneoff",
    )


def argv(command: tuple[str, ...]) -> tuple[str, ...]:
    """A single word with blanks in it is a shell line, as people write it; several words go as they are."""
    if len(command) == 1 and any(blank in command[0] for blank in " \t\n"):
        return ("/bin/sh", "-c", command[0])
    return command


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
