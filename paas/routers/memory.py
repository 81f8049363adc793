"""A router that only remembers: for logic tests, and the proof that nothing above needs Traefik."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from paas.errors import RouterError
from paas.interfaces import LogQuery
from paas.model.events import Emit
from paas.model.route import Certificate, Route, Traffic
from paas.model.service import LogLine


class MemoryRouter:
    """Routes in a dictionary.

    `history` is every route ever applied; `broken` makes changes fail as a dead Traefik does.
    """

    def __init__(self) -> None:
        self.history: list[Route] = []
        self.broken = False
        self.served: tuple[Certificate, ...] = ()
        self._routes: dict[str, Route] = {}
        self._up = False
        self._lock = threading.Lock()

    def up(self, emit: Emit) -> None:
        """Answer from now on."""
        self._up = True

    def down(self) -> None:
        """Answer no more; routes stay."""
        self._up = False

    def alive(self) -> bool:
        """Whether it was brought up."""
        return self._up

    def observe(self) -> tuple[Route, ...]:
        """The routes, by app id."""
        with self._lock:
            return tuple(self._routes[app_id] for app_id in sorted(self._routes))

    def apply(self, route: Route) -> None:
        """Replace the app's route. Raises RouterError while `broken`."""
        if self.broken:
            raise RouterError("the router does not answer")
        with self._lock:
            self._routes[route.app_id] = route
            self.history.append(route)

    def remove(self, app_id: str) -> None:
        """Forget it. Raises RouterError while `broken`."""
        if self.broken:
            raise RouterError("the router does not answer")
        with self._lock:
            self._routes.pop(app_id, None)

    def certificates(self, certificates: Sequence[Certificate]) -> None:
        """Remember what is served."""
        self.served = tuple(certificates)

    def traffic(self) -> tuple[Traffic, ...]:
        """None ever passes."""
        return ()

    def logs(self, app_id: str, query: LogQuery) -> Iterator[LogLine]:
        """No requests, no lines."""
        return iter(())
