"""When a replica that runs but fails its checks is started again: (what was seen, now) → which one. Pure.

Not at once, because a check may fail for a moment; not while it gets on with requests, because a check that waits in a
long queue fails, too, and the queue would be cut; one replica of an app at a time, because starting all of them at once
would turn a slow database into an outage; and with pauses that double, because what did not help twice is not helped by
haste. Getting on excuses a failing check for a while only: longer than an overload lasts, it is an illness.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from paas.model.scaling import Sample
from paas.model.service import Replica, State

PATIENCE = 10.0
"""Seconds a replica may be unhealthy before it is started again the first time."""

LONGEST = 600.0
"""Seconds between two starts of one replica at most."""

EXCUSED = 600.0
"""Seconds of failing checks that getting on with requests excuses, the first time: an overload is over by then, as the
rules have long started others, or its clients have given up. Doubles with each start, as one that did not help is
probably no cure either."""

LONGEST_EXCUSED = 3600.0
"""The same at most."""

WELL_AGAIN = 300.0
"""Seconds of health after which earlier starts are forgotten."""

FALLEN = 0.97
"""To this share of what it was, the number of requests in flight has come down at a replica that gets on."""

CHECK = 1
"""Of the requests in flight, so many may be the check that is being made: it comes and goes at one that hangs, too."""

SHARED = 120.0
"""Seconds for which a replica that shares its requests with others that fail, too, is believed to get on: whose the
answers were, the router does not say."""

GOOD = ("1xx", "2xx", "3xx")
"""Answers that count. Those of 4xx are also requests that were given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is remembered of one replica. `since`: unhealthy (or healthy) from then on; `starts`: how often started;
    `got_on`: when it was last seen to get on with requests."""

    unhealthy: bool
    since: float
    starts: int = 0
    got_on: float = float("-inf")

    @property
    def due(self) -> float:
        """When it is started again if it stays unhealthy."""
        doubled = 2.0 ** min(self.starts, 30)
        patient = max(self.since, self.got_on) + min(LONGEST, PATIENCE * doubled)
        return min(patient, self.since + min(LONGEST_EXCUSED, EXCUSED * doubled))


@dataclass(frozen=True, slots=True)
class Liveness:
    """The records by replica id."""

    records: Mapping[str, Record] = field(default_factory=dict)

    def seen(self, replicas: Iterable[Replica], now: float) -> Liveness:
        """The records after one more look at all replicas there are; those of others are dropped."""
        return Liveness({replica.id: _after(self.records.get(replica.id), replica, now) for replica in replicas})

    def ill_for(self, replica: str, now: float) -> float:
        """Seconds since it last passed a check; 0: it passes them."""
        record = self.records.get(replica)
        return now - record.since if record and record.unhealthy else 0.0

    def got_on(self, replicas: Iterable[str], now: float) -> Liveness:
        """The records after these were seen to get on with requests."""
        found = {id: replace(self.records[id], got_on=now) for id in replicas if id in self.records}
        return Liveness({**self.records, **found})

    def due(self, replicas: Iterable[Replica], now: float) -> Replica | None:
        """The replica of these (one app's) that is to be started again now: the one unhealthy for longest. None while
        one that was started again still boots."""
        found = [(self.records[replica.id], replica) for replica in replicas if replica.id in self.records]
        if any(record.starts and replica.state is State.STARTING for record, replica in found):
            return None
        late = [(record.since, replica) for record, replica in found if record.unhealthy and now >= record.due]
        return min(late, key=lambda pair: pair[0])[1] if late else None

    def started(self, replica: str, now: float) -> Liveness:
        """The records after this one was started again."""
        record = self.records.get(replica, Record(unhealthy=False, since=now))
        return Liveness({**self.records, replica: Record(unhealthy=False, since=now, starts=record.starts + 1)})


def gets_on(
    replica: Replica, own: Sequence[Sample], app: Sequence[Sample], led_to: Collection[str], ill_for: float
) -> bool:
    """Whether a replica that fails its checks gets on with requests in flight, by the latest samples of it and of its
    process. `led_to`: the addresses that requests go to.

    One that gets none any more is seen to get on by its queue: it falls, or the replica hangs. At one that gets new
    ones the queue may grow; there the app's answers tell.
    """
    flying = [one.values["in_flight"] for one in own if "in_flight" in one.values]
    if not flying or flying[-1] <= CHECK:
        return False
    if replica.address not in led_to:
        return flying[-1] <= max(flying) * FALLEN and flying[-1] < max(flying) - CHECK
    answers = any(one.values.get(status) for one in app for status in GOOD)
    return answers and (len(led_to) == 1 or ill_for < SHARED)


def _after(record: Record | None, replica: Replica, now: float) -> Record:
    unhealthy = replica.state is State.UNHEALTHY
    if record is None:
        return Record(unhealthy=unhealthy, since=now)
    if record.unhealthy != unhealthy:
        return replace(record, unhealthy=unhealthy, since=now)
    if not unhealthy and now - record.since >= WELL_AGAIN:
        return replace(record, starts=0)
    return record
