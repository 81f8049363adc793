"""Promote: the image that runs in one app becomes a release of others, without a build.

The image, the process types and what else the source said come along. Config, domains, addons, replicas and limits
are the target's own and stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from paas.errors import ConfigError, Conflict, Denied, DeployFailed, PaasError, UsageError
from paas.model.app import App, ProcessSpec, Release, ReleaseKind, ReleaseStatus
from paas.model.events import Event
from paas.model.people import Role
from paas.model.pipeline import next_places
from paas.model.secret import Secret
from paas.requests.pipelines import DiffPipeline, PromoteApp
from paas.usecases import images, scripts
from paas.usecases.context import Act, Context
from paas.usecases.domains import app_url
from paas.usecases.pipelines import place_of
from paas.usecases.releases import Difference, change_release, differences
from paas.usecases.scripts import ScriptRun
from paas.usecases.switch import base_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Promoted:
    """What became of one target. `changed` False: it runs just that already, no release was made. `postdeploy` is what
    became of that script (None: it was not to run)."""

    app: str
    release: int
    url: str
    changed: bool = True
    postdeploy: ScriptRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDifference:
    """What a promotion would change in `to`, from what is there to what would be. Config vars by key alone: those that
    only one of the two has; a promotion leaves them as they are."""

    app: str
    to: str
    changes: tuple[Difference, ...]


def promote_app(context: Context, request: PromoteApp, act: Act) -> tuple[Promoted, ...]:
    """Every target in turn; one that fails keeps what ran there, and the others go on.

    Raises Conflict when nothing runs in the app, when its image is gone, when there is no target, or when all of them
    run just that; DeployFailed, naming each, when some of several failed; else what the one target failed with.
    """
    app = context.store.app(request.app)
    running = _running(context, app)
    targets = _targets(context, app, request.to, act, "deployer")
    if all(_same(running, base_release(context.store, target)) for target in targets):
        names = ", ".join(target.name for target in targets)
        raise Conflict(f"{names} already runs what {app.name} runs", hint=f"paas pipelines diff -a {app.name}")
    done, failed = [], {}
    for target in targets:
        try:
            done.append(_promoted(context, app, running, target, act))
        except PaasError as error:
            if len(targets) == 1:
                raise
            failed[target.name] = error
    if failed:
        raise _some_failed(done, failed)
    return tuple(done)


def diff_pipeline(context: Context, request: DiffPipeline, act: Act) -> tuple[StageDifference, ...]:
    """Raises Conflict when there is no target."""
    app = context.store.app(request.app)
    return tuple(
        StageDifference(app=app.name, to=target.name, changes=_stage_differences(context, app, target))
        for target in _targets(context, app, (request.to,) if request.to else (), act, "viewer")
    )


def promotion(running: Release, base: Release, image_ref: str) -> Release:
    """The release that `running` of another app makes out of a target's `base`. Pure."""
    return replace(
        base,
        image=running.image,
        image_ref=image_ref,
        buildpack=running.buildpack,
        source=running.source,
        processes=tuple(_own_limits(process, base) for process in running.processes),
        requires=running.requires,
        cron=running.cron,
        signals=running.signals,
        alerts=running.alerts,
        scripts=running.scripts,
        port=running.port,
        drain=running.drain,
        deploy_timeout=running.deploy_timeout,
        release_timeout=running.release_timeout,
    )


def _own_limits(process: ProcessSpec, base: Release) -> ProcessSpec:
    before = base.process(process.name)
    return replace(process, limits=before.limits) if before else process


def _running(context: Context, app: App) -> Release:
    _refuse_review(context, app)
    release = base_release(context.store, app)
    if release.image and release.status is ReleaseStatus.PENDING:
        raise Conflict(
            f"v{release.number} of {app.name} does not serve yet",
            hint=f"promote it when it does: paas operations -a {app.name}",
        )
    if not release.image or release.status is not ReleaseStatus.SUCCEEDED:
        raise Conflict(f"nothing runs in {app.name} that could be promoted", hint=f"paas deploy -a {app.name}")
    _refuse_gone(context, app, release)
    return release


def _refuse_gone(context: Context, app: App, release: Release) -> None:
    if context.builder.find(release.image) is None:
        raise Conflict(f"the image of {app.name} v{release.number} is gone", hint=f"paas deploy -a {app.name} --force")


def _refuse_review(context: Context, app: App) -> None:
    """Raise Conflict for a review app: what it runs was made smaller than what its source says, and stays so."""
    if context.store.review(app.id) is not None:
        raise Conflict(
            f"{app.name} is a review app: what it runs goes nowhere else",
            hint="merge its branch, and promote what is deployed of that",
        )


def _targets(context: Context, app: App, named: tuple[str, ...], act: Act, role: Role) -> tuple[App, ...]:
    """The apps named, else those at the next stage. Those named must be in the same pipeline."""
    place = place_of(context, app)
    if place is None:
        raise Conflict(f"{app.name} is in no pipeline", hint=f"paas pipelines add NAME --stage STAGE -a {app.name}")
    places = context.store.places(place.pipeline)
    if not named:
        found = tuple(context.store.app(one.app_id) for one in next_places(places, place.stage))
        if not found:
            raise Conflict(f"no app of {place.pipeline} comes after {place.stage.value}", hint="name one: --to APP")
        refused = [target for target in found if not act.may(target.id, role)]
        if refused:
            raise Denied(f"that takes the role {role} on every app of the next stage", hint="name yours: --to APP")
        return found
    members = {one.app_id for one in places}
    apps = {target.id: target for target in map(context.store.app, named)}
    for target in apps.values():
        _refuse_review(context, target)
        if target.id == app.id:
            raise UsageError(f"{app.name} cannot be promoted to itself", hint="name another app: --to APP")
        if target.id not in members:
            raise Conflict(
                f"{target.name} is not in the pipeline {place.pipeline}",
                hint=f"paas pipelines add {place.pipeline} --stage STAGE -a {target.name}",
            )
    return tuple(apps.values())


def _promoted(context: Context, app: App, running: Release, target: App, act: Act) -> Promoted:
    base = base_release(context.store, target)
    if _same(running, base):
        return _unchanged(context, target)
    _check_config(app, running, target, base)
    if lacking := sorted(running.config.keys() - base.config.keys()):
        message = f"{target.name} has no {', '.join(lacking)}, which {app.name} has"
        act.emit(Event(kind="warning", app=target.name, message=message))
    ref = f"{context.settings.instance}/{target.id}:{running.image.removeprefix('sha256:')[:12]}"

    def change(base: Release) -> Release:
        if _same(running, base):
            raise _Done  # somebody else promoted it while this waited for its turn
        _check_config(app, running, target, base)
        _refuse_gone(context, app, running)
        # A name of its own keeps the image for the target when the source collects or goes away. It is given under the
        # target's lock: a deploy there that ends meanwhile would collect a name that no release has.
        context.builder.tag(running.image, ref)
        fresh = context.store.app(target.id)
        coming = promotion(running, base, ref)
        context.store.save_app(replace(fresh, formation=formation(fresh.formation, coming)))
        return coming

    try:
        release = change_release(
            context,
            target,
            act,
            kind=ReleaseKind.PROMOTE,
            description=f"promote {app.name} v{running.number}",
            change=change,
            release_command=True,
        )
    except _Done:
        return _unchanged(context, target)
    finally:
        images.collect(context, target, act.emit, operation=act.operation)
    ran = scripts.postdeploy(context, target, act)
    return Promoted(app=target.name, release=release.number, url=app_url(context, target), postdeploy=ran)


class _Done(Exception):
    """The target runs just that already."""


def _unchanged(context: Context, target: App) -> Promoted:
    fresh = context.store.app(target.id)
    return Promoted(app=fresh.name, release=fresh.wanted, url=app_url(context, fresh), changed=False)


def _check_config(app: App, running: Release, target: App, base: Release) -> None:
    """Raise ConfigError when the target lacks what the source says it cannot run without."""
    if lacking := [key for key in running.requires if key not in base.config]:
        raise ConfigError(
            f"{target.name} lacks config that {app.name} v{running.number} requires: {', '.join(lacking)}",
            hint=f"paas config set {' '.join(f'{key}=…' for key in lacking)} --app {target.name}",
        )


def formation(before: Mapping[str, int], coming: Release) -> dict[str, int]:
    """Replicas per process type: the target's own; of a type that is new there as a first deploy has it."""
    found = dict(before)
    for process in coming.processes:
        if process.name == "release" or process.name in found:
            continue
        found[process.name] = process.start()
    return found


def _same(running: Release, base: Release) -> bool:
    coming = promotion(running, base, base.image_ref)
    return base.status is ReleaseStatus.SUCCEEDED and replace(coming, source=base.source) == base


def _stage_differences(context: Context, app: App, target: App) -> tuple[Difference, ...]:
    """Of what the target would run, of config vars by key, and of what is attached: by alias, kind and version. Which
    addon it is, is each app's own."""
    before, after = (base_release(context.store, one) for one in (target, app))
    coming = replace(promotion(after, before, before.image_ref), config=after.config)
    found = differences(_comparable(before), _comparable(coming))
    lacking = [key for key in after.requires if key not in before.config]
    required = [Difference(what=f"requires config {key}", before="", after="not set there") for key in lacking]
    old, new = _attached(context, target), _attached(context, app)
    addons = [
        Difference(what=f"addon {alias}", before=old.get(alias, ""), after=new.get(alias, ""))
        for alias in sorted(old.keys() | new.keys())
        if old.get(alias) != new.get(alias)
    ]
    return (*found, *addons, *required)


def _attached(context: Context, app: App) -> dict[str, str]:
    """`postgres 17` by alias."""
    bound = context.store.attachments(app_id=app.id)
    addons = {one.alias: context.store.addon(one.addon_id) for one in bound}
    return {alias: f"{addon.kind} {addon.version}" for alias, addon in addons.items()}


def _comparable(release: Release) -> Release:
    """Without what is each app's own: values of config vars, hosts, and addons, which are compared by themselves."""
    return replace(release, config={key: Secret("set") for key in release.config}, domains=(), addons=())


def _some_failed(done: list[Promoted], failed: Mapping[str, PaasError]) -> DeployFailed:
    live = ", ".join(f"{one.app} v{one.release}" for one in done) or "none"
    return DeployFailed(
        f"{len(failed)} of {len(failed) + len(done)} targets failed: {', '.join(failed)}; live: {live}",
        hint="those that failed serve what they served before",
        details=tuple(f"{name}: {error.message}" for name, error in failed.items()),
    )
