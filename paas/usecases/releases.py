"""Releases: every change of an app is a numbered, complete release, made and carried out in one place.

`change_release` is the only way a release comes to be. It holds the app's lock from writing the release until it
serves or is undone, so a PENDING release whose lock is free was interrupted: `recovery.py` finishes or undoes it.
Releases happen in the order in which the lock is taken, not in the order in which builds began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from paas.errors import Conflict, NotFound
from paas.model.app import App, ProcessSpec, Release, ReleaseKind, ReleaseStatus
from paas.model.scaling import Autoscale, ScheduleRule, StepRule, TargetRule
from paas.plan import alerts
from paas.requests.deploys import ListReleases, Rollback, ShowRelease
from paas.usecases.bindings import bound
from paas.usecases.context import Act, Context
from paas.usecases.recovery import recover_held
from paas.usecases.switch import base_release, carry_out, last_good, newest_first, nothing_more, source_version


def change_release(
    context: Context,
    app: App,
    act: Act,
    *,
    kind: ReleaseKind,
    description: str,
    change: Callable[[Release], Release],
    release_command: bool = False,
    restart: bool = False,
    before_undo: Callable[[], None] = nothing_more,
) -> Release:
    """The app's next release: `change` of the wanted one, carried out, and wanted from now on.

    `change` sees the wanted release as it is under the lock (an empty one on a new app); what it raises stops
    everything with nothing changed. With `release_command` the process `release` runs once before the switch; with
    `restart` every process is replaced even when nothing of its spec changes. On failure the release before is wanted
    and carried out again (after `before_undo`), this one is marked failed, and the error goes on up.
    """
    with context.locks.hold(app.id, f"{act.actor}: {description}", act.emit):
        recover_held(context, app.id, act.emit)
        app = context.store.app(app.id)
        base = base_release(context.store, app)
        wanted = replace(
            change(base),
            app_id=app.id, number=0, kind=kind, created_at=context.clock.now(), actor=act.actor,
            description=description, status=ReleaseStatus.PENDING, failure="",
        )  # fmt: skip
        introduced = {} if restart else since(base, wanted)
        release = context.store.add_release(replace(wanted, since=introduced or _all_new(wanted)))
        return carry_out(context, app, release, act.emit, release_command=release_command, before_undo=before_undo)


def _all_new(wanted: Release) -> Mapping[str, int]:
    return {process.name: 0 for process in wanted.processes}


def since(base: Release, wanted: Release) -> Mapping[str, int]:
    """Per process the release that introduced its spec: the base's where nothing of it changes, else 0 (this one)."""
    shared = all(
        getattr(base, name) == getattr(wanted, name) for name in ("image", "config", "port")
    ) and source_version(base) == source_version(wanted)
    carried = base.image and shared
    return {
        process.name: base.since.get(process.name, 0) if carried and _same(base.process(process.name), process) else 0
        for process in wanted.processes
    }


def _same(one: ProcessSpec | None, other: ProcessSpec) -> bool:
    """Whether replicas of one are replicas of the other: by which rules there are more or fewer changes none."""
    return one is not None and replace(one, autoscale=None) == replace(other, autoscale=None)


# --- the handlers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLine:
    """A release in a list. `current` is the wanted one; `at` Unix time; `image` the immutable id (may be empty)."""

    number: int
    kind: str
    status: str
    at: float
    actor: str
    description: str
    current: bool = False
    image: str = ""
    version: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessShown:
    """One process type as released. Memory in bytes, cpus in cores; 0: no limit. `health` in words."""

    name: str
    command: str
    memory: int
    cpus: float
    pids: int
    health: str
    stop_grace: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs from the release before. Config values are never shown, only that they changed."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseShown:
    """One release in full. `config` are keys only; `diff` is against the release before (empty unless asked)."""

    app: str
    release: ReleaseLine
    buildpack: str
    source: str
    port: int
    drain: float
    processes: tuple[ProcessShown, ...]
    config: tuple[str, ...]
    domains: tuple[str, ...]
    addons: tuple[str, ...]
    diff: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What a change came to. `release` is the number that is wanted now; `changed` False: there was nothing to do;
    `runs` False: nothing was deployed yet, it counts from then on."""

    app: str
    release: int
    changed: bool = True
    message: str = ""
    runs: bool = True


def list_releases(context: Context, request: ListReleases, act: Act) -> tuple[ReleaseLine, ...]:
    """Newest first."""
    app = context.store.app(request.app)
    return tuple(_line(release, app) for release in context.store.releases(app.id, request.limit))


def show_release(context: Context, request: ShowRelease, act: Act) -> ReleaseShown:
    """One release; with `diff` against the one numbered before it. Raises NotFound listing what exists."""
    app = context.store.app(request.app)
    release = context.store.release(app.id, request.number)
    before = next((r for r in newest_first(context.store, app.id) if r.number < release.number), None)
    return ReleaseShown(
        app=app.name,
        release=_line(release, app),
        buildpack=release.buildpack,
        source=release.source.origin or release.source.kind if release.source else "",
        port=release.port,
        drain=release.drain,
        processes=tuple(
            ProcessShown(
                name=process.name,
                command=process.command,
                memory=process.limits.memory,
                cpus=process.limits.cpus,
                pids=process.limits.pids,
                health=_health(process.health.kind.value, process.health.path, process.health.command),
                stop_grace=process.stop_grace,
            )
            for process in release.processes
        ),
        config=tuple(sorted(release.config)),
        domains=release.domains,
        addons=release.addons,
        diff=differences(before, release) if request.diff else (),
    )


def rollback(context: Context, request: Rollback, act: Act) -> Changed:
    """A new release that equals an earlier one. Raises Conflict when its image or a domain is gone, NotFound."""
    app = context.store.app(request.app)
    target = _target(context, app, request.number)
    if target.number == app.wanted:
        return Changed(app=app.name, release=app.wanted, changed=False, message=f"v{app.wanted} is what runs already")
    _still_possible(context, app, target, act)
    release = change_release(
        context,
        app,
        act,
        kind=ReleaseKind.ROLLBACK,
        description=f"rollback to v{target.number}",
        # Attachments are not part of what comes back: the config vars of addons follow those there are now.
        change=lambda base: bound(context.store, app.id, target),
    )
    return Changed(app=app.name, release=release.number, message=f"runs v{target.number} again")


def differences(before: Release | None, after: Release) -> tuple[Difference, ...]:
    """What `after` changed: image, source version, port, processes, limits, rules of autoscaling, config keys, domains,
    addons."""
    old, new = _facts(before), _facts(after)
    found = [
        Difference(what=key, before=old.get(key, ""), after=new.get(key, ""))
        for key in sorted(old.keys() | new.keys())
        if old.get(key, "") != new.get(key, "")
    ]
    return (*found, *_config_differences(before, after))


def _facts(release: Release | None) -> dict[str, str]:
    """Everything of a release that is no secret, one line a fact."""
    if release is None:
        return {}
    facts = {"image": release.image, "version": source_version(release), "buildpack": release.buildpack}
    facts |= {"port": str(release.port), "drain": f"{release.drain:g} s"}
    facts |= {"deploy_timeout": f"{release.deploy_timeout:g} s", "release_timeout": f"{release.release_timeout:g} s"}
    facts |= {f"domain {host}": "yes" for host in release.domains}
    facts |= {f"addon {alias}": "yes" for alias in release.addons}
    for name, scripts in release.scripts.items():
        front = f"{name} " if name else ""
        facts |= {f"{front}postdeploy": scripts.postdeploy, f"{front}predestroy": scripts.predestroy}
    facts |= {f"cron {job.name}": f"{job.timing}: {job.command or job.process}" for job in release.cron}
    facts |= {f"signal {signal.name}": signal.query or f"{signal.process} {signal.path}" for signal in release.signals}
    facts |= {f"alert {alert.name}": alerts.condition(alert) for alert in release.alerts}
    for process in release.processes:
        limits = process.limits
        facts |= {
            f"{process.name} command": process.command or "(the image's own)",
            f"{process.name} memory": str(limits.memory),
            f"{process.name} cpus": f"{limits.cpus:g}",
            f"{process.name} pids": str(limits.pids),
            f"{process.name} health": _health(process.health.kind.value, process.health.path, process.health.command),
            f"{process.name} stop_grace": f"{process.stop_grace:g} s",
        }
        if process.autoscale:
            facts[f"{process.name} autoscale"] = _rules(process.autoscale)
    return facts


def _rules(rules: Autoscale) -> str:
    """`1 to 7, requests 20`: bounds, targets, and whatever else is not as it is by default."""
    targets = [f"{rule.metric} {rule.target:g}" for rule in rules.rules if isinstance(rule, TargetRule)]
    steps = [f"step ({_unusual(rule)})" for rule in rules.rules if isinstance(rule, StepRule)]
    schedules = [f"schedule ({_unusual(rule)})" for rule in rules.schedules]
    others = _unusual(replace(rules, least=1, most=10, rules=(), schedules=()))
    return ", ".join(filter(None, (f"{rules.least} to {rules.most}", *targets, *steps, *schedules, others)))


def _unusual(rule: Autoscale | StepRule | ScheduleRule) -> str:
    """Its fields that are not as they are by default."""
    said = ((one, getattr(rule, one.name)) for one in fields(rule))
    return ", ".join(f"{one.name} {value}" for one, value in said if value != one.default)


def _config_differences(before: Release | None, after: Release) -> tuple[Difference, ...]:
    old = before.config if before else {}
    return tuple(
        Difference(
            what=f"config {key}",
            before="••••" if key in old else "",
            after="•••• (changed)" if key in old and key in after.config else "••••" if key in after.config else "",
        )
        for key in sorted(old.keys() | after.config.keys())
        if old.get(key) != after.config.get(key)
    )


def _health(kind: str, path: str, command: str) -> str:
    return {"http": f"http {path}", "command": f"command {command}"}.get(kind, kind)


def _line(release: Release, app: App) -> ReleaseLine:
    return ReleaseLine(
        number=release.number,
        kind=release.kind.value,
        status=release.status.value,
        at=release.created_at,
        actor=release.actor,
        description=release.description,
        current=release.number == app.wanted,
        image=release.image,
        version=source_version(release),
        failure=release.failure,
    )


def _target(context: Context, app: App, number: int) -> Release:
    """The release to go back to; 0: the last one before the wanted that succeeded and differs from it."""
    if number:
        target = context.store.release(app.id, number)
        if target.status is not ReleaseStatus.SUCCEEDED:
            raise Conflict(f"v{number} of {app.name} never served ({target.status.value})", hint=_choices(context, app))
        return target
    previous = last_good(context.store, app.id, app.wanted)
    if previous is None or not previous.image:
        raise NotFound(f"{app.name} has no release before v{app.wanted} to go back to", hint=_choices(context, app))
    return previous


def _still_possible(context: Context, app: App, target: Release, act: Act) -> None:
    """Raise Conflict when the image was collected or a domain went to another app since."""
    if not target.image or context.builder.find(target.image) is None:
        raise Conflict(
            f"the image of v{target.number} is not here any more" if target.image else f"v{target.number} has no image",
            hint=f"{_choices(context, app)}; or deploy its source anew{_named(target)}",
        )
    for host in target.domains:
        owner = context.store.domain_owner(host)
        if owner is not None and owner.id != app.id:
            seen = owner.name if act.may(owner.id) else ""
            raise Conflict(
                f"{host} of v{target.number} belongs to {seen or 'another app'} now",
                hint=f"remove it there first: paas domains remove {host} --app {seen or '…'}",
            )


def _named(release: Release) -> str:
    version = source_version(release)
    return f" (version {version})" if version else ""


def _choices(context: Context, app: App) -> str:
    possible = [
        f"v{release.number}"
        for release in newest_first(context.store, app.id)
        if release.status is ReleaseStatus.SUCCEEDED and release.image and release.number != app.wanted
        if context.builder.find(release.image) is not None
    ]
    return f"possible: {', '.join(possible)}" if possible else "no earlier release has its image any more"
