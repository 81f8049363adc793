"""Deploy: source to a running release. The body of `deploy_app` is the order of the work.

The app's lock is taken only when the image is there, so an app heals while its next image builds. Two deploys at
once both happen, in the order in which their images are ready; the second waits and says for whom.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile

from paas.addons import kinds
from paas.errors import ConfigError, Conflict, NotFound
from paas.model import names
from paas.model.app import App, Release, ReleaseKind, ReleaseStatus, Source
from paas.model.build import Runtime
from paas.model.events import Event
from paas.plan.text import render
from paas.reconcile import plan_of
from paas.requests.addons import CreateAddon
from paas.requests.deploys import DeployApp, PlanApp
from paas.usecases import addons, images, scripts, shape, sleep, uploads
from paas.usecases.apps import new_app, new_id, wanted_counts
from paas.usecases.autoscale import beyond_addresses, resting, rules_of
from paas.usecases.build_image import PULLED, Built, build_image, inspected
from paas.usecases.config import check_size
from paas.usecases.context import Act, Context
from paas.usecases.domains import app_url, check_free
from paas.usecases.fetch import Fetched, fetched
from paas.usecases.releases import change_release, since
from paas.usecases.scripts import ScriptRun, environment_of
from paas.usecases.shape import Shape
from paas.usecases.switch import base_release, last_good, newest_first, world

TO_BE_BUILT = "(to be built)"
COMPARED = (
    "image", "processes", "config", "domains", "cron", "scripts", "port", "drain", "deploy_timeout", "release_timeout",
    "requires", "signals", "alerts",
)  # fmt: skip
"""What a release must differ in from the one that runs, to be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What a deploy came to.

    `upload` True: this content id is not what runs, send the source itself (everything else is empty then).
    `unchanged`: what was given is what runs already, no release was made. `cached`: nothing had to be built.
    `created`: the app is new. `generated` are config keys that got a generated value, `warnings` sentences.
    `postdeploy` is what became of that script (None: it was not to run).
    """

    app: str
    release: int = 0
    url: str = ""
    upload: bool = False
    unchanged: bool = False
    cached: bool = False
    created: bool = False
    image: str = ""
    buildpack: str = ""
    processes: Mapping[str, int] = field(default_factory=dict)
    generated: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    postdeploy: ScriptRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonLine:
    """One fact a plan rests on, and where it was read. `line` 0: the whole file."""

    file: str
    text: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a deploy would do. `plan` is text for people, a step a line with its why; `image` is "(to be built)" when
    no image of this source was looked for. `missing` are required config vars that would stop it."""

    app: str
    exists: bool
    buildpack: str
    image: str
    plan: str
    steps: int
    processes: Mapping[str, int]
    reasons: tuple[ReasonLine, ...]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """One deploy whose image is there. `app` is as it was when the deploy began."""

    context: Context
    act: Act
    request: DeployApp
    app: App
    wanted: Shape
    built: Built
    source: Source


def deploy_app(context: Context, request: DeployApp, act: Act) -> Deployed:
    """Source to a release that serves, and `postdeploy` if that is still to run. Raises what went wrong; the release
    before then still serves."""
    started = context.clock.monotonic()
    app = _known(context, request)
    if (known := _by_content_id(context, request, app)) is not None:
        return known if known.upload or app is None else _with_postdeploy(context, app, known, act)
    with fetched(context, request.source, act.emit, app_id=app.id if app else "", who=act.who) as found:
        work = prepared(context, request, act, app, found)
    done = replace(carried_out(work), created=app is None)
    return replace(done, seconds=round(context.clock.monotonic() - started, 3))


def prepared(context: Context, request: DeployApp, act: Act, app: App | None, found: Fetched) -> Work:
    """The image of what was fetched, and the app (None: it is made), once nothing is known that forbids the release."""
    if found.folder is None:
        images.refuse_foreign(context, found.source.origin, act)
    wanted = inspected(context, found, request.buildpack, environment_of(context, app))
    _tell(act, wanted, request.buildpack)
    wanted = _small(context, app, wanted)
    _check(context, app, request.app, wanted, act)
    present = app or _created(context, request, found.source, act)
    built = build_image(context, present, found, wanted, act.emit, no_cache=request.no_cache)
    return Work(context, act, request, present, wanted, built, found.source)


def carried_out(work: Work) -> Deployed:
    """The release, serving, and its `postdeploy`."""
    done = _unchanged(work)
    if done is None:
        try:
            _create_addons(work)
            done = _served(work, _release(work))
            sleep.declared(work.context, work.app.id, work.wanted.manifest.sleep_after)
        finally:
            # Also after a failure: a deploy that fails again and again must not fill the disk.
            images.collect(work.context, work.app, work.act.emit, operation=work.act.operation)
    return _with_postdeploy(work.context, work.app, done, work.act)


def _with_postdeploy(context: Context, app: App, done: Deployed, act: Act) -> Deployed:
    return replace(done, postdeploy=scripts.postdeploy(context, app, act))


def plan_app(context: Context, request: PlanApp, act: Act) -> Planned:
    """What a deploy of this source (none: a reconcile of what is wanted) would do. Builds, writes, changes nothing."""
    app = _found(context, request.app)
    if request.source is None:
        if app is None:
            raise NotFound(f"there is no app {request.app!r}", hint="name a source to plan its first deploy")
        return _planned(context, app, base_release(context.store, app), None, exists=True)
    with fetched(context, request.source, act.emit, app_id=app.id if app else "", who=act.who) as found:
        wanted = inspected(context, found, request.buildpack, request.environment or environment_of(context, app))
        known = app or App(id=new_id(), name=names.app_name(request.app), created_at=context.clock.now())
        wanted = _small(context, app, wanted)
        coming = _coming(context, known, wanted, found.source)
        first = not base_release(context.store, known).image
        counts = shape.formation(wanted, known, coming.processes, first=first)
        return _planned(context, replace(known, formation=counts), coming, wanted, exists=app is not None)


# --- before the build ----------------------------------------------------------------------------------------------


def _found(context: Context, name: str) -> App | None:
    try:
        return context.store.app(name)
    except NotFound:
        return None


def _known(context: Context, request: DeployApp) -> App | None:
    """The app, None when it is to be created; its name is checked before anything is sent or built."""
    app = _found(context, request.app)
    if app is None:
        names.app_name(request.app)
        if not request.create:
            raise NotFound(f"there is no app {request.app!r}", hint=f"paas create {request.app}")
    return app


def _by_content_id(context: Context, request: DeployApp, app: App | None) -> Deployed | None:
    """What the content id alone answers: this runs already, or, when nothing was sent along, that it has to be sent.
    None: the upload is needed."""
    source = request.source
    if not source.content_id or source.git or source.image or source.commit:
        return None
    answer = _if_same(context, request, app)
    if source.upload and not answer.unchanged:
        return None
    uploads.discard(context.settings, source.upload)
    return answer


def _if_same(context: Context, request: DeployApp, app: App | None) -> Deployed:
    """Answer `unchanged` when this content is what runs, else ask for the upload."""
    release = base_release(context.store, app) if app else None
    same = (
        app is not None
        and release is not None
        and not (request.force or request.no_cache)
        and release.status is ReleaseStatus.SUCCEEDED
        and release.source is not None
        and release.source.id == request.source.content_id
        and request.buildpack in ("", release.buildpack)
        and _shaped_by_source(context, app)
    )
    if not same or app is None or release is None:
        return Deployed(app=request.app, upload=True)
    return _as_it_is(context, app, release)


def _shaped_by_source(context: Context, app: App) -> bool:
    """Whether the wanted release is as its source made it: limits and domains set since might be said otherwise by
    its manifest, so then the whole way is gone (which still builds nothing)."""
    for release in newest_first(context.store, app.id):
        if release.number > app.wanted or release.status is not ReleaseStatus.SUCCEEDED:
            continue
        if release.kind in (ReleaseKind.DEPLOY, ReleaseKind.ROLLBACK):
            return True
        if release.kind in (ReleaseKind.LIMITS, ReleaseKind.DOMAINS, ReleaseKind.PROMOTE, ReleaseKind.CLONE):
            return False
    return False


def _small(context: Context, app: App | None, wanted: Shape) -> Shape:
    """What a review app may have of it; any other app all of it."""
    review = context.store.review(app.id) if app else None
    return shape.reviewed(wanted, review.cap, fork=review.fork) if review else wanted


def _tell(act: Act, wanted: Shape, asked: str) -> None:
    name = wanted.plan.buildpack
    # A push, a webhook and a review app have nobody who asks for it.
    once = asked and wanted.manifest.buildpack != asked
    keep = f', for this deploy alone: buildpack = "{name}" in paas.toml keeps it' if once else ""
    act.emit(Event(kind="note", message=f"buildpack {name}{keep}", data={"buildpack": name}))
    for warning in wanted.plan.warnings:
        act.emit(Event(kind="warning", message=warning))


def _check(context: Context, app: App | None, app_name: str, wanted: Shape, act: Act) -> None:
    """Everything that would make the release impossible, before minutes go into a build."""
    known = app or App(id="", name=names.app_name(app_name), created_at=0)
    base = base_release(context.store, known)
    missing = shape.missing(wanted.manifest, base)
    if missing:
        keys = " ".join(f"{key}=…" for key in missing)
        create = "" if app else f"paas create {app_name}; "
        raise ConfigError(
            f"{app_name} needs config that is not set: {', '.join(missing)}",
            hint=f"{create}paas config set {keys} --app {app_name}",
            details=tuple(f"{key}: {text}" for key, text in missing.items() if text),
        )
    for asked in wanted.manifest.addons if not base.image else ():
        name, _, version = asked.partition(":")
        context.stack.answer(Runtime(kinds.kind(name).runtime, version))
    shape.cron(wanted.manifest, shape.processes(wanted, base))
    check_size(shape.config(wanted.manifest, base))
    domains = shape.domains(wanted.manifest, base)
    check_free(context, known, tuple(host for host in domains if host not in base.domains), act)


def _created(context: Context, request: DeployApp, source: Source, act: Act) -> App:
    """The new app, under the id that its operation was given already. An Engine that is away and an image that cannot
    be had are told before: they leave no empty app behind."""
    context.engine.info()
    if source.kind == "image" and context.builder.find(source.origin) is None:
        context.builder.pull(source.origin, act.emit)
    app_id = context.store.operation(act.operation).app_id if act.operation else ""
    try:
        app = new_app(context, request.app, app_id, act)
    except Conflict:
        app = context.store.app(request.app)  # another first deploy was faster; both go on, one after the other
        if not act.may(app.id, "deployer"):
            raise
        return app
    act.emit(Event(kind="note", app=app.name, message=f"created app {app.name}"))
    return app


# --- after the build -----------------------------------------------------------------------------------------------


def _unchanged(work: Work) -> Deployed | None:
    """The answer when a release would equal the one that runs; None when there is something to do."""
    app = work.context.store.app(work.app.id)
    base = base_release(work.context.store, app)
    if work.request.force or not base.image or base.status is not ReleaseStatus.SUCCEEDED:
        return None
    coming = _next(work.wanted, base, work.built, work.source)
    same = all(getattr(base, name) == getattr(coming, name) for name in COMPARED)
    return _as_it_is(work.context, app, base) if same else None


def _as_it_is(context: Context, app: App, release: Release) -> Deployed:
    return Deployed(
        app=app.name,
        release=release.number,
        url=app_url(context, app),
        unchanged=True,
        cached=True,
        image=release.image,
        buildpack=release.buildpack,
        processes=wanted_counts(app, release),
    )


def _create_addons(work: Work) -> None:
    """The addons that the manifest asks for, at the first deploy; ones that a failed first deploy made are kept."""
    context, app = work.context, work.context.store.app(work.app.id)
    if base_release(context.store, app).image:
        return
    attached = {context.store.addon(bound.addon_id).kind for bound in context.store.attachments(app_id=app.id)}
    for asked in work.wanted.manifest.addons:
        kind, _, version = asked.partition(":")
        if kind not in attached:
            addons.create_addon(context, CreateAddon(kind=kind, version=version, app=app.name), work.act)


def _release(work: Work) -> Release:
    """The next release, carried out."""

    def change(base: Release) -> Release:
        app = work.context.store.app(work.app.id)
        if base.kind is ReleaseKind.DEPLOY and base.number > work.app.wanted:
            message = f"v{base.number} was deployed while this was built; this deploy goes over it"
            work.act.emit(Event(kind="warning", app=app.name, message=message))
        coming = _next(work.wanted, _remembering(work, base), work.built, work.source)
        counts = shape.formation(work.wanted, app, coming.processes, first=not base.image)
        beyond = beyond_addresses(work.context, app, rules_of(work.context, app, coming))
        for warning in (*beyond, *resting(base, coming, counts)):
            work.act.emit(Event(kind="warning", app=app.name, message=warning))
        work.context.store.save_app(replace(app, formation=counts))
        return coming

    return change_release(
        work.context,
        work.app,
        work.act,
        kind=ReleaseKind.DEPLOY,
        description=_description(work.request, work.source),
        change=change,
        release_command=True,
        restart=work.request.force,
    )


def _remembering(work: Work, base: Release) -> Release:
    """`base` with the secrets that a deploy after it made up and failed with: what a release command wrote with one,
    in a database that stays, must be readable to the next try."""
    after = takewhile(lambda one: one.number > base.number, newest_first(work.context.store, work.app.id))
    failed = next((one for one in after if one.kind is ReleaseKind.DEPLOY), None)
    asked = {key for key, var in work.wanted.manifest.env.items() if var.generate and var.value is None}
    known = {key: failed.config[key] for key in asked & failed.config.keys() - base.config.keys()} if failed else {}
    return replace(base, config={**base.config, **known})


def _served(work: Work, release: Release) -> Deployed:
    app = work.context.store.app(work.app.id)
    url = app_url(work.context, app)
    before = last_good(work.context.store, app.id, release.number)
    fresh = release.config.keys() - (before.config.keys() if before else set())
    return Deployed(
        app=app.name,
        release=release.number,
        url=url,
        cached=work.built.cached,
        image=release.image,
        buildpack=release.buildpack,
        processes=wanted_counts(app, release),
        generated=tuple(key for key, var in work.wanted.manifest.env.items() if var.generate and key in fresh),
        warnings=work.wanted.plan.warnings,
    )


def _next(wanted: Shape, base: Release, built: Built | None, source: Source) -> Release:
    """The release that this source makes out of `base`; without an image yet, one that stands for it."""
    manifest = wanted.manifest
    own_image = bool(wanted.plan.dockerfile) or wanted.plan.buildpack == PULLED
    coming = replace(
        shape.timed(base, manifest),
        image=built.image.id if built else TO_BE_BUILT,
        image_ref=built.image.ref if built else TO_BE_BUILT,
        buildpack=wanted.plan.buildpack,
        source=_identified(source, built),
        processes=shape.processes(wanted, base),
        requires=shape.requires(manifest),
        config=shape.config(manifest, base),
        cron=shape.cron(manifest, shape.processes(wanted, base)),
        signals=shape.signals(manifest, shape.processes(wanted, base)),
        alerts=shape.alerts(manifest, shape.processes(wanted, base)),
        scripts=manifest.scripts,
        domains=shape.domains(manifest, base),
        port=shape.port(wanted, built.image.exposed if built and own_image else ()),
    )
    if built and not built.image.command and any(not process.command for process in coming.processes):
        raise ConfigError("the image has no command of its own", hint="name one: web in a Procfile, or CMD")
    return coming


def _identified(source: Source, built: Built | None) -> Source:
    """An image's content id is the image's own."""
    if source.id or built is None:
        return source
    return replace(source, id=built.image.id, version=source.version or built.image.id.removeprefix("sha256:")[:12])


def _description(request: DeployApp, source: Source) -> str:
    said = request.message or source.message
    line = said.strip().partition("\n")[0][:200]
    return line or f"deploy {source.version or source.origin}".rstrip()


# --- the plan ------------------------------------------------------------------------------------------------------


def _coming(context: Context, app: App, wanted: Shape, source: Source) -> Release:
    """The release a deploy would make, under the number it would get."""
    base = base_release(context.store, app)
    coming = _next(wanted, base, None, source)
    if base.source is not None and source.id and base.source.id == source.id and base.buildpack == coming.buildpack:
        coming = replace(coming, image=base.image, image_ref=base.image_ref)
    number = next((release.number for release in newest_first(context.store, app.id)), 0) + 1
    introduced = {name: known or number for name, known in since(base, coming).items()}
    return replace(coming, number=number, kind=ReleaseKind.DEPLOY, since=introduced)


def _planned(context: Context, app: App, release: Release, wanted: Shape | None, *, exists: bool) -> Planned:
    steps = plan_of(world(context), app, release, release_command=wanted is not None)
    return Planned(
        app=app.name,
        exists=exists,
        buildpack=release.buildpack,
        image=release.image,
        plan=render(steps),
        steps=len(steps.steps),
        processes=wanted_counts(app, release),
        reasons=tuple(ReasonLine(file=r.file, text=r.text, line=r.line) for r in wanted.plan.reasons) if wanted else (),
        warnings=wanted.plan.warnings if wanted else (),
        missing=tuple(shape.missing(wanted.manifest, base_release(context.store, app))) if wanted else (),
    )
