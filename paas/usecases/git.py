"""git's conversations about an app's repository: a push deploys, decided by the `pre-receive` hook (`cli/receive.py`),
which asks this server for the deploy while the person waits. Where the app has review apps of what is pushed to it, the
`post-receive` hook (`cli/follow.py`) has them follow their branches.

A push whose client goes away when all of it has arrived goes on: receive-pack is let run to its end, so that what
runs and what the branch says stay the same.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from paas.errors import Cancelled, Conflict, NotFound, PlatformError
from paas.interfaces import Terminal
from paas.model import names
from paas.model.app import App
from paas.model.branches import BRANCHES
from paas.model.people import at_least
from paas.requests.git import GitSession
from paas.sources.limits import limited
from paas.store import words
from paas.usecases import images, repository
from paas.usecases.apps import new_app, refuse_taken
from paas.usecases.context import Act, Context
from paas.usecases.review_policy import followed_branches

PART = 1 << 16
"""Bytes that are passed on at once."""

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
        code = _talk(context, request, act, terminal, path, follow=followed_branches(context, app))
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


def _pushed_to(context: Context, request: GitSession, act: Act) -> AbstractContextManager[App]:
    """The app, made if there is none. The last of the pushes at once takes one away that was made and got nothing."""
    return context.pushes.to(lambda: _found(context, request.app, act), lambda app: _clean(context, app))


def _found(context: Context, name: str, act: Act) -> tuple[App, bool]:
    """The app, and whether it was made. Whoever came when there was none was let in to make one, not to somebody
    else's: raises Conflict then."""
    with suppress(NotFound):
        return _let_in(context, context.store.app(name), act), False
    try:
        return new_app(context, name, act=act), True
    except Conflict:
        with suppress(NotFound):
            return _let_in(context, context.store.app(name), act), False  # somebody else's request was faster
        raise


def _let_in(context: Context, app: App, act: Act) -> App:
    access = act.access
    if act.who and act.who.user_id:  # as of now: another push of theirs may just have made it
        access = replace(access, apps=context.store.roles(act.who.user_id))
    if not at_least(access.on_app(app.id), "deployer"):
        raise words.taken("app", app.name)
    return app


def _clean(context: Context, app: App) -> None:
    if _is_empty(context, app):
        images.remove_all(context, app)
        repository.remove(context.settings, app.id)
        context.store.delete_app(app.id)


def _is_empty(context: Context, app: App) -> bool:
    return not (
        context.store.releases(app.id, 1)
        or context.store.operations(app_id=app.id, status="running")
        or repository.has_refs(repository.path_of(context.settings, app.id))
    )


def _talk(
    context: Context, request: GitSession, act: Act, terminal: Terminal, path: Path, *, follow: Sequence[str] = ()
) -> int:
    settings = context.settings
    # Pushes of one app take turns from the hook's decision to the change of the ref. The locks belong to these open
    # files, which git and its hook inherit: the hook takes one, and nobody has to be told when git has ended.
    with repository.turn(path) as lock, repository.keeping(path) as keeps:
        facts = {
            "PAAS_PUSH_APP": request.app,
            "PAAS_PUSH_ACTOR": act.who.acting if act.who else act.actor,
            "PAAS_PUSH_LOCK": str(lock.fileno()),
            "PAAS_PUSH_KEEPS": str(keeps.fileno()),
            "PAAS_PUSH_ROOM": str(settings.repository_limit),
            "PAAS_PUSH_FOLLOW": "\n".join(BRANCHES + branch for branch in follow),
        }
        child = subprocess.Popen(
            limited(repository.command(settings, request.service, path, request.step)),
            env=repository.environment(settings, **facts),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[lock.fileno(), keeps.fileno()],
            start_new_session=True,
        )
        try:
            return _Tunnel(child, terminal, settings.push_idle, goes_on=request.service == RECEIVE).run()
        finally:
            # git may leave a process behind that packs its objects: it must not keep the next push waiting.
            for one in (lock, keeps):
                fcntl.flock(one, fcntl.LOCK_UN)


class _Tunnel:
    """Bytes between a git process and the person's end. `goes_on`: git ends its work when the person has gone, or stood
    still for `idle` seconds: gave nothing and took nothing. (git itself says something every few seconds once a push
    has arrived, so that a long deploy is no standstill.)"""

    def __init__(self, child: subprocess.Popen[bytes], terminal: Terminal, idle: float, *, goes_on: bool) -> None:
        self._child = child
        self._terminal = terminal
        self._idle = idle
        self._goes_on = goes_on
        self._gone = False
        self._stalled = False
        self._moved = time.monotonic()
        self._ended = threading.Event()

    def run(self) -> int:
        """The exit code of git. Raises PlatformError when the person stood still."""
        child = self._child
        threading.Thread(target=self._feed, name="git-input", daemon=True).start()
        threading.Thread(target=self._watch, name="git-idle", daemon=True).start()
        said = threading.Thread(target=self._pass, args=(child.stderr, "stderr"), name="git-errors", daemon=True)
        said.start()
        try:
            self._pass(child.stdout, "stdout")
            said.join()
            code = child.wait()
        finally:
            self._ended.set()
            child.kill()
            child.wait()
            cast(IO[bytes], child.stdout).close()
            cast(IO[bytes], child.stderr).close()
        if self._stalled:
            raise PlatformError(
                f"nothing came and nothing was taken for {self._idle:g} s, so this ended", hint="try again"
            )
        return code if code >= 0 else 128 - code

    def _feed(self) -> None:
        """What the person's git says. Its end, and its going away, is the end of git's input."""
        into = cast(IO[bytes], self._child.stdin)
        with suppress(Cancelled, BrokenPipeError, ValueError), into:
            while (data := self._terminal.read()) is not None:
                self._moved = time.monotonic()
                if isinstance(data, bytes):
                    into.write(data)
                    into.flush()

    def _watch(self) -> None:
        """End the conversation that stands still: the person's end is closed, which is the end of git's input."""
        while (left := self._moved + self._idle - time.monotonic()) > 0:
            if self._ended.wait(left):
                return
        self._stalled = True
        getattr(self._terminal, "close", _nothing)()
        self._leave()

    def _pass(self, source: IO[bytes] | None, stream: str) -> None:
        """What git says. When nobody listens any more, it is still taken, so that git can end."""
        assert source is not None
        while data := os.read(source.fileno(), PART):
            if self._gone:
                continue
            try:
                self._terminal.write(data, stream)
                self._moved = time.monotonic()
            except Cancelled:
                self._leave()

    def _leave(self) -> None:
        self._gone = True
        if not self._goes_on:
            self._child.kill()


def _nothing() -> None:
    """A terminal that needs no end."""
