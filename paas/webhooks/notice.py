"""What a git host said, whoever it was: one shape for all of them, of checked and bounded values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from paas.errors import UsageError

COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
SKIP = re.compile(r"\[(skip[ -](ci|paas|deploy)|(ci|paas|deploy)[ -]skip|no[ -](ci|deploy))\]", re.IGNORECASE)
"""In a commit's message: it is not to be deployed."""
LONGEST_TEXT = 2000
MOST_FILES = 3000
TOO_MANY = f"{MOST_FILES} changed files or more, of which not all may be told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """`kind` is ping, push, check, review or other (with `why` in words).

    push: `branch` is at `commit` now (`deleted`: gone), whose message is `message`; `before` it was at another one
    (empty: at none, or it is not told), which it holds no more where it was `forced` (not every host says that);
    `files` changed, None when the sender does not tell all of them, and `why` says so. check: `check` of `commit` is
    `state`: pending, success or failure, `at` the time it says (Unix seconds; 0: it says none). review: pull request
    `number` of `branch` was opened, updated or closed (`action`); `fork`: it comes from another repository,
    `from_repository`.
    """

    kind: str
    repository: str = ""
    branch: str = ""
    commit: str = ""
    message: str = ""
    author: str = ""
    deleted: bool = False
    before: str = ""
    forced: bool = False
    files: tuple[str, ...] | None = None
    why: str = ""
    check: str = ""
    state: str = ""
    at: float = 0.0
    number: int = 0
    action: str = ""
    fork: bool = False
    from_repository: str = ""

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Notice:
        """Out of what the store keeps."""
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in kept.items() if key in known}
        if values.get("files") is not None:
            values["files"] = tuple(values["files"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Payload:
    """JSON that nobody vouches for: every question has an answer of the type that was asked for."""

    value: object

    def at(self, *path: str) -> Payload:
        """What lies there; nothing where there is no such thing."""
        found = self.value
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return Payload(found)

    def text(self, *path: str) -> str:
        """A text, cut; empty for anything else. What cannot be shown is taken out."""
        found = self.at(*path).value
        if not isinstance(found, str):
            return ""
        return "".join(char for char in found[:LONGEST_TEXT] if char.isprintable() or char == "\n")

    def message(self, *path: str) -> str:
        """A commit's message, cut; a marker that stands beyond the cut is not lost."""
        found, kept = self.at(*path).value, self.text(*path)
        marker = SKIP.search(found, LONGEST_TEXT - 50) if isinstance(found, str) else None
        return kept if marker is None else f"{kept[: LONGEST_TEXT - 50]} {marker.group()}"

    def number(self, *path: str) -> int:
        """A whole number from 0 to a thousand million; 0 for anything else."""
        found = self.at(*path).value
        return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 10**9 else 0

    def flag(self, *path: str) -> bool:
        """True where it says true."""
        return self.at(*path).value is True

    def time(self, *path: str) -> float:
        """An ISO 8601 time, in Unix seconds; 0 for anything else. One that names no zone is UTC."""
        try:
            found = datetime.fromisoformat(self.text(*path).replace(" UTC", "+00:00"))
            return max(0.0, (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError):
            return 0.0

    def newest(self, *names: str) -> float:
        """The newest of the times that have these names."""
        return max(self.time(name) for name in names)

    def items(self, *path: str) -> tuple[Payload, ...]:
        """The items of a list; none for anything else."""
        found = self.at(*path).value
        if isinstance(found, Sequence) and not isinstance(found, (str, bytes)):
            return tuple(Payload(item) for item in found)
        return ()

    def commit(self, *path: str) -> str:
        """A commit id; empty for none (all zeros stands for none). Raises UsageError for what is none."""
        found = self.at(*path).value
        if found is None or (isinstance(found, str) and not found.strip("0")):
            return ""
        if not isinstance(found, str) or not COMMIT.fullmatch(found):
            raise UsageError(f"{'.'.join(path)}: is no commit id")
        return found


def branch_of(ref: str) -> str:
    """`refs/heads/x` → `x`; empty for tags and other refs."""
    return ref.removeprefix("refs/heads/")[:250] if ref.startswith("refs/heads/") else ""


def changed(commits: Sequence[Payload], total: int = 0) -> tuple[tuple[str, ...] | None, str]:
    """The files that commits say they touch; None, and why, when that may not be all of them."""
    if not commits or total > len(commits):
        told = f"only {len(commits)} of {total} commits are told" if total else "no commit is told"
        return None, f"{told}, so any file may have changed"
    names: dict[str, None] = {}
    for commit in commits:
        lists = [commit.at(word).value for word in ("added", "modified", "removed")]
        if not all(isinstance(found, list) for found in lists):
            return None, "the changed files are not told"
        names.update(dict.fromkeys(name for word in ("added", "modified", "removed") for name in _files(commit, word)))
        if len(names) >= MOST_FILES:
            return None, TOO_MANY
    return tuple(names), ""


def _files(commit: Payload, word: str) -> tuple[str, ...]:
    return tuple(name.value[:LONGEST_TEXT] for name in commit.items(word) if isinstance(name.value, str))
