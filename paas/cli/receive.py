"""What the `pre-receive` hook of an app's repository runs: decide about a push, deploy what it brings, refuse it when
that does not work. Its words are the `remote:` lines of the person who pushes.

git starts it with one line a ref on standard input, while the new objects are still kept apart; the server told it the
app, in whose name, and which open file is the lock.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paas.cli.output import complain, escaped, say, size
from paas.errors import Conflict, NotLoggedIn, PaasError, UsageError
from paas.model.branches import BRANCHES, CHOSEN, FIRST, TAGS, short

if TYPE_CHECKING:
    from paas.model.events import Event
    from paas.requests.base import Request

LONGEST = 250
"""Bytes of a ref's name: git keeps it as a file, whose name the disk bounds in bytes."""
MOST = 1000
"""Refs in one push."""
MOST_KEPT = 10_000
"""Refs in one repository: each push and fetch begins with all of them."""


@dataclass(frozen=True, slots=True)
class Update:
    """One ref of a push: its commit before and after, all zeros for none."""

    old: str
    new: str
    ref: str

    @property
    def makes(self) -> bool:
        """Whether the ref is new."""
        return set(self.old) == {"0"}

    @property
    def deletes(self) -> bool:
        """Whether the ref is taken away."""
        return set(self.new) == {"0"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a push. `deploy` is the update that is deployed; `notes` are sentences for the person."""

    deploy: Update | None
    notes: tuple[str, ...] = ()


def main() -> int:
    """The exit code: 0 takes the push."""
    try:
        return _received(given())
    except PaasError as error:
        complain(error)
    except KeyboardInterrupt:
        say("interrupted")
    return 1


def given() -> Iterator[str]:
    """The lines that git gives a hook. A ref's name is bytes, and so it must be read in every locale."""
    return (line.decode(errors="surrogateescape") for line in sys.stdin.buffer)


def updates(lines: Iterable[str]) -> tuple[Update, ...]:
    """git's lines: `<old> <new> <ref>`. Raises UsageError for more refs than one push may have."""
    found = []
    for line in lines:
        old, new, ref = line.rstrip("\n").split(" ", 2)
        found.append(Update(old, new, ref))
        if len(found) > MOST:
            raise UsageError(f"one push may change at most {MOST} refs", hint="push one branch: git push paas main")
    return tuple(found)


def judged(pushed: Sequence[Update], head: str, settled: bool, there: Collection[str] = ()) -> Verdict:
    """What to do with a push. `head` is the ref that HEAD names, `settled` whether it exists or was chosen: if neither,
    the first of main and master that comes becomes the deploy branch. `there` are the refs before the push. Raises
    UsageError for refs that are not taken."""
    for one in pushed:
        _check(one.ref)
    chosen = head if settled else _first(pushed, head)
    deploy = next((one for one in pushed if one.ref == chosen), None)
    branch = short(chosen)
    if deploy is not None and deploy.deletes:
        raise UsageError(f"{branch} is what runs: it cannot be deleted", hint="paas destroy takes the whole app away")
    _check_room(pushed, {chosen, *there})
    _check_number(pushed, there)
    kept = [one for one in pushed if one is not deploy and one.ref.startswith(BRANCHES) and not one.deletes]
    notes = tuple(
        f"{short(one.ref)} is kept, not deployed: {branch} is. To deploy it: git push paas "
        + shlex.quote(f"{short(one.ref)}:{branch}")
        for one in kept[:5]
    )
    return Verdict(deploy, notes)


def _check(ref: str) -> None:
    # What is not printable is not encoded: it may be no text at all.
    named = ref.startswith((BRANCHES, TAGS)) and ref.isprintable() and len(ref.encode()) <= LONGEST
    if not named:
        raise UsageError(
            f"{escaped(ref)[:80]} is not taken", hint=f"push branches and tags, with names up to {LONGEST} bytes"
        )


def _check_room(pushed: Sequence[Update], there: Collection[str]) -> None:
    """A ref cannot be where another one has its folder. git would say so only after the deploy, of that ref alone."""
    coming = [one.ref for one in pushed if one.makes and not one.deletes]
    refs = {*there, *coming}
    folders = {folder: ref for ref in refs for folder in _folders(ref)}
    for ref in coming:
        other = folders.get(ref) or next((folder for folder in _folders(ref) if folder in refs), "")
        if other:
            raise UsageError(
                f"{short(ref)} and {short(other)} cannot both be",
                hint="give it another name, or delete the other first",
            )


def _check_number(pushed: Sequence[Update], there: Collection[str]) -> None:
    coming = {one.ref for one in pushed if one.makes and not one.deletes}
    if coming and len({*there, *coming} - {one.ref for one in pushed if one.deletes}) > MOST_KEPT:
        raise UsageError(f"an app keeps at most {MOST_KEPT} branches and tags", hint="git push paas --delete NAME")


def _check_size(pushed: Sequence[Update]) -> None:
    """All branches together; who only deletes makes room."""
    from paas.sources import gittree

    room = int(os.environ.get("PAAS_PUSH_ROOM", "0"))
    if not room or all(one.deletes for one in pushed):
        return
    repository = Path(git_said("rev-parse", "--absolute-git-dir"))
    if gittree.held(repository) > room:
        say("the app's repository is full: giving back what nothing names any more")
        with suppress(gittree.GitFailed):  # what came within a day stays: it may be a push on its way
            gittree.run(repository, "gc", "--quiet", "--prune=1.day.ago")
    if (held := gittree.held(repository)) > room:
        raise UsageError(
            f"the app's repository would hold {size(held)} in all branches, more than {size(room)}",
            hint="git push paas --delete BRANCH of what is not needed (it counts for a day after it came); "
            "or have the platform's owner raise PAAS_REPOSITORY_LIMIT",
        )


def _folders(ref: str) -> Iterator[str]:
    """`refs/heads/a/b` → `refs/heads/a`, …"""
    while "/" in ref:
        ref = ref.rpartition("/")[0]
        yield ref


def _check_commits(pushed: Sequence[Update]) -> None:
    """git lets branches name nothing but commits, and would say so only after the deploy."""
    branches = [one for one in pushed if one.ref.startswith(BRANCHES) and not one.deletes]
    asked = "".join(f"{one.new}\n" for one in branches)
    kinds = git_said("cat-file", "--batch-check=%(objecttype)", given=asked).split("\n")
    for one, kind in zip(branches, kinds, strict=False):
        if kind != "commit":
            hint = f"the commit of a tag is pushed so: git push paas 'TAG^{{}}:{short(one.ref)}'"
            raise UsageError(f"{short(one.ref)} cannot name a {kind or 'thing that is not there'}", hint=hint)


def _first(pushed: Sequence[Update], head: str) -> str:
    refs = {one.ref for one in pushed if not one.deletes}
    return next((BRANCHES + name for name in FIRST if BRANCHES + name in refs), head)


def _received(lines: Iterable[str]) -> int:
    pushed = updates(lines)
    verdict = _verdict(pushed)
    _check_commits(pushed)
    _check_size(pushed)
    for note in verdict.notes:
        say(note)
    _take_turn(verdict)
    if _verdict(pushed).deploy != verdict.deploy:
        raise Conflict("another branch has become the deploy branch meanwhile", hint="paas git branch, then push again")
    if verdict.deploy is not None:
        before = "" if verdict.deploy.makes else verdict.deploy.old
        if git_said("rev-parse", "--verify", "--quiet", verdict.deploy.ref) != before:
            raise Conflict("somebody else has pushed meanwhile", hint="git pull, then push again")
        _deploy(verdict.deploy)
    return 0


def _verdict(pushed: Sequence[Update]) -> Verdict:
    """By the deploy branch as it is now."""
    head = git_said("symbolic-ref", "HEAD")
    settled = bool(git_said("rev-parse", "--verify", "--quiet", head) or git_said("config", "--get", CHOSEN))
    return judged(pushed, head, settled, git_said("for-each-ref", "--format=%(refname)").split())


def _take_turn(verdict: Verdict) -> None:
    """Until the branches have changed: of pushes that deploy one at a time, beside any that do not; and none of either
    while the deploy branch is being chosen."""
    import fcntl

    name, how, said = "PAAS_PUSH_LOCK", fcntl.LOCK_EX, "another push to this app is on its way: waiting for it"
    if verdict.deploy is None:
        name, how, said = "PAAS_PUSH_KEEPS", fcntl.LOCK_SH, "a deploy branch is being chosen: waiting for that"
    lock = int(os.environ[name])
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        say(said)
        fcntl.flock(lock, how)


def _deploy(update: Update) -> None:
    from paas.cli.progress import plain
    from paas.requests.deploys import DeployApp, SourceRef

    incoming = os.path.basename(os.environ.get("GIT_QUARANTINE_PATH", ""))  # noqa: PTH119 - the name alone
    source = SourceRef(commit=update.new, incoming=incoming, kind="git", origin=f"git push {short(update.ref)}")
    request = DeployApp(app=os.environ["PAAS_PUSH_APP"], source=source, create=False)
    for event in followed(request):
        plain(event)
        if event.kind == "result":
            _end(event.data["answer"])


def followed(request: Request) -> Iterator[Event]:
    """The events of an operation, in the name of who pushes. When what allowed them ends meanwhile, it goes on as every
    operation does, and is seen to its end all the same: the branch must say what runs."""
    from paas.client import Client
    from paas.requests.platform import WatchOperation
    from paas.settings import load

    settings, running, seen = load(server=""), "", 0
    try:
        with Client.connect(settings, os.environ["PAAS_PUSH_ACTOR"]) as client:
            for event in client.follow(request):
                running, seen = (str(event.data["id"]), 0) if event.kind == "operation" else (running, seen + 1)
                yield event
            return
    except NotLoggedIn:
        if not running:
            raise
    with Client.connect(settings) as client:
        yield from islice(client.follow(WatchOperation(operation=running)), seen, None)


def _end(answer: Any) -> None:
    does = "serves" if any(answer["processes"].values()) else "is deployed, with no replica running"
    how = f"{does} already: nothing changed" if answer["unchanged"] else f"{does} ({answer['seconds']:.1f} s)"
    say(f"{answer['app']} v{answer['release']} {how}")
    say(str(answer["url"]))


def git_said(*argv: str, given: str = "") -> str:
    """What git says about the repository the hook was started in; empty when it says no."""
    done = subprocess.run(
        ["git", *argv], input=given, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
