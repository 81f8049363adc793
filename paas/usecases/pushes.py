"""Who is pushing right now, in the server's memory as the locks are (`context.Locks` says why)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from paas.model.app import App

Find = Callable[[], tuple[App, bool]]
"""The app that is pushed to, and whether it was made for that."""


@dataclass(slots=True)
class _Here:
    pushes: int = 0
    made: bool = False


@dataclass(slots=True)
class Pushes:
    """Counts the pushes to each app, so that an app which a push made is taken away by the last one alone."""

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _here: dict[str, _Here] = field(default_factory=dict)

    @contextmanager
    def to(self, find: Find, last: Callable[[App], None]) -> Iterator[App]:
        """Push to the app that `find` gives. `last` is called with an app that was made for a push when nobody pushes
        to it any more; no push begins meanwhile."""
        with self._guard:
            app, made = find()
            here = self._here.setdefault(app.id, _Here())
            here.pushes += 1
            here.made = here.made or made
        try:
            yield app
        finally:
            with self._guard:
                here.pushes -= 1
                if not here.pushes:
                    del self._here[app.id]
                    if here.made:
                        last(app)
