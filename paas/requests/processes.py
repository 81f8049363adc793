"""Processes and what they do: replicas, limits, logs, events."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from paas.requests.base import Count, Lines, Name, Number, Request, Seconds


class ListReplicas(Request):
    """Processes and their replicas: state, release, age, restarts, CPU and memory."""

    path = "/apps/{app}/ps"
    app: Name


class Scale(Request):
    """Replicas per process type. No release: the count is not part of what a rollback brings back."""

    method, path, permission, shape = "POST", "/apps/{app}/scale", "operator", "operation"
    app: Name
    counts: Annotated[dict[str, Count], MinLen(1)]


class SetLimits(Request):
    """Memory, CPU and pids limits of a process; a release."""

    method, path, permission, shape = "POST", "/apps/{app}/limits", "operator", "operation"
    app: Name
    process: str = "web"
    memory: str = ""
    cpus: Annotated[float, Gt(0), Le(1024)] | None = None
    pids: Annotated[int, Ge(8), Le(1_000_000)] | None = None


class Restart(Request):
    """Start every replica of a process (empty: of all) anew, gracefully, with no gap."""

    method, path, permission, shape = "POST", "/apps/{app}/restart", "operator", "operation"
    app: Name
    process: str = ""


class ReadLogs(Request):
    """Log lines of an app: its replicas, the router's access log, or the builds."""

    path, shape = "/apps/{app}/logs", "stream"
    app: Name
    lines: Lines = 100
    follow: bool = False
    process: str = ""
    replica: Number = 0
    source: Literal["", "app", "router", "build"] = ""
    since: Seconds = 0


class ListEvents(Request):
    """What happened: releases, crashes, scaling, and who did it."""

    path = "/apps/{app}/events"
    app: Name
    limit: Annotated[int, Ge(1), Le(10_000)] = 100
    after: Number = 0
