"""Replicas that are on their way out.

*Picked* are those that a plan being walked is going to end: they can no longer ask to be spared. *Left* are those whose
end is no part of the plan any more: out of the routes, with requests or work of theirs to finish, outside their app's
lock. Whoever left them ends them. Nobody else counts them, leads to them or ends them a second time: to a plan they are
not there.

Known in this process only, which owns the platform: after its end they are replicas too many, and the controller ends
them as such.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from paas.model.service import ObservedService, ServiceKey

REMEMBERED = 1000
"""Of so many that have gone it is still known that they were ended: the engine's news may come late, and who looked
before may plan after."""


@dataclass(slots=True)
class Leaving:
    """Ids of replicas. One for the whole platform; any thread may ask and change it."""

    _picked: Counter[str] = field(default_factory=Counter)
    _left: dict[str, ServiceKey] = field(default_factory=dict)
    _gone: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def picking(self) -> Iterator[Picks]:
        """While a plan is walked: what it picks out counts as picked until it ends."""
        picks = Picks(self)
        try:
            yield picks
        finally:
            with self._guard:
                self._picked -= picks.mine

    def leave(self, replicas: Mapping[str, ServiceKey]) -> None:
        """From now on these are left to be ended outside the lock; each with the service version it is of."""
        with self._guard:
            self._left |= replicas

    def done(self, replicas: Iterable[str], *, gone: bool) -> None:
        """They have `gone`, or are replicas like all others again, because ending them failed."""
        with self._guard:
            for one in replicas:
                if self._left.pop(one, None) and gone:
                    self._gone.append(one)

    def of(self, service: ServiceKey) -> tuple[str, ...]:
        """Those of a service version that are left to be ended."""
        with self._guard:
            return tuple(one for one, key in self._left.items() if key == service)

    def all(self) -> frozenset[str]:
        """All that are left to be ended, and the last that have gone: who looked a moment ago has seen them."""
        with self._guard:
            return frozenset((*self._left, *self._gone))

    def is_ending(self, replica: str) -> bool:
        """Whether it is too late to spare it: it is picked out, or left to be ended."""
        with self._guard:
            return replica in self._picked or replica in self._left

    def was_left(self, replica: str) -> bool:
        """Whether it is left to be ended, or was lately and has gone."""
        with self._guard:
            return replica in self._left or replica in self._gone

    def staying(self, services: Sequence[ObservedService]) -> list[ObservedService]:
        """The services without the replicas that are left to be ended or have gone since the engine was asked, and
        without those that nothing stays of."""
        ids, found = self.all(), list[ObservedService]()
        for service in services:
            stay = tuple(one for one in service.replicas if one.id not in ids)
            if stay or not service.replicas:
                found.append(service if len(stay) == len(service.replicas) else replace(service, replicas=stay))
        return found


@dataclass(frozen=True, slots=True)
class Picks:
    """What one plan has picked out so far."""

    leaving: Leaving
    mine: Counter[str] = field(default_factory=Counter)

    def add(self, replicas: Iterable[str]) -> None:
        """These are going to end."""
        new = Counter(replicas)
        with self.leaving._guard:
            self.leaving._picked += new
            self.mine.update(new)
