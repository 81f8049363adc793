"""The submodules of a commit, each at the commit it names: by https alone, one level deep, nothing of theirs is run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paas.errors import ConfigError
from paas.model.events import Emit, Event
from paas.sources import gittree
from paas.sources.clone import PACKED, clone
from paas.sources.tree import walk

if TYPE_CHECKING:
    from paas.egress.policy import Policy

MOST = 20
"""Submodules of one source."""
SECONDS = 300.0
"""For one of them."""
_LONGEST = 1 << 20
"""Bytes of what `.gitmodules` says."""


def fill(
    repository: Path,
    commit: str,
    links: Sequence[gittree.Found],
    into: Path,
    *,
    emit: Emit,
    limit: int,
    most: int,
    packed: int = PACKED,
    schemes: tuple[str, ...] = ("https",),
    policy: Policy | None = None,
    ca_file: str = "",
) -> None:
    """Put each submodule at its place in `into`. One without an https address is warned about and left out: it is the
    server that would go there. Raises ConfigError for too many or too large ones, NotFound where nothing is, Denied for
    a host that `policy` (see `clone`) keeps the server from."""
    if len(links) > MOST:
        raise ConfigError(f"more than {MOST} submodules", where=".gitmodules", hint="leave some out with .paasignore")
    urls = addresses(repository, commit) if links else {}
    for link in links:
        url = urls.get(link.path, "")
        if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)) or "#" in url:
            message = f"submodule {link.path} is not part of the source: it has no https address in .gitmodules"
            emit(Event(kind="warning", message=message))
            continue
        place = _place(into, link.path)
        size, files = _measured(into)
        # With what is there already it must stay below the limits.
        clone(
            f"{url}#{link.oid}", place, emit=emit, timeout=SECONDS, limit=limit - size, most=most - files,
            packed=packed, schemes=schemes, allow_file="file" in schemes, policy=policy, ca_file=ca_file,
        )  # fmt: skip


def addresses(repository: Path, commit: str) -> dict[str, str]:
    """Path → URL, as the commit's `.gitmodules` says. git reads the file: it knows all the ways to write it."""
    try:
        raw = gittree.run(
            repository, "config", "--blob", f"{commit}:.gitmodules", "--no-includes", "--list", "-z", most=_LONGEST
        )
    except gittree.GitFailed:
        return {}
    found: dict[str, dict[str, str]] = {}
    for line in raw.decode("utf-8", "replace").split("\0"):
        key, _, value = line.partition("\n")
        section, _, name = key.rpartition(".")
        if section.startswith("submodule."):
            found.setdefault(section, {})[name] = value
    return {one["path"]: one["url"] for one in found.values() if "path" in one and "url" in one}


def _place(into: Path, path: str) -> Path:
    """Where it goes: inside, through no link."""
    place = into / path
    parts = Path(path).parts
    through = any((into / Path(*parts[:depth])).is_symlink() for depth in range(1, len(parts)))
    odd = {"..", "/"} & set(parts) or ".git" in {part.lower() for part in parts}
    if through or odd or os.path.lexists(place):
        raise ConfigError(f"submodule {path!r} has no place of its own", where=".gitmodules")
    return place


def _measured(folder: Path) -> tuple[int, int]:
    """Bytes and files."""
    entries = list(walk(folder))
    return sum(entry.size for entry in entries), len(entries)
