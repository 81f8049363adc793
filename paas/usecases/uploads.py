"""Uploads: packed sources and dumps on their way to a use case, in `<home>/uploads`, for a day at most.

One that comes in parts, over lines that break, is `<id>.part` until all of it is there: it goes on where it stopped,
also after the server was started anew.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

from paas.errors import Conflict, NotFound, PaasError, PlatformError, UsageError
from paas.model.people import Actor
from paas.settings import Settings
from paas.usecases import machine
from paas.usecases.context import Context

KEPT_SECONDS = 24 * 3600.0
MOST_WAITING = 50
"""Uploads of one person that nothing was done with yet."""
LARGEST_WAITING = 4
"""So many of the largest ones they may hold together: one person must not fill the disk."""
MARK = 16
"""Characters at the end of an upload's id that say whose it is."""
PER_FILE = 2048
"""Bytes a tar file needs around one file, at most: headers and padding."""


@dataclass(slots=True)
class Upload:
    """One upload that is being received. Call `write` for each part, then `finish`; `abort` takes it away. `whose` is
    the mark of its person, empty for the platform's own."""

    id: str
    path: Path
    limit: int
    _file: BinaryIO
    whose: str = ""
    _size: int = 0

    def write(self, data: bytes) -> None:
        """Raises UsageError when it gets larger than a source may be, Conflict when all that wait of this person do,
        PlatformError when the disk has no room; it is gone then."""
        self._size += len(data)
        try:
            self.check(self._size)
        except PaasError:
            self.abort()
            raise
        try:
            self._file.write(data)
        except OSError as error:
            self.abort()
            raise PlatformError(f"the upload could not be kept: {error.strerror}", hint="paas doctor") from error

    def check(self, size: int) -> None:
        """Raise what an upload of so many bytes would be refused with."""
        if size > self.limit:
            raise too_large(f"the upload has more than {self.limit} bytes")
        most = LARGEST_WAITING * self.limit
        if self.whose and size + _held(self.path, self.whose) > most:
            raise Conflict(
                f"your uploads that wait to be used would hold more than {most} bytes",
                hint="they are forgotten a day after they were sent",
            )
        found = machine.room(self.path.parent)
        if found is not None and found.free < machine.LEAST_FREE:
            raise PlatformError(
                f"the server's disk has {found.free >> 20} MiB left, and keeps {machine.LEAST_FREE >> 20} for itself",
                hint="free some space; paas doctor shows what uses it",
            )

    def pause(self) -> None:
        """What came so far is on the disk, and more may come later."""
        try:
            self._file.close()
        except OSError as error:
            self._partial().unlink(missing_ok=True)
            raise PlatformError(f"the upload could not be kept: {error.strerror}", hint="paas doctor") from error

    def finish(self) -> str:
        """Make it available under its id."""
        self.pause()
        self._partial().rename(self.path)
        return self.id

    def abort(self) -> None:
        """Forget it. Idempotent."""
        with suppress(OSError):  # a buffer that the disk has no room for
            self._file.close()
        self._partial().unlink(missing_ok=True)

    def _partial(self) -> Path:
        return self.path.with_suffix(".part")


def begin(settings: Settings, who: Actor | None = None) -> Upload:
    """A new, empty upload for `who` alone; ones that were forgotten are cleared away first by `expire`. Raises Conflict
    when too many wait."""
    folder = settings.home / "uploads"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = _mark(who)
    if who is not None and sum(1 for _ in folder.glob(f"*{mark}*")) >= MOST_WAITING:
        raise Conflict(
            f"{MOST_WAITING} of your uploads wait to be used", hint="they are forgotten a day after they were sent"
        )
    upload_id = secrets.token_hex(16) + mark
    path = folder / upload_id
    file = path.with_suffix(".part").open("wb")
    return Upload(upload_id, path, _limit(settings), file, mark if who is not None else "")


def start(settings: Settings, who: Actor, size: int) -> str:
    """The id of a new upload of so many bytes, for `who` alone, that comes in parts. Raises UsageError or Conflict when
    that is too much, PlatformError."""
    upload = begin(settings, who)
    try:
        upload.check(size)
    except PaasError:
        upload.abort()
        raise
    upload.pause()
    return upload.id


def offset(settings: Settings, upload_id: str, who: Actor) -> int:
    """The bytes that are here of an upload that comes in parts. Raises NotFound, also for others'."""
    path = settings.home / "uploads" / f"{upload_id}.part"
    if not upload_id.isalnum() or not upload_id.endswith(_mark(who)) or not path.is_file():
        raise _gone()
    return path.stat().st_size


def append(settings: Settings, upload_id: str, data: bytes) -> int:
    """Add to it; the bytes that are here now. Raises UsageError for more than a source may have, Conflict for more than
    a person may have waiting and PlatformError for a disk that does not take it; then it is gone."""
    path = settings.home / "uploads" / f"{upload_id}.part"
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        raise _gone() from None
    size = file.seek(0, SEEK_END)
    upload = Upload(upload_id, path.with_suffix(""), _limit(settings), file, upload_id[-MARK:], size)
    upload.write(data)
    upload.pause()
    return size + len(data)


def complete(settings: Settings, upload_id: str, sha256: str) -> int:
    """Make it available under its id, if what is here is what was sent; its size. Raises UsageError, NotFound."""
    path = settings.home / "uploads" / f"{upload_id}.part"
    try:
        with path.open("rb") as file:
            found, size = hashlib.file_digest(file, "sha256").hexdigest(), file.seek(0, SEEK_END)
    except FileNotFoundError:
        raise _gone() from None
    if found != sha256:
        path.unlink(missing_ok=True)
        raise UsageError("the upload arrived damaged", hint="try again")
    path.rename(path.with_suffix(""))
    return size


def check_size(settings: Settings, unpacked: int, files: int) -> None:
    """Raise UsageError for a source that would be refused after all of it had come."""
    for found, most, what, name in (
        (unpacked, settings.upload_limit, "bytes", "PAAS_UPLOAD_LIMIT"),
        (files, settings.upload_files, "files", "PAAS_UPLOAD_FILES"),
    ):
        if found > most:
            raise UsageError(
                f"the source has {found} {what}; this server takes {most}",
                hint=f"leave out what the app does not need (.paasignore), or raise {name} on the server",
            )


def too_large(message: str) -> UsageError:
    """What is refused for its size."""
    return UsageError(message, hint="leave data out with .paasignore, or raise PAAS_UPLOAD_LIMIT")


def _limit(settings: Settings) -> int:
    return settings.upload_limit + settings.upload_files * PER_FILE


def find(settings: Settings, upload_id: str) -> Path:
    """The file of an upload. Raises NotFound."""
    path = settings.home / "uploads" / upload_id
    if not upload_id.isalnum() or not path.is_file():
        raise _gone()
    return path


def check_owner(settings: Settings, upload_id: str, who: Actor) -> None:
    """Raise NotFound unless this upload is there and `who` made it: others' are as if they were not there."""
    find(settings, upload_id)
    if not upload_id.endswith(_mark(who)):
        raise _gone()


def discard(settings: Settings, upload_id: str) -> None:
    """Remove it. Idempotent."""
    if upload_id.isalnum():
        (settings.home / "uploads" / upload_id).unlink(missing_ok=True)


def _mark(who: Actor | None) -> str:
    """The end of an upload's id, which says whose it is: a user's, also with another token, or a token's of no user.
    It is no secret: the file of that very id must be there too."""
    whose = f"user {who.user_id}" if who and who.user_id else f"token {who.token_id}" if who else ""
    return hashlib.sha256(whose.encode()).hexdigest()[:MARK]


def _held(but: Path, mark: str) -> int:
    """Bytes of the uploads with this mark, without this one."""
    size = 0
    for path in but.parent.glob(f"*{mark}*"):
        if path.stem != but.name:
            with suppress(FileNotFoundError):
                size += path.stat().st_size
    return size


def _gone() -> NotFound:
    return NotFound("this upload is not here (any more)", hint="send it again")


def expire(context: Context) -> None:
    """Remove what nobody came back for, and folders that a killed deploy left."""
    oldest = context.clock.now() - KEPT_SECONDS
    for path in (context.settings.home / "uploads").glob("*"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
