"""What to do with a release that a killed server left in the middle. Decided from what was written down.

A PENDING release whose app's lock is free was interrupted, because the lock is held until it succeeded or failed.
Killed before its release row was written, a deploy left nothing but an image that the next one finds. Killed later:

* the release command had begun and not ended: nobody knows what it did, so the release is undone, never run again;
* anything else: it is finished by reconcile (the release command runs if it had not begun), and undone if that fails.
"""

from __future__ import annotations

from dataclasses import replace

from paas.errors import PaasError, ReleaseFailed
from paas.model.app import App, Release, ReleaseKind, ReleaseStatus
from paas.model.events import Emit, Event
from paas.usecases.context import Context
from paas.usecases.switch import BEGUN, carry_out, command_progress, undo


def recover(context: Context, app: App, emit: Emit) -> bool:
    """Finish or undo what was interrupted, unless somebody works on the app right now. True: there is nothing left.

    Raises nothing for a release that had to be undone: that is told as events.
    """
    with context.locks.try_hold(app.id, "recovery") as held:
        if held:
            recover_held(context, app.id, emit)
        return held


def recover_held(context: Context, app_id: str, emit: Emit) -> None:
    """The same under the app's lock, which the caller holds."""
    app = context.store.app(app_id)
    for release in context.store.releases(app_id, limit=5):
        if release.status is not ReleaseStatus.PENDING:
            continue
        if release.number == app.wanted:
            _resume(context, app, release, emit)
        else:
            failed = replace(release, status=ReleaseStatus.FAILED, failure="the server stopped while undoing it")
            context.store.save_release(failed)


def _resume(context: Context, app: App, release: Release, emit: Emit) -> None:
    message = f"v{release.number} was interrupted by a server stop: finishing it"
    emit(Event(kind="note", app=app.name, message=message))
    progress = command_progress(context, release)
    if progress == BEGUN:
        cause = "the server stopped while its release command ran; it is not run a second time"
        undo(context, app.id, release, ReleaseFailed(cause), emit)
        return
    try:
        wanted_command = release.kind in (ReleaseKind.DEPLOY, ReleaseKind.PROMOTE, ReleaseKind.CLONE) and not progress
        carry_out(context, app, release, emit, release_command=wanted_command)
    except PaasError as error:
        emit(Event(kind="warning", app=app.name, message=f"v{release.number} could not be finished: {error.message}"))
