"""A load of a module's own: few requests a second, each of which is looked at."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.platform import Answer, Platform


@dataclass
class Load:
    """Requests at a rate, until it is stopped; `bad` are the answers that were none."""

    platform: Platform
    app: str
    rate: float
    good: int = 0
    bad: list[Answer] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """One after the other."""
        while not self.stop.is_set():
            begun = time.monotonic()
            answer = self.platform.get(self.app)
            if answer.status == 200:
                self.good += 1
            else:
                self.bad.append(answer)
            self.stop.wait(max(0.0, begun + 1 / self.rate - time.monotonic()))


@contextmanager
def loaded(platform: Platform, app: str, rate: float) -> Iterator[Load]:
    """While the block lasts."""
    load = Load(platform, app, rate)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        thread.join()
