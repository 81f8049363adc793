"""What is measured of the apps, as a Protocol."""

from __future__ import annotations

from typing import Protocol

from paas.model.scaling import Sample


class Signals(Protocol):
    """The measurements of every process, kept for a while. Never raises for one that is unknown: it has no samples."""

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        """The samples of the last `seconds`, oldest first, at the period of sampling (some seconds)."""

    def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
        """Samples between two moments (Unix seconds), oldest first; averaged to at most `points` when given."""


class NoSignals:
    """Nothing is measured."""

    def recent(self, app_id: str, process: str, seconds: float) -> tuple[Sample, ...]:
        return ()

    def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
        return ()
