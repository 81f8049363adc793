"""Gets a source into a folder of its own: an upload, a git URL, or nothing but the name of an image."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from paas import sources
from paas.errors import UsageError
from paas.model import names
from paas.model.app import Source
from paas.model.events import Emit
from paas.requests import SourceRef
from paas.settings import Settings
from paas.usecases import uploads
from paas.usecases.context import Context

CLONE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A source on this machine. `folder` holds its files; None for an image."""

    source: Source
    folder: Path | None


@contextmanager
def fetched(context: Context, ref: SourceRef, emit: Emit) -> Iterator[Fetched]:
    """The source, as long as the block lasts; upload and folder are removed after it. Raises UsageError, NotFound,
    ConfigError for a source that must not be unpacked."""
    given = [name for name in ("upload", "git", "image") if getattr(ref, name)]
    if len(given) != 1:
        raise UsageError("a source is exactly one of an upload, a git URL and an image")
    if ref.image:
        names.image_reference(ref.image)
        yield Fetched(Source(kind="image", id="", version=ref.version, origin=ref.image, message=ref.message), None)
        return
    place = context.settings.home / "work" / secrets.token_hex(8)
    folder = place / "source"
    try:
        place.mkdir(parents=True, mode=0o700)
        yield Fetched(_into(context, ref, folder, emit), folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        uploads.discard(context.settings, ref.upload)


def clear(settings: Settings) -> None:
    """At server start: remove folders that a killed deploy left."""
    shutil.rmtree(settings.home / "work", ignore_errors=True)


def _into(context: Context, ref: SourceRef, folder: Path, emit: Emit) -> Source:
    settings = context.settings
    if ref.git:
        return sources.clone(
            ref.git,
            folder,
            emit=emit,
            timeout=CLONE_SECONDS,
            limit=settings.upload_limit,
            most=settings.upload_files,
        )
    content_id = sources.unpack(
        uploads.find(settings, ref.upload), folder, limit=settings.upload_limit, most=settings.upload_files
    )
    return Source(
        kind=ref.kind, id=content_id, version=ref.version or content_id[:12], origin=ref.origin, message=ref.message
    )
