"""Gets a source into a folder of its own: an upload, a git URL, a commit that was pushed, or nothing but the name of an
image."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from paas import sources
from paas.egress.policy import ANYWHERE, Policy
from paas.errors import UsageError
from paas.model import names
from paas.model.app import Source
from paas.model.events import Emit
from paas.model.people import Actor
from paas.requests.deploys import SourceRef
from paas.settings import Settings
from paas.usecases import repository, uploads
from paas.usecases.context import Context

CLONE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A source on this machine. `folder` holds its files; None for an image."""

    source: Source
    folder: Path | None


@contextmanager
def fetched(
    context: Context, ref: SourceRef, emit: Emit, *, app_id: str = "", who: Actor | None = None
) -> Iterator[Fetched]:
    """The source, as long as the block lasts; upload and folder are removed after it. A commit is one of the repository
    of `app_id`, of a review app also of its parent's. `who` asks: at this machine's socket any git URL may be named.
    Raises UsageError, Denied, NotFound, ConfigError for a source that must not be unpacked."""
    given = [name for name in ("upload", "git", "image", "commit") if getattr(ref, name)]
    if len(given) != 1:
        raise UsageError("a source is exactly one of an upload, a git URL, an image and a commit that was pushed")
    if ref.image:
        names.image_reference(ref.image)
        yield Fetched(Source(kind="image", id="", version=ref.version, origin=ref.image, message=ref.message), None)
        return
    place = context.settings.home / "work" / secrets.token_hex(8)
    folder = place / "source"
    try:
        place.mkdir(parents=True, mode=0o700)
        yield Fetched(_into(context, ref, folder, emit, app_id=app_id, who=who), folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        uploads.discard(context.settings, ref.upload)


def clear(settings: Settings) -> None:
    """At server start: remove folders that a killed deploy left."""
    shutil.rmtree(settings.home / "work", ignore_errors=True)


def _into(
    context: Context, ref: SourceRef, folder: Path, emit: Emit, *, app_id: str = "", who: Actor | None = None
) -> Source:
    settings = context.settings
    policy = Policy.of(settings.egress_allow, settings.subnets)
    if ref.commit:
        return sources.pushed(
            ref.commit,
            folder,
            objects=_objects(context, app_id, ref.incoming),
            emit=emit,
            origin=ref.origin or "git push",
            limit=settings.upload_limit,
            most=settings.upload_files,
            packed=settings.push_limit,
            policy=policy,
            ca_file=settings.ca_file,
        )
    if ref.git:
        return sources.clone(
            ref.git,
            folder,
            emit=emit,
            timeout=CLONE_SECONDS,
            limit=settings.upload_limit,
            most=settings.upload_files,
            packed=settings.push_limit,
            policy=ANYWHERE if who is not None and who.via == "socket" else policy,
            ca_file=settings.ca_file,
        )
    content_id = sources.unpack(
        uploads.find(settings, ref.upload), folder, limit=settings.upload_limit, most=settings.upload_files
    )
    return Source(
        kind=ref.kind, id=content_id, version=ref.version or content_id[:12], origin=ref.origin, message=ref.message
    )


def _objects(context: Context, app_id: str, incoming: str) -> tuple[Path, ...]:
    """Whoever has a role on the parent has the same one on its review apps, so its code may be asked for there."""
    review = None if incoming else context.store.review(app_id)
    if review is None:
        return repository.objects(context.settings, app_id, incoming)
    own = repository.path_of(context.settings, app_id).is_dir()
    theirs = repository.objects(context.settings, review.parent_id, "")
    return (*(repository.objects(context.settings, app_id, "") if own else ()), *theirs)
