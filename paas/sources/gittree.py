"""A commit as a tree, read straight out of git's objects: no checkout, so no hook, filter or attribute runs."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

from paas.errors import ConfigError, NotFound
from paas.sources.ignore import FILES, Ignore
from paas.sources.limits import MEMORY, SECONDS, limited
from paas.sources.tree import Entry, ignore_of, leaves, left_out, order

_LFS = b"version https://git-lfs.github.com/spec/"
_LINK = "120000"
_HEAD = 64 * 1024
_CHUNK = 1 << 20
_PATH = 4096
"""Bytes of a path, or of where a link leads: no disk takes longer ones."""
_NAME = 256
"""Bytes of a path, taken over all that a source may have."""
_LEFT_OUT = 10
"""Times the files that a source may have: so many may be looked at."""
_SAID = 20
"""Warnings of one kind that are said one by one."""


@dataclass(frozen=True, slots=True)
class Found:
    """One line of `git ls-tree -l`."""

    mode: str
    kind: str
    oid: str
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Commit:
    """What a name stood for. `time` is the committer's, Unix seconds."""

    sha: str
    subject: str
    time: int


@dataclass(slots=True)
class Room:
    """What a commit may hold: `most` files of `limit` bytes together. `where` is what the person calls it. Everything
    counts that the app's list does not leave out, and is refused while it is read: nothing that a few bytes of git
    stand for is held first."""

    most: int = sys.maxsize
    limit: int = sys.maxsize
    where: str = ""
    _seen: int = 0
    _files: int = 0
    _bytes: int = 0
    _names: int = 0

    def look(self, line: Found) -> None:
        """Count what is there at all. Raises ConfigError."""
        self._seen += 1
        if self._seen > self.most * _LEFT_OUT:
            raise ConfigError(
                f"the commit has more than {self.most * _LEFT_OUT} files, with those that are left out",
                where=self.where,
                hint="take them out of git, or raise PAAS_UPLOAD_FILES",
            )

    def fits(self, line: Found) -> None:
        """Raise ConfigError where it would be too much."""
        many = self._files >= self.most
        if many or self._bytes + line.size > self.limit:
            raise ConfigError(
                f"the source has more than {f'{self.most} files' if many else f'{self.limit // 1048576} MB unpacked'}",
                where=self.where,
                hint=f"leave data out with .paasignore, or raise PAAS_UPLOAD_{'FILES' if many else 'LIMIT'}",
            )

    def take(self, line: Found) -> None:
        """Count one that is kept, or named to the person. Raises ConfigError."""
        self.fits(line)
        self._files += 1
        self._bytes += line.size
        self._names += len(line.path) + (line.size if line.mode == _LINK else 0)
        if self._names > self.most * _NAME:
            raise ConfigError(
                f"the names of the files have more than {self.most * _NAME // 1048576} MB", where=self.where
            )


class GitTree:
    """The files of `commit` below `prefix`, filtered. `submodules` are those that are not left out; where the caller
    does not fetch them, `warnings` says so. Raises ConfigError for more than `room` has, GitFailed."""

    def __init__(
        self, repository: Path, commit: Commit, prefix: str = "", *, fetches: bool = False, room: Room | None = None
    ) -> None:
        self._repository = repository
        tree = f"{commit.sha}:{prefix}" if prefix else commit.sha
        with _Heads(repository) as heads:
            rules = ignore_of({line.path: heads.read(line) for line in listed(repository, tree, *FILES)})
            found = _Chosen(rules, heads, room or Room(), commit.time)
            for line in listed(repository, tree):
                found.look(line)
        found.kept.sort(key=lambda pair: order(pair[0]))
        self.submodules = tuple(found.submodules)
        self.entries = tuple(entry for entry, _ in found.kept)
        self._oids = tuple(oid for entry, oid in found.kept if entry.kind != "link")
        left = () if fetches else self.submodules
        warnings = [*(f"submodule {line.path} is not part of the source" for line in left), *found.warnings]
        self.warnings = (*left_out(found.secrets), *_first(warnings), *self._pointers())

    def bodies(self) -> Iterator[tuple[Entry, IO[bytes]]]:
        """See `Tree.bodies`."""
        regular = (entry for entry in self.entries if entry.kind != "link")
        yield from zip(regular, objects(self._repository, self._oids), strict=True)

    def _pointers(self) -> tuple[str, ...]:
        """A warning for large-file pointers: git's own objects do not hold what they stand for."""
        small = [(e.path, oid) for (e, oid) in zip(self._regular(), self._oids, strict=True) if 100 < e.size < 200]
        bodies = objects(self._repository, [oid for _, oid in small])
        found = [path for (path, _), body in zip(small, bodies, strict=True) if body.read().startswith(_LFS)]
        if not found:
            return ()
        shown = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        return (f"{shown}: only a Git LFS pointer, the content is not part of the source",)

    def _regular(self) -> Iterator[Entry]:
        return (entry for entry in self.entries if entry.kind != "link")


@dataclass(slots=True)
class _Chosen:
    """What is kept of a commit, line by line."""

    rules: Ignore
    heads: _Heads
    room: Room
    time: int
    kept: list[tuple[Entry, str]] = field(default_factory=list)
    submodules: list[Found] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def look(self, line: Found) -> None:
        """Take it, or leave it out. Raises ConfigError where there is no room."""
        self.room.look(line)
        verdict = self.rules.verdict(line.path, None if line.kind == "commit" else lambda: self._head(line))
        if verdict == "ignored":
            return
        self.room.take(line)
        if line.kind == "commit":
            self.submodules += [line] if verdict == "keep" else []
        elif verdict == "secret":
            self.secrets.append(line.path)
        elif entry := self._entry(line):
            self.kept.append((entry, line.oid))

    def _head(self, line: Found) -> bytes:
        self.room.fits(line)
        return self.heads.read(line)

    def _entry(self, line: Found) -> Entry | None:
        if line.mode != _LINK:
            return Entry(line.path, "exec" if line.mode == "100755" else "file", line.size, mtime=self.time)
        target = os.fsdecode(self.heads.read(line)) if line.size <= _PATH else ""
        if leaves(line.path, target):
            self.warnings.append(f"left out {line.path}: it is a link that leaves the folder")
            return None
        return Entry(line.path, "link", target=target)


def _first(warnings: list[str]) -> Iterator[str]:
    yield from warnings[:_SAID]
    if len(warnings) > _SAID:
        yield f"{len(warnings) - _SAID} more are left out like these"


def listed(repository: Path, tree: str, *names: str) -> Iterator[Found]:
    """Everything in a tree-ish, submodules included, as git comes to it; with `names` only the files at its top that
    are called so. Raises GitFailed, ConfigError for a path that no disk takes."""
    flags = () if names else ("-r",)
    with output(repository, "ls-tree", *flags, "-l", "-z", "--full-tree", tree, *names, seconds=SECONDS) as given:
        rest = b""
        while data := given.read1(_CHUNK):
            *lines, rest = (rest + data).split(b"\0")
            for line in lines:
                head, _, path = line.partition(b"\t")
                if len(path) > _PATH:
                    raise ConfigError(f"a path has more than {_PATH} bytes", where=os.fsdecode(path[:80]))
                mode, kind, oid, size = head.decode().split()
                if kind != "tree":
                    yield Found(mode, kind, oid, int(size) if size != "-" else 0, os.fsdecode(path))
            if len(rest) > _PATH + 200:
                raise ConfigError(f"a path has more than {_PATH} bytes", where=os.fsdecode(rest[:120]))


class _Heads:
    """Reads the beginnings of blobs, as they are asked for, through one git process."""

    def __init__(self, repository: Path) -> None:
        self._repository = repository
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> _Heads:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            with self._process:
                self._process.kill()

    def read(self, line: Found) -> bytes:
        """Raises ConfigError when git gives up."""
        if line.kind != "blob":
            return b""
        if self._process is None:
            self._process = _cat_file(self._repository, subprocess.PIPE)
        asked, given = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        with suppress(BrokenPipeError):  # said by what is not announced
            asked.write(f"{line.oid}\n".encode())
            asked.flush()
        body = _Body(given, _announced(given, line.oid, self._repository))
        head = body.read(_HEAD)
        body.skip()
        return head


def objects(repository: Path, oids: Sequence[str]) -> Iterator[IO[bytes]]:
    """The bodies of blobs in this order, through one git process, each to be read before the next is asked for. Nobody
    holds a large one as a whole, git included."""
    if not oids:
        return
    # The ids stand in a file: asking one by one would wait for git 20,000 times.
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{oid}\n" for oid in oids).encode())
        wanted.seek(0)
        with _cat_file(repository, wanted) as process:
            given = cast("IO[bytes]", process.stdout)
            try:
                for oid in oids:
                    body = _Body(given, _announced(given, oid, repository))
                    yield cast("IO[bytes]", body)
                    body.skip()
            finally:
                process.kill()


def _cat_file(repository: Path, wanted: IO[bytes] | int) -> subprocess.Popen[bytes]:
    command = ["git", "-C", str(repository), "-c", "core.bigFileThreshold=8m", "cat-file", "--batch"]
    return subprocess.Popen(limited(command, seconds=SECONDS), stdin=wanted, stdout=subprocess.PIPE, env=environment())


def _announced(given: IO[bytes], oid: str, repository: Path) -> int:
    """The size of the object that comes now."""
    head = given.readline().split()
    if not head:
        raise ConfigError(
            "git ended before it had read all files",
            hint=f"one of them takes more than {MEMORY >> 20} MB of memory, or all more than {SECONDS} s: keep such "
            "large files out of git",
        )
    if len(head) != 3:
        raise ConfigError(f"object {oid} is missing", where=str(repository), hint="run `git fsck`")
    return int(head[2])


class _Body(io.RawIOBase):
    """One object, as it comes out of git."""

    def __init__(self, given: IO[bytes], size: int) -> None:
        self._given = given
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._given.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def skip(self) -> None:
        """Go on to where the next object begins."""
        while self._left and self.read(1 << 20):
            pass
        self._given.read(1)


def held(repository: Path) -> int:
    """Bytes of its objects as they lie on disk, those of pushes on their way included."""
    found = 0
    for folder, _, names in os.walk(repository / "objects"):
        for name in names:
            with suppress(OSError):  # packed or dropped meanwhile
                found += os.stat(os.path.join(folder, name)).st_size  # noqa: PTH116, PTH118 - many files
    return found


def commit(repository: Path, ref: str) -> Commit:
    """The commit that `ref` names. Raises NotFound; a name that git would take for an option is no name."""
    if not ref or ref.startswith("-") or any(ord(char) <= 32 for char in ref):
        raise NotFound(f"{ref!r} cannot name a commit", hint="give a branch, a tag or a commit id")
    try:
        sha = run(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").decode()
        # Not `git show`: it walks through all that the commit holds, even when it is told to show nothing of that.
        form = ("--no-walk", "--no-patch", "--no-show-signature", "--format=%H%x00%ct%x00%s")
        raw = run(repository, "log", *form, sha.strip(), most=_HEAD, seconds=SECONDS)
    except GitFailed as error:
        raise NotFound(
            f"there is no commit {ref!r}", hint="`git branch -a` and `git tag` list names", details=error.lines
        ) from error
    found, time, subject = raw.decode("utf-8", "replace").rstrip("\n").split("\0", 2)
    return Commit(found, subject[:200], int(time))


class GitFailed(Exception):
    """git said no; `lines` are its last words."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__(lines[-1] if lines else "git failed")
        self.lines = lines


def run(folder: Path, *arguments: str, most: int = -1, seconds: int = 0) -> bytes:
    """Output of a git command in a folder, `most` bytes of it; `seconds` of CPU time are its limit, 0: none. Raises
    GitFailed, and PlatformError when there is no git."""
    with output(folder, *arguments, seconds=seconds) as given:
        return given.read(most)


@contextmanager
def output(folder: Path, *arguments: str, seconds: int = 0) -> Iterator[io.BufferedReader]:
    """The output of a git command as it comes; git is ended where the rest is not read. `seconds` of CPU time are its
    limit, 0: none. Raises GitFailed at the end, and PlatformError when there is no git."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            limited(["git", "-C", str(folder), *arguments], seconds=seconds),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        given = cast("io.BufferedReader", process.stdout)
        try:
            yield given
            code = 0 if given.read(1) else process.wait()
        finally:
            process.kill()
        if code:
            errors.seek(0)
            lines = errors.read(_HEAD).decode("utf-8", "replace").splitlines()[-5:]
            raise GitFailed(tuple(lines) or ((f"git was ended by signal {-code}",) if code < 0 else ()))


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment git runs in: ours without what would point it at another repository, and in English."""
    kept = ("GIT_SSL_", "GIT_SSH", "GIT_CONFIG_", "GIT_PROXY_")
    base = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(kept)}
    return base | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"} | dict(extra or {})
