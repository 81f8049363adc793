"""What was read last of the signals that apps declare, and why those of the platform could not be measured: for
autoscaling, and for people who ask why it holds.

In the server's memory on purpose: after its start everything is read anew within seconds. Reads nothing itself: see
`custom_signals.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from paas.interfaces import Clock
from paas.model.custom_signal import CustomSignal, Reading, Standing

LATE = 3.0
"""Seconds beyond two periods for which a value stands."""
TOLD = 3
"""Tries in a row that were not good, after which that is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One signal. `clock` never jumps. `state` is OK, PARTIAL or FAILING by the last try, WAITING before it, OFF while
    nobody is asked; `bad` tries in a row were not OK, and `told` is which of them was told."""

    signal: CustomSignal
    state: Standing = Standing.WAITING
    value: float | None = None
    at: float = 0.0
    clock: float = 0.0
    why: str = ""
    bad: int = 0
    told: Standing = Standing.OK


@dataclass(slots=True)
class Readings:
    """One per server, asked and told from any thread."""

    clock: Clock
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    """Why the last look at engine and router could not measure these signals of any app."""
    _kept: dict[str, dict[str, Kept]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def declare(self, declared: Mapping[str, Iterable[CustomSignal]]) -> None:
        """The signals there are, by app id. All others are forgotten, and what was read by another definition."""
        with self._guard:
            before, self._kept = self._kept, {}
            for app_id, signals in declared.items():
                old = before.get(app_id, {})
                self._kept[app_id] = {
                    one.name: old[one.name] if one.name in old and old[one.name].signal == one else Kept(signal=one)
                    for one in signals
                }

    def good(self, app_id: str, signal: CustomSignal, value: float, missing: str = "") -> Standing | None:
        """A value was read; `missing` says who gave none. The standing that is to be told now, None: nothing is."""
        state = Standing.PARTIAL if missing else Standing.OK
        return self._put(app_id, signal, state, missing, value)

    def failed(self, app_id: str, signal: CustomSignal, why: str) -> Standing | None:
        """It could not be read. The value before stands until it is too old: one lost answer is no reason to be
        blind. The standing that is to be told now, None: nothing is."""
        return self._put(app_id, signal, Standing.FAILING, why, None)

    def off(self, app_id: str, signal: CustomSignal, why: str) -> None:
        """There is nobody to ask, so there is no value and nothing wrong."""
        with self._guard:
            if before := self._known(app_id, signal):
                self._kept[app_id][signal.name] = Kept(
                    signal=signal, state=Standing.OFF, why=why, bad=before.bad, told=before.told
                )

    def of(self, app_id: str) -> tuple[Reading, ...]:
        """All signals that an app declares, as they are now."""
        now = self.clock.monotonic()
        with self._guard:
            kept = tuple(self._kept.get(app_id, {}).values())
        return tuple(_reading(one, now) for one in kept)

    def _put(
        self, app_id: str, signal: CustomSignal, state: Standing, why: str, value: float | None
    ) -> Standing | None:
        with self._guard:
            before = self._known(app_id, signal)
            if before is None:
                return None
            bad = 0 if state is Standing.OK else before.bad + 1
            told = _told(before.told, state, bad)
            after = replace(before, state=state, why=why, bad=bad, told=told)
            if value is not None:
                after = replace(after, value=value, at=self.clock.now(), clock=self.clock.monotonic())
            self._kept[app_id][signal.name] = after
        return told if told is not before.told else None

    def _known(self, app_id: str, signal: CustomSignal) -> Kept | None:
        """None: it is declared no more, or otherwise; whoever read it began before that."""
        found = self._kept.get(app_id, {}).get(signal.name)
        return found if found and found.signal == signal else None


def _told(before: Standing, state: Standing, bad: int) -> Standing:
    """What people know after this. Once bad, only worse or good again is news: no event at every turn of a signal that
    sways."""
    if state is Standing.OK:
        return state
    worse = state is Standing.FAILING or before is Standing.OK
    return state if bad >= TOLD and worse else before


def _reading(one: Kept, now: float) -> Reading:
    age = now - one.clock
    fresh = one.value is not None and age <= 2 * one.signal.period + LATE
    state, why = one.state, one.why
    if state in (Standing.OK, Standing.PARTIAL, Standing.FAILING) and not fresh:
        state, why = Standing.DEAD, why or f"no reading has ended for {age:.0f} s"
    return Reading(name=one.signal.name, state=state, value=one.value if fresh else None, at=one.at, why=why)


def values(readings: Collection[Reading]) -> dict[str, float]:
    """Those that have one."""
    return {one.name: one.value for one in readings if one.value is not None}


def causes(readings: Collection[Reading]) -> dict[str, str]:
    """Why those that have no value have none."""
    return {one.name: one.why or "not read yet" for one in readings if one.value is None}
