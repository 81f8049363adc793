"""Source to image: buildpack, base images, Dockerfile, build. Skips the build when that very image is here already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from paas import stacks
from paas.build import dockerfile
from paas.build.detect import Inspection, inspect
from paas.build.files import Files
from paas.errors import PlatformError
from paas.model.app import App
from paas.model.build import Base, BuildPlan, Image
from paas.model.events import Emit, Event
from paas.model.manifest import Manifest
from paas.usecases import shape as shapes
from paas.usecases.context import Context
from paas.usecases.fetch import Fetched
from paas.usecases.shape import Shape
from paas.usecases.steps import step

PULLED = "image"
"""The "buildpack" of a release that was deployed from an image as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An image that a release can run. `cached`: it was here already, nothing was built."""

    image: Image
    cached: bool


def inspected(context: Context, found: Fetched, buildpack: str, environment: str = "") -> Shape:
    """The source in an environment: buildpack, build plan and manifest, with warnings of schedules that have ended.
    Raises ConfigError with file and line."""
    if found.folder is None:
        return Shape(plan=BuildPlan(buildpack=PULLED, runtimes={}, processes=(), reasons=()), manifest=Manifest())
    offers = context.stack.offers
    inspection: Inspection = inspect(
        Files.of(found.folder), offers=offers, buildpack=buildpack, environment=environment
    )
    plan, ended = inspection.plan, shapes.ended(inspection.manifest, context.clock.now())
    return Shape(plan=replace(plan, warnings=(*plan.warnings, *ended)), manifest=inspection.manifest)


def build_image(
    context: Context, app: App, found: Fetched, shape: Shape, emit: Emit, *, no_cache: bool = False
) -> Built:
    """The image of this source, as `{instance}/{app id}:{12 hex}`. Raises BuildFailed, ConfigError, PlatformError."""
    if found.folder is None:
        return _taken(context, app, found.source.origin, emit, fresh=no_cache)
    bases, ids = _bases(context, shape.plan, emit)
    text = _dockerfile(context, app, shape, bases=bases, emit=emit)
    manifest = shape.manifest
    identity = {
        "source": found.source.id, "dockerfile": text, "args": dict(manifest.build_args), "target": manifest.target,
        "bases": ids,
    }  # fmt: skip
    build_id = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    ref = _ref(context, app, build_id)
    there = None if no_cache else context.builder.find(ref)
    if there is not None:
        emit(Event(kind="note", message="this very image is here already: nothing to build"))
        return Built(image=there, cached=True)
    with step(context, emit, f"Building with {shape.plan.buildpack}", stage="build"):
        image = context.builder.build(
            found.folder,
            text,
            ref,
            labels=labels(context, app, build_id),
            emit=emit,
            build_args={**manifest.build_args, **_apart(context, app)},
            target=manifest.target,
            no_cache=no_cache,
        )
    return Built(image=image, cached=image.cached)


def labels(context: Context, app: App, build_id: str) -> dict[str, str]:
    """What marks an image as an app's. Nothing of it comes from the source."""
    return {
        "paas.instance": context.settings.instance,
        "paas.app": app.id,
        "paas.app-name": app.name,
        "paas.build": build_id,
    }


def _ref(context: Context, app: App, build_id: str) -> str:
    return f"{context.settings.instance}/{app.id}:{build_id}"


def _taken(context: Context, app: App, ref: str, emit: Emit, *, fresh: bool) -> Built:
    """An image as it is: one that is here, else pulled (always pulled when `fresh`); named so that it stays."""
    image = None if fresh else context.builder.find(ref)
    cached = image is not None
    if image is None:
        with step(context, emit, f"Pulling {ref}", stage="build"):
            image = context.builder.pull(ref, emit)
    name = _ref(context, app, image.id.removeprefix("sha256:")[:12])
    context.builder.tag(image.id, name)
    named = context.builder.find(name)
    if named is None:
        raise PlatformError(f"image {ref} is gone right after it was found", hint="is something pruning images?")
    return Built(image=named, cached=cached)


def _bases(context: Context, plan: BuildPlan, emit: Emit) -> tuple[dict[str, Base], dict[str, str]]:
    """The base images of each stage, made or pulled where they are missing, and the immutable ids behind their names:
    a base that was made anew means a new build."""
    bases = {stage: context.stack.answer(runtime) for stage, runtime in plan.runtimes.items()}
    ids: dict[str, str] = {}
    for base in bases.values():
        refs = (base.image, base.build_image)
        found = {ref: ids.get(ref) or _id(context, ref) for ref in refs}
        if not all(found.values()):
            with step(context, emit, f"Preparing {base.runtime.name} {base.version}", stage="build"):
                context.stack.prepare(base, emit)
            found = {ref: _id(context, ref) for ref in refs}
        ids |= found
    return bases, ids


def _id(context: Context, ref: str) -> str:
    image = context.builder.find(ref)
    return image.id if image else ""


def _apart(context: Context, app: App) -> dict[str, str]:
    """The argument by which BuildKit keeps the cache mounts of a build under a name of their own, whatever id a
    Dockerfile gives them: what one app leaves there must not be what another one installs."""
    return {"BUILDKIT_CACHE_MOUNT_NS": app.id} if context.builder.buildkit() else {}


def _dockerfile(context: Context, app: App, shape: Shape, *, bases: Mapping[str, Base], emit: Emit) -> str:
    """The app's own Dockerfile as it is, or the one of its buildpack."""
    own = bool(shape.plan.dockerfile)
    facts = dockerfile.BuildFacts(
        cache_mounts=context.builder.buildkit(),
        ca_image="" if own else stacks.ca_image(context.settings, context.builder, emit),
        build_env=context.build_env,
        cache_id=app.id,
    )
    return dockerfile.render(shape.plan, bases, facts)
