"""OfficialStack: base images derived from the well-known ones of a registry (or of a mirror of it)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from paas.model.events import Emit
from paas.settings import Settings
from paas.stacks.making import MakingStack, Version


def library(settings: Settings) -> str:
    """The folder of the official images, the same in every registry that has them."""
    return f"{settings.registry}/library" if settings.registry else "library"


class OfficialStack(MakingStack):
    """`interfaces.Stack` on python, node, nginx, postgres and redis of `settings.registry`; the Engine pulls them."""

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
        "redis": {"8.0": Version("official/redis.Dockerfile.j2", {"version": "8.0"}, folder="redis")},
    }

    def foundation(self, version: Version) -> Mapping[str, str]:
        """Where the official images stand in the registry that is set, or in the Engine's own default one."""
        return {"library": library(self._settings)}

    def found(self, version: Version, emit: Emit) -> None:
        """Nothing: a build pulls what it starts from."""
