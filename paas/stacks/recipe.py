"""Turns a runtime's template into images, once: names carry a hash of the recipe (shared by both stacks)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from paas import bundled
from paas.interfaces import Builder
from paas.model.events import Emit, Event

INSTALL = "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq -o Dpkg::Use-Pty=0"
"""Begins every RUN that installs Debian packages; their names follow."""

TIDY = "apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt/*"
"""Ends every RUN that installs Debian packages: nothing of the installing stays in the layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image: a template, the stage of it to stop at, its values, and the name the result gets.

    `folder`, beside the template, holds the files that the template copies; empty: none.
    """

    ref: str
    template: str
    target: str
    values: Mapping[str, str]
    folder: str = ""

    @property
    def digest(self) -> str:
        """12 hex digits that change with anything that goes into the image but the state of the package archive."""
        return digest(self.render(), self.target, *self._copied())

    @property
    def pinned(self) -> str:
        """A name that only the result of exactly this recipe has."""
        return f"{self.ref}-{self.digest}"

    @property
    def context(self) -> Path | None:
        """The folder to build over."""
        return _folder() / self.folder if self.folder else None

    def render(self, *, ca_image: str = "", build_args: Mapping[str, str] | None = None) -> str:
        """The Dockerfile. The CA and the arguments are needed to build it and leave no trace in the result."""
        values = {
            "tidy": TIDY,
            "install": INSTALL,
            "ca_image": ca_image,
            "build_args": sorted(build_args or {}),
            **self.values,
        }
        return _templates().get_template(self.template).render(values)

    def _copied(self) -> tuple[str, ...]:
        return tuple(path.read_text() for path in sorted(self.context.iterdir())) if self.context else ()


def digest(*parts: str) -> str:
    """12 hex digits of the parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def present(builder: Builder, ref: str, pinned: str) -> bool:
    """Whether the recipe's result is here; gives it its plain name back when something else has that."""
    found = builder.find(pinned)
    if found is None:
        return False
    plain = builder.find(ref)
    if plain is None or plain.id != found.id:
        builder.tag(found.id, ref)
    return True


def make(builder: Builder, recipe: Recipe, *, ca_image: str, build_args: Mapping[str, str], emit: Emit) -> None:
    """Build it under both of its names."""
    if present(builder, recipe.ref, recipe.pinned):
        return
    emit(Event(kind="step", message=f"making {recipe.ref}"))
    dockerfile = recipe.render(ca_image=ca_image, build_args=build_args)
    labels = {"paas.recipe": recipe.digest}
    image = builder.build(
        recipe.context, dockerfile, recipe.pinned, labels=labels, emit=emit, build_args=build_args, target=recipe.target
    )
    builder.tag(image.id, recipe.ref)
    emit(Event(kind="done", message=f"{recipe.ref} is made", data={"bytes": image.size}))


def _folder() -> Path:
    return bundled.templates() / "bases"


def _templates() -> jinja2.Environment:
    # Dockerfiles, not HTML: escaping would corrupt them, and every value here is our own.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_folder()),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
