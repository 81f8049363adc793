"""Words of pipelines: apps that hold the same code at different stages on its way to production."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from paas.errors import UsageError
from paas.model import names


class Stage(StrEnum):
    """Where on the way an app is. The order here is the order of the way."""

    REVIEW = "review"
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


ORDER = tuple(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An app's place: an app is in one pipeline at most. A pipeline is its places, and ends with the last of them."""

    app_id: str
    pipeline: str
    stage: Stage


def pipeline_name(value: str) -> str:
    """`value` if it can name a pipeline: the grammar of app names. Raises UsageError."""
    if not names.APP.fullmatch(value):
        raise UsageError(
            f"{value[:80]!a} cannot name a pipeline",
            hint="use 1 to 40 lower-case letters, digits and dashes; start with a letter",
        )
    return value


def next_places(places: tuple[Place, ...], stage: Stage) -> tuple[Place, ...]:
    """The places of the nearest stage after `stage` that has any; none when it is the last."""
    for later in ORDER[ORDER.index(stage) + 1 :]:
        if found := tuple(place for place in places if place.stage is later):
            return found
    return ()
