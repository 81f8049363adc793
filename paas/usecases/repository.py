"""The git repository of each app, `<home>/git/<app id>.git`: bare, made when it is first asked for, ruled by nothing
that lies in it. Named by the app's id, so that a rename keeps it."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from paas import bundled
from paas.errors import NotFound, PlatformError, UsageError
from paas.model.branches import BRANCHES, CHOSEN, FIRST, short
from paas.settings import Settings
from paas.sources import gittree

_ID = re.compile(r"[0-9a-f]{8}")
_INCOMING = re.compile(r"(tmp_objdir-)?incoming-[A-Za-z0-9]{1,16}")

# What git itself refuses on sight keeps hostile submodule files, `.git` folders and broken objects out. The three that
# are let through are common in old, honest histories.
_CONFIG = (
    "receive.fsckObjects=true",
    "transfer.fsckObjects=true",
    "receive.fsck.zeroPaddedFilemode=ignore",
    "receive.fsck.badTimezone=ignore",
    "receive.fsck.missingSpaceBeforeDate=ignore",
    "receive.denyDeleteCurrent=refuse",
    "receive.advertisePushOptions=false",
    "receive.shallowUpdate=true",
    "receive.keepAlive=5",
    # Larger ones pass through in pieces: a few bytes of a pack can stand for very many.
    "core.bigFileThreshold=8m",
    "core.fsmonitor=false",
    "core.logAllRefUpdates=false",
    "protocol.allow=never",
)

_HOOKS = {"pre-receive": "pre-receive", "post-receive": "post-receive-of-apps"}
"""Their names for git, and their templates: `post-receive` is that of people's own repositories."""

THREADS = 4
"""Of one git process: each may take 100 MB to find out what a push stands for, and all have one limit."""

_STEPS = {"": (), "refs": ("--stateless-rpc", "--http-backend-info-refs"), "rpc": ("--stateless-rpc",)}


def path_of(settings: Settings, app_id: str) -> Path:
    """Where the app's repository is, or would be. Raises UsageError for what is no app's id."""
    if not _ID.fullmatch(app_id):
        raise UsageError("only an app that exists has a repository")
    return settings.home / "git" / f"{app_id}.git"


def prepared(settings: Settings, app_id: str) -> Path:
    """The app's repository, made when it is missing. Raises PlatformError."""
    path = path_of(settings, app_id)
    if not (path / "HEAD").exists():
        _make(path)
    return path


@contextmanager
def empty(settings: Settings) -> Iterator[Path]:
    """A repository of no app, with nothing in it, for a moment. What a killed server leaves of it `tidy` removes."""
    path = settings.home / "git" / f".new-{secrets.token_hex(8)}"
    try:
        _make(path)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def objects(settings: Settings, app_id: str, incoming: str) -> tuple[Path, ...]:
    """The folders that hold the objects of the app's repository; `incoming` is the one that a push keeps apart.

    Raises NotFound, UsageError.
    """
    kept = path_of(settings, app_id) / "objects"
    if not kept.is_dir():
        raise NotFound("nothing was ever pushed to this app", hint="git push paas main")
    if not incoming:
        return (kept,)
    apart = kept / incoming
    if not _INCOMING.fullmatch(incoming) or apart.is_symlink() or not apart.is_dir():
        raise UsageError("this push is not on its way (any more)", hint="push again")
    return (kept, apart)


def remove(settings: Settings, app_id: str) -> None:
    """Take the repository away. Idempotent."""
    shutil.rmtree(path_of(settings, app_id), ignore_errors=True)


def turn(repository: Path) -> IO[str]:
    """The file whose lock is for whoever deploys a branch, until that has changed."""
    return (repository / "push.lock").open("a")


def keeping(repository: Path) -> IO[str]:
    """The file whose lock is shared by pushes that deploy nothing, until their branches have changed."""
    return (repository / "keep.lock").open("a")


def has_refs(repository: Path) -> bool:
    """Whether it holds anything that was taken."""
    try:
        return bool(gittree.run(repository, "for-each-ref", "--count=1"))
    except gittree.GitFailed:
        return False


def settle_head(repository: Path) -> None:
    """Have HEAD, which names the deploy branch, name the first one that was pushed. Nothing to do where the app, and
    its repository, was taken away meanwhile."""
    try:
        head = gittree.run(repository, "symbolic-ref", "HEAD").decode().strip()
        there = gittree.run(repository, "for-each-ref", "--format=%(refname)").decode().split()
        first = next((BRANCHES + name for name in FIRST if BRANCHES + name in there), "")
        if head not in there and first and not chosen(repository):
            gittree.run(repository, "symbolic-ref", "HEAD", first)
    except gittree.GitFailed:
        return


def deploy_branch(repository: Path) -> str:
    """The branch that is deployed: the one HEAD names. Raises PlatformError."""
    return short(_told(repository, "symbolic-ref", "HEAD").decode().strip())


def chosen(repository: Path) -> bool:
    """Whether somebody chose the deploy branch."""
    try:
        return bool(gittree.run(repository, "config", "--get", CHOSEN).strip())
    except gittree.GitFailed:
        return False


def choose(repository: Path, branch: str) -> None:
    """Have this branch be the deploy branch, there or not. Raises PlatformError."""
    _told(repository, "symbolic-ref", "HEAD", f"{BRANCHES}{branch}")
    _told(repository, "config", CHOSEN, branch)


def commit_of(repository: Path, branch: str) -> str:
    """The commit that a branch names; empty when it is not there."""
    try:
        return gittree.run(repository, "rev-parse", "--verify", "--quiet", f"{BRANCHES}{branch}").decode().strip()
    except gittree.GitFailed:
        return ""


def commit_named(repository: Path, name: str) -> str:
    """The full id of the commit that a branch, a tag or (a part of) an id names; empty when it is not there."""
    for asked in (f"{BRANCHES}{name}", name):
        try:
            return gittree.run(repository, "rev-parse", "--verify", "--quiet", f"{asked}^{{commit}}").decode().strip()
        except gittree.GitFailed:
            continue
    return ""


def can_be(repository: Path, branch: str) -> bool:
    """Whether git takes this for a branch's name."""
    if branch.startswith("-") or not branch.isprintable():
        return False
    try:
        gittree.run(repository, "check-ref-format", f"{BRANCHES}{branch}")
    except gittree.GitFailed:
        return False
    return True


def _told(repository: Path, *arguments: str) -> bytes:
    try:
        return gittree.run(repository, *arguments)
    except gittree.GitFailed as error:
        raise PlatformError("the app's repository cannot be used", hint="paas doctor", details=error.lines) from error


def tidy(settings: Settings) -> None:
    """At server start, when no push can be on its way: remove what pushes of a killed server left."""
    for left in _left(settings.home / "git"):
        shutil.rmtree(left, ignore_errors=True)
    for lock in _locks(settings.home / "git"):
        lock.unlink(missing_ok=True)


def command(settings: Settings, service: str, repository: Path, step: str = "") -> list[str]:
    """The git command of one conversation (or half of it). What it obeys stands here, never in the repository."""
    config = (*_CONFIG, _threads(), f"receive.maxInputSize={settings.push_limit}", f"core.hooksPath={hooks(settings)}")
    return ["git", *(part for one in config for part in ("-c", one)), service, *_STEPS[step], str(repository)]


def _threads() -> str:
    return f"pack.threads={min(THREADS, os.cpu_count() or 1)}"


def environment(settings: Settings, **facts: str) -> dict[str, str]:
    """All of the environment that git and our hook get: nothing of a person's or the server's settings for git."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
    home = settings.home / "git"
    fixed = {"HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}
    return {**kept, **fixed, "PAAS_HOME": str(settings.home), **facts}


def hooks(settings: Settings) -> Path:
    """The folder of the hooks that all repositories share, written anew where this version's are other ones."""
    folder = settings.home / "git" / "hooks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, template in _HOOKS.items():
        text = (bundled.templates() / "hooks" / template).read_text().replace("{python}", shlex.quote(sys.executable))
        hook = folder / name
        if not hook.exists() or hook.read_text() != text:
            coming = folder / f".{secrets.token_hex(4)}"
            coming.write_text(text)
            coming.chmod(0o700)
            coming.rename(hook)
    return folder


def _make(path: Path) -> None:
    """Made under another name first: whoever sees it sees all of it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    coming = path.parent / f".new-{secrets.token_hex(8)}"
    try:
        gittree.run(
            path.parent, "init", "--bare", "--quiet", "--template=", f"--initial-branch={FIRST[0]}", "--", str(coming)
        )
        coming.rename(path)
    except gittree.GitFailed as error:
        raise PlatformError("the app's repository cannot be made", hint="paas doctor", details=error.lines) from error
    except OSError as error:
        if not (path / "HEAD").exists():  # else another push was faster
            raise PlatformError(f"the app's repository cannot be made: {error.strerror}", hint="paas doctor") from error
    finally:
        shutil.rmtree(coming, ignore_errors=True)


def _left(folder: Path) -> Iterator[Path]:
    yield from folder.glob(".new-*")
    for pattern in ("tmp_objdir-*", "incoming-*"):
        yield from folder.glob(f"*.git/objects/{pattern}")


def _locks(folder: Path) -> Iterator[Path]:
    """Of a git that was killed while it wrote a ref: with one of them, each push is deployed and then not taken."""
    yield from folder.glob("*.git/refs/**/*.lock")  # no ref can be called so
    for name in ("HEAD", "packed-refs", "config", "shallow"):
        yield from folder.glob(f"*.git/{name}.lock")
