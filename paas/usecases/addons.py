"""Addons: create, attach, detach, show, destroy. An addon in the store is whole: it runs, and is set up.

Locks: the addon's first, then (inside `change_release`) the app's; never the other way round.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from paas.addons import kinds, services
from paas.addons.kinds import AddonKind
from paas.errors import Conflict, PaasError, UsageError
from paas.interfaces import Terminal
from paas.model import names
from paas.model.app import Addon, App, Attachment, Release, ReleaseKind
from paas.model.build import Base, Runtime
from paas.model.events import Event
from paas.model.service import ObservedService
from paas.requests.addons import (
    AttachAddon,
    CreateAddon,
    DestroyAddon,
    DetachAddon,
    ListAddonKinds,
    ListAddons,
    ShowAddon,
    ShowCredentials,
)
from paas.requests.sessions import AddonShell
from paas.usecases import addon_service as at
from paas.usecases.addon_service import reconcile_addons
from paas.usecases.backups import BackupLine, backups_of, take_backup
from paas.usecases.bindings import app_ids, bound, key
from paas.usecases.config import check_size
from paas.usecases.context import Act, Context
from paas.usecases.releases import change_release
from paas.usecases.steps import step
from paas.usecases.switch import base_release

__all__ = [
    "addon_shell", "attach_addon", "create_addon", "destroy_addon", "detach_addon", "list_addon_kinds", "list_addons",
    "reconcile_addons", "refuse_in_use", "show_addon", "show_credentials",
]  # fmt: skip

NAME_LENGTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonKindLine:
    """A kind of addon. `binds` is the config var of its first attachment; `versions` best first."""

    name: str
    summary: str
    versions: tuple[str, ...]
    binds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedApp:
    """An app the addon is attached to, and the config var that holds its URL there."""

    app: str
    config_var: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonLine:
    """An addon in a list. `status`: running, starting, unhealthy, crashed, stopped, missing or unknown (no Engine)."""

    name: str
    id: str
    kind: str
    version: str
    status: str
    created_at: float
    owner: str
    apps: tuple[AttachedApp, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonShown:
    """One addon. `server_version`, `size` (bytes), `tables` and `connections` are empty or 0 while it is not running;
    `counts` says what `tables` counts: tables, or the keys of a Redis; `url` has its password masked; `backups` newest
    first."""

    name: str
    id: str
    kind: str
    version: str
    status: str
    created_at: float
    owner: str
    apps: tuple[AttachedApp, ...]
    url: str
    server_version: str
    size: int
    tables: int
    counts: str
    connections: int
    volume: str
    backups: tuple[BackupLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The URL with its password, and its parts: whoever asks for this asks for the values."""

    name: str
    url: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonBound:
    """An addon and what became of an app: `release` is the one that is wanted there now (0: none was needed).

    `app` and `config_var` are empty for an addon that was made without an app.
    """

    name: str
    kind: str
    version: str
    app: str = ""
    config_var: str = ""
    release: int = 0
    changed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonDestroyed:
    """What was taken away; `backup` is the last dump (None: none was asked for)."""

    name: str
    backup: BackupLine | None


def list_addon_kinds(context: Context, request: ListAddonKinds, act: Act) -> tuple[AddonKindLine, ...]:
    """What can be created here."""
    return tuple(
        AddonKindLine(
            name=kind.name, summary=kind.summary, versions=context.stack.offers(kind.runtime), binds=key(kind.alias)
        )
        for kind in kinds.load()
    )


def list_addons(context: Context, request: ListAddons, act: Act) -> tuple[AddonLine, ...]:
    """Those of apps one may see, by name, of one app when given; with one look at the engine for all of them."""
    app_id = context.store.app(request.app).id if request.app else ""
    bound_here = {a.addon_id for a in context.store.attachments(app_id=app_id) if act.may(a.app_id)}
    mine = {addon.id for addon in context.store.addons() if not app_id and act.may(addon.owner_app)}
    seen = _observed(context)
    return tuple(
        _line(context, addon, _status(seen, addon), act)
        for addon in context.store.addons()
        if addon.id in bound_here | mine
    )


def show_addon(context: Context, request: ShowAddon, act: Act) -> AddonShown:
    """One addon, with what it says about itself when it runs."""
    addon = context.store.addon(request.addon)
    line = _line(context, addon, _status(_observed(context, addon.id), addon), act)
    kind, facts = kinds.kind(addon.kind), at.Facts()
    if line.status == "running":
        with suppress(PaasError):
            facts = at.facts(context, addon, at.running(context, addon, act.emit))
    return AddonShown(
        name=line.name, id=line.id, kind=line.kind, version=line.version, status=line.status,
        created_at=line.created_at, owner=line.owner, apps=line.apps, url=_masked(addon, kind),
        server_version=facts.version, size=facts.size, tables=facts.tables, counts=kind.counts,
        connections=facts.connections, volume=addon.volume, backups=backups_of(context, addon.name, act),
    )  # fmt: skip


def show_credentials(context: Context, request: ShowCredentials, act: Act) -> Credentials:
    """The only answer with a password in it."""
    addon = context.store.addon(request.addon)
    kind = kinds.kind(addon.kind)
    values = {name: value.reveal() for name, value in addon.secrets.items() if not name.startswith("admin_")}
    return Credentials(name=addon.name, url=services.url(addon, kind).reveal(), values=values)


def create_addon(context: Context, request: CreateAddon, act: Act) -> AddonBound:
    """Start it, wait for it, set it up, attach it. What fails on the way leaves nothing behind.

    Raises UsageError, NotFound, Conflict and ConfigError (a version the stack cannot give) before anything is made.
    """
    kind = kinds.kind(request.kind)
    app = context.store.app(request.app) if request.app else None
    if app is None and request.alias:
        raise UsageError("an alias is a name inside an app", hint="say which app: --app NAME")
    name = _new_name(context, kind, app, request.name)
    alias = _new_alias(context, kind, name, app, request.alias) if app else ""
    base = context.stack.answer(Runtime(kind.runtime, request.version))
    planned = _planned(context, kind, name, app, base.version)
    reason = f"{act.actor}: create addon {name}"
    # The addon's own lock, from beginning to end: whoever repairs must not start it while it is taken away again.
    with context.locks.hold(f"addon name {name}", reason, act.emit), at.held(context, planned.id, reason, act.emit):
        _refuse_taken(context, name)
        try:
            addon = _made(context, planned, base, act)
            release = _attach(context, addon, app, alias, act) if app else None
        except BaseException:
            _unmake(context, planned, act)
            raise
    return _bound(addon, app, alias, release)


def attach_addon(context: Context, request: AttachAddon, act: Act) -> AddonBound:
    """Into the app's network first, then the config release. Repeating it finishes one that was cut short."""
    app = context.store.app(request.app)
    addon = context.store.addon(request.addon)
    with at.held(context, addon.id, f"{act.actor}: attach to {app.name}", act.emit):
        addon = context.store.addon(addon.id)
        there = [found for found in context.store.attachments(app_id=app.id) if found.addon_id == addon.id]
        same = [found for found in there if found.alias == (request.alias or found.alias)]
        alias = same[0].alias if same else _new_alias(
            context, kinds.kind(addon.kind), addon.name, app, request.alias
        )  # fmt: skip
        release = _attach(context, addon, app, alias, act)
    return _bound(addon, app, alias, release)


def detach_addon(context: Context, request: DetachAddon, act: Act) -> AddonBound:
    """The config release first, then out of the app's network: no replica that uses it loses it."""
    app = context.store.app(request.app)
    addon = context.store.addon(request.addon)
    with at.held(context, addon.id, f"{act.actor}: detach from {app.name}", act.emit):
        there = [found for found in context.store.attachments(app_id=app.id) if found.addon_id == addon.id]
        if not there:
            apps = ", ".join(_told(context, app_ids(context.store, addon), act)) or "no app"
            raise Conflict(f"{addon.name} is not attached to {app.name}", hint=f"it is attached to: {apps}")
        release = _detach(context, addon, app, act)
    return _bound(addon, app, there[0].alias, release)


def destroy_addon(context: Context, request: DestroyAddon, act: Act) -> AddonDestroyed:
    """Last backup, detach from its owner, then container, volume and row, in this order: killed anywhere, it can be
    destroyed again. Raises Conflict while other apps use it, and when no backup can be made."""
    addon = context.store.addon(request.addon)
    if request.confirm != addon.name:
        raise UsageError(f"this destroys all data of {addon.name}", hint=f"confirm it: --confirm {addon.name}")
    with at.held(context, addon.id, f"{act.actor}: destroy", act.emit):
        addon = context.store.addon(addon.id)
        refuse_in_use(context, addon, act)
        backup = _last_backup(context, addon, act) if request.backup else None
        for app_id in app_ids(context.store, addon):
            _detach(context, addon, context.store.app(app_id), act)
        with step(context, act.emit, f"remove addon {addon.name} and its volume"):
            _remove(context, addon)
            context.store.delete_addon(addon.id)
    return AddonDestroyed(name=addon.name, backup=backup)


def refuse_in_use(context: Context, addon: Addon, act: Act) -> None:
    """Raise Conflict while an app that does not own the addon uses it."""
    others = [app_id for app_id in app_ids(context.store, addon) if app_id != addon.owner_app]
    if others:
        seen = [context.store.app(app_id).name for app_id in others if act.may(app_id)]
        commands = "; ".join(f"paas addons detach {addon.name} --app {name}" for name in seen)
        hint = f"detach it first: {commands}" if commands else "ask an owner of the platform to detach it"
        raise Conflict(f"{addon.name} is in use by {', '.join(_told(context, others, act))}", hint=hint)


def addon_shell(context: Context, request: AddonShell, act: Act, terminal: Terminal) -> int:
    """The addon's own client as the app's own role; answers its exit code."""
    addon = context.store.addon(request.addon)
    replica = at.running(context, addon, act.emit)
    return at.shell(context, addon, replica, request.command, terminal)


# --- making and unmaking ------------------------------------------------------------------------------------------


def _planned(context: Context, kind: AddonKind, name: str, app: App | None, version: str) -> Addon:
    """A new addon as a value, its image still unknown."""
    addon_id = secrets.token_hex(4)
    return Addon(
        id=addon_id, name=name, kind=kind.name, version=version, image="",
        volume=services.volume_name(context.settings.instance, addon_id), created_at=context.clock.now(),
        owner_app=app.id if app else "", secrets=services.new_secrets(kind),
    )  # fmt: skip


def _made(context: Context, planned: Addon, base: Base, act: Act) -> Addon:
    """It, running, set up, and in the store."""
    addon = replace(planned, image=at.prepared(context, planned, base, act))
    with step(context, act.emit, f"start {addon.kind} {addon.version} as {addon.name}"):
        replica = at.start(context, at.spec_of(context, addon, joining=addon.owner_app), act.emit)
        at.run_all(context, addon, replica, kinds.kind(addon.kind).setup)
    context.store.add_addon(addon)
    return addon


def _unmake(context: Context, addon: Addon, act: Act) -> None:
    """Leave nothing of an addon whose creation failed; what fails here is only told: the cause is more important."""
    try:
        _remove(context, addon)
        context.store.delete_addon(addon.id)
    except Exception as error:
        words = error.message if isinstance(error, PaasError) else type(error).__name__
        act.emit(Event(kind="warning", message=f"clearing up after {addon.name} failed too: {words}"))


def _remove(context: Context, addon: Addon) -> None:
    context.engine.remove(at.spec_of(context, addon).key)
    context.engine.forget(addon.id)
    context.engine.remove_volume(addon.volume)
    context.builder.remove(at.image_name(context, addon))


def _last_backup(context: Context, addon: Addon, act: Act) -> BackupLine:
    try:
        return take_backup(context, addon, act)
    except PaasError as error:
        raise Conflict(
            f"{addon.name} is not destroyed: its last backup failed: {error.message}",
            hint=f"mend it, or take it away without a backup: paas addons destroy {addon.name} --no-backup",
            details=error.details,
        ) from error


# --- attaching ----------------------------------------------------------------------------------------------------


def _attach(context: Context, addon: Addon, app: App, alias: str, act: Act) -> Release | None:
    """Attach under the alias; a failure takes it back. None: there was nothing (left) to do."""
    attachment = Attachment(addon_id=addon.id, app_id=app.id, alias=alias)
    known = attachment in context.store.attachments(app_id=app.id)
    if not known:
        context.store.attach(attachment)
    try:
        at.start(context, at.spec_of(context, addon), act.emit)
        return _rebound(context, app, f"attach {addon.name} as {alias}", act)
    except BaseException:
        if not known:
            context.store.detach(attachment)
            with suppress(PaasError):
                context.engine.apply(at.spec_of(context, addon), 1, act.emit)
        raise


def _detach(context: Context, addon: Addon, app: App, act: Act) -> Release | None:
    release = _rebound(context, app, f"detach {addon.name}", act, without=addon.id)
    for attachment in context.store.attachments(app_id=app.id, addon_id=addon.id):
        context.store.detach(attachment)
    with suppress(PaasError):  # reconcile_addons takes it out of the network otherwise
        context.engine.apply(at.spec_of(context, addon), 1, act.emit)
    return release


def _rebound(context: Context, app: App, description: str, act: Act, *, without: str = "") -> Release | None:
    """The release that gives the app the config vars of its attachments; None when it has just these."""

    def change(base: Release) -> Release:
        changed = bound(context.store, app.id, base, without=without)
        check_size(changed.config)
        return changed

    base = base_release(context.store, context.store.app(app.id))
    if change(base) == base:
        return None
    return change_release(context, app, act, kind=ReleaseKind.ADDON, description=description, change=change)


def _new_name(context: Context, kind: AddonKind, app: App | None, given: str) -> str:
    """The name asked for, or `<app>-<kind>`, with a number when that is taken."""
    if given:
        _refuse_taken(context, names.app_name(given))
        return given
    taken = {addon.name for addon in context.store.addons()} | {known.name for known in context.store.apps()}
    stem = f"{app.name[: NAME_LENGTH - len(kind.name) - 4].rstrip('-')}-{kind.name}" if app else kind.name
    return next(name for name in _numbered(stem) if name not in taken)


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def _refuse_taken(context: Context, name: str) -> None:
    """An addon answers to its name in the networks of its apps, as their own processes may."""
    if any(name in (addon.name, addon.id) for addon in context.store.addons()):
        raise Conflict(f"there is an addon {name!r} already", hint="choose another name")
    if any(name == app.name for app in context.store.apps()):
        raise Conflict(f"{name!r} is the name of an app", hint="choose another name")


def _new_alias(context: Context, kind: AddonKind, addon_name: str, app: App, given: str) -> str:
    """The alias asked for, or a free one. Raises UsageError, and Conflict when its config var is taken."""
    taken = {attachment.alias: attachment for attachment in context.store.attachments(app_id=app.id)}
    alias = given or services.free_alias(kind, addon_name, taken)
    if not names.ALIAS.fullmatch(alias):
        raise UsageError(f"{alias!r} cannot be an alias", hint="use capital letters, digits and underscores")
    names.config_key(key(alias))
    if alias in taken:
        other = context.store.addon(taken[alias].addon_id).name
        raise Conflict(f"app {app.name!r} has addon {other!r} attached as {alias}", hint="choose another: --as NAME")
    if key(alias) in base_release(context.store, app).config:
        raise Conflict(
            f"{key(alias)} is a config var of {app.name} already",
            hint=f"unset it first (paas config unset {key(alias)}), or choose another alias: --as NAME",
        )
    return alias


# --- answers ------------------------------------------------------------------------------------------------------


def _bound(addon: Addon, app: App | None, alias: str, release: Release | None) -> AddonBound:
    return AddonBound(
        name=addon.name,
        kind=addon.kind,
        version=addon.version,
        app=app.name if app else "",
        config_var=key(alias) if app else "",
        release=release.number if release else 0,
        changed=release is not None or app is None,
    )


def _line(context: Context, addon: Addon, status: str, act: Act) -> AddonLine:
    """Of the apps, those that one may see."""
    apps = {app.id: app.name for app in context.store.apps() if act.may(app.id)}
    attached = [
        AttachedApp(app=apps[found.app_id], config_var=key(found.alias))
        for found in context.store.attachments(addon_id=addon.id)
        if found.app_id in apps
    ]
    return AddonLine(
        name=addon.name, id=addon.id, kind=addon.kind, version=addon.version, status=status,
        created_at=addon.created_at, owner=apps.get(addon.owner_app, ""),
        apps=tuple(sorted(attached, key=lambda one: (one.app, one.config_var))),
    )  # fmt: skip


def _observed(context: Context, app_id: str = "") -> Mapping[str, ObservedService] | None:
    """By addon id; None when the Engine does not answer: lists must work then too."""
    with suppress(PaasError):
        return {service.key.app_id: service for service in context.engine.observe(app_id)}
    return None


def _status(seen: Mapping[str, ObservedService] | None, addon: Addon) -> str:
    return "unknown" if seen is None else at.status(seen.get(addon.id))


def _masked(addon: Addon, kind: AddonKind) -> str:
    text = services.url(addon, kind).reveal()
    for name, value in addon.secrets.items():
        if kind.secrets.get(name) == "password":
            text = text.replace(value.reveal(), "••••")
    return text


def _told(context: Context, ids: Collection[str], act: Act) -> list[str]:
    """Names of apps, as far as who acts may see them."""
    seen = [context.store.app(app_id).name for app_id in ids if act.may(app_id)]
    return seen if len(seen) == len(ids) else [*seen, "an app of others"]
