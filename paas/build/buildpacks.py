"""Finds buildpacks: one folder each, beside the package and on PAAS_BUILDPACK_PATH. Loads them, decides nothing.

A folder holds `buildpack.py` and `Dockerfile.j2` (which extends `frame/Dockerfile.j2`). The module defines

    ORDER: int                                       lower is asked first
    LOOKED_FOR: tuple[str, ...]                      what `detect` looks for, in words
    COMMANDS: frozenset[str]                         first words of a `web` command that speak for this buildpack
    def detect(files, options) -> tuple[Reason, ...] why this is its kind of app; empty: it is not
    def plan(files, options) -> BuildPlan            how to build it
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from paas import bundled
from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.build import BuildPlan, Process, Reason
from paas.model.manifest import Manifest

Offers = Callable[[str], tuple[str, ...]]
"""Runtime name → the versions a stack can give, best first."""

PATH = "PAAS_BUILDPACK_PATH"
"""Environment variable: folders that hold buildpack folders, separated by `:`. They win over bundled names."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a buildpack is told beside the files: the stack's offers, the manifest, the Procfile's processes."""

    offers: Offers
    manifest: Manifest = Manifest()
    procfile: tuple[Process, ...] = ()

    @property
    def web(self) -> str:
        """The command of `web` that the app itself says; empty: the buildpack has to find one."""
        said = self.manifest.processes.get("web")
        if said and said.command:
            return said.command
        return next((process.command for process in self.procfile if process.name == "web"), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Buildpack:
    """One loaded buildpack; see the module for what its parts mean."""

    name: str
    folder: Path
    order: int
    looked_for: tuple[str, ...]
    commands: frozenset[str]
    detect: Callable[[Files, Options], tuple[Reason, ...]]
    plan: Callable[[Files, Options], BuildPlan]


def load(path: str | None = None) -> tuple[Buildpack, ...]:
    """All buildpacks, in the order they are asked. `path` None: what PAAS_BUILDPACK_PATH says.

    Raises ConfigError for a folder that is no buildpack.
    """
    extra = os.environ.get(PATH, "") if path is None else path
    found: dict[str, Buildpack] = {}
    for folder in [*(Path(part) for part in extra.split(":") if part), bundled.buildpacks()]:
        for one in _folders(folder):
            if one.name not in found:
                found[one.name] = _loaded(one)
    return tuple(sorted(found.values(), key=lambda pack: (pack.order, pack.name)))


def named(name: str, packs: Sequence[Buildpack]) -> Buildpack:
    """The buildpack of that name. Raises ConfigError listing those there are."""
    for pack in packs:
        if pack.name == name:
            return pack
    raise ConfigError(f"there is no buildpack {name!r}", hint=f"known: {', '.join(pack.name for pack in packs)}")


def _folders(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder", where=PATH, hint="name folders that hold buildpack folders")
    for path in sorted(folder.iterdir()):
        if _NAME.fullmatch(path.name) and (path / "buildpack.py").is_file():
            yield path.resolve()


_cache: dict[Path, Buildpack] = {}
"""Loaded once per process: they are code, and code does not change under a running server."""


def _loaded(folder: Path) -> Buildpack:
    if folder not in _cache:
        _cache[folder] = _checked(folder, _module(folder))
    return _cache[folder]


def _module(folder: Path) -> ModuleType:
    """`buildpack.py` as a package whose other files it imports relatively, wherever the folder lies."""
    name = f"paas_buildpack_{folder.name.replace('-', '_')}_{abs(hash(folder)):x}"
    spec = importlib.util.spec_from_file_location(
        name, folder / "buildpack.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _checked(folder: Path, module: Any) -> Buildpack:
    try:
        return Buildpack(
            name=folder.name,
            folder=folder,
            order=module.ORDER,
            looked_for=module.LOOKED_FOR,
            commands=module.COMMANDS,
            detect=module.detect,
            plan=module.plan,
        )
    except AttributeError as error:
        raise ConfigError(f"is no buildpack: {error}", where=str(folder / "buildpack.py")) from error
