"""What the `post-receive` hook of an app's repository runs where the app has review apps of what is pushed to it: each
follows its branch, one after another. Its words are `remote:` lines of the person who pushes, but the push is taken by
now: what fails here refuses nothing.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paas.cli.output import complain, say
from paas.cli.receive import Update, followed, git_said, given, updates
from paas.errors import PaasError, ServerUnavailable
from paas.model.branches import BRANCHES, short


@dataclass(frozen=True, slots=True)
class Follower:
    """The review app of a branch that was pushed: its name, and whether it has served anything."""

    update: Update
    review: str
    served: bool


def main() -> int:
    """The exit code, which git passes over."""
    pushed = updates(given())
    # The branches have moved: what is left keeps no other push waiting.
    for lock in ("PAAS_PUSH_LOCK", "PAAS_PUSH_KEEPS"):
        fcntl.flock(int(os.environ[lock]), fcntl.LOCK_UN)
    app = os.environ["PAAS_PUSH_APP"]
    try:
        followers = chosen(pushed, _reviews(app))
    except PaasError as error:
        complain(error)
        say("the push is taken; whether its branches have review apps could not be seen")
        return 1
    return max((_follow(app, one) for one in followers), default=0)


def chosen(pushed: Sequence[Update], reviews: Iterable[Mapping[str, Any]]) -> tuple[Follower, ...]:
    """Of the reviews, as ListReviews answers, those of branches that were pushed. One of a pull request or a fork is
    not of this repository alone, and one that is being closed is let go."""
    known = {
        str(one["branch"]): one
        for one in reviews
        if not (one["pull_request"] or one["fork"] or one["status"] == "closing")
    }
    return tuple(
        Follower(one, str(review["name"]), bool(review["release"]))
        for one in pushed
        if one.ref.startswith(BRANCHES) and (review := known.get(short(one.ref)))
    )


def _reviews(app: str) -> Iterable[Mapping[str, Any]]:
    from paas.client import Client
    from paas.requests.reviews import ListReviews
    from paas.settings import load

    with Client.connect(load(server=""), os.environ["PAAS_PUSH_ACTOR"]) as client:
        found: list[Mapping[str, Any]] = client.ask(ListReviews(app=app))
        return found


def _follow(app: str, follower: Follower) -> int:
    from paas.cli.progress import plain
    from paas.requests.reviews import CloseReview, OpenReview

    update, review = follower.update, follower.review
    branch = short(update.ref)
    if git_said("rev-parse", "--verify", "--quiet", update.ref) != ("" if update.deletes else update.new):
        say(f"{branch} was pushed again meanwhile: that push sees to its review app {review}")
        return 0
    does = f"is deleted: closing its review app {review}" if update.deletes else f"has a review app: deploying {review}"
    say(f"{branch} {does}")
    # Without the commit: should the branch move until its turn comes, the newest is what must serve in the end.
    request = CloseReview(app=app, review=review) if update.deletes else OpenReview(app=app, branch=branch)
    try:
        for event in followed(request):
            plain(event)
    except PaasError as error:
        complain(error)
        for line in _left(app, follower, error):
            say(line)
        return 1
    return 0


def _left(app: str, follower: Follower, error: PaasError) -> tuple[str, ...]:
    """How things stand now: the push was not refused, which must not pass for a success."""
    branch, review = short(follower.update.ref), follower.review
    done = f"{branch} is {'deleted' if follower.update.deletes else 'taken'} all the same"
    if isinstance(error, ServerUnavailable):
        return (f"{done}; what became of its review app: paas reviews show {review} -a {app}",)
    if follower.update.deletes:
        return (f"{done}, but its review app {review} is not closed: paas reviews close {review} -a {app}",)
    state = "still serves the version before" if follower.served else "serves nothing yet"
    again = f"to try it again: paas reviews open {shlex.quote(branch)} -a {app}, or push another commit"
    return f"{done}, but its review app {review} {state}", again


if __name__ == "__main__":
    sys.exit(main())
