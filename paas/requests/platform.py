"""The platform itself, and its operations."""

from __future__ import annotations

from typing import Literal

from paas.requests.base import Lines, Name, Request


class PlatformUp(Request):
    """Have the platform run: engine checked, router started, apps reconciled."""

    method, path, permission, shape = "POST", "/platform/up", "owner", "operation"


class PlatformDown(Request):
    """Stop the router and the server; apps and data stay as they are."""

    method, path, permission, shape = "POST", "/platform/down", "owner", "operation"


class PlatformStatus(Request):
    """Versions, addresses, counts, health of the parts."""

    path, everyone = "/platform", True


class PlatformLogs(Request):
    """The server's and the router's own logs."""

    path, permission, shape = "/platform/logs", "owner", "stream"
    lines: Lines = 100
    follow: bool = False


class Doctor(Request):
    """Checks of everything the platform stands on, each with what is wrong and the command that mends it."""

    path, permission = "/platform/doctor", "operator"
    build: bool = True


class ListOperations(Request):
    """Operations that one may see, newest first."""

    path, everyone = "/operations", True
    app: str = ""
    status: Literal["", "running", "succeeded", "failed", "interrupted"] = ""


class WatchOperation(Request):
    """The events of an operation from its start, until it ends."""

    path, shape = "/operations/{operation}/events", "stream"
    operation: Name
