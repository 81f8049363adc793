"""Pipelines: which app is at which stage. What somebody may not see of one is as if it were not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from paas.errors import Conflict, Denied, NotFound
from paas.model.app import App
from paas.model.pipeline import Place, Stage, pipeline_name
from paas.requests.pipelines import (
    AddToPipeline,
    DestroyPipeline,
    ListPipelines,
    RemoveFromPipeline,
    ShowPipeline,
)
from paas.usecases.context import Act, Context
from paas.usecases.domains import app_url
from paas.usecases.switch import base_release, source_version


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedApp:
    """An app at its stage. `release` 0: never deployed; `version` the commit or start of the content id."""

    app: str
    stage: str
    release: int
    version: str
    image: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineShown:
    """A pipeline and its apps, in the order of the stages."""

    name: str
    apps: tuple[StagedApp, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceChanged:
    """`pipeline` and `stage` are empty when the app is in none now."""

    app: str
    pipeline: str = ""
    stage: str = ""
    changed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineDestroyed:
    """The apps that were in it; they stay."""

    pipeline: str
    apps: tuple[str, ...]


def list_pipelines(context: Context, request: ListPipelines, act: Act) -> tuple[PipelineShown, ...]:
    """By name."""
    names = dict.fromkeys(place.pipeline for place in context.store.places() if act.may(place.app_id))
    return tuple(_shown(context, name, act) for name in names)


def show_pipeline(context: Context, request: ShowPipeline, act: Act) -> PipelineShown:
    """One of them. Raises NotFound, also when one may see none of its apps."""
    shown = _shown(context, request.pipeline, act)
    if not shown.apps:
        raise missing(request.pipeline)
    return shown


def add_to_pipeline(context: Context, request: AddToPipeline, act: Act) -> PlaceChanged:
    """Raises Conflict when the app is in another pipeline or the name of a new one is taken; NotFound, Denied."""
    app = context.store.app(request.app)
    name = pipeline_name(request.pipeline)
    if context.store.review(app.id) is not None:
        raise Conflict(f"{app.name} is a review app", hint="it stands in the pipeline of the app it belongs to")
    with changing(context, act):
        return _added(context, request, app, name, act)


def _added(context: Context, request: AddToPipeline, app: App, name: str, act: Act) -> PlaceChanged:
    wanted = Place(app_id=app.id, pipeline=name, stage=Stage(request.stage))
    now = place_of(context, app)
    if now is not None and now.pipeline != name:
        raise Conflict(f"{app.name} is in the pipeline {now.pipeline}", hint=f"paas pipelines remove -a {app.name}")
    others = [place for place in context.store.places(name) if place.app_id != app.id]
    if request.create and (others or now):
        raise Conflict(f"there is a pipeline {name!r} already", hint="paas pipelines add puts an app into it")
    if not request.create and now is None:
        _check_joins(name, others, act)
    if now != wanted:
        context.store.put_place(wanted)
    return PlaceChanged(app=app.name, pipeline=name, stage=request.stage, changed=now != wanted)


def remove_from_pipeline(context: Context, request: RemoveFromPipeline, act: Act) -> PlaceChanged:
    """Idempotent."""
    app = context.store.app(request.app)
    with changing(context, act):
        was = place_of(context, app)
        # Its review apps stand there for its sake.
        context.store.delete_places((app.id, *(one.app_id for one in context.store.reviews(app.id))))
    return PlaceChanged(app=app.name, changed=was is not None)


def destroy_pipeline(context: Context, request: DestroyPipeline, act: Act) -> PipelineDestroyed:
    """Raises NotFound, and Denied when one is not operator of every app in it."""
    with changing(context, act):
        places = context.store.places(request.pipeline)
        if not any(act.may(place.app_id) for place in places):
            raise missing(request.pipeline)
        if not all(act.may(place.app_id, "operator") for place in places):
            message = "that takes the role operator on every app of the pipeline"
            raise Denied(message, hint="paas pipelines remove -a APP")
        apps = tuple(context.store.app(place.app_id).name for place in places)
        context.store.delete_places(tuple(place.app_id for place in places))
    return PipelineDestroyed(pipeline=request.pipeline, apps=apps)


@contextmanager
def changing(context: Context, act: Act) -> Iterator[None]:
    """Who is in which pipeline is looked at and changed by one at a time: two that make one of the same name, or join
    one while it ends, must not both go by what was."""
    with context.locks.hold("pipelines", f"{act.actor}: change a pipeline", act.emit):
        yield


def place_of(context: Context, app: App) -> Place | None:
    """Where the app is; None: in no pipeline."""
    return next((place for place in context.store.places() if place.app_id == app.id), None)


def missing(name: str) -> NotFound:
    """No pipeline of that name, or none of one's own."""
    return NotFound(f"no pipeline {name[:80]!r}", hint="paas pipelines lists them; paas pipelines create makes one")


def _check_joins(name: str, others: list[Place], act: Act) -> None:
    """Whether one may put an app next to these: what is promoted to it is their doing, and the other way round."""
    if not any(act.may(place.app_id) for place in others):
        raise missing(name)
    if not any(act.may(place.app_id, "operator") for place in others):
        raise Denied(f"that takes the role operator on an app of {name}", hint="ask an owner of one of its apps")


def _shown(context: Context, name: str, act: Act) -> PipelineShown:
    return PipelineShown(
        name=name,
        apps=tuple(_staged(context, place) for place in context.store.places(name) if act.may(place.app_id)),
    )


def _staged(context: Context, place: Place) -> StagedApp:
    app = context.store.app(place.app_id)
    release = base_release(context.store, app)
    return StagedApp(
        app=app.name,
        stage=place.stage.value,
        release=app.wanted,
        version=source_version(release),
        image=release.image,
        url=app_url(context, app),
    )
