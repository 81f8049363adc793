"""A Dockerfile of the app's own, used as it is. Reads it for the port, the stages and what is not allowed."""

from __future__ import annotations

from paas.build.buildpacks import Options
from paas.build.dockerfile import TEXT
from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.build import BuildPlan, Process, Reason

from . import lines

ORDER = 10
LOOKED_FOR = ("Dockerfile", "build.dockerfile in paas.toml")
COMMANDS: frozenset[str] = frozenset()
"""Empty: a Dockerfile stands for itself whatever `web` starts."""

_LIMIT = 256 * 1024


def detect(files: Files, options: Options) -> tuple[Reason, ...]:
    """A Dockerfile at the top, or the one the manifest names."""
    path = options.manifest.dockerfile or "Dockerfile"
    return (Reason(path, "is used as it is"),) if files.has(path) else ()


def plan(files: Files, options: Options) -> BuildPlan:
    """The file, its port and its process. Raises ConfigError with file and line."""
    path = options.manifest.dockerfile or "Dockerfile"
    if not files.has(path):
        raise ConfigError(f"there is no {path}", where="paas.toml: build.dockerfile", hint="name a file of the app")
    text = files.text(path, _LIMIT)
    found = lines.read(text, path, options.manifest.target)
    reasons = [Reason(path, "is used as it is")]
    if found.target:
        reasons.append(Reason("paas.toml", f"build.target: the image is its stage {found.target}"))
    if options.manifest.port:
        reasons.append(Reason("paas.toml", f"port: web listens on {options.manifest.port}"))
    elif found.port:
        reasons.append(Reason(path, f"EXPOSE: web listens on {found.port}", found.port_line))
    else:
        reasons.append(Reason(path, "exposes no port: web listens on $PORT"))
    return BuildPlan(
        buildpack="dockerfile",
        runtimes={},
        processes=(Process("web", ""),),
        reasons=tuple(reasons),
        values={TEXT: text},
        dockerfile=path,
        port=found.port,
        warnings=found.warnings,
    )
