"""Autoscaling: rules set by command, what was decided, and what was measured."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge, Le

from paas.requests.base import Name, Request


class ListAutoscale(Request):
    """The rules that hold for each process of an app, where they come from, and the last decision."""

    path = "/apps/{app}/autoscale"
    app: Name


class SetAutoscale(Request):
    """Rules over those of `paas.toml`, until they are unset. `table` is `[processes.NAME.autoscale]` of `paas.toml`:
    what it does not say stays as it holds now."""

    method, path, permission = "PUT", "/apps/{app}/autoscale", "operator"
    app: Name
    process: Name = "web"
    table: dict[str, Any]


class UnsetAutoscale(Request):
    """Forget what was set by command: what the release says holds again."""

    method, path, permission = "DELETE", "/apps/{app}/autoscale", "operator"
    app: Name
    process: Name = "web"


class PauseAutoscale(Request):
    """Hold the number of replicas, within its bounds; or go on."""

    method, path, permission = "POST", "/apps/{app}/autoscale/pause", "operator"
    app: Name
    process: Name = "web"
    paused: bool = True


class ExplainAutoscale(Request):
    """The last decisions that changed something or were held back, and the samples that led to them."""

    path = "/apps/{app}/autoscale/decisions"
    app: Name
    process: str = ""
    limit: Annotated[int, Ge(1), Le(500)] = 10


class RecordedLoad(Request):
    """What was measured of a process in the last `seconds`, averaged to at most `points` samples."""

    path = "/apps/{app}/autoscale/samples"
    app: Name
    process: Name = "web"
    seconds: Annotated[float, Ge(60), Le(8 * 86_400)] = 86_400.0
    points: Annotated[int, Ge(10), Le(20_000)] = 10_000
