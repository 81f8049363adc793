"""What package.json and the lock files say: manager, scripts, what has to be there before installing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.build import Reason

LIMIT = 1024 * 1024
LOCKS = {
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "package-lock.json": "npm",
    "npm-shrinkwrap.json": "npm",
}
"""In the order of who wins: npm writes its lock file by accident, the others are a choice."""

_BESIDE = (".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", ".pnpmfile.cjs")
_RUNTIME = ("dependencies", "optionalDependencies", "peerDependencies")
_HOOKS = ("preinstall", "install", "postinstall", "prepare", "prepublish")
_MANAGER = re.compile(r"(npm|yarn|pnpm)@(\d{1,4}(?:\.\d{1,6}){0,2}(?:-[0-9A-Za-z.-]{1,40})?)(?:\+\S{1,200})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package.json with its lock file. `files` are copied before installing; `source_first`: everything is.

    `manager_version` is set when the app pins one. `berry`: Yarn 2 or later. `locked`: a lock file is there. `dev_only`
    are packages that only development needs; `programs` what the lock file says that they bring.
    """

    content: Mapping[str, Any] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    manager: str = "npm"
    manager_version: str = ""
    berry: bool = False
    locked: bool = False
    files: tuple[str, ...] = ()
    source_first: bool = False
    has_dev: bool = False
    depends: frozenset[str] = frozenset()
    dev_only: frozenset[str] = frozenset()
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


def read(files: Files) -> Package:
    """What the app says. Without a package.json: nothing to install. Raises ConfigError with file and line."""
    if not files.has("package.json"):
        return Package(manager="", reasons=(Reason("", "no package.json: nothing to install"),))
    content = _json(files, "package.json")
    locks = [name for name in LOCKS if files.has(name)]
    manager, version, reasons = _manager(content, locks)
    lock = next((name for name in locks if LOCKS[name] == manager), "")
    if not lock and files.has("bun.lock"):
        reasons.append(Reason("bun.lock", "Bun is not offered: npm installs from package.json"))
    locked = _json(files, lock, 64 * LIMIT) if lock.endswith(".json") else {}
    first = _needs_source(files, content)
    dev = _names(content, "devDependencies")
    berry = manager == "yarn" and (files.has(".yarnrc.yml") or version.split(".")[0] not in ("", "0", "1"))
    beside = tuple(name for name in _BESIDE if files.has(name))
    if berry and any(path.startswith(".yarn/") for path in files.paths):
        first = first or ".yarn/"
    if first:
        reasons.append(Reason("package.json", f"{first}: the source is copied before installing"))
    return Package(
        content=content,
        scripts=_scripts(content),
        manager=manager,
        manager_version=version,
        berry=berry,
        locked=bool(lock),
        files=() if first else tuple(name for name in ("package.json", lock, *beside) if name),
        source_first=bool(first),
        has_dev=bool(dev),
        depends=_names(content, "dependencies") | dev,
        dev_only=dev.difference(*(_names(content, key) for key in _RUNTIME)),
        programs={name: _programs(locked, name) for name in dev},
        reasons=tuple(reasons),
        warnings=_warnings(locks, lock, manager),
    )


def _manager(content: Mapping[str, Any], locks: list[str]) -> tuple[str, str, list[Reason]]:
    said = content.get("packageManager")
    if said is not None:
        match = _MANAGER.fullmatch(said) if isinstance(said, str) else None
        if not match:
            raise ConfigError(
                f"{str(said)[:60]!r} is no package manager that is known here",
                where="package.json: packageManager",
                hint="write npm@VERSION, yarn@VERSION or pnpm@VERSION, or take the key out",
            )
        return match[1], match[2], [Reason("package.json", f"packageManager: {match[1]} {match[2]} installs")]
    if locks:
        return LOCKS[locks[0]], "", [Reason(locks[0], f"{LOCKS[locks[0]]} installs exactly what is locked")]
    return "npm", "", [Reason("package.json", "no lock file: npm installs")]


def _warnings(locks: list[str], lock: str, manager: str) -> tuple[str, ...]:
    found = []
    if len({LOCKS[name] for name in locks}) > 1:
        found.append(f"{', '.join(locks)} are all here: {lock or manager} counts, the others are not read")
    if not lock:
        found.append("package.json has no lock file beside it: every build may install other versions")
    return tuple(found)


def _needs_source(files: Files, content: Mapping[str, Any]) -> str:
    """Why installing needs more than package.json and the lock file; empty: it does not."""
    if "workspaces" in content or files.has("pnpm-workspace.yaml"):
        return "has workspaces"
    hook = next((name for name in _HOOKS if name in _scripts(content)), "")
    if hook:
        return f"has a {hook} script"
    if files.has_folder("patches"):
        return "has patches"
    for key in ("dependencies", "devDependencies", "optionalDependencies"):
        table = content.get(key)
        for name, said in table.items() if isinstance(table, dict) else ():
            if isinstance(said, str) and said.startswith(("file:", "link:", "portal:", "./", "../", "workspace:")):
                return f"{name} is a folder of its own"
    return ""


def _scripts(content: Mapping[str, Any]) -> dict[str, str]:
    scripts = content.get("scripts")
    if not isinstance(scripts, dict):
        return {}
    return {name: text.strip() for name, text in scripts.items() if isinstance(text, str) and text.strip()}


def _names(content: Mapping[str, Any], key: str) -> frozenset[str]:
    table = content.get(key)
    return frozenset(table) if isinstance(table, dict) else frozenset()


def _programs(locked: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The programs of a package in npm's lock file (version 2 or later); empty: it does not say."""
    packages = locked.get("packages")
    entry = packages.get(f"node_modules/{name}") if isinstance(packages, dict) else None
    said = entry.get("bin") if isinstance(entry, dict) else None
    return tuple(said) if isinstance(said, dict) else ()


def _json(files: Files, name: str, limit: int = LIMIT) -> dict[str, Any]:
    try:
        found = json.loads(files.text(name, limit))
    except json.JSONDecodeError as error:
        hint = "resolve the merge, or make it anew" if name != "package.json" else ""
        raise ConfigError(f"is not JSON: {error.msg}", where=f"{name}:{error.lineno}", hint=hint) from error
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"is not JSON: {error}", where=name) from error
    if not isinstance(found, dict):
        raise ConfigError("expected an object", where=name)
    return found
