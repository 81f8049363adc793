"""Which app a command means: `--app`, PAAS_APP, then what the folder says (its files, the git remote `paas`), then the
folder's own name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

from paas.errors import ConfigError, UsageError

_TYPED = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_REMOTE = re.compile(
    r"(?:paas::|ssh://[^/]+/|https?://[^/]+/git/|(?:[^/:@]+@)?(?:[^/:@]+|\[[0-9A-Fa-f:.]+\]):/?)"
    r"(?P<app>[a-z0-9-]+)(?:\.git)?/?"
)
"""URLs that `paas git remote` writes, and those that people write by hand: ssh's own `root@host:shop` too."""


def app_of(given: str, folder: Path | None = None, environ: Mapping[str, str] | None = None) -> str:
    """The app's name (or id). Raises UsageError when there is none to be found, ConfigError for a broken file."""
    named = given or (os.environ if environ is None else environ).get("PAAS_APP", "")
    if named:
        return checked(named)
    here = folder or Path.cwd()
    for source in (_paas_toml, _git_remote, _app_json, _linked):
        if found := source(here):
            return found
    if found := sanitised(here.resolve().name):
        return found
    raise UsageError("which app?", hint="name it with --app, or set PAAS_APP")


def checked(name: str) -> str:
    """The name if it can be an app's or an id: what is not must not become part of an address."""
    if not _TYPED.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of an app",
            hint="use 1 to 40 lower-case letters, digits and dashes; start with a letter, end with a letter or digit",
        )
    return name


def sanitised(text: str) -> str:
    """`My Shop_2` → `my-shop-2`; empty when nothing is left of it."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")
    return words[:40].rstrip("-")


def _paas_toml(folder: Path) -> str:
    path = folder / "paas.toml"
    try:
        name = tomllib.loads(path.read_text()).get("name", "")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(error), where="paas.toml", hint="mend it, or name the app with --app") from error
    return checked(name) if isinstance(name, str) and name else ""


def _git_remote(folder: Path) -> str:
    """The app that the remote `paas` pushes to; of a repository's top folder alone: one below may be another app."""
    if not (folder / ".git").exists():
        return ""
    asked = ["git", "-C", str(folder), "config", "--get", "remote.paas.url"]
    # In a hook, variables name the repository of the hook.
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        said = subprocess.run(asked, capture_output=True, text=True, errors="replace", check=False, env=environ).stdout
    except OSError:
        return ""
    found = _REMOTE.fullmatch(said.strip())
    return found["app"] if found and _TYPED.fullmatch(found["app"]) else ""


def _app_json(folder: Path) -> str:
    """Its name is for people, so it is made fit. A broken file is the business of who reads all of it."""
    try:
        values = json.loads((folder / "app.json").read_text())
    except (OSError, ValueError):
        return ""
    name = values.get("name", "") if isinstance(values, dict) else ""
    return sanitised(name) if isinstance(name, str) else ""


def _linked(folder: Path) -> str:
    try:
        return checked((folder / ".paas" / "app").read_text().strip())
    except (OSError, UnicodeDecodeError):
        return ""
