"""What a review app is given before its first deploy: config, addons of its own, seed data. Each step looks at what is
there already, so that one that was cut short is finished by doing all of it again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from paas.addons import kinds
from paas.errors import Conflict, NotFound
from paas.model.app import Addon, App, Attachment, Release, ReleaseKind
from paas.model.events import Event, silent
from paas.model.pipeline import Place, Stage
from paas.model.reviews import Review, ReviewPolicy
from paas.model.secret import Secret
from paas.requests.addons import AttachAddon, CreateAddon
from paas.usecases.addons import attach_addon, create_addon
from paas.usecases.audit import note_new_app
from paas.usecases.backups import restore_dump
from paas.usecases.config import check_size
from paas.usecases.context import Act, Context
from paas.usecases.pipelines import changing, place_of
from paas.usecases.releases import change_release
from paas.usecases.review_policy import Seed, bound_keys, seeds_of
from paas.usecases.scripts import change_setup
from paas.usecases.steps import step
from paas.usecases.switch import base_release


@dataclass(frozen=True, slots=True)
class Preparation:
    """One review app that is to get what it needs. `policy` is its parent's."""

    context: Context
    act: Act
    review: Review
    parent: App
    policy: ReviewPolicy


def prepared(work: Preparation) -> Review:
    """Make the app with all it needs for its first deploy. Raises what went wrong; what is there by then stays for the
    next attempt, and goes when the review is closed."""
    app = _made(work)
    _placed(work, app)
    if base_release(work.context.store, app).image:
        return work.review
    _configured(work, app)
    if work.policy.addons:
        _equipped(work, app)
    return _seeded(work, app)


def _made(work: Preparation) -> App:
    """The app under its id. It belongs to nobody: roles on its parent are roles on it."""
    context, review = work.context, work.review
    app = next((one for one in context.store.apps() if one.id == review.app_id), None)
    if app is None:
        app = App(id=review.app_id, name=review.name, created_at=context.clock.now())
        if work.act.who is not None:
            note_new_app(context, work.act.who, app)
        context.store.add_app(app)
    if not context.store.setup(app.id).environment:
        change_setup(context, app.id, environment=Stage.REVIEW.value)
    return app


def _placed(work: Preparation, app: App) -> None:
    """In the pipeline of its parent, to be seen there; what it runs goes nowhere else."""
    with changing(work.context, work.act):
        place = place_of(work.context, work.parent)
        if place is not None and place_of(work.context, app) is None:
            work.context.store.put_place(Place(app_id=app.id, pipeline=place.pipeline, stage=Stage.REVIEW))


def _configured(work: Preparation, app: App) -> None:
    """What was named of the parent's config, and values of their own; for a stranger's code neither."""
    context, act = work.context, work.act
    theirs = base_release(context.store, work.parent)
    given = {} if work.review.fork else config_of(theirs, work.policy)
    if left := sorted(theirs.config.keys() - given.keys() - bound_keys(theirs)):
        message = f"not taken along from {work.parent.name}: {', '.join(left)}"
        act.emit(Event(kind="note", app=app.name, message=message))
    base = base_release(context.store, app)
    if all(base.config.get(name) == value for name, value in given.items()):
        return

    def change(base: Release) -> Release:
        check_size({**base.config, **given})
        return replace(base, config={**base.config, **given})

    description = f"config of a review app of {work.parent.name}"
    change_release(context, app, act, kind=ReleaseKind.CONFIG, description=description, change=change)


def config_of(theirs: Release, policy: ReviewPolicy) -> dict[str, Secret]:
    """What comes along, whatever was attached since it was named: never the parent's database."""
    named = [name for name in policy.inherit if name in theirs.config and name not in bound_keys(theirs)]
    return {**{name: theirs.config[name] for name in named}, **policy.config}


def _equipped(work: Preparation, app: App) -> None:
    """Addons of its own: for each attached to the parent one of the same kind and version, under the same aliases."""
    store = work.context.store
    mirrored: dict[str, str] = {}
    for wanted in sorted(store.attachments(app_id=work.parent.id), key=lambda one: one.alias):
        there = {one.alias: one.addon_id for one in store.attachments(app_id=app.id)}
        # Also one that is attached already: a server that was killed may not have come to its config var.
        _attached(work, app, wanted, there.get(wanted.alias, "") or mirrored.get(wanted.addon_id, ""))
        there = {one.alias: one.addon_id for one in store.attachments(app_id=app.id)}
        mirrored[wanted.addon_id] = there[wanted.alias]


def _attached(work: Preparation, app: App, wanted: Attachment, known: str) -> None:
    model = work.context.store.addon(wanted.addon_id)
    own = known or _left(work.context, app, model)
    if own:
        attach_addon(work.context, AttachAddon(addon=own, app=app.name, alias=wanted.alias), work.act)
        return
    request = CreateAddon(kind=model.kind, version=model.version, app=app.name, alias=wanted.alias)
    create_addon(work.context, request, work.act)


def _left(context: Context, app: App, model: Addon) -> str:
    """One of its own that was made but not attached before the server was killed; empty: none."""
    used = {one.addon_id for one in context.store.attachments(app_id=app.id)}
    left = [one for one in context.store.addons() if one.owner_app == app.id and one.id not in used]
    return next((one.id for one in left if (one.kind, one.version) == (model.kind, model.version)), "")


def _seeded(work: Preparation, app: App) -> Review:
    """Restore the seed before anything of the app runs; what was restored half is restored again."""
    context, review, parent = work.context, work.review, work.parent
    if not work.policy.seed or review.fork or review.seeded:
        return review
    for seed in seeds_of(context, parent, work.policy):
        own = _seeds(work, app, seed)
        with step(context, work.act.emit, f"seed {own.name} with {seed.name}"):
            restore_dump(context, own, seed.path, seed.name, work.act)
    return changed(context, review, seeded=True)


def _seeds(work: Preparation, app: App, seed: Seed) -> Addon:
    """Which addon of its own the seed is for: the one that stands for the addon it was taken of; else the one under the
    usual alias of its kind, else any. Raises Conflict when there is none of that kind."""
    store = work.context.store
    fits = {one.id: one for one in store.addons() if one.owner_app == app.id and one.kind == seed.kind}
    aliases = {one.alias: one.addon_id for one in store.attachments(app_id=app.id)}
    model = [one.alias for one in store.attachments(app_id=work.parent.id) if one.addon_id == seed.addon_id]
    for alias in (*sorted(model), kinds.kind(seed.kind).alias):
        if (found := fits.get(aliases.get(alias, ""))) is not None:
            return found
    if fits:
        return next(iter(fits.values()))
    raise Conflict(
        f"the seed is of a {seed.kind}, and {app.name} has none",
        hint=f"attach one to {work.parent.name}, or leave out the seed: paas reviews enable -a {work.parent.name}",
    )


def changed(context: Context, review: Review, **changes: Any) -> Review:
    """Keep these changes of a review, and none that somebody else made meanwhile is lost. Raises NotFound."""
    with context.locks.hold(f"review state {review.app_id}", "a moment", silent):
        latest = context.store.review(review.app_id)
        if latest is None:
            raise NotFound(f"the review app {review.name} is gone", hint="open it again: paas reviews open")
        done = replace(latest, **changes)
        context.store.put_review(done)
        return done
