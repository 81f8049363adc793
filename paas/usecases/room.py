"""Whether this machine has the memory, and the app's network the addresses, for more replicas. Only counts; starts
nothing. What a deploy starts beside the old replicas is counted in `overlap.py`.

Two rules for memory, both after a reserve of a twentieth of the machine (128 MiB at least) is set aside:

* promised: the memory limits of everything the platform runs, the new replicas included, come to no more than
  `PAAS_MEMORY_OVERCOMMIT` times what is left (1.5);
* free: what is available right now holds the new replicas at their full limits, and those that are being started.

So replicas that are started can fill up to their limits without taking memory that a neighbour uses now. With an
overcommit of 1, all of them can do so for ever.

And one for addresses: an app has no more replicas than a deploy can start beside the old ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from paas.errors import Conflict, PaasError
from paas.model.app import Release
from paas.model.service import Limits
from paas.plan.compared import DEAD
from paas.usecases.context import Context

MEMINFO = Path("/proc/meminfo")
RESERVE = 0.05
LEAST_RESERVE = 128 * 1024**2
MIB = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The memory of the machine, in bytes. `free` None: it cannot be known here (the Engine is elsewhere).
    `promised` are the limits of all that is wanted now."""

    machine: int
    free: int | None
    promised: int
    overcommit: float

    @property
    def reserve(self) -> int:
        """What stays untouched."""
        return max(LEAST_RESERVE, int(self.machine * RESERVE))

    def holds(self, size: int, count: int) -> int:
        """How many of `count` replicas with this limit there is room for. No limit: as many as are asked for."""
        if not size or not self.machine:
            return count
        return max(0, min(count, int(min(self._promisable, self._usable) // size)))

    def may_promise(self, size: int) -> bool:
        """Whether limits may come to so many bytes more."""
        return not size or not self.machine or size <= self._promisable

    def holds_now(self, size: int) -> bool:
        """Whether so many bytes more can be used now."""
        return not size or not self.machine or size <= self._usable

    @property
    def _promisable(self) -> float:
        return (self.machine - self.reserve) * self.overcommit - self.promised

    @property
    def _usable(self) -> float:
        return math.inf if self.free is None else self.free - self.reserve

    def after(self, size: int) -> Room:
        """What there is once so many bytes more, promised already, are used."""
        return replace(self, free=None if self.free is None else max(0, self.free - size))

    def less(self, size: int) -> Room:
        """What there is once so many bytes more are promised and used."""
        return replace(self, promised=self.promised + size, free=None if self.free is None else self.free - size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The addresses of an app's network: how many there are, those that `others` than its replicas have (addons, runs),
    those of replicas that are `leaving`, and those that are free now."""

    total: int
    others: int
    leaving: int
    free: int

    @property
    def most(self) -> int:
        """Replicas that the app can have: a deploy starts the new ones beside the old."""
        return max(0, self.total - self.others) // 2

    def in_words(self) -> str:
        """The numbers of a refusal."""
        others = f", {self.others} of which others have" if self.others else ""
        leaving = f", {self.leaving} of which replicas have that finish what they began" if self.leaving else ""
        return (
            f"the network of an app has addresses for {self.total} containers{others}{leaving}, and a deploy starts "
            f"the new replicas beside the old ones, so {self.most} are the most it can have"
        )


def places(context: Context, app_id: str) -> Places:
    """The addresses there are now. Raises EngineUnavailable."""
    found = context.engine.addresses(app_id)
    services = [one for one in context.engine.observe(app_id) if one.kind == "replica"]
    own = [replica.id for service in services for replica in service.replicas if replica.state not in DEAD]
    return Places(
        total=found.total,
        others=max(0, found.taken - len(own)),
        leaving=len(context.leaving.all().intersection(own)),
        free=max(0, found.total - found.taken),
    )


def look(context: Context) -> Room:
    """The room there is now. Raises EngineUnavailable."""
    return looks(context)[0]


def looks(context: Context) -> tuple[Room, Room]:
    """The same, where what others are starting counts by its limits, and as what it probably comes to."""
    machine, locks = context.engine.machine().memory, context.locks
    found = Room(
        machine=machine,
        free=available(machine),
        promised=_promised(context),
        overcommit=max(0.1, context.settings.memory_overcommit),
    )
    starting = dict(locks.starting)
    by_limits, likely = sum(starting.values()), sum({**starting, **locks.likely}.values())
    return found.after(by_limits), found.after(likely)


def check(context: Context, release: Release, before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Bytes that the replicas which `after` has more than `before` may use. Raises Conflict, with numbers, when there
    is no room for them."""
    size = 0
    for more in _more(context, release, before, after):
        fewer = f"paas scale {more.process}={before.get(more.process, 0) + more.fits}" if more.fits else ""
        if more.fits < min(more.count, more.left):
            raise Conflict(
                f"there is no memory for {more.count} more of {more.process}: {in_words(more.room, more.size)}",
                hint=f"{fewer}{fewer and ', or '}{memory_advice(more.process)}",
            )
        if more.fits < more.count:
            raise Conflict(
                f"there are no addresses for {more.count} more of {more.process}: {more.places.in_words()}",
                hint=f"{fewer}{fewer and ', or '}{PLACES_ADVICE}",
            )
        size += more.size * more.count
    return size


def fitting(context: Context, release: Release, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """`after`, with no more replicas of each process than there is room for. Raises EngineUnavailable."""
    cut = {more.process: before.get(more.process, 0) + more.fits for more in _more(context, release, before, after)}
    return {**after, **cut}


@dataclass(frozen=True, slots=True, kw_only=True)
class _More:
    """So many replicas of `size` bytes are to come; how many `fits`, in the room that the ones before them leave, with
    addresses `left` for so many."""

    process: str
    size: int
    count: int
    fits: int
    room: Room
    left: int
    places: Places


def _more(context: Context, release: Release, before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[_More]:
    counts = [(one, after.get(one.name, 0) - before.get(one.name, 0)) for one in release.processes]
    growing = [(one, count) for one, count in counts if count > 0 and one.name != "release"]
    if not growing:
        return
    found, network = look(context), places(context, release.app_id)
    stay = sum(min(count, after.get(name, 0)) for name, count in before.items())
    left = max(0, min(network.free, network.most - stay))
    for process, count in growing:
        size = process.limits.memory
        fits = min(found.holds(size, count), left)
        yield _More(process=process.name, size=size, count=count, fits=fits, room=found, left=left, places=network)
        found, left = found.less(size * fits), left - fits


def in_words(found: Room, size: int) -> str:
    """The numbers of a refusal."""
    free = f", {mib(found.free)} of it free" if found.free is not None else ""
    return (
        f"each may use {mib(size)}; this machine has {mib(found.machine)}{free}, "
        f"{mib(found.promised)} are promised by limits already (at most {found.overcommit:g} times what it has), "
        f"and {mib(found.reserve)} stay in reserve"
    )


def memory_advice(name: str) -> str:
    """What helps where memory is short."""
    return f"a lower limit (paas limits {name} --memory), fewer of another app, or PAAS_MEMORY_OVERCOMMIT"


PLACES_ADVICE = "fewer and larger replicas (paas limits), or another app for a part of them"


def available(machine: int, path: Path = MEMINFO) -> int | None:
    """Bytes that programs may take without swapping, by the kernel's own estimate. None where it does not say, and
    where the Engine is on another machine: one that has not `machine` bytes."""
    try:
        rows = [line.split() for line in path.read_text().splitlines()]
        found = {row[0]: int(row[1]) * 1024 for row in rows if row[0] in ("MemTotal:", "MemAvailable:")}
        return found["MemAvailable:"] if abs(found["MemTotal:"] - machine) <= machine * RESERVE else None
    except (OSError, ValueError, IndexError, KeyError):
        return None


def _promised(context: Context) -> int:
    """The limits of all replicas that are wanted, and of the addons that run."""
    apps = 0
    for app in context.store.apps():
        if not app.wanted:
            continue
        try:
            release = context.store.release(app.id, app.wanted)
        except PaasError:  # the others are not to wait until it can be read again: as if it had the usual limits
            apps += sum(app.formation.values()) * Limits().memory
            continue
        stay = [one for one in release.processes if one.name != "release" and release.image]
        apps += sum(one.limits.memory * app.formation.get(one.name, 0) for one in stay)
    return apps + len(context.store.addons()) * Limits().memory


def mib(size: int) -> str:
    """As people read it."""
    return f"{size // MIB} MiB"
