"""What both stacks share: a table of versions, each made by a recipe, by one process at a time."""

from __future__ import annotations

import fcntl
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from paas.errors import ConfigError
from paas.interfaces import Builder
from paas.model.build import Base, Runtime
from paas.model.events import Emit
from paas.settings import Settings
from paas.stacks import recipe
from paas.stacks.network import build_env, ca_image

_NO_BUILD = frozenset({"static", "postgres", "redis"})
"""Runtimes that build nothing: one image serves as both."""


@dataclass(frozen=True, slots=True)
class Version:
    """How one version of a runtime is made: its template, the values and files that takes, its Debian release."""

    template: str
    values: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    suite: str = ""


class MakingStack(ABC):
    """`interfaces.Stack` over `versions`: runtime → version → how, best first; the first one is the default.

    `environ` is where proxies and package indexes are read from.
    """

    name: str
    versions: ClassVar[Mapping[str, Mapping[str, Version]]]

    def __init__(self, settings: Settings, builder: Builder, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._builder = builder
        self._environ = os.environ if environ is None else environ

    @abstractmethod
    def foundation(self, version: Version) -> Mapping[str, str]:
        """The template's values that say what it starts from."""

    @abstractmethod
    def found(self, version: Version, emit: Emit) -> None:
        """Have what the template starts from on this engine."""

    def offers(self, runtime: str) -> tuple[str, ...]:
        """See `interfaces.Stack.offers`."""
        return tuple(self.versions.get(runtime, ()))

    def answer(self, runtime: Runtime) -> Base:
        """See `interfaces.Stack.answer`."""
        versions = self.offers(runtime.name)
        if not versions:
            raise ConfigError(f"the {self.name} stack has no {runtime.name}", where=runtime.source)
        version = runtime.version or versions[0]
        if version not in versions:
            raise ConfigError(
                f"{runtime.name} {runtime.requested or runtime.version} is not available",
                where=runtime.source,
                hint=f"the {self.name} stack has {runtime.name} {', '.join(versions)}",
            )
        image = f"paas-base/{runtime.name}:{version}"
        build = image if runtime.name in _NO_BUILD else f"paas-base/{runtime.name}-build:{version}"
        return Base(runtime=runtime, image=image, build_image=build, version=version)

    def prepare(self, base: Base, emit: Emit) -> None:
        """See `interfaces.Stack.prepare`."""
        version = self.versions[base.runtime.name][base.version]
        recipes = tuple(self.recipes(base))
        if all(recipe.present(self._builder, one.ref, one.pinned) for one in recipes):
            return
        with _one_at_a_time():
            self.found(version, emit)
            env = build_env(self._environ)
            trusted = ca_image(self._settings, self._builder, emit)
            for one in recipes:
                recipe.make(self._builder, one, ca_image=trusted, build_args=env, emit=emit)

    def recipes(self, base: Base) -> Iterator[recipe.Recipe]:
        """How the images of the base are made: the one to run on, and the one to build on where that is another."""
        version = self.versions[base.runtime.name][base.version]
        values = {**self.foundation(version), **version.values}
        run = recipe.Recipe(
            ref=base.image, template=version.template, target="run", values=values, folder=version.folder
        )
        yield run
        if base.build_image != base.image:
            yield replace(run, ref=base.build_image, target="build")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let other processes of this user wait instead of making the same images at the same time."""
    path = Path(tempfile.gettempdir()) / f"paas-bases-{os.geteuid()}.lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except OSError:
        # A lock that cannot be had costs time at worst: the images come out the same.
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
