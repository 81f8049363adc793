"""Which branch of an app's repository is deployed when it is pushed."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from paas.errors import UsageError
from paas.model.branches import FIRST
from paas.model.events import Event
from paas.requests.deploys import DeployApp, SourceRef
from paas.requests.git import SetBranch, ShowBranch
from paas.usecases import repository
from paas.usecases.context import Act, Context
from paas.usecases.deploy import deploy_app
from paas.usecases.switch import base_release, source_version


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployBranch:
    """`commit` is what it names, empty before it is pushed; `release` what was made of it just now (0: nothing).
    `chosen` False: until something is pushed, the first of main and master that comes may take its place."""

    app: str
    branch: str
    commit: str = ""
    chosen: bool = False
    release: int = 0


def show_branch(context: Context, request: ShowBranch, act: Act) -> DeployBranch:
    """Raises NotFound."""
    app = context.store.app(request.app)
    path = repository.path_of(context.settings, app.id)
    if not path.exists():
        return DeployBranch(app=app.name, branch=FIRST[0])
    return _shown(app.name, path)


def set_branch(context: Context, request: SetBranch, act: Act) -> DeployBranch:
    """A branch that was kept until now is deployed first: the deploy branch says what runs. Where that fails, all is as
    it was. Raises UsageError for what cannot name a branch, and what a deploy fails with."""
    app = context.store.app(request.app)
    path = repository.prepared(context.settings, app.id)
    if not repository.can_be(path, request.branch):
        raise UsageError(f"{request.branch[:80]!a} cannot name a branch", hint="give its short name: production")
    release = 0
    # Each push has decided by the deploy branch, and changed its own, while it holds one of these.
    with _alone(repository.turn(path), act), _alone(repository.keeping(path), act):
        app, commit = context.store.app(app.id), repository.commit_of(path, request.branch)
        if commit and commit != source_version(base_release(context.store, app)):
            source = SourceRef(commit=commit, kind="git", origin=f"git push {request.branch}")
            deployed = deploy_app(context, DeployApp(app=app.name, source=source, create=False), act)
            release = 0 if deployed.unchanged else deployed.release
        repository.choose(path, request.branch)
    return _shown(app.name, path, release)


@contextmanager
def _alone(file: IO[str], act: Act) -> Iterator[None]:
    """Hold the lock of this file."""
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            act.emit(Event(kind="note", message="a push to this app is on its way: waiting for it"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _shown(app: str, path: Path, release: int = 0) -> DeployBranch:
    branch = repository.deploy_branch(path)
    commit = repository.commit_of(path, branch)
    return DeployBranch(app=app, branch=branch, commit=commit, chosen=repository.chosen(path), release=release)
