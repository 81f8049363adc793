"""Words of review apps: an app for a branch or a pull request of another app, its parent, for a while."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from paas.model.secret import Secret

DAY = 86_400.0
LONGEST_NAME = 40
"""Characters of an app's name, as `names.APP` has it."""
UPLOADED, LATEST = "upload", "latest"
"""Seeds that are no backup's id: a dump that was sent, and the newest backup there is when an app is opened."""
_MARK = 6
"""Hex digits that tell apart names which would be the same."""


class ReviewStatus(StrEnum):
    """How far a review app is. One that is `closing` is on its way out, whatever happened meanwhile."""

    OPENING = "opening"
    OPEN = "open"
    FAILED = "failed"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """What each review app may have at most. `memory` bytes and `cpus` cores of one replica (0: what the source says),
    `replicas` of one process type."""

    memory: int = 0
    cpus: float = 0.0
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPolicy:
    """That an app has review apps, and which. `app_id` is the parent's.

    `ttl` seconds after it was opened or deployed last, a review app goes; `most` are there at once. `inherit` names the
    config vars of the parent that come along, `config` are values of their own; nothing else of the parent's config
    does. `source` is the git URL they are built from (empty: a deploy hook's). `seed` is what is restored into their
    database: nothing (empty), a backup's id, `latest` or `upload`. `addons` False: they get only what their files ask.
    """

    app_id: str
    created_at: float
    created_by: str
    ttl: float = 5 * DAY
    most: int = 10
    cap: Cap = Cap()
    inherit: tuple[str, ...] = ()
    config: Mapping[str, Secret] = field(default_factory=dict)
    source: Secret = Secret("")
    seed: str = ""
    addons: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A review app. It is written down before its app is made, under the id that the app will have, and forgotten after
    the app is gone: so nothing is left of either by accident. Members of the parent have the same role on it.

    `key` is what it is for, one of a parent. `fork`: the code is a stranger's, so it gets no config and no seed.
    `seeded`: its data was restored. `served`: it has been there for people. `warned`: its end was announced.
    `failure`: why it does not serve what was asked.
    """

    app_id: str
    parent_id: str
    name: str
    key: str
    opened_at: float
    opened_by: str
    expires_at: float
    branch: str = ""
    number: int = 0
    commit: str = ""
    fork: bool = False
    cap: Cap = Cap()
    status: ReviewStatus = ReviewStatus.OPENING
    seeded: bool = False
    served: bool = False
    warned: bool = False
    failure: str = ""

    @property
    def what(self) -> str:
        """`pull request 12`, `branch better`."""
        return f"pull request {self.number}" if self.number else f"branch {self.branch}"


def review_key(branch: str, number: int) -> str:
    """What a review app is for: a pull request by its number, whatever its branch, else a branch."""
    return f"pr/{number}" if number else f"branch/{branch}"


def review_name(parent: str, branch: str, number: int, taken: Iterable[str]) -> str:
    """`shop-pr-12`, `shop-better`: a name for an app, of 40 characters at most, that is not taken.

    A name that does not say all of it (a branch with other characters, a name that is cut or taken) ends in a mark made
    of all of it, so two branches never meet in one name, and the same branch gets the same name again.
    """
    said = f"pr-{number}" if number else _slug(branch)
    exact = bool(number) or (said == branch and not re.fullmatch(r"pr-\d+", said))
    plain = f"{parent}-{said}"
    used = set(taken)
    if exact and len(plain) <= LONGEST_NAME and plain not in used:
        return plain
    for attempt in range(1000):
        mark = hashlib.sha256(f"{parent}\0{branch}\0{number}\0{attempt}".encode()).hexdigest()[:_MARK]
        stem = plain[: LONGEST_NAME - _MARK - 1].rstrip("-")
        if number and not stem.endswith(said):
            stem = f"{parent[: LONGEST_NAME - _MARK - len(said) - 2].rstrip('-')}-{said}"
        if (name := f"{stem}-{mark}") not in used:
            return name
    raise AssertionError("a thousand names are taken")


def _slug(branch: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", branch.lower()).strip("-") or "branch"
