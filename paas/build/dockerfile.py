"""Renders a build plan as a Dockerfile. Pure: plan + bases + facts → text; the same in, the same out.

Every buildpack's `Dockerfile.j2` extends the frame `templates/Dockerfile.j2`. What a template prints has to come out
of one of the quoting filters; a plain string is refused, so a forgotten filter is an error, never an injection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2

from paas import bundled
from paas.build import buildpacks, quoting
from paas.build.quoting import Quoted
from paas.errors import ConfigError
from paas.model import shell
from paas.model.build import Base, BuildPlan

CA = "/run/paas-ca.pem"
"""Where a build stage finds the CA bundle it must trust."""

CA_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "NPM_CONFIG_CAFILE",
    "CARGO_HTTP_CAINFO",
)
"""What each installer and downloader reads its CA bundle from; uv and Go read the first."""

PLAIN: Mapping[str, object] = {"packages": (), "commands": (), "build_args": (), "ignored": (), "source": "context"}
"""What the frame takes where a buildpack's plan says nothing: the source as it came, and nothing else."""

TEXT = "text"
"""Key of `BuildPlan.values` that holds an app's own Dockerfile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """What the Dockerfile has to know of the place where it is built.

    `cache_mounts`: the builder is BuildKit. `ca_image` holds `/ca.pem`; empty: no CA to add. `build_env` are proxies
    and package indexes, for build stages only. `cache_id` keeps one app's package caches apart from another's.
    """

    cache_mounts: bool
    ca_image: str = ""
    build_env: Mapping[str, str] = field(default_factory=dict)
    cache_id: str = ""


def render(plan: BuildPlan, bases: Mapping[str, Base], facts: BuildFacts) -> str:
    """The Dockerfile. `bases` answers the plan's runtimes by stage name; `build` falls back to `run`.

    Raises ConfigError when a value cannot be part of a Dockerfile, naming it, or the buildpack's template is wrong.
    """
    if plan.dockerfile:
        return str(plan.values[TEXT])
    pack = buildpacks.named(plan.buildpack, buildpacks.load())
    run = bases["run"]
    ignored = [str(folder) for folder in plan.values.get("ignored", ())]  # type: ignore[attr-defined]
    seen = {
        "plan": plan,
        **PLAIN,
        **plan.values,
        "facts": facts,
        "ca": {"path": CA, "variables": CA_VARIABLES},
        "run": run,
        "build": bases.get("build", run),
        "build_env": sorted(facts.build_env.items()),
        "start": shell.argv(next((process.command for process in plan.processes if process.name == "web"), "")),
        "removal": ("rm", "-rf", *(f"/app/{folder}" for folder in ignored)),
        "web_server": _web_server(),
        "cache": partial(_mount, facts),
    }
    try:
        text = _environment(pack.folder).get_template("pack/Dockerfile.j2").render(seen)
    except RecursionError as error:
        raise ConfigError("a value of the build plan is nested too deeply") from error
    except jinja2.TemplateError as error:
        raise ConfigError(f"cannot be rendered: {error}", where=str(pack.folder / "Dockerfile.j2")) from error
    # Blocks that render to nothing leave empty lines; no value can hold one.
    return re.sub(r"\n{3,}", "\n\n", text).lstrip("\n")


def _mount(facts: BuildFacts, target: str) -> Quoted:
    """`--mount=type=cache,… ` where the builder has it. Shared: the installers lock their caches themselves."""
    if not facts.cache_mounts:
        return Quoted("")
    name = quoting.ref(f"paas{f'-{facts.cache_id}' if facts.cache_id else ''}{target.replace('/', '-')}")
    return Quoted(f"--mount=type=cache,id={name},target={quoting.path(target)} ")


def _web_server() -> tuple[str, ...]:
    """argv that writes what serving files needs into /paas of a build stage; no shell ever reads the contents."""
    script = 'mkdir -p /paas && printf %s "$1" > /paas/nginx.conf && printf %s "$2" > /paas/serve-files'
    folder = bundled.templates() / "static"
    contents = [(folder / name).read_text() for name in ("nginx.conf", "serve-files")]
    return ("/bin/sh", "-c", f"{script} && chmod 755 /paas/serve-files", "sh", *contents)


@cache
def _environment(folder: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PrefixLoader(
            {
                "frame": jinja2.FileSystemLoader(bundled.templates()),
                "pack": jinja2.FileSystemLoader(folder),
            }
        ),
        undefined=jinja2.StrictUndefined,
        finalize=_only_quoted,
        autoescape=False,  # noqa: S701  (a Dockerfile is no HTML; the finalizer below is stricter)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # `ref` and its kin check; the names are those of the Dockerfile's own grammar.
    environment.filters |= {
        "ref": quoting.ref,
        "name": quoting.name,
        "path": quoting.path,
        "value": quoting.value,
        "shell": quoting.shell,
        "run": quoting.run,
        "argv": quoting.argv,
    }
    return environment


def _only_quoted(printed: Any) -> Any:
    if isinstance(printed, (Quoted, jinja2.Undefined)):
        return printed
    raise TypeError(f"a Dockerfile template prints {printed!r} without a quoting filter")
