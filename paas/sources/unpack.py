"""Takes archives apart without trusting them: limits while extracting, nothing outside the folder, all or nothing.

Files and folders are made first and links last, so nothing is ever written through a link. Owners, times of folders,
setuid bits and every kind of entry but file, folder and link are not taken over.
"""

from __future__ import annotations

import calendar
import errno
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, cast

from paas.errors import ConfigError, PlatformError
from paas.sources.tree import content_id, leaves

MOST_DEPTH = 64
"""Folders inside folders."""

_CHUNK = 1 << 18
_HEADER = 1 << 20
"""Bytes one tar header may have: it is read into memory as a whole."""

# Headers that contradict themselves surface as any of these, endless chains of them as RecursionError.
_DAMAGED = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    NotImplementedError,
    RecursionError,
    ValueError,
    OverflowError,
)


@dataclass(slots=True)
class _Member:
    name: str
    kind: Literal["file", "folder", "link", "hard"]
    executable: bool = False
    target: str = ""
    mtime: int = 0
    open: Callable[[], IO[bytes]] | None = None


@dataclass(slots=True)
class _Limits:
    """What is left of bytes and entries."""

    bytes: int
    entries: int
    said: tuple[int, int] = (0, 0)

    def take(self, count: int) -> None:
        self.bytes -= count
        if self.bytes < 0:
            raise ConfigError(
                f"the source has more than {self.said[0] // 1048576} MB unpacked",
                hint="leave out what the app does not need (.paasignore), or raise PAAS_UPLOAD_LIMIT",
            )

    def entry(self) -> None:
        self.entries -= 1
        if self.entries < 0:
            raise ConfigError(
                f"the source has more than {self.said[1]} files",
                hint="leave out what the app does not need (.paasignore), or raise PAAS_UPLOAD_FILES",
            )


def unpack(tar: Path, into: Path, *, limit: int, most: int) -> str:
    """Extract an uploaded tar (plain or gzip) as the new folder `into` and return its content id.

    `limit` bytes and `most` entries at most. Raises ConfigError naming the entry that is refused; `into` does not exist
    then, and nothing else was touched.
    """
    return _all_or_nothing(into, lambda folder: _extract(tar, folder, _members_of_tar(tar), limit, most))


def unpack_archive(archive: Path, into: Path, *, limit: int, most: int) -> str:
    """The same for what people have: tar in its usual compressions or zip; a single top folder is taken off."""

    def fill(folder: Path) -> None:
        members = _members_of_zip(archive) if zipfile.is_zipfile(archive) else _members_of_tar(archive)
        _extract(archive, folder, members, limit, most)
        _take_off_top(folder)

    return _all_or_nothing(into, fill)


def _all_or_nothing(into: Path, fill: Callable[[Path], None]) -> str:
    into.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{into.name}.", dir=into.parent))
    try:
        fill(part)
        found = content_id(part)
        part.chmod(0o755)
        part.rename(into)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return found


def _extract(archive: Path, folder: Path, members: Iterator[_Member], limit: int, most: int) -> None:
    writer = _Writer(folder, _Limits(limit, most, (limit, most)))
    try:
        for member in members:
            writer.take(member)
        writer.finish()
    except _DAMAGED as error:
        raise ConfigError(
            f"the archive is damaged or cut off ({error})", where=archive.name, hint="make it again"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PlatformError(f"no space left to unpack {archive.name} below {folder.parent}") from error
        raise ConfigError(f"cannot be unpacked: {error.strerror or error}", where=archive.name) from error
    if not writer.seen:
        raise ConfigError("the archive is empty: no app found", where=archive.name)


@dataclass(slots=True)
class _Writer:
    folder: Path
    limits: _Limits
    links: dict[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)

    def take(self, member: _Member) -> None:
        path = _safe(member.name)
        if not path and member.kind == "folder":
            return
        if not path:
            raise _refused(member.name, "has no name")
        self.limits.entry()
        if path in self.seen and (member.kind, self.seen[path]) != ("folder", "folder"):
            raise _refused(path, "is in the archive twice")
        self.seen[path] = member.kind
        self._parents(path)
        if member.kind == "folder":
            (self.folder / path).mkdir(exist_ok=True)
        elif member.kind == "link":
            self._link(path, member.target)
        elif member.kind == "hard":
            self._copy(path, member)
        else:
            opened = cast("Callable[[], IO[bytes]]", member.open)()
            with opened:
                self._file(path, opened, member)

    def finish(self) -> None:
        """Make the links, then see where they lead: through another link it can be outside after all."""
        for path, target in self.links.items():
            (self.folder / path).symlink_to(target)
        root = self.folder.resolve()
        for path in self.links:
            end = Path(os.path.realpath(self.folder / path))
            if end != root and root not in end.parents:
                raise _refused(path, "is a link that leaves the folder")

    def _parents(self, path: str) -> None:
        """Make the folders above; one that is known as something else is refused, so no link is ever walked through."""
        above = path.rpartition("/")[0]
        if not above or above in self.made:
            return
        parts = above.split("/")
        for count in range(1, len(parts) + 1):
            parent = "/".join(parts[:count])
            if self.seen.setdefault(parent, "folder") != "folder":
                raise _refused(path, f"lies below {parent}, which is no folder")
        (self.folder / above).mkdir(parents=True, exist_ok=True)
        self.made.add(above)

    def _link(self, path: str, target: str) -> None:
        if leaves(path, target) or "\0" in target:
            raise _refused(path, "is a link that leaves the folder")
        self.links[path] = target

    def _copy(self, path: str, member: _Member) -> None:
        source = _safe(member.target)
        if self.seen.get(source) not in ("file", "hard"):
            raise _refused(path, "is a hard link to something that is not in the archive")
        with (self.folder / source).open("rb") as opened:
            member.executable = bool((self.folder / source).stat().st_mode & stat.S_IXUSR)
            self._file(path, opened, member)

    def _file(self, path: str, body: IO[bytes], member: _Member) -> None:
        mode = 0o755 if member.executable else 0o644
        handle = os.open(self.folder / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with open(handle, "wb") as out:  # noqa: PTH123 - a descriptor, not a path
            while chunk := body.read(_CHUNK):
                self.limits.take(len(chunk))
                out.write(chunk)
            os.fchmod(out.fileno(), mode)
        os.utime(self.folder / path, (member.mtime, member.mtime))


def _safe(name: str) -> str:
    """The name without `./`, when it stays inside. Raises ConfigError."""
    if name.startswith("/") or "\0" in name:
        raise _refused(name, "is an absolute path" if name.startswith("/") else "has a NUL byte in its name")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _refused(name, "leaves the folder")
    if len(parts) > MOST_DEPTH:
        raise _refused("/".join(parts[:3]) + "/…", f"is more than {MOST_DEPTH} folders deep")
    return "/".join(parts)


def _refused(name: str, why: str) -> ConfigError:
    shown = name if len(name) <= 200 else f"{name[:200]}…"
    return ConfigError(f"{shown!r} {why}", where="archive", hint="the whole archive was refused; nothing was changed")


class _Header(tarfile.TarInfo):
    """A header that is not read into memory when it claims to be huge."""

    def _proc_member(self, tar: tarfile.TarFile) -> Any:
        long = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME)
        if self.type in (*long, tarfile.GNUTYPE_LONGLINK) and self.size > _HEADER:
            raise ConfigError(f"a header of {self.size} bytes", where="archive", hint="make the archive again")
        return super()._proc_member(tar)  # type: ignore[misc]


def _members_of_tar(archive: Path) -> Iterator[_Member]:
    begun = False
    try:
        with tarfile.open(archive, mode="r|*", tarinfo=_Header, errors="surrogateescape", encoding="utf-8") as tar:
            for info in tar:
                begun = True
                yield _of_tar(tar, info)
    except tarfile.ReadError as error:
        if begun:
            raise
        if archive.stat().st_size == 0:
            raise ConfigError("the archive is empty: no app found", where=archive.name) from error
        raise ConfigError(
            "is neither a tar nor a zip archive, or damaged", where=archive.name, hint="give a .tar.gz or a .zip"
        ) from error


def _of_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    member = _Member(info.name, "file", executable=bool(info.mode & 0o100), mtime=max(0, int(info.mtime)))
    if info.isdir():
        member.kind = "folder"
    elif info.issym() or info.islnk():
        member.kind = "link" if info.issym() else "hard"
        member.target = info.linkname
    elif info.isreg() and not info.issparse():
        member.open = lambda: cast("IO[bytes]", tar.extractfile(info))
    else:
        raise _refused(info.name, "is neither file, folder nor link")
    return member


def _members_of_zip(archive: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            yield _of_zip(opened, info)


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if info.flag_bits & 1:
        raise _refused(info.filename, "is encrypted")
    if info.is_dir():
        return _Member(info.filename, "folder")
    if kind == stat.S_IFLNK:
        with archive.open(info) as body:
            return _Member(info.filename, "link", target=body.read(4096).decode("utf-8", "surrogateescape"))
    if kind not in (0, stat.S_IFREG):
        raise _refused(info.filename, "is neither file, folder nor link")
    return _Member(
        info.filename, "file", executable=bool(mode & 0o100), mtime=_zip_time(info), open=lambda: archive.open(info)
    )


def _zip_time(info: zipfile.ZipInfo) -> int:
    try:
        return max(0, calendar.timegm((*info.date_time, 0, 0, 0)))
    except ValueError:
        return 0


def _take_off_top(folder: Path) -> None:
    """`app-1.0/…` becomes `…`."""
    items = [item for item in folder.iterdir() if item.name not in ("__MACOSX", "pax_global_header")]
    if len(items) != 1 or items[0].is_symlink() or not items[0].is_dir():
        return
    aside = folder / f".top-{os.urandom(8).hex()}"
    items[0].rename(aside)
    for item in aside.iterdir():
        item.rename(folder / item.name)
    aside.rmdir()
