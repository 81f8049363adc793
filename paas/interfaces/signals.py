"""What is measured of the apps, as a Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from paas.model.metrics import Look, Series
from paas.model.scaling import Sample


class Signals(Protocol):
    """The measurements of every process, kept for a while. Never raises for one that is unknown: it has no samples.

    Where a process is asked for, a replica (`web.1`) may be, too. Values are the signals of `model/scaling.py`, those
    an app declares, and those of `model/metrics.py`; samples taken together have peaks beside the averages.
    """

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        """The samples of the last `seconds`, oldest first, at the period of sampling (some seconds)."""

    def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
        """Samples between two moments (Unix seconds), oldest first; averaged to at most `points` when given."""

    def names(self, app_id: str) -> tuple[str, ...]:
        """Processes and replicas (`web`, `web.1`) of an app that something is known of, sorted."""

    def last(self) -> Mapping[Series, Sample]:
        """The latest sample of each process and replica that is being measured."""

    def look(self) -> Look | None:
        """The latest look at everything, counters as they stand; None before the first."""


class NoSignals:
    """Nothing is measured."""

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        return ()

    def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
        return ()

    def names(self, app_id: str) -> tuple[str, ...]:
        return ()

    def last(self) -> Mapping[Series, Sample]:
        return {}

    def look(self) -> Look | None:
        return None
