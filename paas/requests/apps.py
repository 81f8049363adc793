"""Apps: made, shown, renamed, taken away."""

from __future__ import annotations

from paas.requests.base import Name, Request


class ListApps(Request):
    """All apps, with status and URL."""

    path = "/apps"


class CreateApp(Request):
    """A new, empty app."""

    method, path, permission = "POST", "/apps", "deployer"
    name: Name


class ShowApp(Request):
    """One app: processes, URL, wanted release, addons."""

    path = "/apps/{app}"
    app: Name


class RenameApp(Request):
    """Another name for an app: its id, data and history stay."""

    method, path, permission = "POST", "/apps/{app}/rename", "owner"
    app: Name
    name: Name


class DestroyApp(Request):
    """Take an app away: replicas, routes, releases, images. Addons stay unless `addons`."""

    method, path, permission, shape = "DELETE", "/apps/{app}", "owner", "operation"
    app: Name
    confirm: str
    addons: bool = False
