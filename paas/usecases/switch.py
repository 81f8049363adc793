"""Makes a stored release the one that runs, or undoes it: the part that deploys, rollbacks and recovery share.

Every function here expects the caller to hold the app's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from paas.errors import PaasError
from paas.interfaces import Store
from paas.model.app import App, Release, ReleaseKind, ReleaseStatus
from paas.model.events import Emit, Event
from paas.plan.wanted import Wanted, wanted
from paas.reconcile import World, reconcile
from paas.usecases import overlap
from paas.usecases.context import Context

BEGUN, ENDED = "begun", "ended"
"""How far the release command of a release got, kept as events so that recovery never runs it twice."""


def world(context: Context) -> World:
    """The parts that reconcile works with."""
    return World(
        engine=context.engine,
        router=context.router,
        clock=context.clock,
        settings=context.settings,
        store=context.store,
        leaving=context.leaving,
    )


def wanted_of(context: Context, app: App, release: Release) -> Wanted:
    """What this release wants of engine and router, as reconcile sees it."""
    names = [name for certificate in context.store.certificates() for name in (certificate.host, *certificate.names)]
    settings = context.settings
    return wanted(app, release, instance=settings.instance, domain=settings.domain, tls_hosts=names)


def base_release(store: Store, app: App) -> Release:
    """The wanted release, or the empty one (number 0) that a new app starts from."""
    if app.wanted:
        return store.release(app.id, app.wanted)
    return Release(
        app_id=app.id,
        number=0,
        kind=ReleaseKind.CONFIG,
        created_at=app.created_at,
        actor="",
        description="",
        status=ReleaseStatus.SUCCEEDED,
    )


def nothing_more() -> None:
    """An undo that has nothing else to put back."""


def carry_out(
    context: Context,
    app: App,
    release: Release,
    emit: Emit,
    *,
    release_command: bool,
    before_undo: Callable[[], None] = nothing_more,
) -> Release:
    """Reconcile to this wanted release under the app's lock; undo it when that fails, and raise the cause."""
    if release.image:
        try:
            roll_out(context, app.id, release, emit, release_command=release_command)
        except Exception as error:
            if _has_nothing_to_run(context, release):
                return _kept(context, app, release, emit)
            before_undo()
            undo(context, app.id, release, error, emit)
            raise
    done = replace(release, status=ReleaseStatus.SUCCEEDED)
    context.store.save_release(done)
    _tell(context, app, done, f"v{done.number} {done.description}", emit)
    return done


def _has_nothing_to_run(context: Context, release: Release) -> bool:
    """Whether it changes what is set only, of an app whose image is gone and of which nothing runs: after a move to
    another machine, say. Config and addons can be mended then, and the next deploy builds the image anew."""
    try:
        if release.kind not in _OF_SETTINGS or context.builder.find(release.image) is not None:
            return False
        services = context.engine.observe(release.app_id)
    except PaasError:
        return False
    return not any(service.replicas for service in services if service.kind == "replica")


_OF_SETTINGS = (ReleaseKind.CONFIG, ReleaseKind.LIMITS, ReleaseKind.DOMAINS, ReleaseKind.ADDON)


def _kept(context: Context, app: App, release: Release, emit: Emit) -> Release:
    done = replace(release, status=ReleaseStatus.SUCCEEDED)
    context.store.save_release(done)
    message = f"v{done.number} {done.description}; nothing runs: its image is not on this Engine, deploy again"
    emit(Event(kind="warning", app=app.name, message=message))
    _tell(context, app, done, f"v{done.number} {done.description}", emit)
    return done


def roll_out(context: Context, app_id: str, release: Release, emit: Emit, *, release_command: bool) -> None:
    """Reconcile, with the release command's beginning and end written down around it. Raises Conflict when there is no
    room for the new replicas beside the old ones, before anything of it has begun."""
    slept = awaken(context, app_id)
    app = context.store.app(app_id)
    services = wanted_of(context, app, release).services
    with overlap.beside(context, app, services, emit, grows=not slept) as noticing:
        if not release_command or release.process("release") is None:
            reconcile(world(context), app, release, noticing)
            return
        note_command(context, release, BEGUN)
        reconcile(world(context), app, release, _noting_end(context, release, noticing), release_command=True)


def awaken(context: Context, app_id: str) -> bool:
    """What is done to an app wakes it: the next reconcile starts its replicas, and says whether they get healthy.
    Whether it slept."""
    known = context.store.sleep(app_id)
    if known is None or not known.asleep:
        return False
    context.store.put_sleep(replace(known, asleep=False, since=context.clock.now()))
    return True


def undo(context: Context, app_id: str, release: Release, error: Exception, emit: Emit) -> None:
    """Want the last good release again, mark this one failed, and reconcile once; what fails here is only told.

    The store comes first: whatever happens to the rest, the controller then works towards the right release.
    """
    previous = last_good(context.store, app_id, release.number)
    context.store.want(app_id, previous.number if previous else 0)
    failed = replace(release, status=ReleaseStatus.FAILED, failure=in_words(error))
    context.store.save_release(failed)
    app = context.store.app(app_id)
    back = f"v{previous.number} stays" if previous else "nothing runs"
    _tell(context, app, failed, f"v{release.number} failed: {failed.failure}; {back}", emit)
    try:
        reconcile(world(context), app, previous or base_release(context.store, app), emit)
    except Exception as again:
        emit(Event(kind="warning", app=app.name, message=f"clearing up after it failed too: {in_words(again)}"))


def last_good(store: Store, app_id: str, before: int) -> Release | None:
    """The newest release below number `before` that succeeded."""
    found = (release for release in newest_first(store, app_id) if release.number < before)
    return next((release for release in found if release.status is ReleaseStatus.SUCCEEDED), None)


def newest_first(store: Store, app_id: str) -> Iterator[Release]:
    """All releases, read in two goes: what is looked for is nearly always among the newest, and each is decrypted."""
    first = store.releases(app_id, limit=20)
    yield from first
    if len(first) == 20:
        yield from store.releases(app_id)[20:]


def note_command(context: Context, release: Release, progress: str) -> None:
    """Write down how far the release command is."""
    data = {"release": release.number, "release_command": progress}
    message = f"release command of v{release.number} {progress}"
    context.store.add_event(
        Event(kind="note", message=message, at=context.clock.now(), data=data), app_id=release.app_id
    )


def command_progress(context: Context, release: Release) -> str:
    """`begun`, `ended`, or empty when the release command of this release was never started."""
    progress = ""
    for _, event in context.store.events(release.app_id, limit=1000):
        if event.data.get("release") == release.number and "release_command" in event.data:
            progress = str(event.data["release_command"])
    return progress


def source_version(release: Release) -> str:
    """What the app sees as SOURCE_VERSION."""
    return release.source.version if release.source else ""


def in_words(error: Exception) -> str:
    """The cause for people; an exception of another kind is our bug, its text may hold anything."""
    return error.message if isinstance(error, PaasError) else f"internal error ({type(error).__name__})"


def _noting_end(context: Context, release: Release, emit: Emit) -> Emit:
    """`emit` that also notices the end of the release command among the steps of the plan."""

    def noting(event: Event) -> None:
        if event.kind == "done" and event.data.get("step") == "RunOnce":
            note_command(context, release, ENDED)
        emit(event)

    return noting


def _tell(context: Context, app: App, release: Release, message: str, emit: Emit) -> None:
    """Keep what became of the release for `paas events`, and say it."""
    data = {"release": release.number, "kind": release.kind.value, "status": release.status.value}
    event = Event(kind="release", app=app.name, message=message, at=context.clock.now(), data=data)
    context.store.add_event(event, app_id=app.id, actor=release.actor)
    emit(event)
