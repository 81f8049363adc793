"""git's conversations about an app's repository: a push deploys, decided by the `pre-receive` hook (`cli/receive.py`),
which asks this server for the deploy while the person waits.

A push whose client goes away when all of it has arrived goes on: receive-pack is let run to its end, so that what
runs and what the branch says stay the same.
"""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from paas.errors import Cancelled, Conflict, NotFound, PlatformError
from paas.interfaces import Terminal
from paas.model import names
from paas.model.app import App
from paas.requests.git import GitSession
from paas.usecases import images, repository
from paas.usecases.apps import new_app, refuse_taken
from paas.usecases.context import Act, Context

PART = 1 << 16
"""Bytes that are passed on at once."""

MEMORY = 1 << 30
"""Bytes that each process of a conversation may allocate: a delta of a few bytes can stand for very many."""

RECEIVE = "receive-pack"


def git_session(context: Context, request: GitSession, act: Act, terminal: Terminal) -> int:
    """Let git talk through the terminal; its exit code. Raises NotFound, UsageError for a name that cannot be one."""
    if request.service != RECEIVE:
        app = context.store.app(request.app)
        return _talk(context, request, act, terminal, repository.prepared(context.settings, app.id))
    if request.step == "refs" and not _is_there(context, request.app):
        return _nothing_yet(context, request, act, terminal)
    with _pushed_to(context, request, act) as app:
        path = repository.prepared(context.settings, app.id)
        code = _talk(context, request, act, terminal, path)
        repository.settle_head(path)
        return code


def _is_there(context: Context, name: str) -> bool:
    try:
        return bool(context.store.app(name))
    except NotFound:
        return False


def _nothing_yet(context: Context, request: GitSession, act: Act, terminal: Terminal) -> int:
    """What there is of an app that the push would make: nothing. A question alone makes no app."""
    refuse_taken(context, names.app_name(request.app))
    with repository.empty(context.settings) as path:
        return _talk(context, request, act, terminal, path)


@contextmanager
def _pushed_to(context: Context, request: GitSession, act: Act) -> Iterator[App]:
    """The app, made if there is none; one that was made and has got nothing is taken away again."""
    try:
        app, created = context.store.app(request.app), False
    except NotFound:
        app, created = _created(context, request.app, act), True
    try:
        yield app
    finally:
        if created and _is_empty(context, app):
            images.remove_all(context, app)
            repository.remove(context.settings, app.id)
            context.store.delete_app(app.id)


def _created(context: Context, name: str, act: Act) -> App:
    try:
        return new_app(context, name, act=act)
    except Conflict:
        app = context.store.app(name)  # another first push was faster
        if not act.may(app.id, "deployer"):
            raise
        return app


def _is_empty(context: Context, app: App) -> bool:
    return not (
        context.store.releases(app.id, 1)
        or context.store.operations(app_id=app.id, status="running")
        or repository.has_refs(repository.path_of(context.settings, app.id))
    )


def _talk(context: Context, request: GitSession, act: Act, terminal: Terminal, path: Path) -> int:
    settings = context.settings
    # Pushes of one app take turns from the hook's decision to the change of the ref. The lock belongs to this open
    # file, which git and its hook inherit: the hook takes it, and nobody has to be told when git has ended.
    with (path / "push.lock").open("a") as lock:
        facts = {
            "PAAS_PUSH_APP": request.app,
            "PAAS_PUSH_ACTOR": act.who.acting if act.who else act.actor,
            "PAAS_PUSH_LOCK": str(lock.fileno()),
        }
        try:
            child = subprocess.Popen(
                repository.command(settings, request.service, path, request.step),
                env=repository.environment(settings, **facts),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise PlatformError("git is not installed", hint="apt-get install -y git") from error
        # It waits for the first word of the person's git before it starts anything, which then has the same limit.
        with suppress(ProcessLookupError):
            resource.prlimit(child.pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
        try:
            return _Tunnel(child, terminal, goes_on=request.service == RECEIVE).run()
        finally:
            # git may leave a process behind that packs its objects: it must not keep the next push waiting.
            fcntl.flock(lock, fcntl.LOCK_UN)


class _Tunnel:
    """Bytes between a git process and the person's end. `goes_on`: git ends its work when the person has gone."""

    def __init__(self, child: subprocess.Popen[bytes], terminal: Terminal, *, goes_on: bool) -> None:
        self._child = child
        self._terminal = terminal
        self._goes_on = goes_on
        self._gone = False

    def run(self) -> int:
        """The exit code of git."""
        child = self._child
        threading.Thread(target=self._feed, name="git-input", daemon=True).start()
        said = threading.Thread(target=self._pass, args=(child.stderr, "stderr"), name="git-errors", daemon=True)
        said.start()
        try:
            self._pass(child.stdout, "stdout")
            said.join()
            code = child.wait()
        finally:
            child.kill()
            child.wait()
            cast(IO[bytes], child.stdout).close()
            cast(IO[bytes], child.stderr).close()
        return code if code >= 0 else 128 - code

    def _feed(self) -> None:
        """What the person's git says. Its end, and its going away, is the end of git's input."""
        into = cast(IO[bytes], self._child.stdin)
        with suppress(Cancelled, BrokenPipeError, ValueError), into:
            while (data := self._terminal.read()) is not None:
                if isinstance(data, bytes):
                    into.write(data)
                    into.flush()

    def _pass(self, source: IO[bytes] | None, stream: str) -> None:
        """What git says. When nobody listens any more, it is still taken, so that git can end."""
        assert source is not None
        while data := os.read(source.fileno(), PART):
            if self._gone:
                continue
            try:
                self._terminal.write(data, stream)
            except Cancelled:
                self._gone = True
                if not self._goes_on:
                    self._child.kill()
