"""What a Python app depends on: which installer, which files it reads, which packages it names."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from paas.build.files import Files
from paas.build.versions import Asked
from paas.errors import ConfigError
from paas.model.build import Reason

FILES = (
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "requirements.txt",
    "pyproject.toml",
    "Pipfile",
    "setup.py",
    "setup.cfg",
)
"""In the order of who wins when there are several."""

LOCK_LIMIT = 32 * 1024 * 1024
_PLAIN = re.compile(r"[A-Za-z0-9_@.+-]+(/[A-Za-z0-9_@.+-]+)*")
_INCLUDE = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]?\s*(\S+)")
_LOCAL = re.compile(r"(?:-e|--editable)[ =]?\s*\S+|\.{0,2}/\S*|\.(\[|$)|file:")
_INSTALLERS = {
    "uv.lock": ("uv", "installed by uv exactly as locked"),
    "poetry.lock": ("poetry", "locked by Poetry, installed by uv"),
    "Pipfile.lock": ("pipenv", "locked by Pipenv, installed by uv"),
    "requirements.txt": ("requirements", "installed by uv (pip where uv cannot)"),
    "pyproject.toml": ("pyproject", "its dependencies are installed by uv"),
    "Pipfile": ("pipenv", "locked by Pipenv during the build, installed by uv"),
    "setup.py": ("setup", "installed by uv"),
    "setup.cfg": ("setup", "installed by uv"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What has to be installed. `files` are copied before it; `source_first` means everything has to be.

    `project`: the app itself is a package that is installed after its source is there. `names` are the canonical
    names of packages known to be depended on; `complete` says that these are all. `python` is the version asked for.
    `own_indexes`: the app names package indexes beside the usual one, which is the one the build environment says.
    """

    installer: str = ""
    files: tuple[str, ...] = ()
    source_first: bool = False
    project: bool = False
    locked: bool = True
    own_indexes: bool = False
    names: frozenset[str] = frozenset()
    complete: bool = True
    python: Asked | None = None
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


def read(files: Files) -> Needs:
    """What the first of FILES that counts says. Raises ConfigError for one that cannot be read."""
    pyproject = _toml(files, "pyproject.toml")
    there = [name for name in FILES if files.has(name) and not _says_nothing(name, pyproject)]
    if not there:
        return Needs(python=_python(files, pyproject), reasons=(Reason("", "no file names dependencies"),))
    winner = there[0]
    installer, text = _INSTALLERS[winner]
    if winner == "pyproject.toml" and _at(pyproject, "tool", "poetry") and "project" not in pyproject:
        installer, text = "poetry", "locked by Poetry during the build"
    found = _KINDS[installer](files, pyproject)
    warnings = [*found.warnings, *_several(there)]
    if winner in ("pyproject.toml", "Pipfile"):
        warnings.append(f"{winner} has no lock file beside it: every build may install other versions")
    reasons = (Reason(winner, text), *found.reasons)
    return Needs(
        installer=installer,
        files=found.files,
        source_first=found.source_first,
        project=found.project,
        locked=winner not in ("pyproject.toml", "Pipfile"),
        own_indexes=found.own_indexes,
        names=found.names,
        complete=found.complete,
        python=_python(files, pyproject),
        reasons=reasons,
        warnings=tuple(warnings),
    )


def _says_nothing(name: str, pyproject: Mapping[str, Any]) -> bool:
    """A pyproject.toml that only configures tools, such as ruff."""
    return name == "pyproject.toml" and not ("project" in pyproject or _at(pyproject, "tool", "poetry"))


def _several(there: list[str]) -> list[str]:
    lists = [name for name in there if name in ("uv.lock", "poetry.lock", "Pipfile.lock", "requirements.txt")]
    if len(lists) < 2:
        return []
    return [f"{', '.join(lists)} are all here: {lists[0]} counts, the others are not read"]


# --- one function an installer -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    files: tuple[str, ...] = ()
    source_first: bool = False
    project: bool = False
    own_indexes: bool = False
    names: frozenset[str] = frozenset()
    complete: bool = True
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


def _uv(files: Files, pyproject: Mapping[str, Any]) -> _Found:
    lock = _toml(files, "uv.lock", LOCK_LIMIT)
    if not files.has("pyproject.toml"):
        raise ConfigError("stands without a pyproject.toml", where="uv.lock", hint="commit the pyproject.toml too")
    uv = _at(pyproject, "tool", "uv")
    local = "workspace" in uv or any("path" in one for one in _tables(uv.get("sources")))
    packaged = uv.get("package", "build-system" in pyproject)
    return _Found(
        files=() if local else ("pyproject.toml", "uv.lock"),
        source_first=local,
        project=bool(packaged) and not local,
        names=_names(one.get("name", "") for one in _tables(lock.get("package"))),
        reasons=(Reason("pyproject.toml", "has local packages: the source is copied before installing"),)
        if local
        else (),
    )


def _poetry(files: Files, pyproject: Mapping[str, Any]) -> _Found:
    if not files.has("pyproject.toml"):
        raise ConfigError("stands without a pyproject.toml", where="poetry.lock", hint="commit the pyproject.toml too")
    poetry = _at(pyproject, "tool", "poetry")
    locked = files.has("poetry.lock")
    lock = _toml(files, "poetry.lock", LOCK_LIMIT) if locked else {}
    named = [one.get("name", "") for one in _tables(lock.get("package"))] or list(_at(poetry, "dependencies"))
    local = any("path" in one for one in _tables(list(_at(poetry, "dependencies").values())))
    return _Found(
        files=() if local else tuple(name for name in ("pyproject.toml", "poetry.lock") if files.has(name)),
        source_first=local,
        project=files.has_folder("src") and poetry.get("package-mode", True) is not False,
        names=_names(named),
        complete=locked,
    )


def _pipenv(files: Files, _: Mapping[str, Any]) -> _Found:
    if not files.has("Pipfile"):
        raise ConfigError("stands without a Pipfile", where="Pipfile.lock", hint="commit the Pipfile too")
    pipfile = _toml(files, "Pipfile")
    packages = _at(pipfile, "packages")
    local = any("path" in one for one in _tables(list(packages.values())))
    return _Found(
        files=() if local else tuple(name for name in ("Pipfile", "Pipfile.lock") if files.has(name)),
        source_first=local,
        names=_names([*packages, *(_locked_by_pipenv(files) if files.has("Pipfile.lock") else ())]),
        complete=files.has("Pipfile.lock"),
        own_indexes=len(_tables(pipfile.get("source"))) > 1,
    )


def _requirements(files: Files, _: Mapping[str, Any]) -> _Found:
    read: dict[str, str] = {}
    _follow(files, "requirements.txt", read)
    lines = [line for text in read.values() for line in _significant(text)]
    local = next((line for line in lines if _LOCAL.match(line)), "")
    odd = next((path for path in read if not _PLAIN.fullmatch(path)), "")
    reasons = []
    if local or odd:
        reasons.append(Reason("requirements.txt", f"names {local or odd}: the source is copied before installing"))
    direct = [_requirement(line) for line in lines]
    return _Found(
        files=() if local or odd else tuple(read),
        source_first=bool(local or odd),
        names=_names(name for names in direct for name in names),
        complete=not local,
        reasons=tuple(reasons),
    )


def _pyproject(files: Files, pyproject: Mapping[str, Any]) -> _Found:
    project = _at(pyproject, "project")
    dynamic = "dependencies" in project.get("dynamic", ())
    packaged = "build-system" in pyproject and files.has_folder("src")
    return _Found(
        files=() if dynamic else ("pyproject.toml",),
        source_first=dynamic,
        project=packaged and not dynamic,
        names=_names(name for line in project.get("dependencies", ()) for name in _requirement(str(line))),
        complete=not dynamic,
    )


def _setup(files: Files, _: Mapping[str, Any]) -> _Found:
    name = "setup.py" if files.has("setup.py") else "setup.cfg"
    return _Found(source_first=True, complete=False, reasons=(Reason(name, "the source is copied before installing"),))


_KINDS = {
    "uv": _uv,
    "poetry": _poetry,
    "pipenv": _pipenv,
    "requirements": _requirements,
    "pyproject": _pyproject,
    "setup": _setup,
}


# --- reading -------------------------------------------------------------------------------------------------------


def _python(files: Files, pyproject: Mapping[str, Any]) -> Asked | None:
    """The constraint of pyproject.toml, of Poetry, or of the Pipfile."""
    if isinstance(said := _at(pyproject, "project").get("requires-python"), str):
        return Asked(said, "pyproject.toml: project.requires-python")
    poetry = _at(pyproject, "tool", "poetry")
    if isinstance(said := _at(poetry, "dependencies").get("python"), str):
        return Asked(said, "pyproject.toml: tool.poetry.dependencies.python")
    requires = _at(_toml(files, "Pipfile"), "requires")
    for key in ("python_full_version", "python_version"):
        if isinstance(said := requires.get(key), str):
            return Asked(said, f"Pipfile: requires.{key}")
    return None


def _toml(files: Files, name: str, limit: int = 1024 * 1024) -> dict[str, Any]:
    if not files.has(name):
        return {}
    try:
        return tomllib.loads(files.text(name, limit).replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"is not TOML: {error}", where=f"{name}:{line[1]}" if line else name) from error


def _locked_by_pipenv(files: Files) -> list[str]:
    try:
        return list(json.loads(files.text("Pipfile.lock", LOCK_LIMIT)).get("default", {}))
    except (ValueError, AttributeError) as error:
        raise ConfigError(
            f"is not JSON: {error}", where="Pipfile.lock", hint="make it anew with `pipenv lock`"
        ) from error


def _follow(files: Files, name: str, read: dict[str, str]) -> None:
    """The file and what it includes, path → text. A file that is missing is left to the installer to tell."""
    if name in read or len(read) > 50 or not files.has(name):
        return
    read[name] = files.text(name)
    folder = name.rpartition("/")[0]
    for line in _significant(read[name]):
        match = _INCLUDE.match(line)
        if match and "://" not in match[1]:
            parts: list[str] = []
            for part in [*folder.split("/"), *match[1].split("/")]:
                if part == "..":
                    parts = parts[:-1]
                elif part not in ("", "."):
                    parts.append(part)
            _follow(files, "/".join(parts), read)


def _significant(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        kept = re.sub(r"(^|\s)#.*$", "", line).strip()
        if kept:
            yield kept


def _requirement(line: str) -> tuple[str, ...]:
    """The package of a requirement line, and the servers that extras of web frameworks bring."""
    text = re.split(r"\s--?[a-z]", line)[0].strip()
    try:
        found = Requirement(text)
    except InvalidRequirement:
        match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", text)
        return (match[0],) if match and not line.startswith("-") else ()
    brings_uvicorn = canonicalize_name(found.name) == "fastapi" and found.extras & {"standard", "all"}
    return (found.name, "uvicorn") if brings_uvicorn else (found.name,)


def _names(found: Any) -> frozenset[str]:
    return frozenset(canonicalize_name(str(name)) for name in found if name)


def _at(found: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """The table at a path of keys; empty when there is none."""
    at: Any = found
    for key in keys:
        at = at.get(key) if isinstance(at, Mapping) else None
    return dict(at) if isinstance(at, Mapping) else {}


def _tables(found: Any) -> list[Mapping[str, Any]]:
    values = found.values() if isinstance(found, dict) else found or ()
    return [one for one in values if isinstance(one, dict)]
