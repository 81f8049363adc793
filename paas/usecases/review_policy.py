"""Whether an app has review apps, which config and data they get, and from where their code comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paas.addons import kinds
from paas.build.sizes import LEAST_MEMORY
from paas.egress.policy import Policy
from paas.errors import ConfigError, Conflict, NotFound, UsageError
from paas.model.app import App, Release
from paas.model.reviews import LATEST, UPLOADED, Cap, ReviewPolicy
from paas.model.secret import Secret
from paas.requests.reviews import DisableReviews, EnableReviews, ShowReviewPolicy
from paas.settings import Settings
from paas.sources import redacted
from paas.sources.clone import check_address
from paas.usecases import repository, uploads
from paas.usecases.backups import check_dump, dumps_of
from paas.usecases.bindings import key
from paas.usecases.config import checked
from paas.usecases.context import Act, Context
from paas.usecases.switch import base_release


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyShown:
    """What review apps of an app are like. `config` are the keys of values of their own, `inherit` the keys that come
    along; no values. `source` without what is secret in it; `lacks` says what keeps the first one from being opened.
    `enabled` False: there are none, the rest is empty."""

    app: str
    enabled: bool
    ttl: float = 0.0
    most: int = 0
    memory: int = 0
    cpus: float = 0.0
    replicas: int = 0
    inherit: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    source: str = ""
    seed: str = ""
    addons: bool = False
    lacks: str = ""


def show_review_policy(context: Context, request: ShowReviewPolicy, act: Act) -> PolicyShown:
    """Raises NotFound."""
    return _shown(context, context.store.app(request.app))


def enable_reviews(context: Context, request: EnableReviews, act: Act) -> PolicyShown:
    """Counts for what is opened from now on. Raises UsageError, Conflict for a config var that must not come along,
    NotFound for a seed that is not there, Denied for a source that the server may not reach."""
    app = context.store.app(request.app)
    own = checked(request.config, ())
    _check(context, app, request, own, act)
    policy = ReviewPolicy(
        app_id=app.id, created_at=context.clock.now(), created_by=act.actor, ttl=request.ttl, most=request.most,
        cap=Cap(memory=request.memory, cpus=request.cpus, replicas=request.replicas), inherit=request.inherit,
        config=own, source=Secret(request.source), seed=UPLOADED if request.upload else request.seed,
        addons=request.addons,
    )  # fmt: skip
    if request.upload:
        _keep_upload(context, app, request.upload)
    else:
        seed_file(context.settings, app.id).unlink(missing_ok=True)
    context.store.put_review_policy(policy)
    return _shown(context, app)


def disable_reviews(context: Context, request: DisableReviews, act: Act) -> PolicyShown:
    """Idempotent."""
    app = context.store.app(request.app)
    context.store.delete_review_policy(app.id)
    seed_file(context.settings, app.id).unlink(missing_ok=True)
    return _shown(context, app)


def policy_of(context: Context, app: App) -> ReviewPolicy:
    """Raises Conflict when the app has no review apps."""
    policy = context.store.review_policy(app.id)
    if policy is None:
        raise Conflict(f"{app.name} has no review apps", hint=f"paas reviews enable -a {app.name}")
    return policy


def no_source(app: App) -> str:
    """What is missing where neither the policy nor a deploy hook names a repository."""
    return f"nobody said where the code of {app.name} is"


def followed_branches(context: Context, app: App) -> tuple[str, ...]:
    """Branches of the app's own repository that have a review app: none where another repository was named."""
    there = tuple(one.branch for one in context.store.reviews(app.id) if one.number == 0 and not one.fork)
    if not there or _named(context, app, context.store.review_policy(app.id)):
        return ()
    return there


def seed_file(settings: Settings, app_id: str) -> Path:
    """Where a dump that was sent is kept."""
    return settings.home / "seeds" / f"{app_id}.dump"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A dump to begin with: where it is, the kind of addon it is of, what to call it. `addon_id` is the parent's addon
    it was taken of; empty for a dump that was sent."""

    path: Path
    kind: str
    name: str
    addon_id: str = ""


def seeds_of(context: Context, app: App, policy: ReviewPolicy) -> tuple[Seed, ...]:
    """What is restored: of `latest` the newest backup of each addon of the parent's own, else one. Raises NotFound when
    it is gone."""
    if policy.seed != UPLOADED:
        return _backups(context, app, policy.seed)
    path = seed_file(context.settings, app.id)
    if not path.is_file():
        raise NotFound("the dump that was sent as seed is gone", hint=f"paas reviews enable -a {app.name} --seed …")
    return (Seed(path=path, kind=_kind_of(path), name=UPLOADED),)


def bound_keys(release: Release) -> frozenset[str]:
    """The config vars that the app's own addons bind: never another app's."""
    return frozenset(map(key, release.addons))


def _check(context: Context, app: App, request: EnableReviews, own: Mapping[str, Secret], act: Act) -> None:
    if context.store.review(app.id) is not None:
        raise Conflict(f"{app.name} is a review app itself", hint="enable them on its parent")
    if 0 < request.memory < LEAST_MEMORY:
        raise UsageError("a replica needs 16M of memory at the least", hint="--memory 256M")
    bound = bound_keys(base_release(context.store, app))
    for name in (*request.inherit, *own):
        if name in bound:
            raise Conflict(
                f"{name} is bound by an addon of {app.name}: review apps get addons of their own",
                hint="leave it out; it is set to their own",
            )
    for name in request.inherit:
        checked({name: ""}, ())
        if name in own:
            raise UsageError(f"{name} is to come along and to have a value of its own", hint="name it once")
    if "#" in request.source:
        raise UsageError("the source names the repository alone", hint="the branch is said when one is opened")
    if request.source and not (act.who is not None and act.who.via == "socket"):
        check_address(request.source, Policy.of(context.settings.egress_allow, context.settings.subnets))
    if request.upload and request.seed:
        raise UsageError("a seed is a backup or a dump, not both")
    if request.seed:
        _backups(context, app, request.seed)


def _backups(context: Context, app: App, wanted: str) -> tuple[Seed, ...]:
    mine = [one for one in context.store.addons() if one.owner_app == app.id]
    kept = {addon.id: dumps_of(context, addon) for addon in mine}
    chosen = [next(iter(dumps), None) for dumps in kept.values()] if wanted == LATEST else []
    named = [one for dumps in kept.values() for one in dumps if one[0].id == wanted]
    # Two addons may have been backed up in the same second, under the same id: each is what was asked for.
    found = tuple(one for one in (*chosen, *named) if one is not None)
    for line, path in found:
        check_dump(line, path)
    if found:
        return tuple(Seed(path=path, kind=line.kind, name=line.id, addon_id=line.addon_id) for line, path in found)
    newest = sorted((line.at, line.id) for dumps in kept.values() for line, _ in dumps)[:-6:-1]
    listed = ", ".join(one for _, one in newest)
    raise NotFound(
        f"no backup {wanted[:80]!r} of the addons of {app.name}",
        hint=f"there are: {listed}" if listed else f"take one: paas db backup -a {app.name}",
    )


def _kind_of(path: Path) -> str:
    """The kind of addon whose dumps begin like this. Raises ConfigError."""
    with path.open("rb") as dump:
        head = dump.read(64)
    for kind in kinds.load():
        if kind.dump_magic and head.startswith(kind.dump_magic.encode()):
            return kind.name
    raise ConfigError("this is no dump that can be restored", hint="make one with: pg_dump -Fc, or paas db backup")


def _keep_upload(context: Context, app: App, upload: str) -> None:
    """Out of the uploads, which are cleared away, to a place of its own."""
    path = uploads.find(context.settings, upload)
    _kind_of(path)
    place = seed_file(context.settings, app.id)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o600)
    path.replace(place)


def _shown(context: Context, app: App) -> PolicyShown:
    policy = context.store.review_policy(app.id)
    if policy is None:
        return PolicyShown(app=app.name, enabled=False)
    cap = policy.cap
    return PolicyShown(
        app=app.name, enabled=True, ttl=policy.ttl, most=policy.most, memory=cap.memory, cpus=cap.cpus,
        replicas=cap.replicas, inherit=policy.inherit, config=tuple(sorted(policy.config)),
        source=redacted(policy.source.reveal()), seed=policy.seed, addons=policy.addons,
        lacks="" if _known(context, app, policy) else no_source(app),
    )  # fmt: skip


def _known(context: Context, app: App, policy: ReviewPolicy) -> bool:
    """Whether there is a repository that the code can come from: one that was named, or the app's own."""
    return _named(context, app, policy) or repository.has_refs(repository.path_of(context.settings, app.id))


def _named(context: Context, app: App, policy: ReviewPolicy | None) -> bool:
    """Whether the policy or a deploy hook names a repository."""
    return bool((policy and policy.source.reveal()) or context.store.deploy_hooks(app.id))
