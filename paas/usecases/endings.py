"""The ends of replicas that a change left, in threads of their own: whoever made the change has other things to do than
to wait for half an hour."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from paas.errors import PaasError
from paas.model.events import logged
from paas.model.plan import Plan
from paas.plan.difference import apart, going
from paas.reconcile import World, finish

log = logging.getLogger("paas.endings")
_noted = logged(log)


def _unheard(app_id: str) -> None:
    pass


@dataclass(slots=True)
class Endings:
    """Those of one who makes changes. What fails makes them replicas like all others, too many: the controller's.
    `failed` hears of which app."""

    world: World
    failed: Callable[[str], None] = _unheard
    _threads: list[threading.Thread] = field(default_factory=list)

    def begin(self, left: Plan) -> None:
        """Drain, stop and remove what `reconcile` left, from now on, and no process after another one."""
        self._threads = [one for one in self._threads if one.is_alive()]
        parts = list(apart(left))
        while parts:
            work = threading.Thread(target=self._finish, args=(parts[0],), name=f"ending-{left.app_id}", daemon=True)
            try:
                work.start()
            except RuntimeError:  # there can be no more threads
                for part in parts:
                    self.world.leaving.done(going(part), gone=False)
                raise
            self._threads.append(work)
            del parts[0]

    def wait(self, seconds: float) -> None:
        """Until all have ended, `seconds` at most each."""
        for thread in list(self._threads):
            thread.join(seconds)

    def _finish(self, left: Plan) -> None:
        try:
            finish(self.world, left, _noted)
        except Exception as error:
            self.failed(left.app_id)
            if isinstance(error, PaasError):
                log.warning("%s: replicas that are too many could not be ended: %s", left.app_name, error.message)
            else:
                log.exception("%s: replicas that are too many could not be ended", left.app_name)
