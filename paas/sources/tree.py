"""A source as a sorted list of files and links, the id of their content, and the tar they travel in."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

from paas.errors import ConfigError
from paas.sources.ignore import FILES, Ignore

_CHUNK = 1 << 20
_HEAD = 64 * 1024
"""Bytes of a file that are looked at to tell whether it holds a secret."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or link. `path` is relative with `/`, `target` where a link leads, `mtime` Unix seconds."""

    path: str
    kind: Literal["file", "exec", "link"]
    size: int = 0
    target: str = ""
    mtime: int = 0


class Tree(Protocol):
    """Files that can be read again and again."""

    entries: tuple[Entry, ...]
    warnings: tuple[str, ...]

    def bodies(self) -> Iterator[tuple[Entry, IO[bytes]]]:
        """The regular files in the order of `entries`, each open until the next one is asked for."""


def identify(tree: Tree) -> str:
    """sha256 (hex) over path, executable bit and content or link target of every entry, sorted by path."""
    total = hashlib.sha256()
    bodies = tree.bodies()
    for entry in tree.entries:
        head = f"{entry.kind}\0{entry.path}\0".encode("utf-8", "surrogateescape")
        if entry.kind == "link":
            total.update(head + hashlib.sha256(entry.target.encode("utf-8", "surrogateescape")).digest())
            continue
        _, body = next(bodies)
        one = hashlib.sha256()
        while chunk := body.read(_CHUNK):
            one.update(chunk)
        total.update(head + one.digest())
    bodies_end(bodies)
    return total.hexdigest()


def pack(tree: Tree, out: IO[bytes]) -> None:
    """Write a plain tar: always the same bytes for the same tree, no owner, no times of folders."""
    bodies = tree.bodies()
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for entry in tree.entries:
            info = tarfile.TarInfo(entry.path)
            info.mtime = entry.mtime
            info.mode = 0o755 if entry.kind == "exec" else 0o644
            if entry.kind == "link":
                info.type, info.linkname = tarfile.SYMTYPE, entry.target
                tar.addfile(info)
                continue
            _, body = next(bodies)
            info.size = entry.size
            tar.addfile(info, _Exactly(body, entry))
    bodies_end(bodies)


def bodies_end(bodies: Iterator[tuple[Entry, IO[bytes]]]) -> None:
    """Run the iterator to its end, so that it closes what it has open."""
    for _ in bodies:
        pass


def content_id(folder: Path) -> str:
    """The id of everything in a folder, nothing left out. Raises ConfigError naming a file that cannot be read."""
    return identify(Folder(folder, walk(folder)))


@dataclass(slots=True)
class Folder:
    """Files on the disk below `root`."""

    root: Path
    entries: tuple[Entry, ...]
    warnings: tuple[str, ...] = ()

    def __init__(self, root: Path, entries: Iterable[Entry], warnings: Iterable[str] = ()) -> None:
        self.root = root
        self.entries = tuple(sorted(entries, key=order))
        self.warnings = tuple(warnings)

    def bodies(self) -> Iterator[tuple[Entry, IO[bytes]]]:
        """See `Tree.bodies`. Never follows a link in the file's place."""
        for entry in self.entries:
            if entry.kind == "link":
                continue
            try:
                handle = os.open(self.root / entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError as error:
                raise unreadable(entry.path, error) from error
            with open(handle, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
                yield entry, file


def order(entry: Entry) -> bytes:
    """What entries are sorted by: the path's bytes, the same in every locale."""
    return os.fsencode(entry.path)


def unreadable(path: str, error: OSError) -> ConfigError:
    """The error for a file that is there and cannot be read."""
    return ConfigError(
        f"cannot be read: {error.strerror}", where=path, hint="mend its permissions, or name it in .paasignore"
    )


def walk(folder: Path, prefix: str = "") -> Iterator[Entry]:
    """Every file and link below; folders, sockets, pipes and devices are none."""
    for item in os.scandir(folder):
        path = prefix + item.name
        if item.is_dir(follow_symlinks=False):
            yield from walk(Path(item.path), f"{path}/")
        elif found := examined(Path(item.path), path):
            yield found


def examined(file: Path, path: str) -> Entry | None:
    """The entry for a file on the disk; None when it is neither a regular file nor a link."""
    status = file.lstat()
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, "link", target=str(file.readlink()))
    if not stat.S_ISREG(status.st_mode):
        return None
    kind: Literal["file", "exec"] = "exec" if status.st_mode & stat.S_IXUSR else "file"
    return Entry(path, kind, status.st_size, mtime=max(0, int(status.st_mtime)))


def leaves(path: str, target: str) -> bool:
    """Whether a link at `path` names something outside the source (by its words; nothing is looked up)."""
    if target.startswith("/") or not target:
        return True
    end = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return end == ".." or end.startswith("../")


def ignore_of(read: dict[str, bytes]) -> Ignore:
    """The rules out of the first ignore file among `read` (name → body)."""
    for name in FILES:
        if name in read:
            return Ignore.of(read[name].decode("utf-8", "replace").splitlines(), name)
    return Ignore()


def left_out(secrets: list[str]) -> tuple[str, ...]:
    """The warning that names files that look like secrets."""
    if not secrets:
        return ()
    shown = ", ".join(sorted(secrets)[:5]) + (f" and {len(secrets) - 5} more" if len(secrets) > 5 else "")
    first = sorted(secrets)[0]
    return (f"left out {shown}: secrets do not belong into an image (a line !{first} in .paasignore takes it along)",)


class _Exactly(io.RawIOBase):
    """Reads exactly the size that was announced; a file that shrinks or grows meanwhile is an error of words."""

    def __init__(self, body: IO[bytes], entry: Entry) -> None:
        self._body = body
        self._left = entry.size
        self._entry = entry

    def read(self, size: int = -1) -> bytes:
        data = self._body.read(self._left if size < 0 else min(size, self._left))
        if not data and self._left and size:
            raise ConfigError("changed while it was being read", where=self._entry.path, hint="try again")
        self._left -= len(data)
        return data


def head(file: Path) -> bytes:
    """The first bytes of a file; empty when it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(_HEAD)
    except OSError:
        return b""
