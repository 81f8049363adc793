"""One addon on the engine: start it, wait for it, run its own commands inside it. The hands of addons and backups."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from paas.addons import kinds, services
from paas.addons.kinds import Command
from paas.errors import NotFound, PaasError, PlatformError
from paas.interfaces import Terminal
from paas.model.app import Addon
from paas.model.build import Base
from paas.model.events import Emit, Event
from paas.model.service import ObservedService, Replica, ServiceSpec, State
from paas.usecases.bindings import app_ids
from paas.usecases.context import Act, Context
from paas.usecases.pipes import Pipe

PATIENCE = 10.0
"""Seconds that asking a query takes at most, in all."""
ANSWER = 4096
"""Bytes of what a query answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a running addon says about itself. `size` bytes."""

    version: str = ""
    size: int = 0
    tables: int = 0
    connections: int = 0


@contextmanager
def held(context: Context, addon_id: str, reason: str, emit: Emit) -> Iterator[None]:
    """The addon's lock. Taken before an app's lock, never while one is held."""
    with context.locks.hold(lock_name(addon_id), reason, emit):
        yield


def lock_name(addon_id: str) -> str:
    """Addons and apps have ids of one kind; their locks must not meet."""
    return f"addon {addon_id}"


def spec_of(context: Context, addon: Addon, *, joining: str = "", leaving: str = "") -> ServiceSpec:
    """The service of the addon in the networks of its apps (and of one that joins, less one that leaves)."""
    apps = {*app_ids(context.store, addon), joining} - {leaving, ""}
    kind = kinds.kind(addon.kind)
    return services.service(addon, kind, instance=context.settings.instance, app_ids=apps)


def prepared(context: Context, addon: Addon, base: Base, act: Act) -> str:
    """The id of the image it is to run, made if it is not there. Raises NotFound, and what making it raises."""
    context.stack.prepare(base, act.emit)
    image = context.builder.find(base.image)
    if image is None:
        raise NotFound(f"the image {base.image} is not there, though it was just prepared", hint="paas doctor")
    # A name of its own keeps the image when the base is made anew: the database stays on what it began with.
    context.builder.tag(image.id, image_name(context, addon))
    return image.id


def image_name(context: Context, addon: Addon) -> str:
    """The name that keeps its image."""
    return f"{context.settings.instance}/addon-{addon.id}:{addon.version}"


def start(context: Context, spec: ServiceSpec, emit: Emit) -> Replica:
    """Have it run, with its networks, and wait until it answers. Raises PlatformError with its last log lines."""
    context.engine.apply(spec, 1, emit)
    try:
        return context.engine.wait_healthy(spec, 1, spec.health.grace, emit)[0]
    except PaasError as error:
        # DeployFailed is about an app's release; this is a part of the platform.
        raise PlatformError(
            f"addon {spec.app_name} does not answer: {error.message}", hint=error.hint, details=error.details
        ) from error


def running(context: Context, addon: Addon, emit: Emit) -> Replica:
    """Its healthy replica; started when it is not running. Raises PlatformError."""
    service = observed(context, addon)
    if service is not None and service.healthy:
        return service.healthy[0]
    _refuse_lost(context, addon)
    return start(context, spec_of(context, addon), emit)


def _refuse_lost(context: Context, addon: Addon) -> None:
    """Raise PlatformError when its volume is gone: a new one would be an empty database that looks like the old."""
    if addon.volume not in context.engine.volumes():
        raise PlatformError(
            f"its volume {addon.volume} is gone, and the data with it",
            hint=f"paas db restore ID --addon {addon.name} brings back a backup of `paas db backups`; without one: "
            f"paas addons destroy {addon.name} --confirm {addon.name} --no-backup",
        )


def observed(context: Context, addon: Addon) -> ObservedService | None:
    """It, as it is on the engine."""
    return next(iter(context.engine.observe(addon.id)), None)


def status(service: ObservedService | None) -> str:
    """One word: running, starting, unhealthy, crashed, stopped, or missing when it is not on the engine."""
    if service is None or not service.replicas:
        return "missing"
    state = service.replicas[0].state
    return "running" if state is State.HEALTHY else state.value


def run(
    context: Context,
    addon: Addon,
    replica: Replica,
    command: Command,
    *,
    dump: BinaryIO | None = None,
    sink: BinaryIO | None = None,
) -> bytes:
    """Run one of the addon's commands and return its output. Raises PlatformError with the command's own words."""
    call = services.call(command, addon, kinds.kind(addon.kind))
    source = dump if call.dump else BytesIO(call.script.encode()) if call.script else None
    return _called(context, addon, replica, call, Pipe(source, sink))


def asked(context: Context, addon: Addon, replica: Replica, query: str) -> bytes:
    """What a query answers that reads: as the app's own role, in a transaction that cannot write, for 3 s at most.

    The database sees to these three; what hangs for another reason (it is frozen, it takes no logins) is ended after
    PATIENCE seconds. Raises PlatformError, also for a kind of addon that takes none.
    """
    kind = kinds.kind(addon.kind)
    if kind.query is None:
        raise PlatformError(f"a {kind.name} takes no queries")
    call = services.call(kind.query, addon, kind, query.strip().removesuffix(";"))
    source = BytesIO(call.script.encode()) if call.script else None
    return _called(context, addon, replica, call, Pipe(source, most=ANSWER), timeout=PATIENCE)


def _called(
    context: Context, addon: Addon, replica: Replica, call: services.Call, pipe: Pipe, *, timeout: float = 0.0
) -> bytes:
    code = context.engine.exec(replica.id, call.run, pipe, call.env, timeout=timeout)
    if code:
        raise PlatformError(
            f"{call.run[0]} in addon {addon.name} failed (exit code {code})",
            hint=f"look at its log: paas addons info {addon.name}",
            details=tuple(_masked(line, addon) for line in pipe.errors),
        )
    return pipe.out


def _masked(line: str, addon: Addon) -> str:
    """psql shows the line an error is in, and a line may hold a password."""
    for name, how in kinds.kind(addon.kind).secrets.items():
        if how == "password" and name in addon.secrets:
            line = line.replace(addon.secrets[name].reveal(), "••••")
    return line


def run_all(
    context: Context, addon: Addon, replica: Replica, commands: Sequence[Command], dump: BinaryIO | None = None
) -> None:
    """Run them one after the other; the first failure is raised."""
    for command in commands:
        run(context, addon, replica, command, dump=dump)


def shell(context: Context, addon: Addon, replica: Replica, more: Sequence[str], terminal: Terminal) -> int:
    """The addon's own client with the person's terminal; `more` are its further arguments."""
    kind = kinds.kind(addon.kind)
    call = services.call(kind.shell, addon, kind)
    return context.engine.exec(replica.id, (*call.run, *more), terminal, call.env)


def facts(context: Context, addon: Addon, replica: Replica) -> Facts:
    """What it says about itself. Raises PlatformError."""
    said = run(context, addon, replica, kinds.kind(addon.kind).facts)
    try:
        return Facts(**json.loads(said))
    except (ValueError, TypeError) as error:
        raise PlatformError(f"addon {addon.name} says nothing sensible about itself") from error


def reconcile_addons(context: Context, emit: Emit, *, mend: bool = False, patience: float = 0.0) -> None:
    """Have every addon run, in the networks of its apps: at the server's start (`mend`) and on every tick.

    `mend` also undoes what a restore that was cut short may have left. It never sets up anew: an addon whose volume
    was lost must be seen to be broken, not come back empty. One addon that cannot be helped is told as a warning and
    keeps no other from it. Addons that somebody works on, for `patience` seconds and longer, are left alone.
    """
    seen = {service.key: service for service in context.engine.observe() if service.kind == services.ADDON}
    for addon in context.store.addons():
        try:
            with context.locks.try_hold(lock_name(addon.id), "reconcile", patience) as mine:
                if mine:
                    _heal(context, addon, seen.get(spec_of(context, addon).key), emit, mend=mend)
        except PaasError as error:
            emit(Event(kind="warning", message=f"addon {addon.name}: {error.message}", data={"addon": addon.name}))


def _heal(context: Context, addon: Addon, service: ObservedService | None, emit: Emit, *, mend: bool) -> None:
    spec = spec_of(context, addon)
    stopped = status(service) in ("missing", "stopped")
    differs = service is None or stopped or service.fingerprint != spec.fingerprint
    # It may have been destroyed since the list was made. Reading one means decrypting it: not where all is well.
    if not (differs or mend) or addon.id not in {known.id for known in context.store.addons()}:
        return
    if differs:
        what = "is started again" if stopped else "joins the networks of its apps"
        _refuse_lost(context, addon)
        emit(Event(kind="note", message=f"addon {addon.name} {what}", data={"addon": addon.name}))
        context.engine.apply(spec, 1, emit)
    if mend:
        run_all(context, addon, start(context, spec, emit), kinds.kind(addon.kind).abandon)
