"""A commit that was pushed: read out of its objects while the push may still be refused.

git keeps what a push brings apart (in quarantine) until its hooks have agreed. Here both folders of objects are given
to an empty repository of our own, so nothing of the other's settings, hooks or refs is looked at.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paas.errors import UsageError
from paas.model.events import Emit
from paas.sources import gittree
from paas.sources.clone import PACKED, materialised, read
from paas.sources.submodules import fill
from paas.sources.tree import content_id as identified

if TYPE_CHECKING:
    from paas.egress.policy import Policy
    from paas.model.app import Source

_SHA = re.compile(r"[0-9a-f]{40}")


def pushed(
    commit: str,
    into: Path,
    *,
    objects: Sequence[Path],
    emit: Emit,
    origin: str = "git push",
    limit: int = 1 << 30,
    most: int = 100_000,
    packed: int = PACKED,
    schemes: tuple[str, ...] = ("https",),
    policy: Policy | None = None,
    ca_file: str = "",
) -> Source:
    """Make the new folder `into` from a commit (its full id) that lies in these folders of git objects, with those of
    its submodules whose addresses have one of `schemes`, from hosts that `policy` lets the server reach
    and that `ca_file` vouches for, which bring `packed` bytes each (see `clone`).

    Raises UsageError for what is no commit id, NotFound when the commit is not there, ConfigError when it holds nothing
    or too much.
    """
    if not _SHA.fullmatch(commit):
        raise UsageError(f"{commit[:80]!r} is no commit id", hint="a commit id is 40 hex digits")
    into.parent.mkdir(parents=True, exist_ok=True)
    repository = Path(tempfile.mkdtemp(prefix=f".{into.name}.git.", dir=into.parent))
    try:
        gittree.run(repository, "init", "--bare", "--quiet", "--template=")
        known = repository / "objects" / "info" / "alternates"
        known.parent.mkdir(exist_ok=True)
        known.write_text("".join(f"{folder}\n" for folder in objects))
        # What was before this commit is not needed, and out of a shallow clone not there.
        (repository / "shallow").write_text(f"{commit}\n")
        found = gittree.commit(repository, commit)
        tree = read(repository, found, where=origin, limit=limit, most=most, fetches=True)
        content_id = materialised(tree, into, emit=emit, where=origin, limit=limit, most=most)
        if tree.submodules:
            fill(
                repository, found.sha, tree.submodules, into, emit=emit, limit=limit, most=most, packed=packed,
                schemes=schemes, policy=policy, ca_file=ca_file,
            )  # fmt: skip
            content_id = identified(into)
    finally:
        shutil.rmtree(repository, ignore_errors=True)
    from paas.model.app import Source  # see clone.py

    return Source(kind="git", id=content_id, version=found.sha, origin=origin, message=found.subject)
