"""Words of autoscaling that is carried out: what was set by command, what was decided, and who is to be spared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paas.model.scaling import Autoscale, Decision, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What was set by command for a process, over what its release says. `rules` None: those of the release hold.
    `paused` None: as the rules say. `at` Unix time."""

    app_id: str
    process: str
    at: float
    actor: str
    rules: Autoscale | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What a signal was in a while."""

    lowest: float
    highest: float
    average: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The `count` samples of so many seconds, by signal."""

    seconds: float
    count: int
    values: Mapping[str, Range]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A decision about a process that is kept, and the last samples that led to it, oldest first. `summary`: of all of
    the window of a scale-in, where these are more than the samples here."""

    app_id: str
    process: str
    decision: Decision
    samples: tuple[Sample, ...] = ()
    summary: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """A replica (its id on the engine) that asked to be spared by scale-ins `until` then (Unix seconds)."""

    app_id: str
    replica: str
    until: float
