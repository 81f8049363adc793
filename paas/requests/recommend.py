"""What would fit an app, from what it used."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from paas.requests.base import Name, Request


class RecommendSizes(Request):
    """Limits and replicas per process that would fit what was used in the `last` seconds."""

    path = "/apps/{app}/recommendation"
    app: Name
    last: Annotated[float, Ge(3600), Le(604_800)] = 604_800
