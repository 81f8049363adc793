"""How many wrong tokens and codes an address may show: a bucket each, in bounded memory."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

BURST, PERIOD = 20, 3.0
"""So many wrong ones at once an address may show, and then one every so many seconds."""
ALL = 1000
"""So many at once all addresses together may: who has a whole network must not have a bucket for each guess."""
MOST = 4096
"""Addresses that are remembered; the ones that were silent longest are forgotten first."""


@dataclass(slots=True)
class Guesses:
    """Counts failures. A bucket's level falls with time, at one failure per PERIOD (ALL/BURST times that for all)."""

    now: Callable[[], float] = time.monotonic
    burst: int = BURST
    _levels: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _all: tuple[float, float] = (0.0, 0.0)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def failed(self, peer: str) -> None:
        """One more from there."""
        with self._guard:
            now = self.now()
            self._levels[peer] = (self._level(peer, now) + 1, now)
            self._levels.move_to_end(peer)
            while len(self._levels) > MOST:
                self._levels.popitem(last=False)
            self._all = (self._total(now) + 1, now)

    def wait(self, peer: str) -> float:
        """Seconds until the next try from there is looked at; 0: now."""
        with self._guard:
            now = self.now()
            own = (self._level(peer, now) - self.burst + 1) * PERIOD
            everybody = (self._total(now) - ALL + 1) * PERIOD * BURST / ALL
        return max(0.0, own, everybody)

    def _level(self, peer: str, now: float) -> float:
        level, at = self._levels.get(peer, (0.0, now))
        return max(0.0, level - (now - at) / PERIOD)

    def _total(self, now: float) -> float:
        level, at = self._all
        return max(0.0, level - (now - at) * ALL / (PERIOD * BURST))
