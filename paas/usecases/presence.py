"""Who is here right now: open streams and sessions, which end when what allowed them ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from paas.errors import Denied, NotFound
from paas.model.people import Actor
from paas.requests.base import Request

PERIOD = 1.0
"""Seconds between two looks: how long somebody who was removed may go on reading."""


@dataclass(slots=True, eq=False)
class Visit:
    """One open stream or session. `end` may be called from any thread; `ended` says that it was."""

    actor: Actor
    request: Request
    end: Callable[[], None]
    ended: bool = False


def _as_it_is(request: Request) -> Request:
    return request


@dataclass(slots=True)
class Presence:
    """The visits that are open. `pinned` makes the thing itself of a name in a request: names change hands."""

    pinned: Callable[[Request], Request] = _as_it_is
    _visits: set[Visit] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def here(self, actor: Actor, request: Request, end: Callable[[], None]) -> Iterator[Visit]:
        """While it is open. The platform's own owner is never asked again."""
        visit = Visit(actor, self.pinned(request), end)
        with self._guard:
            self._visits.add(visit)
        try:
            yield visit
        finally:
            with self._guard:
                self._visits.discard(visit)

    def review(self, allowed: Callable[[Actor, Request], None]) -> int:
        """End the visits that `allowed` refuses (raising Denied or NotFound); how many those were."""
        with self._guard:
            visits = tuple(self._visits)
        ended = 0
        for visit in visits:
            try:
                allowed(visit.actor, visit.request)
            except (Denied, NotFound):
                visit.ended = True
                visit.end()
                ended += 1
        return ended
