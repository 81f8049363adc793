"""Commands that run once, and what became of them."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated

from annotated_types import Ge, Gt, Le, MaxLen, MinLen

from paas.requests.base import Lines, Name, Request

Command = Annotated[tuple[str, ...], MinLen(1), MaxLen(1000)]


class StartRun(Request):
    """A command in a container of its own that goes on when the client has gone; answers the run at once.

    `time_limit` seconds; `memory` such as 512M and `cpus` cores, empty: those of web.
    """

    method, path, permission = "POST", "/apps/{app}/runs", "operator"
    app: Name
    command: Command
    env: dict[str, str] = field(default_factory=dict)
    time_limit: Annotated[float, Gt(0), Le(604_800)] = 86_400
    memory: str = ""
    cpus: Annotated[float, Gt(0), Le(1024)] | None = None


class ListRuns(Request):
    """Runs, newest first: scheduled ones (of `job`, if given) and people's (`people`)."""

    path = "/apps/{app}/runs"
    app: Name
    job: str = ""
    people: bool = False
    limit: Annotated[int, Ge(1), Le(1000)] = 50


class ShowRun(Request):
    """One run."""

    path = "/apps/{app}/runs/{run}"
    app: Name
    run: Name


class ReadRunLogs(Request):
    """What a run has said; with `follow`, until it ends."""

    path, shape = "/apps/{app}/runs/{run}/logs", "stream"
    app: Name
    run: Name
    lines: Lines = 0
    follow: bool = False


class StopRun(Request):
    """End a run: SIGTERM, and SIGKILL a little later."""

    method, path, permission = "POST", "/apps/{app}/runs/{run}/stop", "operator"
    app: Name
    run: Name
