"""The schema of `app.json` (Heroku's), as far as it is used: name, env, formation, addons, buildpacks.

What belongs to other platforms is accepted; what would change how the app runs there and does not here is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from paas.build.cron import CronEntry, of_app_json
from paas.build.paas_toml import Key, Text, env_table
from paas.errors import UsageError
from paas.model import names
from paas.model.manifest import EnvVar, Manifest, ProcessOptions

_SILENT = frozenset({"$schema", "description", "keywords", "website", "repository", "logo", "success_url", "stack"})
_KINDS = {"heroku-postgresql": "postgres", "postgresql": "postgres", "postgres": "postgres"}
_BUILDPACKS = {"python": "python", "nodejs": "node", "node": "node", "static": "static"}


class Lenient(BaseModel):
    """A table of which some keys are used; the others are kept and told."""

    model_config = ConfigDict(frozen=True, extra="allow")


class EnvEntry(Lenient):
    """`env.KEY`."""

    value: Text | None = None
    """Set by a deploy, unless it is set already."""
    required: bool = True
    """A deploy without a value for it is refused."""
    generator: str = ""
    """`secret`: set to a random value by a deploy, unless it is set already."""
    description: str = ""
    """For people."""


class Quantity(Lenient):
    """`formation.NAME`."""

    quantity: Annotated[int, Field(ge=0, le=100)] | None = None
    """How many replicas at the first deploy."""


class AddonEntry(Lenient):
    """`addons[]` as an object."""

    plan: str
    """Such as `heroku-postgresql`; what follows a colon is not used."""


class BuildpackEntry(Lenient):
    """`buildpacks[]`."""

    url: str
    """`heroku/python`, `heroku/nodejs`, or the URL of such a buildpack."""


class AppJson(Lenient):
    """The whole file."""

    name: str = ""
    """The app, when the command line does not name one."""
    env: dict[Key, Annotated[EnvEntry, BeforeValidator(env_table)]] = {}
    """Config vars the app expects: `"KEY": "value"`, or an object."""
    formation: dict[str, Quantity] = {}
    """Process types."""
    addons: list[str | AddonEntry] = []
    """Addons made and attached at the first deploy: names, or objects."""
    buildpacks: list[BuildpackEntry] = []
    """The last known one decides instead of detection."""
    cron: Annotated[list[CronEntry], Field(max_length=50)] = []
    """Scheduled jobs, as Dokku has them; their names are made of their commands."""


def manifest(found: AppJson, values: Mapping[str, Any]) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest, and warnings for what is not used."""
    warnings = [
        f"app.json: {key} is not used" for key in values if key not in AppJson.model_fields and key not in _SILENT
    ]
    made = Manifest(
        name=_name(found.name, warnings),
        buildpack=_buildpack(found.buildpacks, warnings),
        env={key: _env(key, entry, warnings) for key, entry in found.env.items()},
        processes=_formation(found.formation, warnings),
        addons=_addons(found.addons, warnings),
        cron=of_app_json(found.cron, warnings),
    )
    return made, tuple(warnings)


def _name(name: str, warnings: list[str]) -> str:
    """`name` is a title for people there; it names the app here when it can."""
    if not name:
        return ""
    try:
        return names.app_name(name)
    except UsageError:
        warnings.append(f"app.json: name {name[:60]!r} cannot name an app; not used")
        return ""


def _buildpack(entries: list[BuildpackEntry], warnings: list[str]) -> str:
    known = []
    for entry in entries:
        match = re.search(r"(?:^|/)(?:heroku-buildpack-)?(\w+?)(?:\.git)?(?:#.*)?$", entry.url)
        name = _BUILDPACKS.get(match[1], "") if match else ""
        if name:
            known.append(name)
        else:
            warnings.append(f"app.json: buildpack {entry.url[:100]} is not used")
    if len(known) > 1:
        warnings.append(f"app.json: several buildpacks; the last one, {known[-1]}, is used")
    return known[-1] if known else ""


def _env(key: str, entry: EnvEntry, warnings: list[str]) -> EnvVar:
    if entry.generator not in ("", "secret"):
        warnings.append(f"app.json: env.{key}: generator {entry.generator[:40]!r} is not known; not used")
    return EnvVar(
        value=entry.value,
        generate=entry.generator == "secret",
        required=entry.required,
        description=entry.description,
    )


def _formation(formation: Mapping[str, Quantity], warnings: list[str]) -> dict[str, ProcessOptions]:
    found = {}
    for name, entry in formation.items():
        warnings.extend(f"app.json: formation.{name}.{key} is not used" for key in entry.model_extra or ())
        if names.PROCESS.fullmatch(name):
            found[name] = ProcessOptions(replicas=entry.quantity)
        else:
            warnings.append(f"app.json: formation.{name[:40]}: no name of a process; not used")
    return found


def _addons(entries: list[str | AddonEntry], warnings: list[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for entry in entries:
        plan = entry if isinstance(entry, str) else entry.plan
        kind = _KINDS.get(plan.partition(":")[0])
        if kind:
            found[kind] = None
        else:
            warnings.append(f"app.json: addon {plan[:60]} is not known; not used")
    return tuple(found)
