"""Clone: a new app that runs what another one runs, with addons of its own, and their data if that is asked for.

A clone is whole or it is not there. Until it is, its set-up names the app it comes from: what fails takes it away, what
a killed server left is finished or taken away by `ClonesLeft`, or by whoever asks for the same clone again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from paas.addons import kinds
from paas.errors import Conflict, Denied, NotFound
from paas.model import names
from paas.model.app import Addon, App, Release, ReleaseKind, ReleaseStatus
from paas.model.build import Runtime
from paas.model.events import Emit, Event
from paas.model.people import Grant
from paas.model.runs import CronMark
from paas.model.scripts import Setup
from paas.model.sleep import Sleep
from paas.requests.addons import AttachAddon, CreateAddon, DestroyAddon
from paas.requests.apps import CloneApp, DestroyApp
from paas.usecases import addons, images, scripts
from paas.usecases.apps import destroy_app, new_app, wanted_counts
from paas.usecases.backups import Copied, copy_data
from paas.usecases.bindings import bound
from paas.usecases.config import check_size
from paas.usecases.context import Act, Context
from paas.usecases.domains import app_url
from paas.usecases.releases import change_release
from paas.usecases.scripts import ScriptRun
from paas.usecases.switch import base_release, in_words, last_good


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloned:
    """A clone that serves. `source_release` is the number of what was cloned, `addons` its own, `copied` the data they
    got, `paused` scheduled jobs that do not fire until they are resumed. `postdeploy`: what became of that script
    (None: it was not to run)."""

    app: str
    source: str
    source_release: int
    release: int
    url: str
    processes: Mapping[str, int]
    addons: tuple[str, ...]
    copied: tuple[Copied, ...]
    paused: tuple[str, ...]
    postdeploy: ScriptRun | None


@dataclass(frozen=True, slots=True)
class _Original:
    """What is cloned, as it was when that began."""

    app: App
    release: Release
    addons: Mapping[str, Addon]
    """By alias."""


def clone_app(context: Context, request: CloneApp, act: Act) -> Cloned:
    """Everything that forbids it is found before anything is made; what fails then leaves nothing behind.

    Raises Conflict for a name that is taken and for an app in which nothing runs, Denied for data that is another
    app's, ConfigError for an addon whose version cannot be had any more, and what a release fails with.
    """
    original = _original(context, request.app)
    name = names.app_name(request.name)
    team = context.store.team(request.team) if request.team else None
    _check(context, original, request, act)
    reason = f"{act.actor}: clone {original.app.name}"
    with context.locks.hold(lock_name(name), reason, act.emit):
        _make_room(context, original, name, act)
        app = new_app(context, name, _coming_id(context, act), act, source=original.app)
        # By its id too: somebody may rename it meanwhile.
        with context.locks.hold(lock_name(app.id), reason, act.emit):
            try:
                if team is not None:
                    context.store.put_grant(Grant(app_id=app.id, role="deployer", team_id=team.id))
                made = _made(context, original, app, request, act)
            except BaseException:
                _take_away(context, app, original.app.id, act)
                raise
    return replace(made, postdeploy=scripts.postdeploy(context, app, act))


def lock_name(name_or_id: str) -> str:
    """Held while a clone of that name, or with that id, is made or taken away."""
    return f"clone {name_or_id}"


# --- before anything is made ----------------------------------------------------------------------------------------


def _original(context: Context, name: str) -> _Original:
    app = context.store.app(name)
    release = base_release(context.store, app)
    if release.status is not ReleaseStatus.SUCCEEDED:
        release = last_good(context.store, app.id, release.number) or release
    if not release.image or release.status is not ReleaseStatus.SUCCEEDED:
        raise Conflict(f"nothing runs in {app.name} that could be cloned", hint=f"paas deploy -a {app.name}")
    if context.builder.find(release.image) is None:
        raise Conflict(f"the image of {app.name} v{release.number} is gone", hint=f"paas deploy -a {app.name} --force")
    attached = context.store.attachments(app_id=app.id)
    return _Original(app, release, {one.alias: context.store.addon(one.addon_id) for one in attached})


def _check(context: Context, original: _Original, request: CloneApp, act: Act) -> None:
    for addon in original.addons.values():
        context.stack.answer(Runtime(kinds.kind(addon.kind).runtime, addon.version))
        if request.with_data and not act.may(addon.owner_app, "operator"):
            raise Denied(
                f"the data of addon {addon.name} is another app's: that takes the role operator there",
                hint="clone without --with-data",
            )


def _coming_id(context: Context, act: Act) -> str:
    """The id that the operation was given for it."""
    return next(iter(context.store.operation(act.operation).others), "") if act.operation else ""


def _make_room(context: Context, original: _Original, name: str, act: Act) -> None:
    """Raise Conflict when there is an app of that name, unless it is what was left of the same clone: that goes."""
    try:
        there = context.store.app(name)
    except NotFound:
        return
    ours = context.store.setup(there.id).cloning == original.app.id and act.may(there.id, "owner")
    with context.locks.try_hold(lock_name(there.id), "clearing up") as free:
        if not (ours and free):
            raise Conflict(
                f"there is an app {name!r} already",
                hint=f"choose another name, or take that one away first: paas destroy {name}",
            )
        act.emit(Event(kind="note", app=name, message=f"{name} was left half-made: it is made anew"))
        _take_away(context, there, original.app.id, act)


# --- making it ------------------------------------------------------------------------------------------------------


def _made(context: Context, original: _Original, app: App, request: CloneApp, act: Act) -> Cloned:
    before = context.store.setup(original.app.id)
    context.store.put_setup(Setup(app_id=app.id, environment=before.environment, cloning=original.app.id))
    # A name of its own keeps the image for the clone, whatever becomes of the original.
    ref = _ref(context, app, original.release)
    context.builder.tag(original.release.image, ref)
    own = _addons(context, original, app, act)
    copied = tuple(copy_data(context, addon, own[addon.id], act) for addon in _each(original) if request.with_data)
    paused = _settings(context, original, app, act)
    release = _release(context, original, app, ref, act)
    # Data that was copied has had its postdeploy.
    scripts.change_setup(context, app.id, cloning="", done=release.number if request.with_data else 0)
    _tell(context, original, app, act)
    fresh = context.store.app(app.id)
    return Cloned(
        app=fresh.name, source=original.app.name, source_release=original.release.number, release=release.number,
        url=app_url(context, fresh), processes=wanted_counts(fresh, release),
        addons=tuple(sorted({addon.name for addon in own.values()})), copied=copied, paused=paused, postdeploy=None,
    )  # fmt: skip


def _each(original: _Original) -> tuple[Addon, ...]:
    """Its addons, each once, however many aliases it has."""
    return tuple({addon.id: addon for addon in original.addons.values()}.values())


def _addons(context: Context, original: _Original, app: App, act: Act) -> dict[str, Addon]:
    """The clone's own, by the id of the one each stands for, under the same aliases."""
    own: dict[str, Addon] = {}
    for alias, addon in original.addons.items():
        if addon.id in own:
            addons.attach_addon(context, AttachAddon(addon=own[addon.id].id, app=app.id, alias=alias), act)
            continue
        made = addons.create_addon(
            context, CreateAddon(kind=addon.kind, version=addon.version, app=app.id, alias=alias), act
        )
        own[addon.id] = context.store.addon(made.name)
    return own


def _settings(context: Context, original: _Original, app: App, act: Act) -> tuple[str, ...]:
    """What is set beside releases: rules of autoscaling, sleep. Scheduled jobs are paused, before there are any: whose
    mails they send and whose bills they write is for somebody to look at first. Answers their names."""
    now = context.clock.now()
    for override in context.store.overrides(original.app.id):
        context.store.put_override(replace(override, app_id=app.id, actor=act.actor, at=now))
    if (sleep := context.store.sleep(original.app.id)) is not None:
        context.store.put_sleep(Sleep(app_id=app.id, after=sleep.after, since=now, by_file=sleep.by_file))
    for job in original.release.cron:
        mark = CronMark(app_id=app.id, job=job.name, timing=job.timing, seen_at=now, paused_by=act.actor, paused_at=now)
        context.store.put_mark(mark)
    return tuple(job.name for job in original.release.cron)


def _release(context: Context, original: _Original, app: App, ref: str, act: Act) -> Release:
    def change(base: Release) -> Release:
        # Its own addons' config vars instead of the original's; its default host alone.
        coming = bound(context.store, app.id, replace(original.release, image_ref=ref, domains=()))
        check_size(coming.config)
        context.store.save_app(replace(context.store.app(app.id), formation=dict(original.app.formation)))
        return coming

    try:
        return change_release(
            context,
            app,
            act,
            kind=ReleaseKind.CLONE,
            description=f"clone {original.app.name} v{original.release.number}",
            change=change,
            release_command=True,
        )
    finally:
        images.collect(context, app, act.emit, operation=act.operation)


def _tell(context: Context, original: _Original, app: App, act: Act) -> None:
    """Of the original, what became of it; where to is for those who may read its audit log."""
    said = {
        original.app.id: (original.app.name, f"v{original.release.number} was cloned by {act.actor}"),
        app.id: (app.name, f"is a clone of {original.app.name} v{original.release.number}"),
    }
    for app_id, (name, message) in said.items():
        facts = {"release": original.release.number}
        event = Event(kind="app.cloned", app=name, message=message, at=context.clock.now(), data=facts)
        context.store.add_event(event, app_id, act.operation, act.actor)


# --- what is not whole ----------------------------------------------------------------------------------------------


def _take_away(context: Context, app: App, source_id: str, act: Act) -> None:
    """Leave nothing of a clone of that app. What fails here is only told: the cause is more important, and it is tried
    again."""
    try:
        for addon in context.store.addons():
            if addon.owner_app == app.id:
                addons.destroy_addon(context, DestroyAddon(addon=addon.id, confirm=addon.name, backup=False), act)
        for ref in {_ref(context, app, one) for one in _releases(context, source_id)}:
            context.builder.remove(ref)
        left = context.store.app(app.id)
        destroy_app(context, DestroyApp(app=left.id, confirm=left.name, force=True), act)
    except NotFound:
        return  # somebody else took it away
    except Exception as error:
        message = f"what was made of the clone {app.name} could not be taken away yet: {in_words(error)}"
        act.emit(Event(kind="warning", app=app.name, message=message))


def _ref(context: Context, app: App, release: Release) -> str:
    """The clone's own name of the image of a release."""
    return f"{context.settings.instance}/{app.id}:{release.image.removeprefix('sha256:')[:12]}"


def _releases(context: Context, app_id: str) -> tuple[Release, ...]:
    """Those of the original that may have been cloned."""
    return tuple(release for release in context.store.releases(app_id, limit=100) if release.image)


@dataclass(frozen=True, slots=True)
class ClonesLeft:
    """Finishes or takes away what a killed server left of clones. A loop of the platform."""

    context: Context
    emit: Emit

    def __call__(self) -> None:
        """One look. A clone whose release was finished by recovery is whole; one that is being made has its locks."""
        hold = self.context.locks.try_hold
        for setup in self.context.store.half_clones():
            with suppress(NotFound):
                app = self.context.store.app(setup.app_id)
                with hold(lock_name(app.name), "clearing up") as named, hold(lock_name(app.id), "clearing up") as free:
                    if named and free:
                        self._judge(self.context.store.app(app.id))

    def _judge(self, app: App) -> None:
        setup, release = self.context.store.setup(app.id), base_release(self.context.store, app)
        if not setup.cloning or (release.image and release.status is ReleaseStatus.PENDING):
            return
        if release.kind is ReleaseKind.CLONE and release.status is ReleaseStatus.SUCCEEDED:
            scripts.change_setup(self.context, app.id, cloning="")
            return
        _take_away(self.context, app, setup.cloning, Act("server", self.emit))
