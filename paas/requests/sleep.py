"""Sleeping while nobody asks."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from paas.requests.base import Name, Request


class ShowSleep(Request):
    """Whether an app may sleep, after how long, and whether it does."""

    path = "/apps/{app}/sleep"
    app: Name


class SetSleep(Request):
    """Have an app sleep after so many idle seconds; 0: never, and wake it if it sleeps."""

    method, path, permission, shape = "POST", "/apps/{app}/sleep", "operator", "operation"
    app: Name
    after: Annotated[float, Ge(0), Le(604_800)]


class UnsetSleep(Request):
    """What the app's `paas.toml` says counts again, from its next deploy on; until then it never sleeps."""

    method, path, permission, shape = "DELETE", "/apps/{app}/sleep", "operator", "operation"
    app: Name


class SleepNow(Request):
    """Have an app sleep at once that may sleep. Requests in flight are answered first."""

    method, path, permission, shape = "POST", "/apps/{app}/sleep/now", "operator", "operation"
    app: Name


class WakeApp(Request):
    """Have an app awake, as its first request would."""

    method, path, permission, shape = "POST", "/apps/{app}/wake", "operator", "operation"
    app: Name
