"""Single-page apps and static generators: which builds leave files that only have to be served, and in which folder."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from paas.build.buildpacks import Options
from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.build import Reason

from .sources import Package

START = "serve-files"
"""The command of an image that serves files; `templates/static/` holds it."""

_TOOLS = {
    "@angular/core": ("Angular", "dist"),
    "react-scripts": ("Create React App", "build"),
    "@vue/cli-service": ("Vue CLI", "dist"),
    "@docusaurus/core": ("Docusaurus", "build"),
    "gatsby": ("Gatsby", "public"),
    "@11ty/eleventy": ("Eleventy", "_site"),
    "vitepress": ("VitePress", ".vitepress/dist"),
    "astro": ("Astro", "dist"),
    "parcel": ("Parcel", "dist"),
    "vite": ("Vite", "dist"),
    "webpack": ("webpack", "dist"),
}
"""Package → its name for people, and the folder its build writes by default. The first that is depended on counts."""

_PAGES = frozenset({"@docusaurus/core", "gatsby", "@11ty/eleventy", "vitepress", "astro"})
"""Generators with a file for every page: an unknown path is a 404, not a route of the app."""

_SERVERS = ("next", "nuxt", "@remix-run/serve", "@react-router/serve", "@sveltejs/adapter-node", "@astrojs/node")
_DEV_SERVER = re.compile(
    r"""(\S+=\S+\s+|cross-env\s+|npx\s+)*
        (vite(\s+(dev|serve|preview))?|react-scripts\sstart|ng\sserve|vue-cli-service\sserve|parcel
        |webpack(-dev-server|\sserve)|astro\s(dev|preview)|docusaurus\sstart|gatsby\sdevelop
        |eleventy\s--serve|vitepress\s(dev|preview))(\s|$)""",
    re.VERBOSE,
)
_OUT = re.compile(r"outDir\s*:\s*['\"]([A-Za-z0-9_@./-]+)['\"]")
_FOLDER = re.compile(r"[A-Za-z0-9_@.+-]+(/[A-Za-z0-9_@.+-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A build's result that is served as files: the folder, and whether unknown paths answer with its index.html."""

    folder: str
    spa: bool
    reasons: tuple[Reason, ...]

    @property
    def command(self) -> str:
        """What `web` runs."""
        return f"{START} --spa" if self.spa else START


def find(files: Files, options: Options, package: Package) -> Site | None:
    """The site this app builds; None when it runs a server of its own."""
    manifest = options.manifest
    if options.web:
        return None
    if manifest.static_dir:
        reason = Reason("paas.toml", f"static_dir: {manifest.static_dir} is served as files")
        return Site(folder=manifest.static_dir, spa=manifest.spa is not False, reasons=(reason,))
    start = package.scripts.get("start", "")
    tool = next((name for name in _TOOLS if name in package.depends), "")
    builds = "build" in package.scripts or bool(manifest.build_command)
    if not tool or not builds or any(name in package.depends for name in _SERVERS):
        return None
    if start and not _DEV_SERVER.match(start):
        return None
    name, folder = _TOOLS[tool]
    folder = _written(files, tool) or folder
    why = "start is a development server" if start else "there is no start script"
    return Site(
        folder=folder,
        spa=manifest.spa if manifest.spa is not None else tool not in _PAGES,
        reasons=(Reason("package.json", f"builds with {name}, and {why}: {folder}/ is served as files"),),
    )


def _written(files: Files, tool: str) -> str:
    """The folder the tool's own configuration names; empty: it names none."""
    if tool == "@angular/core":
        return _angular(files)
    for name in ("vite.config.js", "vite.config.ts", "vite.config.mjs", "vite.config.mts", "astro.config.mjs"):
        match = _OUT.search(files.text(name)) if files.has(name) else None
        if match:
            folder = match[1].removeprefix("./").rstrip("/")
            if not _FOLDER.fullmatch(folder) or ".." in folder.split("/"):
                raise ConfigError(
                    f"outDir {match[1]} is outside the app", where=name, hint="set static_dir in paas.toml"
                )
            return folder
    return ""


def _angular(files: Files) -> str:
    """`outputPath` of the first project; builders since version 17 write into `browser/` below it."""
    try:
        projects = json.loads(files.text("angular.json"))["projects"]
        name, project = next(iter(projects.items()))
        build = project["architect"]["build"]
        said = build["options"].get("outputPath", f"dist/{name}")
        folder = said if isinstance(said, str) else str(said["base"])
        below = "" if build["builder"].endswith(":browser") else "/browser"
    except (ConfigError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return ""
    folder = folder.rstrip("/") + below
    return folder if _FOLDER.fullmatch(folder) else ""
