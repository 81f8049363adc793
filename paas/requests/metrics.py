"""What was measured."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from paas.requests.base import Name, Request


class ShowMetrics(Request):
    """What was measured of an app: of one process or replica (`web`, `web.1`), else of all its processes.

    `last` seconds up to now, taken together to at most `points` samples (0: as they are kept).
    """

    path = "/apps/{app}/metrics"
    app: Name
    process: str = ""
    last: Annotated[float, Ge(10), Le(604_800)] = 3600
    points: Annotated[int, Ge(0), Le(100_000)] = 0


class ScrapeMetrics(Request):
    """What is measured now of every app one may see, in Prometheus's text format."""

    path, everyone = "/metrics", True
