"""When a replica that runs but fails its checks is started again: (what was seen, now) → which one. Pure.

Not at once, because a check may fail for a moment; one replica of an app at a time, because starting all of them
at once would turn a slow database into an outage; and with pauses that double, because what did not help twice is
not helped by haste.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from paas.model.service import Replica, State

PATIENCE = 10.0
"""Seconds a replica may be unhealthy before it is started again the first time."""

LONGEST = 600.0
"""Seconds between two starts of one replica at most."""

WELL_AGAIN = 300.0
"""Seconds of health after which earlier starts are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is remembered of one replica. `since`: unhealthy (or healthy) from then on; `starts`: how often started."""

    unhealthy: bool
    since: float
    starts: int = 0

    @property
    def due(self) -> float:
        """When it is started again if it stays unhealthy."""
        return self.since + min(LONGEST, PATIENCE * 2.0 ** min(self.starts, 30))


@dataclass(frozen=True, slots=True)
class Liveness:
    """The records by replica id."""

    records: Mapping[str, Record] = field(default_factory=dict)

    def seen(self, replicas: Iterable[Replica], now: float) -> Liveness:
        """The records after one more look at all replicas there are; those of others are dropped."""
        return Liveness({replica.id: _after(self.records.get(replica.id), replica, now) for replica in replicas})

    def due(self, replicas: Iterable[Replica], now: float) -> Replica | None:
        """The replica of these (one app's) that is to be started again now: the one unhealthy for longest."""
        found = [(self.records[replica.id], replica) for replica in replicas if replica.id in self.records]
        late = [(record.since, replica) for record, replica in found if record.unhealthy and now >= record.due]
        return min(late, key=lambda pair: pair[0])[1] if late else None

    def started(self, replica: str, now: float) -> Liveness:
        """The records after this one was started again."""
        record = self.records.get(replica, Record(unhealthy=False, since=now))
        return Liveness({**self.records, replica: Record(unhealthy=False, since=now, starts=record.starts + 1)})


def _after(record: Record | None, replica: Replica, now: float) -> Record:
    unhealthy = replica.state is State.UNHEALTHY
    if record is None:
        return Record(unhealthy=unhealthy, since=now)
    if record.unhealthy != unhealthy:
        return replace(record, unhealthy=unhealthy, since=now)
    if not unhealthy and now - record.since >= WELL_AGAIN:
        return replace(record, starts=0)
    return record
