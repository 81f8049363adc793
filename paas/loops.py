"""What the platform does by itself again and again, beside the controller: each loop one thread, its failures told and
survived. What a loop does is a use case's business; this only calls it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from paas.errors import PaasError

log = logging.getLogger("paas.loops")


@dataclass(frozen=True, slots=True)
class Loop:
    """`step` is called every `period` seconds, the first time at once; one that takes longer delays the next. With
    `news` it is called as soon as somebody sets that, and after `period` seconds without any."""

    name: str
    period: float
    step: Callable[[], None]
    news: threading.Event | None = None


@dataclass(slots=True)
class Loops:
    """Start once, stop at the end. A step that fails is logged once per message until one succeeds again."""

    loops: Sequence[Loop] = ()
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin all of them."""
        for loop in self.loops:
            thread = threading.Thread(target=self._run, args=(loop,), name=f"loop-{loop.name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, seconds: float = 5.0) -> None:
        """Begin no further step, and give those that run `seconds` together to end."""
        self._stop.set()
        for loop in self.loops:
            if loop.news:
                loop.news.set()
        for thread in self._threads:
            thread.join(seconds)

    def _run(self, loop: Loop) -> None:
        told = ""
        while not self._stop.is_set():
            try:
                loop.step()
                told = ""
            except PaasError as error:
                if error.message != told:
                    log.warning("%s: %s", loop.name, error.message)
                told = error.message
            except Exception as error:
                if repr(error) != told:
                    log.exception("%s failed", loop.name)
                told = repr(error)
            self._wait(loop)

    def _wait(self, loop: Loop) -> None:
        if loop.news is None:
            self._stop.wait(loop.period)
        elif loop.news.wait(loop.period) and not self._stop.is_set():
            loop.news.clear()
