"""One wanted service version beside what is there of it. Pure facts; which steps follow is `rollout.py`'s."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from paas.model.service import ObservedService, Replica, ServiceKey, State
from paas.plan.wanted import WantedService

RANK = {State.HEALTHY: 0, State.STARTING: 1, State.UNHEALTHY: 2, State.CRASHED: 3, State.STOPPED: 4}
"""Which replicas stay when there are too many: the lower first. One that starts may be the only one that is well in a
moment, so it stays before one that fails its checks; a crashed one the engine starts again by itself."""

DEAD = (State.CRASHED, State.STOPPED)


def servers(replicas: Iterable[Replica]) -> tuple[str, ...]:
    """The addresses that get the traffic, sorted: the healthy replicas, or when there is none those that at least run.

    A replica that fails its checks may still answer most requests, and says more than a page of the router when it
    does not; so the last ones are never taken away for failing a check, only for being dead. Of those that are alike
    one that had its stop signal gets nothing new.
    """
    found = list(replicas)
    for state, ending in product((State.HEALTHY, State.UNHEALTHY), (False, True)):
        chosen = [one for one in found if one.state is state and one.ending is ending]
        if chosen:
            return tuple(sorted(one.address for one in chosen if one.address))
    return ()


@dataclass(frozen=True, slots=True)
class Compared:
    """`services` are all observed versions of the app's processes, `protected` ids of replicas that go last."""

    wanted: WantedService
    services: Sequence[ObservedService]
    protected: frozenset[str] = frozenset()

    @property
    def key(self) -> ServiceKey:
        """What names the wanted version."""
        return self.wanted.spec.key

    @property
    def count(self) -> int:
        """How many replicas are wanted."""
        return self.wanted.replicas

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Replicas of the wanted version, whatever they do."""
        return next((service.replicas for service in self.services if service.key == self.key), ())

    @property
    def stale(self) -> bool:
        """Whether replicas under this very key were made from another spec: nothing that a release does."""
        prints = (service.fingerprint for service in self.services if service.key == self.key and service.replicas)
        return self.count > 0 and any(found != self.wanted.spec.fingerprint for found in prints)

    @property
    def kept(self) -> tuple[Replica, ...]:
        """The replicas that stay: the best ones. Of stale ones the lowest indexes, which `apply` replaces."""
        if self.stale:
            return tuple(sorted(self.replicas, key=lambda replica: replica.index)[: self.count])
        return tuple(sorted(self.replicas, key=self._rank)[: self.count])

    def _rank(self, replica: Replica) -> tuple[bool, bool, bool, int, int]:
        dead = replica.state in DEAD
        spared = replica.id in self.protected and not dead
        return dead, replica.ending, not spared, RANK[replica.state], replica.index

    @property
    def settled(self) -> tuple[Replica, ...]:
        """Of the replicas that stay, those that are neither booting nor to be started: well, ill, or started again by
        the engine or the controller."""
        return tuple(one for one in self.kept if one.state not in (State.STARTING, State.STOPPED))

    @property
    def surplus(self) -> tuple[Replica, ...]:
        """Replicas too many that still run, the highest index first."""
        return tuple(replica for replica in self._spare if replica.state not in DEAD)

    @property
    def remains(self) -> tuple[Replica, ...]:
        """Replicas too many that are dead already."""
        return tuple(replica for replica in self._spare if replica.state in DEAD)

    @property
    def _spare(self) -> tuple[Replica, ...]:
        kept = {replica.id for replica in self.kept}
        spare = [replica for replica in self.replicas if replica.id not in kept]
        return tuple(sorted(spare, key=lambda replica: -replica.index))

    @property
    def missing(self) -> int:
        """How many replicas must be made, or started because the engine does not do it by itself."""
        stopped = sum(replica.state is State.STOPPED for replica in self.kept)
        return self.count - len(self.kept) + stopped

    @property
    def replaces(self) -> bool:
        """Whether another version of the process is still there."""
        process = self.wanted.spec.process
        return any(service.key.process == process and service.key != self.key for service in self.services)

    @property
    def waits(self) -> bool:
        """Whether somebody is still to become healthy.

        Where nothing is replaced, a replica that crashed or fails its checks holds up nothing: the engine or the
        controller starts it again, and it gets traffic when it is well.
        """
        if not self.count:
            return False
        booting = any(replica.state is State.STARTING for replica in self.kept)
        unwell = any(replica.state is not State.HEALTHY for replica in self.kept)
        return bool(self.missing) or self.stale or booting or (self.replaces and unwell)
