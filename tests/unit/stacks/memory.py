"""A builder that remembers what it was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paas.model.build import Image
from paas.model.events import Emit


@dataclass(frozen=True)
class Built:
    """One build as it was asked for."""

    ref: str
    dockerfile: str
    target: str
    files: dict[str, str]
    build_args: dict[str, str]
    labels: dict[str, str]


@dataclass
class MemoryBuilder:
    """`interfaces.Builder` without an Engine: names in a dictionary."""

    names: dict[str, Image] = field(default_factory=dict)
    built: list[Built] = field(default_factory=list)
    registry: bool = False
    asked: list[str] = field(default_factory=list)

    def build(
        self,
        context: Path | None,
        dockerfile: str,
        ref: str,
        *,
        labels: Mapping[str, str],
        emit: Emit,
        build_args: Mapping[str, str] | None = None,
        target: str = "",
        no_cache: bool = False,
    ) -> Image:
        files = {path.name: path.read_text() for path in context.iterdir()} if context else {}
        self.built.append(Built(ref, dockerfile, target, files, dict(build_args or {}), dict(labels)))
        return self._name(ref, dockerfile, target)

    def find(self, ref: str) -> Image | None:
        return self.names.get(ref)

    def pull(self, ref: str, emit: Emit) -> Image:
        return self._name(ref)

    def tag(self, image: str, ref: str) -> None:
        self.names[ref] = Image(id=image, ref=ref)

    def load(self, archive: Iterable[bytes], ref: str, changes: Sequence[str] = ()) -> Image:
        return self._name(ref, *changes)

    def images(self, app_id: str) -> tuple[Image, ...]:
        return ()

    def remove(self, ref: str) -> None:
        self.names.pop(ref, None)

    def reachable(self, name: str) -> bool:
        self.asked.append(name)
        return self.registry

    def buildkit(self) -> bool:
        return True

    def _name(self, ref: str, *content: str) -> Image:
        digest = hashlib.sha256("\0".join((ref, *content)).encode()).hexdigest()
        self.names[ref] = Image(id=f"sha256:{digest}", ref=ref)
        return self.names[ref]
