"""Node.js apps: npm, Yarn, pnpm by their lock file; a server that `start` runs, or a single-page build served as files.

`start` is run as it is written, not through the package manager: signals then reach the app itself.
"""

from __future__ import annotations

import re
import shlex

from paas.build import versions
from paas.build.buildpacks import Options
from paas.build.files import Files
from paas.build.versions import Asked
from paas.errors import ConfigError
from paas.model.build import BuildPlan, Process, Reason, Runtime

from . import pages, sources, tools
from .sources import Package

ORDER = 30
LOOKED_FOR = ("package.json", "server.js, index.js or app.js with a web command that starts node")
COMMANDS = frozenset({"node", "npm", "npx", "yarn", "pnpm", "next", "nuxt", "tsx", "ts-node", "remix-serve"})

_SERVERS = ("server.js", "index.js", "app.js", "server.mjs", "index.mjs", "app.mjs", "src/server.js", "src/index.js")
_WORD = re.compile(r"[A-Za-z0-9_.@:-]{1,100}")


def detect(files: Files, options: Options) -> tuple[Reason, ...]:
    """package.json, or a `web` command that starts node."""
    if files.has("package.json"):
        return (Reason("package.json", "is a file of Node.js apps"),)
    words = options.web.split()
    return (Reason("Procfile", f"web starts {words[0]}"),) if words and words[0] in COMMANDS else ()


def plan(files: Files, options: Options) -> BuildPlan:
    """How to install, build and start or serve it. Raises ConfigError naming the file."""
    package = sources.read(files)
    node, version_reasons = _runtime(files, options, package)
    site = pages.find(files, options, package)
    build = _build(options, package)
    commands = [build[0]] if build[0] else []
    ignored = tuple(name for name in files.skipped if not name.endswith(".git"))
    warnings = [
        f"{name}/ is part of the source; it is left out and made anew" for name in ignored if "node_modules" in name
    ]
    web, web_reasons = _web(files, options, package) if site is None else (site.command, site.reasons)
    # Yarn 2 and later installs everything.
    if site is None and not package.berry:
        warnings += tools.missing(options.web or web, package)
    runtimes = (
        {"run": node} if site is None else {"build": node, "run": versions.any_of("static", options.offers("static"))}
    )
    return BuildPlan(
        buildpack="node",
        runtimes=runtimes,
        processes=(Process("web", web),) if web else (),
        reasons=(*version_reasons, *package.reasons, *build[1], *web_reasons),
        values={
            "manager": package.manager,
            "manager_version": package.manager_version,
            "locked": package.locked,
            "berry": package.berry,
            "install_files": package.files,
            "source_first": package.source_first,
            "prune": bool(commands) and package.has_dev and site is None,
            "whole": bool(commands),
            "commands": tuple(commands),
            "build_args": tuple(sorted(options.manifest.build_args.items())),
            "packages": options.manifest.packages if site is None else (),
            "ignored": ignored,
            "source": "build" if commands or package.source_first else "context",
            "site": site.folder if site else "",
        },
        warnings=(*package.warnings, *warnings),
    )


def _runtime(files: Files, options: Options, package: Package) -> tuple[Runtime, tuple[Reason, ...]]:
    """The first of .node-version, .nvmrc and `engines.node`."""
    said = [versions.line_of(files, ".node-version"), versions.line_of(files, ".nvmrc"), _engines(package)]
    asked = next((one for one in said if one is not None), None)
    runtime = versions.node(asked, options.offers("node"))
    if asked is None:
        return runtime, (Reason("", f"no file asks for a Node.js version: {runtime.version} is the default"),)
    return runtime, (Reason(asked.source, f"asks for Node.js {asked.text}: {runtime.version} it is"),)


def _engines(package: Package) -> Asked | None:
    engines = package.content.get("engines")
    said = engines.get("node") if isinstance(engines, dict) else None
    return Asked(said.strip(), "package.json: engines.node") if isinstance(said, str) else None


def _build(options: Options, package: Package) -> tuple[str, tuple[Reason, ...]]:
    if options.manifest.build_command:
        command = options.manifest.build_command
        return command, (Reason("paas.toml", f"build.command: {command}"),)
    if "build" in package.scripts:
        return f"{package.manager} run build", (Reason("package.json", "has a build script: it is run in the build"),)
    return "", ()


def _web(files: Files, options: Options, package: Package) -> tuple[str, tuple[Reason, ...]]:
    """`start`, `main`, or a file with a usual name; empty: none."""
    if options.web:
        return "", ()
    start = package.scripts.get("start", "")
    if start:
        return _started(start, package)
    main = package.content.get("main")
    for name in [main] if isinstance(main, str) else []:
        for path in (name.removeprefix("./"), f"{name.removeprefix('./')}.js"):
            if files.has(path):
                return f"node {shlex.quote(path)}", (Reason("package.json", f"main is {path}"),)
    for path in _SERVERS:
        if files.has(path):
            return f"node {path}", (Reason(path, "has the usual name of a server"),)
    return "", (Reason("package.json", "has no start script and no main, and there is no server.js"),)


def _started(start: str, package: Package) -> tuple[str, tuple[Reason, ...]]:
    reason = Reason("package.json", f"start script: {start[:200]}")
    through = "prestart" in package.scripts or "poststart" in package.scripts or "npm_" in start
    if through:
        return f"{package.manager} run start", (reason, Reason("package.json", "start needs its package manager"))
    if "\n" in start or "\r" in start:
        raise ConfigError("start holds a line break", where="package.json: scripts.start", hint="write it in one line")
    return start, (reason,)
