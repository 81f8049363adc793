"""Apps: create, list, show, rename, destroy. The id is an app's identity; its name is only what people type."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from paas.errors import Conflict, EngineUnavailable, UsageError
from paas.model import names
from paas.model.app import App, Release, ReleaseKind, ReleaseStatus
from paas.model.people import Grant
from paas.model.scripts import Setup, environment_name
from paas.model.service import ObservedService
from paas.requests.addons import DestroyAddon
from paas.requests.apps import CreateApp, DestroyApp, ListApps, RenameApp, SetEnvironment, ShowApp
from paas.usecases import addons, images, repository, scripts
from paas.usecases.audit import note_new_app
from paas.usecases.context import Act, Context
from paas.usecases.domains import app_url, served
from paas.usecases.releases import Changed, change_release
from paas.usecases.switch import base_release


@dataclass(frozen=True, slots=True, kw_only=True)
class AppLine:
    """An app in a list. `status`: empty (never deployed), stopped (scaled to 0), running, degraded (some replicas
    not healthy), down (none healthy), asleep (the next request starts it), working (a release is on its way), unknown
    (the Engine does not answer).
    `processes` maps process types to wanted replicas; `release` 0: none."""

    name: str
    id: str
    status: str
    url: str
    release: int
    processes: Mapping[str, int]
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedAddon:
    """An addon of an app and the alias its URL is bound under (`DATABASE` → `DATABASE_URL`)."""

    name: str
    kind: str
    version: str
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AppShown:
    """One app. `domains` without the default host; `environment` is the one of its files that counts (empty: none);
    `busy` says who works on it right now; times are Unix seconds."""

    name: str
    id: str
    status: str
    url: str
    release: int
    processes: Mapping[str, int]
    domains: tuple[str, ...]
    environment: str
    addons: tuple[AttachedAddon, ...]
    buildpack: str
    version: str
    description: str
    released_at: float
    actor: str
    created_at: float
    busy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSet:
    """The environment that counts (empty: none), and the one that was said (empty: that of the pipeline stage)."""

    app: str
    environment: str
    said: str
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """What went with the app, and the addons that stay with their data."""

    app: str
    addons: tuple[str, ...]
    kept_addons: tuple[str, ...]


def list_apps(context: Context, request: ListApps, act: Act) -> tuple[AppLine, ...]:
    """Those one may see, by name, with one look at the engine for all of them."""
    observed = _observed(context)
    lines, certificates = [], served(context)
    asleep = {one.app_id for one in context.store.sleeps() if one.asleep}
    for app in context.store.apps():
        if not act.may(app.id):
            continue
        release = base_release(context.store, app)
        own = None if observed is None else [service for service in observed if service.key.app_id == app.id]
        lines.append(
            AppLine(
                name=app.name,
                id=app.id,
                status=status_of(app, release, own, asleep=app.id in asleep),
                url=app_url(context, app, certificates),
                release=app.wanted,
                processes=wanted_counts(app, release),
                created_at=app.created_at,
            )
        )
    return tuple(lines)


def create_app(context: Context, request: CreateApp, act: Act) -> AppLine:
    """A new, empty app. Raises UsageError for a name that cannot be one, Conflict for one that is taken."""
    team = context.store.team(request.team) if request.team else None
    environment = environment_name(request.environment) if request.environment else ""
    app = new_app(context, request.name, act=act)
    if environment:
        context.store.put_setup(Setup(app_id=app.id, environment=environment))
    if team is not None:
        context.store.put_grant(Grant(app_id=app.id, role="deployer", team_id=team.id))
    return AppLine(
        name=app.name,
        id=app.id,
        status="empty",
        url=app_url(context, app),
        release=0,
        processes={},
        created_at=app.created_at,
    )


def new_app(context: Context, name: str, app_id: str = "", act: Act | None = None, *, source: App | None = None) -> App:
    """Store a new app under a new id (or the given one). The user who makes it owns it. `source`: the app it is to be
    a clone of; it is a half-made one from the start."""
    app = App(id=app_id or new_id(), name=names.app_name(name), created_at=context.clock.now())
    if act is not None and act.who is not None:
        note_new_app(context, act.who, app, source.name if source else "")
    refuse_taken(context, app.name)
    context.store.add_app(app, Setup(app_id=app.id, cloning=source.id) if source else None)
    if act is not None and act.who is not None and act.who.user_id:
        context.store.put_grant(Grant(app_id=app.id, role="owner", user_id=act.who.user_id))
    return app


def refuse_taken(context: Context, name: str) -> None:
    """Raise Conflict when an addon has this name: both would answer to it in the networks of apps; and when its host
    would be the platform's own."""
    if f"{name}.{context.settings.domain}" == context.settings.platform_domain:
        raise Conflict(f"{name}.{context.settings.domain} is the platform's own host", hint="choose another name")
    if any(addon.name == name for addon in context.store.addons()):
        raise Conflict(f"{name!r} is the name of an addon", hint="choose another name: paas addons lists those taken")


def new_id() -> str:
    """8 hex digits: an app's id."""
    return secrets.token_hex(4)


def show_app(context: Context, request: ShowApp, act: Act) -> AppShown:
    """One app. Raises NotFound."""
    app = context.store.app(request.app)
    release = base_release(context.store, app)
    return AppShown(
        name=app.name,
        id=app.id,
        status=status_of(app, release, _observed(context, app.id), asleep=_asleep(context, app)),
        url=app_url(context, app),
        release=app.wanted,
        processes=wanted_counts(app, release),
        domains=release.domains,
        environment=scripts.environment_of(context, app),
        addons=_attached(context, app),
        buildpack=release.buildpack,
        version=release.source.version if release.source else "",
        description=release.description,
        released_at=release.created_at if release.number else 0.0,
        actor=release.actor,
        created_at=app.created_at,
        busy=context.locks.holder(app.id),
    )


def rename_app(context: Context, request: RenameApp, act: Act) -> Changed:
    """Give the app another name: its id, data and history stay.

    What runs is replaced by a release, start-first, because the app sees its name as PAAS_APP. The new default
    host leads to it from then on, the old one no more.
    """
    name = names.app_name(request.name)
    app = context.store.app(request.app)
    if name == app.name:
        return Changed(app=app.name, release=app.wanted, changed=False, message="that is its name already")
    refuse_taken(context, name)
    old = app.name

    def renamed(base: Release) -> Release:
        context.store.save_app(replace(context.store.app(app.id), name=name))
        return base

    def named_back() -> None:
        context.store.save_app(replace(context.store.app(app.id), name=old))

    release = change_release(
        context,
        app,
        act,
        kind=ReleaseKind.CONFIG,
        description=f"rename {old} to {name}",
        change=renamed,
        before_undo=named_back,
        restart=True,
    )
    return Changed(app=name, release=release.number, runs=bool(release.image))


def set_environment(context: Context, request: SetEnvironment, act: Act) -> EnvironmentSet:
    """Kept beside releases: nothing restarts. Raises UsageError for what cannot name an environment."""
    app = context.store.app(request.app)
    wanted = environment_name(request.environment) if request.environment else ""
    before = context.store.setup(app.id)
    scripts.change_setup(context, app.id, environment=wanted)
    counts = scripts.environment_of(context, app)
    return EnvironmentSet(app=app.name, environment=counts, said=wanted, changed=before.environment != wanted)


def destroy_app(context: Context, request: DestroyApp, act: Act) -> Destroyed:
    """Take the app away. Each part may be repeated and its row goes last, so that a kill in the middle leaves an
    app that can be destroyed again. Raises UsageError when `confirm` is not its name, ScriptFailed when `predestroy`
    failed and `force` is not said: everything is as it was then."""
    app = context.store.app(request.app)
    if request.confirm != app.name:
        raise UsageError(f"to destroy {app.name}, confirm with its name", hint=f"--confirm {app.name}")
    attached = [context.store.addon(bound.addon_id) for bound in context.store.attachments(app_id=app.id)]
    owned = [addon for addon in context.store.addons() if addon.owner_app == app.id]
    going = owned if request.addons else []
    for addon in going:
        addons.refuse_in_use(context, addon, act)
    scripts.predestroy(context, app, act, force=request.force)
    with context.locks.hold(app.id, f"{act.actor}: destroy", act.emit):
        context.store.want(app.id, 0)
        context.router.remove(app.id)
        context.engine.forget(app.id)
    for addon in going:
        addons.destroy_addon(context, DestroyAddon(addon=addon.name, confirm=addon.name, backup=request.backups), act)
    with context.locks.hold(app.id, f"{act.actor}: destroy", act.emit):
        context.engine.forget(app.id)
        images.remove_all(context, app)
        repository.remove(context.settings, app.id)
        context.store.delete_app(app.id)
    addons.reconcile_addons(context, act.emit)
    kept = {addon.name for addon in (*attached, *owned)} - {addon.name for addon in going}
    return Destroyed(app=app.name, addons=tuple(sorted(addon.name for addon in going)), kept_addons=tuple(sorted(kept)))


def wanted_counts(app: App, release: Release) -> dict[str, int]:
    """Replicas per process type that should run; the `release` process never stays."""
    return {
        process.name: app.formation.get(process.name, 0) for process in release.processes if process.name != "release"
    }


def _asleep(context: Context, app: App) -> bool:
    known = context.store.sleep(app.id)
    return known is not None and known.asleep


def status_of(app: App, release: Release, observed: Sequence[ObservedService] | None, *, asleep: bool = False) -> str:
    """One word, see AppLine."""
    if not release.image:
        return "empty"
    if release.status is ReleaseStatus.PENDING:
        return "working"
    if asleep:
        return "asleep"
    if observed is None:
        return "unknown"
    counts = {name: count for name, count in wanted_counts(app, release).items() if count}
    if not counts:
        return "stopped"
    healthy = {
        name: sum(len(service.healthy) for service in observed if service.key.process == name) for name in counts
    }
    if all(healthy[name] >= count for name, count in counts.items()):
        return "running"
    return "degraded" if any(healthy.values()) else "down"


def _observed(context: Context, app_id: str = "") -> list[ObservedService] | None:
    """What is on the engine and stays; None when it does not answer: lists must work then too."""
    try:
        return context.leaving.staying(context.engine.observe(app_id))
    except EngineUnavailable:
        return None


def _attached(context: Context, app: App) -> tuple[AttachedAddon, ...]:
    found = []
    for bound in context.store.attachments(app_id=app.id):
        addon = context.store.addon(bound.addon_id)
        found.append(AttachedAddon(name=addon.name, kind=addon.kind, version=addon.version, alias=bound.alias))
    return tuple(sorted(found, key=lambda addon: addon.alias))
