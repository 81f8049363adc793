"""What people want to hear of."""

from __future__ import annotations

from paas.requests.base import Name, Request


class ListAlerts(Request):
    """The alerts that an app's files declare, and how each is."""

    path = "/apps/{app}/alerts"
    app: Name
