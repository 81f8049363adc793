"""Pipelines: apps in stages, and the same image moved from one to the next."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen

from paas.requests.base import Name, Permission, Request

StageName = Literal["review", "development", "staging", "production"]
Apps = Annotated[tuple[Name, ...], MaxLen(50)]


class ListPipelines(Request):
    """The pipelines that have an app one may see, with those apps."""

    path = "/pipelines"
    everyone = True


class ShowPipeline(Request):
    """One pipeline, with the apps of it that one may see."""

    path = "/pipelines/{pipeline}"
    everyone = True
    pipeline: Name


class AddToPipeline(Request):
    """Put an app at a stage of a pipeline, or at another one. With `create` the pipeline is new, else it must exist
    and one must be operator of an app in it."""

    method, path, permission = "PUT", "/apps/{app}/pipeline", "operator"
    app: Name
    pipeline: Name
    stage: StageName
    create: bool = False


class RemoveFromPipeline(Request):
    """Take an app out of its pipeline; the app stays as it is."""

    method, path, permission = "DELETE", "/apps/{app}/pipeline", "operator"
    app: Name


class DestroyPipeline(Request):
    """Take all apps out of a pipeline; for operators of all of them. The apps stay as they are."""

    method, path = "DELETE", "/pipelines/{pipeline}"
    everyone = True
    pipeline: Name


class PromoteApp(Request):
    """What runs in an app becomes a release of the apps `to` (none: those at the next stage), without a build."""

    method, path, permission, shape = "POST", "/apps/{app}/promote", "deployer", "operation"
    app_fields: ClassVar[dict[str, Permission]] = {"to": "deployer"}
    app: Name
    to: Apps = ()


class DiffPipeline(Request):
    """What a promotion of an app would change in the app `to` (none: those at the next stage). No config values."""

    path, permission = "/apps/{app}/pipeline/diff", "viewer"
    app_fields: ClassVar[dict[str, Permission]] = {"to": "viewer"}
    app: Name
    to: str = ""
