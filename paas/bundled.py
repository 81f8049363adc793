"""Finds `buildpacks/` and `templates/`: beside the package in a checkout, inside it in an installed wheel."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """The folder of that name that this installation carries.

    Raises FileNotFoundError when the installation is broken: nothing a user of the command could mend.
    """
    package = Path(__file__).parent
    for candidate in (package / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"{name}/ is missing from this installation of paas ({package})")


def buildpacks() -> Path:
    """The folder with one folder a buildpack."""
    return folder("buildpacks")


def templates() -> Path:
    """The folder with the Dockerfile frame, Traefik, addon and base image templates."""
    return folder("templates")
