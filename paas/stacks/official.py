"""OfficialStack: base images derived from the well-known ones of a registry."""

from __future__ import annotations

import os
from collections.abc import Mapping

from paas.interfaces import Builder
from paas.model.build import Base, Runtime
from paas.model.events import Emit
from paas.settings import Settings


class OfficialStack:
    name = "official"

    def __init__(self, settings: Settings, builder: Builder, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._builder = builder
        self._environ = os.environ if environ is None else environ

    def offers(self, runtime: str) -> tuple[str, ...]:
        return ()

    def answer(self, runtime: Runtime) -> Base:
        raise NotImplementedError

    def prepare(self, base: Base, emit: Emit) -> None: ...
