"""The schema of `app.json` (Heroku's), as far as it is used.

What belongs to other platforms is accepted; what would change how the app runs there and does not here is told. What
asks for something of the host is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from paas.build.cron import CronEntry, of_app_json
from paas.build.paas_toml import Command, EnvironmentName, Key, Text, env_table
from paas.build.tables import Lenient
from paas.errors import UsageError
from paas.model import names
from paas.model.manifest import EnvVar, Manifest, Overrides, ProcessOptions
from paas.model.scripts import BASE, Scripts

_SILENT = frozenset({"$schema", "description", "keywords", "website", "repository", "logo", "success_url", "stack"})
_TEST_SCRIPTS = frozenset({"test", "test-setup"})
REVIEW = "review"
_KINDS = {
    "heroku-postgresql": "postgres",
    "postgresql": "postgres",
    "postgres": "postgres",
    "heroku-redis": "redis",
    "redis": "redis",
}
_BUILDPACKS = {"python": "python", "nodejs": "node", "node": "node", "static": "static"}


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


class ScriptsEntry(Lenient):
    """`scripts`."""

    postdeploy: Command = ""
    """Runs after the first deploy that serves; after later ones until it exits 0."""
    predestroy: Command = ""
    """Runs before the app is taken away."""
    pr_predestroy: Annotated[Command, Field(alias="pr-predestroy")] = ""
    """The `predestroy` of the environment `review`."""


class EnvironmentEntry(Lenient):
    """`environments.NAME`."""

    env: dict[Key, Annotated[EnvEntry, BeforeValidator(env_table)]] = Field(default_factory=dict)
    """Config vars, over the file's key by key."""
    formation: dict[str, Quantity] = Field(default_factory=dict)
    """Process types, over the file's."""
    addons: list[str | AddonEntry] | None = None
    """Instead of the file's."""
    buildpacks: list[BuildpackEntry] = Field(default_factory=list)
    """Instead of the file's."""
    scripts: ScriptsEntry = ScriptsEntry()
    """Over the file's, script by script."""


class AppJson(Lenient):
    """The whole file."""

    name: str = ""
    """The app, when the command line does not name one."""
    env: dict[Key, Annotated[EnvEntry, BeforeValidator(env_table)]] = Field(default_factory=dict)
    """Config vars the app expects: `"KEY": "value"`, or an object."""
    formation: dict[str, Quantity] = Field(default_factory=dict)
    """Process types."""
    addons: list[str | AddonEntry] = Field(default_factory=list)
    """Addons made and attached at the first deploy: names, or objects."""
    buildpacks: list[BuildpackEntry] = Field(default_factory=list)
    """The last known one decides instead of detection."""
    cron: list[CronEntry] = Field(default_factory=list, max_length=50)
    """Scheduled jobs, as Dokku has them; their names are made of their commands."""
    scripts: ScriptsEntry = ScriptsEntry()
    """What runs once after the first deploy, and before the app is taken away."""
    environments: dict[EnvironmentName, EnvironmentEntry] = Field(default_factory=dict, max_length=20)
    """What counts in one environment alone, such as the pipeline stage `review`."""


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
        scripts=_scripts(found, warnings),
        environments={name: _overrides(name, entry, warnings) for name, entry in found.environments.items()},
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


def _scripts(found: AppJson, warnings: list[str]) -> dict[str, Scripts]:
    """Of each environment that has any."""
    entries = {BASE: found.scripts, **{name: entry.scripts for name, entry in found.environments.items()}}
    for entry in entries.values():
        warnings.extend(
            f"app.json: scripts.{key} is not used" for key in entry.model_extra or () if key not in _TEST_SCRIPTS
        )
    made = {name: Scripts(postdeploy=one.postdeploy, predestroy=one.predestroy) for name, one in entries.items()}
    if found.scripts.pr_predestroy:
        review = made.get(REVIEW, Scripts())
        made[REVIEW] = replace(review, predestroy=review.predestroy or found.scripts.pr_predestroy)
    return {name: scripts for name, scripts in made.items() if scripts != Scripts()}


def _overrides(name: str, entry: EnvironmentEntry, warnings: list[str]) -> Overrides:
    told: list[str] = [f"app.json: {key} is not used" for key in entry.model_extra or () if key not in _SILENT]
    made = Overrides(
        buildpack=_buildpack(entry.buildpacks, told),
        processes=_formation(entry.formation, told),
        env={key: _env(key, asked, told) for key, asked in entry.env.items()},
        addons=None if entry.addons is None else _addons(entry.addons, told),
    )
    warnings.extend(one.replace("app.json: ", f"app.json: environments.{name}.", 1) for one in told)
    return made
