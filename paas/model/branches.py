"""Words of what is pushed: refs, and which branch is deployed."""

from __future__ import annotations

BRANCHES, TAGS = "refs/heads/", "refs/tags/"

FIRST = ("main", "master")
"""Branches that can become an app's deploy branch when nobody has chosen one, the preferred one first."""

CHOSEN = "paas.branch"
"""Setting of an app's repository: somebody has chosen the branch that HEAD names, which need not be there yet."""


def short(ref: str) -> str:
    """`main` of `refs/heads/main`."""
    return ref.removeprefix(BRANCHES).removeprefix(TAGS)


def pushed_as(branch: str, deployed: str) -> str:
    """What follows `git push paas` for this branch to be deployed; empty `deployed`: nobody knows the deploy branch."""
    known = (deployed,) if deployed else FIRST
    return branch if branch in known else f"{branch}:{known[0]}"
