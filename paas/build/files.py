"""A read-only view of an app's files, on disk or in memory. Never leaves the folder, never opens anything but files.

Paths are relative with forward slashes. Folders that hold what installing made (`node_modules`, virtual environments,
`.git`) are named by `skipped` and never looked into.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from paas.errors import ConfigError

TEXT_LIMIT = 1024 * 1024
"""Bytes of the largest file that is read as text, unless the caller says otherwise."""

LISTED = 20_000
"""Files a view lists at most: enough to find an app by, and a bound on the work."""

DEPTH = 12
"""Folders deep a view looks."""

_SKIPPED = frozenset(
    {".git", ".hg", ".svn", "node_modules", "venv", ".venv", "__pycache__", ".tox", ".nox", ".mypy_cache"}
    | {".ruff_cache", ".pytest_cache", ".next", ".cache", ".idea", ".vscode", "site-packages", "bower_components"}
)


class Files:
    """The files of one app. Make it with `of` or `from_mapping`; two reads of one file may differ on disk."""

    def __init__(self, root: Path | None, texts: Mapping[str, bytes]) -> None:
        self._root = root.resolve() if root else None
        self._memory = texts
        self._listing: tuple[tuple[str, ...], tuple[str, ...]] | None = None

    @classmethod
    def of(cls, folder: Path) -> Files:
        """The files below a folder. Raises ConfigError when it is none."""
        if not folder.exists():
            raise ConfigError(f"{folder} does not exist", hint="name the folder of the app")
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder", hint="name the folder of the app")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise ConfigError(f"{folder} cannot be read", hint="check its permissions")
        return cls(folder, {})

    @classmethod
    def from_mapping(cls, files: Mapping[str, str | bytes]) -> Files:
        """Files that exist in memory only: path → content."""
        return cls(None, {path: text.encode() if isinstance(text, str) else text for path, text in files.items()})

    @property
    def paths(self) -> tuple[str, ...]:
        """Every regular file outside skipped folders, sorted, at most LISTED."""
        return self._listed()[0]

    @property
    def skipped(self) -> tuple[str, ...]:
        """Folders that were not looked into because installing made them: `node_modules`, `web/venv`."""
        return self._listed()[1]

    def has(self, path: str) -> bool:
        """Whether a regular file is there (through links, as long as they stay inside)."""
        if self._root is None:
            return path in self._memory
        found = self._inside(path)
        return found is not None and found.is_file()

    def has_folder(self, path: str) -> bool:
        """Whether a folder is there, empty or not."""
        if self._root is None:
            return any(name.startswith(f"{path.rstrip('/')}/") for name in self._memory)
        found = self._inside(path)
        return found is not None and found.is_dir()

    def names(self, folder: str = "") -> tuple[str, ...]:
        """Names of the files directly in a folder, sorted."""
        prefix = f"{folder.rstrip('/')}/" if folder else ""
        return tuple(
            path[len(prefix) :]
            for path in self.paths
            if path.startswith(prefix) and path.count("/") == prefix.count("/")
        )

    def glob(self, pattern: str) -> tuple[str, ...]:
        """Paths that match; `*` also matches slashes."""
        return tuple(path for path in self.paths if fnmatch.fnmatchcase(path, pattern))

    def text(self, path: str, limit: int = TEXT_LIMIT) -> str:
        """The content as text, a byte order mark dropped, line ends as they are.

        Raises ConfigError when it is missing, not a regular file, larger than `limit` bytes or not UTF-8.
        """
        return _decoded(path, self.read(path, limit))

    def read(self, path: str, limit: int = TEXT_LIMIT) -> bytes:
        """The content. Raises ConfigError when it is missing, not a regular file or larger than `limit` bytes."""
        content = self._memory.get(path) if self._root is None else self._from_disk(path, limit)
        if content is None:
            raise ConfigError("there is no such file in the app", where=path)
        if len(content) > limit:
            raise ConfigError(f"the file is larger than {_size(limit)}", where=path, hint="is this the right file?")
        return content

    def _from_disk(self, path: str, limit: int) -> bytes | None:
        found = self._inside(path)
        if found is None:
            return None
        try:
            # O_NONBLOCK: opening a FIFO must not wait for a writer.
            handle = os.open(found, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if isinstance(error, (FileNotFoundError, NotADirectoryError)):
                return None
            raise ConfigError(f"cannot be read: {error.strerror}", where=path) from error
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ConfigError("is not a regular file", where=path)
            return file.read(limit + 1)

    def _inside(self, path: str) -> Path | None:
        """The real path, None when there is none or it lies outside the folder."""
        assert self._root is not None
        if "\0" in path:
            return None
        try:
            found = (self._root / path).resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None
        return found if found.is_relative_to(self._root) else None

    def _listed(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if self._listing is None:
            self._listing = _from_memory(self._memory) if self._root is None else _from_folder(self._root)
        return self._listing


def _from_memory(files: Mapping[str, bytes]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kept, skipped = [], set()
    for path in sorted(files):
        parts = PurePosixPath(path).parts[:-1]
        at = next((index for index, part in enumerate(parts) if part in _SKIPPED), None)
        if at is None:
            kept.append(path)
        else:
            skipped.add("/".join(parts[: at + 1]))
    return tuple(kept), tuple(sorted(skipped))


def _from_folder(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kept: list[str] = []
    skipped: list[str] = []
    for entry, name in _walk(root, "", skipped):
        if len(kept) >= LISTED:
            break
        if _is_file(entry, root):
            kept.append(name)
    return tuple(sorted(kept)), tuple(sorted(skipped))


def _walk(folder: Path, prefix: str, skipped: list[str]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Files and links, nearest first: a limit then cuts what lies deep. Links to folders are not followed."""
    folders: list[tuple[Path, str]] = []
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = prefix + entry.name
        if not entry.is_dir(follow_symlinks=False):
            yield entry, name
        elif entry.name in _SKIPPED or Path(entry.path, "pyvenv.cfg").is_file():
            skipped.append(name)
        elif name.count("/") < DEPTH:
            folders.append((Path(entry.path), f"{name}/"))
    for path, deeper in folders:
        yield from _walk(path, deeper, skipped)


def _is_file(entry: os.DirEntry[str], root: Path) -> bool:
    if entry.is_file(follow_symlinks=False):
        return True
    if not entry.is_symlink():
        return False
    try:
        real = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return real.is_file() and real.is_relative_to(root)


def _decoded(path: str, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError("is UTF-16", where=path, hint="save it as UTF-8")
    if b"\0" in content:
        raise ConfigError("is not text", where=path, hint="save it as UTF-8 text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8", where=f"{path}:{line}", hint="save it as UTF-8") from error


def _size(limit: int) -> str:
    return f"{limit // 1024} KiB" if limit < 1024 * 1024 else f"{limit // (1024 * 1024)} MiB"
