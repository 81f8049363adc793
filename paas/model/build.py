"""Words of the build: what was found in a source, why, and what the Dockerfile is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact and where it was read: `Reason("requirements.txt", "names flask 3.1")`. `line` 0: the whole file."""

    file: str
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a buildpack asks a stack for: `Runtime("python", "3.13")`. Version `""` means the stack's default.

    `requested` is the user's own words (`>=3.12,<4`, `lts/*`) and `source` the file that said so; both only explain.
    """

    name: str
    version: str = ""
    requested: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """One process type. `command` is a shell command line; empty: the image's own command."""

    name: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """Everything the Dockerfile of an app is rendered from, and why. A pure value: printed, compared, tested.

    `values` are what the buildpack's Dockerfile.j2 sees beside the common ones; every string in it that reaches
    the Dockerfile goes through a quoting filter. `runtimes` maps a stage's name to what it asks the stack for
    (`{"build": Runtime("node", "22"), "run": Runtime("static", "")}`); "build" falls back to "run".
    `dockerfile` is set instead when the app brings its own Dockerfile (path inside the source).
    `warnings` are printed, never fatal.
    """

    buildpack: str
    runtimes: Mapping[str, Runtime]
    processes: tuple[Process, ...]
    reasons: tuple[Reason, ...]
    values: Mapping[str, object] = field(default_factory=dict)
    dockerfile: str = ""
    port: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Base:
    """The images a stack answers a Runtime with.

    `build_image` is what build stages start FROM: compilers, headers, and the language's installer (uv for python,
    npm for node) on PATH. `image` is what the final stage starts FROM: the runtime and nothing else, with a user
    `app` (1000:1000). `version` is the full one they have.
    """

    runtime: Runtime
    image: str
    build_image: str
    version: str


@dataclass(frozen=True, slots=True)
class Image:
    """A built image. `id` is the engine's immutable id (`sha256:…`), `ref` a name that keeps it from being pruned.

    `cached` says that nothing had to be built. `exposed` are the TCP ports the image EXPOSEs, `command` its
    own entrypoint + command (empty tuple: none), `user` who it runs as.
    """

    id: str
    ref: str
    size: int = 0
    cached: bool = False
    exposed: tuple[int, ...] = ()
    command: tuple[str, ...] = ()
    user: str = ""
