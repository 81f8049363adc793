"""OfficialStack: base images derived from the well-known ones of a registry (or of a mirror of it)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from paas.model.events import Emit
from paas.stacks.making import MakingStack, Version

_HUB = "docker.io"


class OfficialStack(MakingStack):
    """`interfaces.Stack` on python, node, nginx and postgres of `settings.registry`; the Engine pulls them itself."""

    name = "official"
    versions: ClassVar[Mapping[str, Mapping[str, Version]]] = {
        "python": {
            version: Version("official/python.Dockerfile.j2", {"version": version})
            for version in ("3.13", "3.14", "3.12", "3.11", "3.10")
        },
        "node": {
            version: Version("official/node.Dockerfile.j2", {"version": version})
            for version in ("24", "22", "20", "26")
        },
        "static": {"1.28": Version("official/static.Dockerfile.j2", {"version": "1.28"})},
        "postgres": {"17": Version("official/postgres.Dockerfile.j2", {"major": "17"}, folder="postgres")},
    }

    def foundation(self, version: Version) -> Mapping[str, str]:
        """The official images stand in `library` of the hub and of what mirrors it."""
        return {"library": f"{self._settings.registry or _HUB}/library"}

    def found(self, version: Version, emit: Emit) -> None:
        """Nothing: a build pulls what it starts from."""
