"""A hook, what it remembers and what came → what is done, and why, in a sentence. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from paas.model.deploy_hook import Check, DeployHook, HookState, Left, PendingDeploy, PendingReview
from paas.model.reviews import Review, review_key
from paas.webhooks.notice import SKIP, Notice

MOST_WAITING = 20
MOST_COMMITS = 50
MOST_CHECKS = 50
MOST_DELIVERIES = 50
MOST_REVIEWS = 100
"""That wait at once: of more the oldest are forgotten, but none that is to be closed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`status` and `reason` go to the log of deliveries, `state` is what the hook remembers then. `review`: it is about
    a review app."""

    status: str
    reason: str
    state: HookState
    review: bool = False


def decide(
    hook: DeployHook, notice: Notice, state: HookState, delivery: str, reviews: Sequence[Review] = ()
) -> Decision:
    """What follows from a notice that was signed. `delivery` is its id in our log, `reviews` are the app's."""
    match notice.kind:
        case "ping":
            foreign = _foreign(hook, notice) if notice.repository else ""
            return Decision("refused" if foreign else "pinged", foreign or "the hook answers", state)
        case "other":
            return Decision("ignored", notice.why, state)
    if foreign := _foreign(hook, notice):
        return Decision("refused", foreign, state)
    match notice.kind:
        case "push":
            if (found := _of_branch(hook, notice, reviews)) and notice.branch != hook.branch:
                return _branch_moved(notice, state, delivery, found)
            return _pushed(hook, notice, state, delivery)
        case "check":
            return _checked(hook, notice, state, delivery)
        case _:
            return _reviewed(hook, notice, state, delivery)


def deploy(state: HookState, delivery: str, commit: str = "") -> HookState:
    """The state in which a deploy is to begin. One that is to begin already takes the newer commit in: a burst is
    one deploy of the newest."""
    before = state.pending or PendingDeploy()
    asked = (*before.deliveries, *([delivery] if delivery else []))[-MOST_DELIVERIES:]
    # What was left out after that commit stays so.
    taken = state.left if state.left and commit in ("", state.left.commit) else None
    pending = PendingDeploy(commit=commit, deliveries=asked, left=taken or before.left)
    return replace(state, pending=pending, left=None if taken else state.left)


def green(hook: DeployHook, checks: Mapping[str, Check]) -> tuple[bool, str]:
    """Whether a commit with these checks may be deployed, and what is said of it."""
    states = {name: check.state for name, check in checks.items()}
    open_ones = [name for name in hook.checks or states if states.get(name) != "success"]
    failed = [name for name in open_ones if states.get(name) == "failure"]
    if failed:
        return False, f"failed: {', '.join(failed[:3])}"
    if open_ones or not checks:
        return False, f"waits for {', '.join(open_ones[:3]) or 'its checks'}"
    return True, f"green: {', '.join(list(hook.checks or checks)[:3])}"


def matches(paths: tuple[str, ...], files: tuple[str, ...]) -> str:
    """The first file that one of the globs takes; empty: none. A name that ends in / takes all below it."""
    return next((file for file in files if any(_glob(path).fullmatch(file) for path in paths)), "")


def _pushed(hook: DeployHook, notice: Notice, state: HookState, delivery: str) -> Decision:
    if notice.branch != hook.branch:
        return Decision("ignored", f"branch {notice.branch}; this hook deploys {hook.branch}", state)
    state = replace(state, waiting=_still_there(notice, state.waiting))
    if notice.deleted:
        return Decision("ignored", f"branch {notice.branch} was deleted", state)
    file = matches(hook.paths, notice.files or ())
    fits = bool(file) or notice.files is None
    if found := SKIP.search(notice.message):
        kept = replace(state, left=Left(notice.commit, file)) if hook.paths and fits else state
        return Decision("ignored", f"the commit's message says {found.group()}", kept)
    because = "pushed"
    if hook.paths:
        if not fits and state.left is None:
            because = f"none of {len(notice.files or ())} changed files fits {' '.join(hook.paths)}"
            return Decision("ignored", because, state)
        because = _because(notice, file, state.left)
        state = replace(state, left=Left(notice.commit, file if fits or not state.left else state.left.file))
    if not hook.wait:
        return Decision("accepted", because, deploy(state, delivery))
    if not notice.commit:
        return Decision("ignored", "no commit is named, so there are no checks to wait for", state)
    waiting = (*(one for one in state.waiting if one != notice.commit), notice.commit)[-MOST_WAITING:]
    return _when_green(hook, notice.commit, replace(state, waiting=waiting), delivery)


def _still_there(notice: Notice, waiting: tuple[str, ...]) -> tuple[str, ...]:
    """The commits that wait and are in the branch after this push. What was pushed after it may have come before it."""
    if not (notice.forced or notice.deleted):
        return waiting
    return waiting[waiting.index(notice.before) + 1 :] if notice.before in waiting else ()


def _because(notice: Notice, file: str, left: Left | None) -> str:
    if file:
        return f"{file} changed"
    if notice.files is None or left is None:
        return notice.why or "the changed files are not told"
    return f"{left.file or 'a file'} changed before, and was not deployed"


def _checked(hook: DeployHook, notice: Notice, state: HookState, delivery: str) -> Decision:
    if not hook.wait:
        return Decision("ignored", "this hook does not wait for checks", state)
    if not notice.commit:
        return Decision("ignored", "the check names no commit", state)
    before = state.checks.get(notice.commit, {})
    if late := _late(notice, before.get(notice.check)):
        return Decision("ignored", late, state)
    known = {**before, notice.check: Check(notice.state, notice.at)}
    if len(known) > MOST_CHECKS:
        return Decision("ignored", f"the commit has more than {MOST_CHECKS} checks", state)
    # The newest stand last; those of a commit may be heard of before its push is.
    checks = {**{key: value for key, value in state.checks.items() if key != notice.commit}, notice.commit: known}
    kept = replace(state, checks=dict(list(checks.items())[-MOST_COMMITS:]))
    if notice.commit not in state.waiting:
        return Decision("ignored", f"{notice.check}: {notice.state}; no push of that commit waits", kept)
    return _when_green(hook, notice.commit, kept, delivery)


def _late(notice: Notice, known: Check | None) -> str:
    """Why it is older than what was heard of the check already: hosts do not deliver in order. Empty: it is not. What
    ended within the second in which it began has ended."""
    if known is None or not known.at:
        return ""
    unended = notice.state == "pending" and known.state != "pending"
    if 0 < notice.at < known.at or (unended and notice.at <= known.at):
        return f"{notice.check}: {notice.state} is older than what was heard of it: {known.state}"
    return ""


def _when_green(hook: DeployHook, commit: str, state: HookState, delivery: str) -> Decision:
    """Deploy a commit that waits if it is green. Those pushed before it need not be waited for any more."""
    is_green, said = green(hook, state.checks.get(commit, {}))
    if not is_green:
        return Decision("waiting", said, state)
    later = state.waiting[state.waiting.index(commit) + 1 :]
    return Decision("accepted", said, deploy(replace(state, waiting=later), delivery, commit))


def _reviewed(hook: DeployHook, notice: Notice, state: HookState, delivery: str) -> Decision:
    what = f"pull request {notice.number}"
    if not hook.reviews:
        return Decision("ignored", f"{what}: this hook makes no review apps", state)
    if not notice.number:
        return Decision("refused", "the pull request has no number", state)
    if notice.fork and hook.reviews != "forks" and notice.action != "close":
        return Decision("ignored", f"{what} comes from a fork, {notice.from_repository or 'which is gone'}", state)
    if notice.action != "close" and not (notice.commit or notice.branch):
        return Decision("refused", "the pull request names neither a branch nor a commit", state)
    asked = PendingReview(
        close=notice.action == "close", branch=notice.branch, number=notice.number, commit=notice.commit,
        fork=notice.fork,
    )  # fmt: skip
    return Decision("accepted", f"{what}: {notice.action}", _asked(state, asked, delivery), review=True)


def _of_branch(hook: DeployHook, notice: Notice, reviews: Sequence[Review]) -> tuple[Review, ...]:
    """The review apps that a push to their branch concerns: those of the branch by itself; when it is deleted also
    those of pull requests from it. A stranger's branch of the same name is another one."""
    if not hook.reviews:
        return ()
    same = (one for one in reviews if one.branch == notice.branch and not one.fork)
    return tuple(one for one in same if notice.deleted or not one.number)


def _branch_moved(notice: Notice, state: HookState, delivery: str, found: Sequence[Review]) -> Decision:
    if not notice.deleted and (skip := SKIP.search(notice.message)):
        return Decision("ignored", f"the commit's message says {skip.group()}", state)
    for one in found:
        asked = PendingReview(
            close=notice.deleted, branch=one.branch, number=one.number, commit=notice.commit
        )  # fmt: skip
        state = _asked(state, asked, delivery)
    said = "was deleted" if notice.deleted else "was pushed"
    names = ", ".join(one.name for one in found)
    return Decision("accepted", f"branch {notice.branch} {said}: {names}", state, review=True)


def _asked(state: HookState, asked: PendingReview, delivery: str) -> HookState:
    """What is asked last of a review app counts, and takes in what waited."""
    key = review_key(asked.branch, asked.number)
    before = [one for one in state.reviews if review_key(one.branch, one.number) == key]
    others = [one for one in state.reviews if review_key(one.branch, one.number) != key]
    waited = tuple(name for one in before for name in one.deliveries)
    named = (*waited, *([delivery] if delivery else []))[-MOST_DELIVERIES:]
    kept = [*others, replace(asked, deliveries=named)]
    while len(kept) > MOST_REVIEWS and any(not one.close for one in kept):
        kept.remove(next(one for one in kept if not one.close))
    return replace(state, reviews=tuple(kept[-2 * MOST_REVIEWS :]))


def _foreign(hook: DeployHook, notice: Notice) -> str:
    """Why it is about another repository; empty: it is about the hook's own."""
    if hook.repository and notice.repository.lower() != hook.repository.lower():
        return f"it is about the repository {notice.repository or 'nobody names'}, not {hook.repository}"
    return ""


@cache
def _glob(path: str) -> re.Pattern[str]:
    """`*` within a folder, `**` through folders; `src/` is `src/**`. Groups are atomic: the first place where a piece
    fits is as good as any later one, so no name makes the search try all the ways to share it out."""
    text = f"{path}**" if path.endswith("/") else path
    runs = [
        "/".join(map(_segment, filter(None, run.split("/"))))
        for run in re.split(r"(?:^|(?<=/))\*\*(?:/|$)", text.removeprefix("./"))
    ]
    if len(runs) == 1:
        return re.compile(runs[0], re.DOTALL)
    first, *between, last = runs
    begins = f"{first}/" if first else ""
    goes_on = "".join(f"(?>(?:[^/]*/)*?{run}/)" for run in between if run)
    ends = f"(?:.*/)?{last}" if last else ".+"
    return re.compile(begins + goes_on + ends, re.DOTALL)


def _segment(text: str) -> str:
    first, *more = [re.escape(piece).replace(r"\?", "[^/]") for piece in re.split(r"\*+", text)]
    if not more:
        return first
    *between, last = more
    return f"(?>{first}" + "".join(f"(?>[^/]*?{piece})" for piece in between) + rf"[^/]*{last}(?=/|\Z))"
