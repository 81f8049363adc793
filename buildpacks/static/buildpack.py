"""Files that are served as they are: a folder with an index.html, or the one that paas.toml names."""

from __future__ import annotations

from paas.build import versions
from paas.build.buildpacks import Options
from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.build import BuildPlan, Process, Reason

ORDER = 40
LOOKED_FOR = ("index.html at the top or in public/, dist/, _site/, site/ or docs/", "static_dir in paas.toml")
COMMANDS = frozenset({"nginx", "serve-files"})

_FOLDERS = ("public", "dist", "_site", "site", "docs")
_NOT_SERVED = ("Procfile", "paas.toml", "app.json", ".dockerignore", ".paasignore", ".gitignore", ".git")


def detect(files: Files, options: Options) -> tuple[Reason, ...]:
    """An index.html, or a folder the manifest names."""
    if options.manifest.static_dir:
        return (Reason("paas.toml", f"static_dir: {options.manifest.static_dir}"),)
    folder = _folder(files)
    return (Reason(_page(folder), "is the start page of a site"),) if folder else ()


def plan(files: Files, options: Options) -> BuildPlan:
    """Which folder is served, and how. Raises ConfigError when it is not there."""
    manifest = options.manifest
    folder = manifest.static_dir or _folder(files) or "."
    built = bool(manifest.build_command)
    if not built and folder != "." and not files.has_folder(folder):
        raise ConfigError(
            f"there is no folder {folder}", where="paas.toml: static_dir", hint="name a folder of the app"
        )
    present = tuple(name for name in _NOT_SERVED if files.has(name) or files.has_folder(name))
    spa = bool(manifest.spa)
    reasons = [Reason(_page(folder), f"{'this folder' if folder == '.' else f'{folder}/'} is served as files")]
    if spa:
        reasons.append(Reason("paas.toml", "spa: unknown paths answer with index.html"))
    return BuildPlan(
        buildpack="static",
        runtimes={"run": versions.any_of("static", options.offers("static"))},
        processes=(Process("web", "serve-files --spa" if spa else "serve-files"),),
        reasons=tuple(reasons),
        values={
            "folder": folder,
            "commands": (manifest.build_command,) if built else (),
            "build_args": tuple(sorted(manifest.build_args.items())),
            "packages": (),
            "ignored": present if folder == "." else (),
            "source": "build" if built else "context",
        },
    )


def _folder(files: Files) -> str:
    """The folder with the start page, `.` for the top; empty: none."""
    return next((folder for folder in (".", *_FOLDERS) if files.has(_page(folder))), "")


def _page(folder: str) -> str:
    return "index.html" if folder == "." else f"{folder}/index.html"
