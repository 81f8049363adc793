"""What is told to the outside, and where. With `app` it is about one app; without, about all and the platform."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen

from paas.requests.base import Name, Request

Words = Annotated[tuple[Annotated[str, MaxLen(60)], ...], MaxLen(30)]
Text = Annotated[str, MaxLen(2000)]


class ListNotifications(Request):
    """Where it is told, and how each target is."""

    path, permission = "/notifications", "operator"
    app: str = ""


class AddNotification(Request):
    """A new target. A webhook's `secret` is made when none is given; the answer shows it, once. Mail needs `host`,
    `sender` and `recipients`."""

    method, path, permission = "POST", "/notifications", "operator"
    name: Annotated[str, MaxLen(63)]
    kind: Literal["webhook", "slack", "email"]
    app: str = ""
    topics: Words = ()
    url: Text = ""
    secret: Annotated[str, MaxLen(200)] = ""
    host: Annotated[str, MaxLen(253)] = ""
    port: Annotated[int, Ge(0), Le(65535)] = 0
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Annotated[str, MaxLen(200)] = ""
    password: Annotated[str, MaxLen(1000)] = ""
    sender: Annotated[str, MaxLen(320)] = ""
    recipients: Annotated[tuple[Annotated[str, MaxLen(320)], ...], MaxLen(20)] = ()


class TestNotification(Request):
    """Tell it something now, and say what it answers. One that is disabled and takes it is told again from then on."""

    __test__ = False  # no test of pytest's
    method, path, permission = "POST", "/notifications/{target}/test", "operator"
    target: Name
    app: str = ""


class RemoveNotification(Request):
    """Tell nothing there any more."""

    method, path, permission = "DELETE", "/notifications/{target}", "operator"
    target: Name
    app: str = ""


class ListNotificationDeliveries(Request):
    """What was told there, newest first."""

    path, permission = "/notifications/{target}/deliveries", "operator"
    target: Name
    app: str = ""
    limit: Annotated[int, Ge(1), Le(1000)] = 30
