"""A commit as a tree, read straight out of git's objects: no checkout, so no hook, filter or attribute runs."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from paas.errors import ConfigError, NotFound, PlatformError
from paas.sources.ignore import FILES, Ignore
from paas.sources.tree import Entry, ignore_of, leaves, left_out, order

_LFS = b"version https://git-lfs.github.com/spec/"
_HEAD = 64 * 1024


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


class GitTree:
    """The files of `commit` below `prefix`, filtered. `submodules` are those that are not left out; where the caller
    does not fetch them, `warnings` says so."""

    def __init__(self, repository: Path, commit: Commit, prefix: str = "", *, fetches: bool = False) -> None:
        self._repository = repository
        found = tuple(listed(repository, f"{commit.sha}:{prefix}" if prefix else commit.sha))
        blobs = {line.path: line for line in found if line.kind == "blob"}
        rules = ignore_of({name: self._read(blobs[name]) for name in FILES if name in blobs})
        self.submodules = tuple(line for line in found if line.kind == "commit" and rules.verdict(line.path) == "keep")
        left = () if fetches else self.submodules
        warnings = [f"submodule {line.path} is not part of the source" for line in left]
        secrets: list[str] = []
        kept = [
            (entry, line.oid)
            for line in blobs.values()
            if self._comes(line, rules, secrets) and (entry := self._entry(line, commit.time, warnings))
        ]
        kept.sort(key=lambda pair: order(pair[0]))
        self.entries = tuple(entry for entry, _ in kept)
        self._oids = tuple(oid for entry, oid in kept if entry.kind != "link")
        self.warnings = (*left_out(secrets), *warnings, *self._pointers())

    def bodies(self) -> Iterator[tuple[Entry, IO[bytes]]]:
        """See `Tree.bodies`."""
        regular = (entry for entry in self.entries if entry.kind != "link")
        yield from zip(regular, objects(self._repository, self._oids), strict=True)

    def _comes(self, line: Found, rules: Ignore, secrets: list[str]) -> bool:
        verdict = rules.verdict(line.path, lambda: self._read(line))
        if verdict == "secret":
            secrets.append(line.path)
        return verdict == "keep"

    def _entry(self, line: Found, time: int, warnings: list[str]) -> Entry | None:
        if line.mode != "120000":
            return Entry(line.path, "exec" if line.mode == "100755" else "file", line.size, mtime=time)
        target = os.fsdecode(self._read(line))
        if leaves(line.path, target):
            warnings.append(f"left out {line.path}: it is a link that leaves the folder")
            return None
        return Entry(line.path, "link", target=target)

    def _read(self, line: Found) -> bytes:
        for body in objects(self._repository, [line.oid]):
            return body.read(_HEAD)
        return b""

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


def listed(repository: Path, tree: str) -> Iterator[Found]:
    """Everything in a tree-ish, submodules included."""
    raw = run(repository, "ls-tree", "-r", "-l", "-z", "--full-tree", tree)
    for line in raw.split(b"\0"):
        if line:
            head, _, path = line.partition(b"\t")
            mode, kind, oid, size = head.decode().split()
            yield Found(mode, kind, oid, int(size) if size != "-" else 0, os.fsdecode(path))


def objects(repository: Path, oids: Sequence[str]) -> Iterator[IO[bytes]]:
    """The bodies of blobs in this order, through one git process, each to be read before the next is asked for. Nobody
    holds a large one as a whole, git included."""
    if not oids:
        return
    command = ["git", "-C", str(repository), "-c", "core.bigFileThreshold=8m", "cat-file", "--batch"]
    # The ids stand in a file: asking one by one would wait for git 20,000 times.
    with tempfile.TemporaryFile() as wanted:
        wanted.write("".join(f"{oid}\n" for oid in oids).encode())
        wanted.seek(0)
        with subprocess.Popen(command, stdin=wanted, stdout=subprocess.PIPE, env=environment()) as process:
            given = cast("IO[bytes]", process.stdout)
            try:
                for oid in oids:
                    body = _Body(given, _announced(given, oid, repository))
                    yield cast("IO[bytes]", body)
                    body.skip()
            finally:
                process.kill()


def _announced(given: IO[bytes], oid: str, repository: Path) -> int:
    """The size of the object that comes now."""
    head = given.readline().split()
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
        sha = run(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        raw = run(
            repository, "show", "--no-patch", "--no-show-signature", "--format=%H%x00%ct%x00%s", sha.decode().strip()
        )
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


def run(folder: Path, *arguments: str, extra: Mapping[str, str] | None = None) -> bytes:
    """Output of a git command in a folder. Raises GitFailed, and PlatformError when there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise PlatformError("git is not installed", hint="apt-get install -y git") from error
    if done.returncode != 0:
        raise GitFailed(tuple(done.stderr.decode("utf-8", "replace").splitlines()[-5:]))
    return done.stdout


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment git runs in: ours without what would point it at another repository, and in English."""
    kept = ("GIT_SSL_", "GIT_SSH", "GIT_CONFIG_", "GIT_PROXY_")
    base = {k: v for k, v in os.environ.items() if not k.startswith("GIT_") or k.startswith(kept)}
    return base | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"} | dict(extra or {})
