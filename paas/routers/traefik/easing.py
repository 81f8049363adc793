"""Pure: which servers get no new requests for a while, once others have come to help them.

Replicas take turns. One that was alone when a step in the load came has a long queue by the time others stand beside
it, and every request that it still gets waits behind that queue: with seven replicas a seventh of all requests, for
minutes. So for a while after servers were added, one that is far behind the others gets nothing new and answers what
it has. Touches nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from statistics import median_high

from paas.model.route import Route

WINDOW = 120.0
"""Seconds after servers were added in which others may rest."""

LEAST = 16
"""Requests in flight from which on a server can be behind at all."""

BEHIND, CAUGHT_UP = 4.0, 2.0
"""Times what the others have: from here on a server rests, and until here."""

PATIENCE, FALLEN = 10.0, 0.97
"""Within so many seconds a server that rests has come down to this share of its requests, again and again. One that
has not is not behind: what it holds are upgraded connections, or answers that last."""

SETTLING = 5.0
"""Seconds from the start of a rest in which a server may still get more: a router that has much to do obeys late."""


@dataclass(slots=True)
class Easing:
    """Which servers are to rest, of the apps that got more. Times are seconds of a clock that never goes back."""

    _until: dict[str, float] = field(default_factory=dict)
    _fell: dict[str, tuple[float, int]] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)

    def applied(self, before: Route | None, now: Route, at: float) -> None:
        """A route was set."""
        if grown(before, now):
            self._until[now.app_id] = at + WINDOW

    def apps(self, at: float) -> frozenset[str]:
        """The apps to look at."""
        self._until = {app_id: until for app_id, until in self._until.items() if until > at}
        return frozenset(self._until)

    def look(self, apps: Collection[Mapping[str, int]], at: float) -> frozenset[str]:
        """The servers that rest from now on, by the requests in flight of each server of these apps."""
        flying = {server: count for servers in apps for server, count in servers.items()}
        found = frozenset[str]().union(*(resting(servers, self._fell) for servers in apps))
        self._began = {server: self._began.get(server, at) for server in found}
        self._fell = {server: self._progress(server, flying[server], at) for server in found}
        self._held = {server for server in self._held if server in found}
        self._held |= {server for server, (since, _) in self._fell.items() if at - since > PATIENCE}
        return found - self._held

    def _progress(self, server: str, count: int, at: float) -> tuple[float, int]:
        """When it last came down, and to what; while it still gets more, from where it will have to."""
        since, before = self._fell.get(server, (at, count))
        grew = count > before and at - self._began[server] <= SETTLING
        return (at, count) if grew or count <= before * FALLEN else (since, before)


def grown(before: Route | None, now: Route) -> bool:
    """Whether servers came to the side of others that stay."""
    if before is None:
        return False
    old, new = set(before.servers), set(now.servers)
    return bool(old & new and new - old)


def resting(flying: Mapping[str, int], before: Collection[str]) -> frozenset[str]:
    """Of the servers of one app, by their requests in flight, those that are to rest now; `before`: that rested until
    now. Half of them at most, those with the most, so there is always one that works."""
    found = [server for server, count in flying.items() if count >= _bound(flying, server, server in before)]
    found.sort(key=lambda server: (-flying[server], server))
    return frozenset(found[: len(flying) // 2])


def _bound(flying: Mapping[str, int], server: str, rested: bool) -> float:
    """The requests in flight from which on this server is too far behind the others."""
    others = [count for other, count in flying.items() if other != server]
    if not others:
        return float("inf")
    common = max(1, median_high(others))
    return common * CAUGHT_UP + 2 if rested else max(LEAST, common * BEHIND)
