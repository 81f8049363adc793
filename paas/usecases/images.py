"""Images of an app: the last releases keep theirs for rollback, older ones are collected after a deploy."""

from __future__ import annotations

from paas.errors import PlatformError
from paas.model.app import App, Release, ReleaseKind, ReleaseStatus
from paas.model.events import Emit, Event
from paas.usecases.context import Act, Context
from paas.usecases.switch import in_words

TAGGED = (ReleaseKind.PROMOTE, ReleaseKind.CLONE)
"""Releases whose image was built for another app."""
LOOKED_AT = 100
"""Releases beyond the kept ones that are looked at first. Most have few images; those with many changes of config since
are read further back. An image of a release before all these counts as one without a release."""


def collect(context: Context, app: App, emit: Emit, *, operation: str = "") -> None:
    """Remove images that no kept release and nothing running needs. Never fails a deploy: trouble is a warning.

    An image without a release may belong to a deploy that is still on its way to the lock, so such images are
    left alone while another operation of the app runs.
    """
    try:
        for ref in unneeded(context, app, others=_others_run(context, app, operation)):
            context.builder.remove(ref)
    except Exception as error:
        emit(Event(kind="warning", app=app.name, message=f"old images could not be collected: {in_words(error)}"))


def remove_all(context: Context, app: App) -> None:
    """Remove every image of an app that is destroyed."""
    refs = {release.image_ref for release in context.store.releases(app.id) if release.image_ref}
    for ref in sorted(refs | {image.ref for image in context.builder.images(app.id) if _own(app, image.ref)}):
        context.builder.remove(ref)


def refuse_foreign(context: Context, ref: str, act: Act) -> None:
    """Raise PlatformError, as for an image that cannot be had, where this one is of an app that does not exist for who
    acts: what another team built is theirs, by whatever name or id somebody knows it."""
    if act.may("", "owner"):
        return
    image = context.builder.find(ref)
    others = [app for app in context.store.apps() if not act.may(app.id)]
    named = any(ref.startswith(f"{context.settings.instance}/{app.id}:") for app in others)
    if named or (image and any(image.id == one.id for app in others for one in context.builder.images(app.id))):
        raise PlatformError(f"{ref} cannot be pulled", hint="is there an image of that name in the registry?")


def unneeded(context: Context, app: App, *, others: bool) -> tuple[str, ...]:
    """Names of the app's images that may go: not among the last `keep_releases` that served, and not running. Releases
    that changed config alone push none out."""
    releases = _looked_at(context, app)
    pending = [release for release in releases if release.status is ReleaseStatus.PENDING]
    kept = {*_served(releases)[: context.settings.keep_releases], *(release.image for release in pending)}
    kept |= {release.image for release in releases if release.number == context.store.app(app.id).wanted}
    kept |= {service.image for service in context.engine.observe(app.id)}
    known = {release.image_ref: release.image for release in releases if release.image_ref}
    found = {image.ref: image.id for image in context.builder.images(app.id) if _own(app, image.ref)}
    loose = {} if others else {ref: image for ref, image in found.items() if ref not in known}
    tagged = {release.image_ref for release in releases if release.buildpack == "image" or release.kind in TAGGED}
    there = {ref: image for ref, image in known.items() if ref in found or _is_here(context, ref, tagged)}
    return tuple(sorted(ref for ref, image in (there | loose).items() if image not in kept and ref not in kept))


def _looked_at(context: Context, app: App) -> tuple[Release, ...]:
    """Releases, newest first, as far back as it takes to find all images that are kept."""
    keep = context.settings.keep_releases
    limit = keep + LOOKED_AT
    while len(releases := context.store.releases(app.id, limit)) == limit and len(_served(releases)) < keep:
        limit *= 2
    return releases


def _served(releases: tuple[Release, ...]) -> tuple[str, ...]:
    """Their images that served, each once, in order."""
    good = (release for release in releases if release.image and release.status is ReleaseStatus.SUCCEEDED)
    return tuple(dict.fromkeys(release.image for release in good))


def _is_here(context: Context, ref: str, tagged: set[str]) -> bool:
    """Images that were deployed as they are carry no label of ours, promoted ones that of the app they came from: they
    are asked for one by one."""
    return ref in tagged and context.builder.find(ref) is not None


def _own(app: App, ref: str) -> bool:
    """Whether the name is this app's. An image that was promoted has a name of each app that it runs in, and only that
    app may take its name away."""
    return f"/{app.id}:" in ref


def _others_run(context: Context, app: App, operation: str) -> bool:
    return any(other.id != operation for other in context.store.operations(app_id=app.id, status="running"))
