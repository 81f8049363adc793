"""DebianStack: base images out of Debian packages, made on this machine. Needs root, mmdebstrap and a mirror."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from paas.errors import ConfigError
from paas.interfaces import Builder
from paas.model.build import Base, Runtime
from paas.model.events import Emit, Event
from paas.settings import Settings
from paas.stacks import archive, recipe
from paas.stacks.network import build_env, ca_image

SYSTEM_CHANGES = ('CMD ["/bin/bash"]', "ENV LANG=C.UTF-8")
_NO_BUILD = frozenset({"static", "postgres"})
"""Runtimes that build nothing: one image serves as both."""


@dataclass(frozen=True, slots=True)
class _Version:
    suite: str
    template: str
    values: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""


_VERSIONS: Mapping[str, Mapping[str, _Version]] = {
    "python": {
        "3.13": _Version("trixie", "python.Dockerfile.j2"),
        "3.11": _Version("bookworm", "python.Dockerfile.j2"),
    },
    "node": {
        "24": _Version("trixie", "node.Dockerfile.j2", {"major": "24", "npm": "11"}),
        "22": _Version("trixie", "node.Dockerfile.j2", {"major": "22", "npm": "10"}),
        "20": _Version("trixie", "node.Dockerfile.j2", {"major": "20", "npm": "10"}),
        "26": _Version("trixie", "node.Dockerfile.j2", {"major": "26", "npm": "11"}),
    },
    "static": {"1.26": _Version("trixie", "static.Dockerfile.j2")},
    "postgres": {"17": _Version("trixie", "postgres.Dockerfile.j2", {"major": "17"}, "postgres")},
}
"""Runtime → version → how it is made, best first: the newest version with long-term support is the default."""


class DebianStack:
    """`interfaces.Stack` without a registry. `environ` is where proxies and package indexes are read from."""

    name = "debian"

    def __init__(self, settings: Settings, builder: Builder, environ: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._builder = builder
        self._environ = os.environ if environ is None else environ

    def offers(self, runtime: str) -> tuple[str, ...]:
        """See `interfaces.Stack.offers`."""
        return tuple(_VERSIONS.get(runtime, ()))

    def answer(self, runtime: Runtime) -> Base:
        """See `interfaces.Stack.answer`."""
        return answer(self.name, self.offers(runtime.name), runtime)

    def prepare(self, base: Base, emit: Emit) -> None:
        """See `interfaces.Stack.prepare`. The first one of a Debian release takes some 15 s longer."""
        version = _VERSIONS[base.runtime.name][base.version]
        recipes = tuple(self._recipes(base, version))
        if all(recipe.present(self._builder, made.ref, made.pinned) for made in recipes):
            return
        with _one_at_a_time():
            self._system(version.suite, emit)
            env = build_env(self._environ)
            trusted = ca_image(self._settings, self._builder, emit)
            for made in recipes:
                recipe.make(self._builder, made, ca_image=trusted, build_args=env, emit=emit)

    def _recipes(self, base: Base, version: _Version) -> Iterator[recipe.Recipe]:
        values = {"system": self._system_pinned(version.suite), **version.values}
        run = recipe.Recipe(
            ref=base.image, template=version.template, target="run", values=values, folder=version.folder
        )
        yield run
        if base.build_image != base.image:
            yield replace(run, ref=base.build_image, target="build")

    def _system(self, suite: str, emit: Emit) -> None:
        ref, pinned = f"paas-base/debian:{suite}", self._system_pinned(suite)
        if recipe.present(self._builder, ref, pinned):
            return
        where = archive.mirror(self._settings.debian_mirror)
        emit(Event(kind="step", message=f"making {ref} from {where.main}"))
        image = self._builder.load(archive.root_filesystem(suite, where), pinned, SYSTEM_CHANGES)
        self._builder.tag(image.id, ref)
        emit(Event(kind="done", message=f"{ref} is made", data={"bytes": image.size}))

    def _system_pinned(self, suite: str) -> str:
        # The mirror is no part of the name: the same packages come from all of them.
        made_by = archive.arguments(suite, archive.Mirror("", ""), Path("-"))
        return f"paas-base/debian:{suite}-{recipe.digest(*made_by, *SYSTEM_CHANGES)}"


def answer(stack: str, versions: tuple[str, ...], runtime: Runtime) -> Base:
    """The base of a runtime among `versions`, best first. Raises ConfigError listing them."""
    if not versions:
        raise ConfigError(f"the {stack} stack has no {runtime.name}", where=runtime.source)
    version = runtime.version or versions[0]
    if version not in versions:
        asked = runtime.requested or runtime.version
        raise ConfigError(
            f"{runtime.name} {asked} is not available",
            where=runtime.source,
            hint=f"the {stack} stack has {runtime.name} {', '.join(versions)}",
        )
    image = f"paas-base/{runtime.name}:{version}"
    build = image if runtime.name in _NO_BUILD else f"paas-base/{runtime.name}-build:{version}"
    return Base(runtime=runtime, image=image, build_image=build, version=version)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let other processes of this user wait instead of making the same images at the same time."""
    path = Path(tempfile.gettempdir()) / f"paas-bases-{os.geteuid()}.lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
