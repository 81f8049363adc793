"""What an app's files say for one environment: `environments.NAME` over what stands outside of it. Pure.

Config vars, processes and scripts are merged key by key; addons and the buildpack are replaced as a whole. An
environment that no file names is what stands outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from paas.model.manifest import EnvVar, Manifest, Overrides, ProcessOptions


def effective(manifest: Manifest, environment: str) -> Manifest:
    """The manifest as it counts in an environment (empty: outside of all). Scripts stay as they are: a release holds
    those of all environments, and `model/scripts.py` chooses among them where it runs."""
    own = manifest.environments.get(environment)
    if own is None:
        return manifest
    return replace(
        manifest,
        buildpack=own.buildpack or manifest.buildpack,
        processes=processes(own.processes, manifest.processes),
        env=variables(own.env, manifest.env),
        addons=manifest.addons if own.addons is None else own.addons,
    )


def processes(
    over: Mapping[str, ProcessOptions], under: Mapping[str, ProcessOptions]
) -> dict[str, ProcessOptions]:  # fmt: skip
    """Process by process and option by option."""
    found = dict(under)
    for name, options in over.items():
        said = {one.name: getattr(options, one.name) for one in fields(options)}
        told: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
        found[name] = replace(under[name], **told) if name in under else options
    return found


def variables(over: Mapping[str, EnvVar], under: Mapping[str, EnvVar]) -> dict[str, EnvVar]:
    """Key by key; a description stays where only that of a key is missing."""
    found = dict(under)
    for key, asked in over.items():
        before = under.get(key)
        found[key] = replace(asked, description=before.description) if before and not asked.description else asked
    return found


def joined(over: Overrides | None, under: Overrides | None) -> Overrides:
    """What two files say for the same environment."""
    over, under = over or Overrides(), under or Overrides()
    return Overrides(
        buildpack=over.buildpack or under.buildpack,
        processes=processes(over.processes, under.processes),
        env={**under.env, **over.env},
        addons=under.addons if over.addons is None else over.addons,
    )
