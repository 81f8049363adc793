"""The platform as a whole: have it run, stop it, say how it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import paas
from paas.errors import EngineUnavailable
from paas.model.app import ReleaseStatus
from paas.model.events import Event
from paas.reconcile import reconcile
from paas.requests.platform import PlatformDown, PlatformStatus, PlatformUp
from paas.usecases import certificates, recovery, uploads
from paas.usecases.addon_service import reconcile_addons
from paas.usecases.context import Act, Context
from paas.usecases.domains import server_url, url_of
from paas.usecases.switch import base_release, in_words, world

PATIENCE = 10.0
"""Seconds to wait for an app or addon that is worked on: at a start the controller looks at all of them, too, and what
it cannot bring up must be told to who asked. A deploy takes longer, and tells it itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformShown:
    """How the platform is. `server` is its own https address (empty: it has none). `engine` empty: it does not answer.
    Memory in bytes; counts of replicas are of containers that are there, healthy or not; `running` are ids of
    operations. Counts are of what one may see; the home and certificates are told to operators and owners alone."""

    version: str
    instance: str
    home: str
    domain: str
    server: str
    url: str
    stack: str
    engine: str
    engine_version: str
    api_version: str
    buildkit: bool
    cpus: int
    memory: int
    router: bool
    apps: int
    replicas: int
    healthy: int
    addons: int
    certificates: int
    running: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformIsUp:
    """The platform runs. `server` is its own https address; `note` says what it lacks; `failed` maps apps that could
    not be brought up to why."""

    url: str
    server: str
    note: str
    apps: int
    failed: dict[str, str]


def platform_up(context: Context, request: PlatformUp, act: Act) -> PlatformIsUp:
    """Engine checked, router started with its certificates, addons and apps reconciled. Idempotent.

    An app that cannot be brought up is told and does not stop the others. Raises PlatformError.
    """
    info = context.engine.info()
    act.emit(Event(kind="note", message=f"{info.name} {info.version}, API {info.api_version}"))
    uploads.expire(context)
    context.router.up(act.emit)
    context.router.certificates(context.store.certificates())
    reconcile_addons(context, act.emit, patience=PATIENCE)
    failed = {}
    for app in context.store.apps():
        try:
            _bring_up(context, app.id, act)
        except Exception as error:
            if not any(one.id == app.id for one in context.store.apps()):
                continue  # it was taken away meanwhile
            failed[app.name] = in_words(error)
            act.emit(Event(kind="warning", app=app.name, message=f"{app.name}: {in_words(error)}"))
    note = certificates.server_note(context)
    return PlatformIsUp(
        url=_url(context), server=server_url(context.settings), note=note, apps=len(context.store.apps()), failed=failed
    )


def platform_down(context: Context, request: PlatformDown, act: Act) -> PlatformShown:
    """Stop the router; apps and data stay as they are. The server stops itself after this operation."""
    context.router.down()
    return _shown(context)


def platform_status(context: Context, request: PlatformStatus, act: Act) -> PlatformShown:
    """How it is now; a part that does not answer is told, not raised. Where it lies, and what others have there, is for
    its owners."""
    if act.may("", "owner"):
        return _shown(context)
    shown = _shown(context, act.may)
    return shown if act.may("", "operator") else replace(shown, home="", certificates=0)


def _bring_up(context: Context, app_id: str, act: Act) -> None:
    with context.locks.try_hold(app_id, f"{act.actor}: up", PATIENCE) as held:
        if not held:
            return
        recovery.recover_held(context, app_id, act.emit)
        app = context.store.app(app_id)
        release = base_release(context.store, app)
        if release.image and release.status is ReleaseStatus.SUCCEEDED:
            reconcile(world(context), app, release, act.emit)


def _everything(app_id: str) -> bool:
    return True


def _shown(context: Context, may: Callable[[str], bool] = _everything) -> PlatformShown:
    """Counts of what belongs to apps one `may` see."""
    try:
        info = context.engine.info()
        services = [one for one in context.engine.observe() if one.kind == "replica" and may(one.key.app_id)]
    except EngineUnavailable:
        info, services = None, []
    return PlatformShown(
        version=paas.__version__,
        instance=context.settings.instance,
        home=str(context.settings.home),
        domain=context.settings.domain,
        server=server_url(context.settings),
        url=_url(context),
        stack=context.stack.name,
        engine=info.name if info else "",
        engine_version=info.version if info else "",
        api_version=info.api_version if info else "",
        buildkit=info.buildkit if info else False,
        cpus=info.cpus if info else 0,
        memory=info.memory if info else 0,
        router=context.router.alive(),
        apps=sum(may(app.id) for app in context.store.apps()),
        replicas=sum(len(service.replicas) for service in services),
        healthy=sum(len(service.healthy) for service in services),
        addons=sum(may(addon.owner_app) for addon in context.store.addons()),
        certificates=len(context.store.certificates()),
        running=tuple(
            one.id for one in context.store.operations(status="running") if all(map(may, (one.app_id, *one.others)))
        ),
    )


def _url(context: Context) -> str:
    return url_of(f"<app>.{context.settings.domain}", context.settings, tls=False)
