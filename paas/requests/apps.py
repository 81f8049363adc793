"""Apps: made, shown, renamed, taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from paas.requests.base import Name, Permission, Request


class ListApps(Request):
    """All apps that one may see, with status and URL."""

    path, everyone = "/apps", True


class CreateApp(Request):
    """A new, empty app. Who makes it owns it; `team` gets the role deployer. `environment` is the one of its files that
    counts (empty: that of its pipeline stage)."""

    method, path, permission, everyone = "POST", "/apps", "deployer", True
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "viewer"}
    name: Name
    team: str = ""
    environment: str = ""


class CloneApp(Request):
    """A new app `name` that runs what `app` runs, with its config, formation, limits, rules and paused jobs, and addons
    of its own of the same kinds; `with_data` copies their data. Who makes it owns it; `team` gets the role deployer.
    """

    method, path, permission, shape = "POST", "/apps/{app}/clone", "operator", "operation"
    team_fields: ClassVar[Mapping[str, Permission]] = {"team": "viewer"}
    makes_another = True
    app: Name
    name: Name
    team: str = ""
    with_data: bool = False


class ShowApp(Request):
    """One app: processes, URL, wanted release, addons."""

    path = "/apps/{app}"
    app: Name


class RenameApp(Request):
    """Another name for an app: its id, data and history stay."""

    method, path, permission = "POST", "/apps/{app}/rename", "owner"
    app: Name
    name: Name


class SetEnvironment(Request):
    """Which environment of its files counts for an app from the next deploy on; empty: that of its pipeline stage."""

    method, path, permission = "PUT", "/apps/{app}/environment", "operator"
    app: Name
    environment: str = ""


class DestroyApp(Request):
    """Take an app away: replicas, routes, releases, images. Its `predestroy` script runs before; when that fails, only
    `force` goes on. Addons stay unless `addons`; each has a last backup taken, unless `backups` is False."""

    method, path, permission, shape = "DELETE", "/apps/{app}", "owner", "operation"
    app: Name
    confirm: str
    addons: bool = False
    force: bool = False
    backups: bool = True
