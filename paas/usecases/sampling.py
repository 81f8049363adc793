"""Measures every process and replica again and again: engine and router are looked at, samples are kept."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from paas.errors import PaasError
from paas.model.metrics import Look, Series
from paas.model.route import Traffic
from paas.model.scaling import SIGNALS, Sample
from paas.model.service import Measured
from paas.plan.measure import PATIENCE, samples
from paas.usecases.context import Context

log = logging.getLogger("paas.sampling")

OF_ROUTER = ("requests", "p50", "p95", "p99")
"""Signals that the router's own counters tell."""


class Kept(Protocol):
    """Where samples go."""

    def add(self, samples: Mapping[Series, Sample], look: Look | None = None) -> None:
        """Keep one of each series, and the look they came from."""


def _none(app_id: str) -> Mapping[str, float]:
    return {}


def _nothing() -> None:
    pass


@dataclass(slots=True)
class Sampler:
    """One look a call; `taken` hears that its samples are there. `own` are the values of an app's own signals. A router
    that does not answer costs its signals, an engine that does not all of them."""

    context: Context
    kept: Kept
    own: Callable[[str], Mapping[str, float]] = _none
    taken: Callable[[], None] = _nothing
    _looks: deque[Look] = field(default_factory=deque)
    _silent: str = ""

    def __call__(self) -> None:
        """Look, and keep what it comes to. Raises EngineUnavailable, PlatformError."""
        try:
            machine = self.context.engine.machine()
            measured = self.context.engine.measure()
        except PaasError as error:
            self.context.readings.unmeasured = dict.fromkeys(SIGNALS, error.message)
            raise
        look = self._look(measured)
        while self._looks and look.clock - self._looks[0].clock > 2 * PATIENCE:
            self._looks.popleft()
        self._looks.append(look)
        found = samples(tuple(self._looks), machine)
        self.kept.add({series: self._with_own(series, sample) for series, sample in found.items()}, look)
        self.taken()

    def _with_own(self, series: Series, sample: Sample) -> Sample:
        """The sample of a process, with what its app itself says."""
        own = {} if "." in series.name else self.own(series.app_id)
        return replace(sample, values={**sample.values, **own}) if own else sample

    def _look(self, measured: tuple[Measured, ...]) -> Look:
        """The look; what the router kept to itself is noted with its cause."""
        clock, causes = self.context.clock, dict[str, str]()
        look = Look(
            at=clock.now(),
            clock=clock.monotonic(),
            measured=measured,
            traffic=self._traffic(causes),
            in_flight=self._in_flight(measured, causes),
            leaving=self.context.leaving.all(),
        )
        self.context.readings.unmeasured = causes
        return look

    def _traffic(self, causes: dict[str, str]) -> Mapping[str, Traffic] | None:
        try:
            found = {one.app_id: one for one in self.context.router.traffic()}
        except PaasError as error:
            self._tell(error)
            causes |= dict.fromkeys(OF_ROUTER, error.message)
            return None
        self._silent = ""
        return found

    def _in_flight(self, measured: tuple[Measured, ...], causes: dict[str, str]) -> Mapping[str, int] | None:
        servers = [one.replica.address for one in measured if ":" in one.replica.address]
        try:
            return self.context.router.in_flight(servers) if servers else {}
        except PaasError as error:
            causes["in_flight"] = error.message
            return None

    def _tell(self, error: PaasError) -> None:
        if error.message != self._silent:
            self._silent = error.message
            log.warning("requests are not measured: %s", error.message)
