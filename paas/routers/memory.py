"""A router that only remembers: for logic tests, and the proof that nothing above needs Traefik."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence

from paas.errors import RouterError
from paas.interfaces import LogQuery
from paas.model.events import Emit
from paas.model.route import Certificate, Requested, Route, Traffic
from paas.model.service import LogLine


class MemoryRouter:
    """Routes in a dictionary.

    `history` is every route ever applied; `broken` makes changes fail as a dead Traefik does.
    `passed` is what `traffic` says, `busy` what is in flight by server.
    """

    def __init__(self) -> None:
        self.history: list[Route] = []
        self.broken = False
        self.passed: list[Traffic] = []
        self.busy: dict[str, int] = {}
        self.served: tuple[Certificate, ...] = ()
        self.asked: tuple[Requested, ...] = ()
        self.again = 0
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

    def requested(self) -> tuple[Requested, ...]:
        """What a test says."""
        return self.asked

    def request_again(self) -> None:
        """Remember that it was wanted."""
        self.again += 1

    def traffic(self) -> tuple[Traffic, ...]:
        """None ever passes, but what `passed` says. Raises RouterError while `broken`."""
        if self.broken:
            raise RouterError("the router does not answer")
        return tuple(self.passed)

    def in_flight(self, servers: Collection[str]) -> Mapping[str, int]:
        """None is ever on its way, but those `busy` says."""
        return {server: self.busy.get(server, 0) for server in servers}

    def ease(self) -> None:
        """Nobody is ever behind."""

    def logs(self, app_id: str, query: LogQuery) -> Iterator[LogLine]:
        """No requests, no lines."""
        return iter(())
