"""DebianStack: base images out of Debian packages, made on this machine. Needs root, mmdebstrap and a mirror."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from paas.model.events import Emit, Event
from paas.stacks import archive, recipe
from paas.stacks.making import MakingStack, Version

SYSTEM_CHANGES = ('CMD ["/bin/bash"]', "ENV LANG=C.UTF-8")


class DebianStack(MakingStack):
    """`interfaces.Stack` without a registry. The first base of a Debian release takes some 15 s longer."""

    name = "debian"
    versions: ClassVar[Mapping[str, Mapping[str, Version]]] = {
        "python": {
            "3.13": Version("debian/python.Dockerfile.j2", suite="trixie"),
            "3.11": Version("debian/python.Dockerfile.j2", suite="bookworm"),
        },
        "node": {
            "24": Version("debian/node.Dockerfile.j2", {"major": "24", "npm": "11"}, suite="trixie"),
            "22": Version("debian/node.Dockerfile.j2", {"major": "22", "npm": "10"}, suite="trixie"),
            "20": Version("debian/node.Dockerfile.j2", {"major": "20", "npm": "10"}, suite="trixie"),
            "26": Version("debian/node.Dockerfile.j2", {"major": "26", "npm": "11"}, suite="trixie"),
        },
        "static": {"1.26": Version("debian/static.Dockerfile.j2", suite="trixie")},
        "postgres": {
            "17": Version("debian/postgres.Dockerfile.j2", {"major": "17"}, folder="postgres", suite="trixie"),
        },
        "redis": {"8.0": Version("debian/redis.Dockerfile.j2", folder="redis", suite="trixie")},
    }

    def foundation(self, version: Version) -> Mapping[str, str]:
        """The minimal Debian that the runtime's packages go on top of."""
        return {"system": system_pinned(version.suite)}

    def found(self, version: Version, emit: Emit) -> None:
        """Make the minimal Debian unless it is there."""
        ref, pinned = f"paas-base/debian:{version.suite}", system_pinned(version.suite)
        if recipe.present(self._builder, ref, pinned):
            return
        where = archive.mirror(self._settings.debian_mirror)
        emit(Event(kind="step", message=f"making {ref} from {where.main}"))
        image = self._builder.load(archive.root_filesystem(version.suite, where), pinned, SYSTEM_CHANGES)
        self._builder.tag(image.id, ref)
        emit(Event(kind="done", message=f"{ref} is made", data={"bytes": image.size}))


def system_pinned(suite: str) -> str:
    """The name of the minimal Debian made in exactly this way; the mirror is no part of it, all have the same."""
    made_by = archive.arguments(suite, archive.Mirror("", ""), Path("-"))
    return f"paas-base/debian:{suite}-{recipe.digest(*made_by, *SYSTEM_CHANGES)}"
