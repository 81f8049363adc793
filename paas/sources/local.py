"""What a person deploys from where they are: a folder, a commit of it, or an archive."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from paas.errors import ConfigError, NotFound, PlatformError, UsageError
from paas.sources import gittree
from paas.sources.clone import redacted
from paas.sources.ignore import FILES, Ignore
from paas.sources.tree import (
    Entry,
    Folder,
    Tree,
    examined,
    head,
    identify,
    ignore_of,
    leaves,
    left_out,
    pack,
    unreadable,
)
from paas.sources.unpack import unpack_archive

LIMIT, MOST = 1 << 30, 100_000
"""Bytes and files of a source, unless the caller says otherwise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalSource:
    """A source ready to be sent. `kind` is directory, git or archive; `size` bytes of all files together.

    `content_id` names exactly what `write_tar` writes; `version` is the commit, or the start of the content id;
    `origin` where it came from, without credentials; `warnings` what the person should know was left out.
    """

    kind: str
    content_id: str
    version: str
    origin: str
    message: str
    warnings: tuple[str, ...]
    files: int
    size: int
    tree: Tree

    def write_tar(self, fileobj: IO[bytes]) -> None:
        """Write a plain tar, always the same bytes. Raises ConfigError when a file changed since it was identified."""
        pack(self.tree, fileobj)


def open_local(
    target: Path | str, *, ref: str = "", worktree: bool = False, limit: int = LIMIT, most: int = MOST
) -> LocalSource:
    """What `target` stands for: a git commit (HEAD, or `ref`) where it is in a repository, else its files.

    `worktree` takes the files as they are, uncommitted ones included, but for those git ignores. Raises NotFound,
    UsageError, and ConfigError when there is nothing in it, a file cannot be read, or it has more than `limit` bytes
    or `most` files: the server would refuse it after all of it was sent.
    """
    found = _opened(Path(target), ref, worktree, limit, most)
    if found.size > limit or found.files > most:
        too = f"{most} files" if found.files > most else f"{limit // 1048576} MB"
        setting = "PAAS_UPLOAD_FILES" if found.files > most else "PAAS_UPLOAD_LIMIT"
        raise ConfigError(
            f"the source has more than {too}",
            where=found.origin,
            hint=f"leave out what the app does not need (.paasignore), or raise {setting}",
        )
    return found


def _opened(path: Path, ref: str, worktree: bool, limit: int, most: int) -> LocalSource:
    if ref and worktree:
        raise UsageError("a ref and the work tree cannot both be deployed", hint="give --ref or --worktree")
    if not path.exists():
        raise NotFound(f"{path} does not exist", hint="give a folder, an archive or a git URL")
    if path.is_file():
        return _archive(path, ref, worktree, limit, most)
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(f"{path} cannot be read", hint="mend its permissions")
    return _directory(path.resolve(), ref, worktree)


def _archive(path: Path, ref: str, worktree: bool, limit: int, most: int) -> LocalSource:
    if ref or worktree:
        raise UsageError(f"{path.name} is an archive: it has neither commits nor a work tree")
    folder = Path(tempfile.mkdtemp(prefix="paas-archive-"))
    try:
        unpack_archive(path, folder / "source", limit=limit, most=most)
        found = _source("archive", _filtered(folder / "source"), origin=path.name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(found, shutil.rmtree, folder, ignore_errors=True)
    return found


def _directory(path: Path, ref: str, worktree: bool) -> LocalSource:
    top = _repository(path)
    if top is None:
        if ref:
            raise UsageError(f"{path} is not in a git repository", hint="deploy without --ref: its files as they are")
        return _source("directory", _filtered(path), origin=str(path))
    prefix = path.relative_to(top).as_posix() if path != top else ""
    if worktree:
        return _of_worktree(top, path, ())
    if not ref and not _committed(top, prefix):
        note = "nothing of this folder is committed: its files are deployed as they are"
        return _of_worktree(top, path, (note,))
    return _of_commit(top, path, prefix, ref or "HEAD", changes=not ref)


def _repository(path: Path) -> Path | None:
    try:
        top = Path(os.fsdecode(gittree.run(path, "rev-parse", "--show-toplevel")).rstrip("\n")).resolve()
    except gittree.GitFailed as error:
        if any("dubious ownership" in line for line in error.lines):
            raise UsageError(
                f"git does not trust the repository of {path}: it belongs to somebody else",
                hint=f"git config --global --add safe.directory {path}",
                details=error.lines,
            ) from error
        return None
    except PlatformError:
        # Without git there is no repository, only files.
        return None
    # A folder that the repository around it ignores is a project of its own (a build folder, a test's).
    return None if top != path and _ignored(top, path) else top


def _ignored(top: Path, path: Path) -> bool:
    try:
        gittree.run(top, "check-ignore", "--quiet", "--", str(path))
    except gittree.GitFailed:
        return False
    return True


def _committed(top: Path, prefix: str) -> bool:
    try:
        return bool(gittree.run(top, "ls-tree", "--full-tree", f"HEAD:{prefix}" if prefix else "HEAD"))
    except gittree.GitFailed:
        return False


def _of_commit(top: Path, path: Path, prefix: str, ref: str, *, changes: bool) -> LocalSource:
    commit = gittree.commit(top, ref)
    try:
        tree = gittree.GitTree(top, commit, prefix)
    except gittree.GitFailed as error:
        raise NotFound(f"{prefix or path} does not exist in {ref}", details=error.lines) from error
    found = _source("git", tree, origin=_origin(top), version=commit.sha, message=commit.subject)
    changed = _uncommitted(top, path) if changes else 0
    if not changed:
        return found
    files = f"{changed} uncommitted file{'s are' if changed != 1 else ' is'}"
    return replace(found, warnings=(f"{files} left out (--worktree takes them along)", *found.warnings))


def _of_worktree(top: Path, path: Path, notes: tuple[str, ...]) -> LocalSource:
    raw = gittree.run(path, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--", ".")
    names = [os.fsdecode(name) for name in raw.split(b"\0") if name]
    found = _source("git", _filtered(path, names), origin=_origin(top))
    if _committed(top, "") and not _uncommitted(top, path):
        commit = gittree.commit(top, "HEAD")
        found = replace(found, version=commit.sha, message=commit.subject)
    return replace(found, warnings=(*notes, *found.warnings))


def _uncommitted(top: Path, path: Path) -> int:
    raw = gittree.run(top, "status", "--porcelain", "--no-renames", "-z", "--untracked-files=all", "--", str(path))
    return sum(1 for line in raw.split(b"\0") if line)


def _origin(top: Path) -> str:
    try:
        return redacted(gittree.run(top, "remote", "get-url", "origin").decode("utf-8", "replace").strip())
    except gittree.GitFailed:
        return str(top)


def _source(kind: str, tree: Tree, *, origin: str, version: str = "", message: str = "") -> LocalSource:
    if not tree.entries:
        raise ConfigError("there is no file to deploy: no app found", where=origin)
    content_id = identify(tree)
    return LocalSource(
        kind=kind,
        content_id=content_id,
        version=version or content_id[:12],
        origin=origin,
        message=message,
        warnings=tree.warnings,
        files=len(tree.entries),
        size=sum(entry.size for entry in tree.entries),
        tree=tree,
    )


def _filtered(folder: Path, names: list[str] | None = None) -> Folder:
    """The files of a folder (all, or those of `names`) without what the lists leave out."""
    rules = ignore_of({name: head(folder / name) for name in FILES if (folder / name).is_file()})
    seen = _Seen(folder)
    candidates = _walk(folder, "", rules, seen) if names is None else _named(folder, names, rules, seen)
    entries = tuple(candidates)
    return Folder(folder, entries, (*left_out(seen.secrets), *seen.warnings))


class _Seen:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.secrets: list[str] = []
        self.warnings: list[str] = []


def _walk(folder: Path, prefix: str, rules: Ignore, seen: _Seen) -> Iterator[Entry]:
    try:
        items = list(os.scandir(folder))
    except OSError as error:
        raise unreadable(prefix.rstrip("/") or str(folder), error) from error
    for item in items:
        path = prefix + item.name
        if item.is_dir(follow_symlinks=False):
            verdict, descends = rules.verdict(path), rules.descends(path)
            if verdict == "secret" and not descends:
                seen.secrets.append(path)
            if verdict == "keep" or descends:
                yield from _walk(Path(item.path), f"{path}/", rules, seen)
        elif found := _one(Path(item.path), path, rules, seen):
            yield found


def _named(folder: Path, names: list[str], rules: Ignore, seen: _Seen) -> Iterator[Entry]:
    for name in names:
        file = folder / name
        if file.is_dir() and not file.is_symlink():
            seen.warnings.append(f"submodule {name.rstrip('/')} is not part of the source")
        elif os.path.lexists(file) and (found := _one(file, name, rules, seen)):
            yield found


def _one(file: Path, path: str, rules: Ignore, seen: _Seen) -> Entry | None:
    verdict = rules.verdict(path, lambda: head(file))
    if verdict == "secret":
        seen.secrets.append(path)
    if verdict != "keep":
        return None
    found = examined(file, path)
    if found is None:
        seen.warnings.append(f"left out {path}: it is a socket, pipe or device")
    elif found.kind == "link" and _leads_out(seen.root, path, found.target):
        seen.warnings.append(f"left out {path}: it is a link that leaves the folder")
        return None
    return found


def _leads_out(root: Path, path: str, target: str) -> bool:
    if leaves(path, target):
        return True
    end = Path(os.path.realpath(root / path))
    return end != root and root not in end.parents
