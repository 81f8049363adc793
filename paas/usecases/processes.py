"""Processes: how many replicas run, what they may use, and how they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from paas.build import sizes
from paas.errors import Conflict, PaasError, UsageError
from paas.model import schedule
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.events import Emit, Event
from paas.model.plan import Plan
from paas.model.service import Limits, ObservedService, Replica, Stats
from paas.reconcile import finish, reconcile
from paas.requests.processes import ListReplicas, Scale, SetLimits
from paas.usecases import room
from paas.usecases.apps import wanted_counts
from paas.usecases.autoscale import rules_of
from paas.usecases.context import Act, Context
from paas.usecases.releases import Changed, change_release
from paas.usecases.switch import awaken, base_release, in_words, world

SAMPLE_SECONDS = 0.25

ENDS = "finishes what it has, then it ends"
"""What is said of a replica that a scale-in, or sleep, has taken the requests from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLine:
    """One replica. `name` is `web.1`; `cpu` is cores used just now, `memory` bytes; None: cannot be known.
    `started_at` Unix seconds; `detail` says in words why it is not healthy, or that it is on its way out;
    `protected_until`: until when scale-ins spare it, as it asked (Unix seconds; 0: they do not)."""

    name: str
    id: str
    state: str
    release: int
    started_at: float
    restarts: int
    cpu: float | None
    memory: int | None
    address: str
    exit_code: int | None
    detail: str
    protected_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLine:
    """One process type: its command, wanted replicas, limits (bytes, cores; 0: none) and its replicas."""

    process: str
    command: str
    wanted: int
    memory_limit: int
    cpus: float
    pids: int
    replicas: tuple[ReplicaLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppProcesses:
    """All processes of an app. A process that only the release before had is listed while its replicas still drain.
    `asleep`: nothing of it runs until somebody asks."""

    app: str
    release: int
    processes: tuple[ProcessLine, ...]
    asleep: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """The formation as it is wanted now."""

    app: str
    processes: Mapping[str, int]
    changed: bool = True


def list_replicas(context: Context, request: ListReplicas, act: Act) -> AppProcesses:
    """Processes and replicas, with what they use (two looks a quarter of a second apart)."""
    app = context.store.app(request.app)
    release = base_release(context.store, app)
    services = [service for service in context.engine.observe(app.id) if service.kind == "replica"]
    lines = _lines(context, app, services)
    specs = {process.name: process for process in release.processes if process.name != "release"}
    gone = {service.key.process for service in services} - specs.keys()
    specs |= {name: ProcessSpec(name=name) for name in sorted(gone)}
    counts = wanted_counts(app, release)
    return AppProcesses(
        app=app.name,
        release=app.wanted,
        asleep=(known := context.store.sleep(app.id)) is not None and known.asleep,
        processes=tuple(
            ProcessLine(
                process=name,
                command=spec.command,
                wanted=counts.get(name, 0),
                memory_limit=spec.limits.memory,
                cpus=spec.limits.cpus,
                pids=spec.limits.pids,
                replicas=tuple(lines[name]),
            )
            for name, spec in specs.items()
        ),
    )


def scale(context: Context, request: Scale, act: Act) -> Scaled:
    """Replicas per process type, for this and all later releases. Put back as it was when the new ones do not get
    healthy. Raises UsageError for an unknown process, Conflict before the first deploy, without the memory, and
    beyond the bounds of rules by which a process is scaled."""
    app = context.store.app(request.app)
    with context.locks.hold(app.id, f"{act.actor}: scale", act.emit):
        app = context.store.app(app.id)
        release = deployed(context, app)
        asked = _checked_counts(app, release, request.counts)
        _check_bounds(context, app, release, asked)
        left = change_formation(context, app, release, asked, act.emit)
    # Nothing may come between: until they are finished, no plan ends those that are left.
    if left is not None:
        finish(world(context), left, act.emit)
    counts = wanted_counts(replace(app, formation={**app.formation, **asked}), release)
    return Scaled(app=app.name, processes=counts, changed=left is not None)


def change_formation(
    context: Context, app: App, release: Release, counts: Mapping[str, int], emit: Emit
) -> Plan | None:
    """Have so many replicas of these processes; the caller holds the app's lock. None where that changes nothing, else
    the ends of replicas that are too many: out of the routes already, they are for the caller to `finish` when the
    lock is free, for what they have to finish may take an hour.

    Put back as it was when the new ones do not get healthy. Raises Conflict when the machine has no memory for them.
    """
    before = dict(app.formation)
    after = before | dict(counts)
    if after == before:
        return None
    with context.locks.room:
        context.locks.starting[app.id] = room.check(context, release, wanted_counts(app, release), after)
        context.store.save_app(replace(app, formation=after))
    try:
        awaken(context, app.id)
        app = context.store.app(app.id)
        return reconcile(world(context), app, release, emit, leave=True)
    except Exception:
        context.store.save_app(replace(context.store.app(app.id), formation=before))
        _clear_up(context, app.id, release, emit)
        raise
    finally:
        context.locks.starting.pop(app.id, None)


def set_limits(context: Context, request: SetLimits, act: Act) -> Changed:
    """Limits of one process: a release, rolled out start-first. Raises UsageError when the machine has less."""
    app = context.store.app(request.app)
    process = known_process(app, deployed(context, app), request.process)
    limits = _limits(context, request, process.limits)
    if limits == process.limits:
        return Changed(app=app.name, release=app.wanted, changed=False, message="the limits are these already")

    def change(base: Release) -> Release:
        known_process(app, base, request.process)
        return replace(
            base,
            processes=tuple(replace(p, limits=limits) if p.name == request.process else p for p in base.processes),
        )

    description = f"limits of {request.process}: {_in_words(limits)}"
    release = change_release(context, app, act, kind=ReleaseKind.LIMITS, description=description, change=change)
    return Changed(app=app.name, release=release.number)


def deployed(context: Context, app: App) -> Release:
    """The wanted release, which has an image. Raises Conflict on an app that was never deployed."""
    release = base_release(context.store, app)
    if not release.image:
        raise Conflict(f"{app.name} was never deployed", hint=f"paas deploy --app {app.name}")
    return release


def memory_size(text: str) -> int:
    """Bytes of `512M`, `1.5GB`. Raises UsageError with the rule."""
    try:
        return sizes.memory(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no memory limit: {error}", hint="write 512M or 1G") from None


def replica_name(process: str, replica: Replica) -> str:
    """`web.1`: what people call a replica."""
    return f"{process}.{replica.index}"


def _lines(context: Context, app: App, services: list[ObservedService]) -> Mapping[str, list[ReplicaLine]]:
    """By process; the oldest release first."""
    used = _used(context, app) if any(service.replicas for service in services) else {}
    leaving, now = context.leaving.all(), context.clock.now()
    spared = {one.replica: one.until for one in context.store.protections(app.id) if one.until > now}
    found = defaultdict[str, list[ReplicaLine]](list)
    for service in services:
        for replica in service.replicas:
            use = used.get(replica.id)
            ends = replica.ending or replica.id in leaving
            found[service.key.process].append(
                ReplicaLine(
                    name=replica_name(service.key.process, replica),
                    id=replica.id,
                    state=replica.state.value,
                    release=service.key.release,
                    started_at=replica.started_at,
                    restarts=replica.restarts,
                    cpu=use.cpu if use else None,
                    memory=use.memory if use else None,
                    address=replica.address,
                    exit_code=replica.exit_code,
                    detail=ENDS if ends else replica.detail,
                    protected_until=0.0 if ends else spared.get(replica.id, 0.0),
                )
            )
    for lines in found.values():
        lines.sort(key=lambda line: (line.release, line.name))
    return found


@dataclass(frozen=True, slots=True)
class _Use:
    cpu: float
    memory: int


def _used(context: Context, app: App) -> dict[str, _Use]:
    """CPU and memory by replica id; empty when the engine cannot say."""
    try:
        first = {stats.replica: stats for stats in context.engine.stats(app.id)}
        begun = context.clock.monotonic()
        context.clock.sleep(SAMPLE_SECONDS)
        second = context.engine.stats(app.id)
        seconds = context.clock.monotonic() - begun
    except PaasError:
        return {}
    return {stats.replica: _Use(_cores(first.get(stats.replica), stats, seconds), stats.memory) for stats in second}


def _cores(before: Stats | None, now: Stats, seconds: float) -> float:
    if before is None or seconds <= 0:
        return 0.0
    return round(max(0.0, now.cpu_seconds - before.cpu_seconds) / seconds, 3)


def _checked_counts(app: App, release: Release, counts: Mapping[str, int]) -> dict[str, int]:
    for name in counts:
        known_process(app, release, name)
    return dict(counts)


def known_process(app: App, release: Release, name: str) -> ProcessSpec:
    """The process of that name that stays up. Raises UsageError listing those there are."""
    found = release.process(name)
    if found is None or name == "release":
        known = ", ".join(process.name for process in release.processes if process.name != "release")
        raise UsageError(f"{app.name} has no process {name!r} that stays up", hint=f"it has: {known or 'none'}")
    return found


def _check_bounds(context: Context, app: App, release: Release, counts: Mapping[str, int]) -> None:
    """Refuse what the rules of a process would take back at once. 0 is everybody's: it stops the process, and rules
    leave one that is stopped alone."""
    for process, rules in rules_of(context, app, release).items():
        least, most, _ = schedule.bounds(rules, context.clock.now())
        count = counts.get(process, 0)
        if count and not least <= count <= most:
            raise Conflict(
                f"{process} is scaled by rules, between {least} and {most}; {count} would not stay",
                hint=f"paas autoscale set {process} {'--max' if count > most else '--min'} {count}",
            )


def _limits(context: Context, request: SetLimits, before: Limits) -> Limits:
    limits = replace(
        before,
        memory=memory_size(request.memory) if request.memory else before.memory,
        cpus=request.cpus if request.cpus is not None else before.cpus,
        pids=request.pids if request.pids is not None else before.pids,
    )
    info = context.engine.info()
    if request.memory and info.memory and limits.memory > info.memory:
        raise UsageError(f"this machine has {_mib(info.memory)} of memory, not {_mib(limits.memory)}", hint="give less")
    if request.cpus is not None and info.cpus and limits.cpus > info.cpus:
        raise UsageError(f"this machine has {info.cpus} CPUs, not {limits.cpus:g}", hint="give less")
    return limits


def _in_words(limits: Limits) -> str:
    return f"{_mib(limits.memory)}, {limits.cpus:g} CPUs, {limits.pids} processes"


def _mib(size: int) -> str:
    return f"{size / 1024**2:.0f} MiB"


def _clear_up(context: Context, app_id: str, release: Release, emit: Emit) -> None:
    try:
        reconcile(world(context), context.store.app(app_id), release, emit)
    except Exception as error:
        emit(Event(kind="warning", message=f"putting the replicas back failed too: {in_words(error)}"))
