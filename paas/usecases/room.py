"""Whether this machine has the memory for more replicas. Only counts; starts nothing.

Two rules, both after a reserve of a twentieth of the machine (128 MiB at least) is set aside:

* promised: the memory limits of everything the platform runs, the new replicas included, come to no more than
  `PAAS_MEMORY_OVERCOMMIT` times what is left (1.5);
* free: what is available right now holds the new replicas at their full limits, and those that are being started.

So replicas that are started can fill up to their limits without taking memory that a neighbour uses now. With an
overcommit of 1, all of them can do so for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from paas.errors import Conflict, PaasError
from paas.model.app import Release
from paas.model.service import Limits
from paas.usecases.apps import wanted_counts
from paas.usecases.context import Context
from paas.usecases.switch import base_release

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
        rooms = [(self.machine - self.reserve) * self.overcommit - self.promised]
        rooms += [self.free - self.reserve] if self.free is not None else []
        return max(0, min(count, int(min(rooms) // size)))

    def less(self, size: int) -> Room:
        """What there is once so many bytes more are promised and used."""
        return replace(self, promised=self.promised + size, free=None if self.free is None else self.free - size)


def look(context: Context) -> Room:
    """The room there is now. Raises EngineUnavailable."""
    machine = context.engine.info().memory
    free, starting = available(machine), sum(tuple(context.locks.starting.values()))
    return Room(
        machine=machine,
        free=None if free is None else max(0, free - starting),
        promised=_promised(context),
        overcommit=max(0.1, context.settings.memory_overcommit),
    )


def check(context: Context, release: Release, before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """Bytes that the replicas which `after` has more than `before` may use. Raises Conflict, with numbers, when there
    is no room for them."""
    size = 0
    for more in _more(context, release, before, after):
        if more.fits < more.count:
            raise Conflict(
                f"there is no memory for {more.count} more of {more.process}: {in_words(more.room, more.size)}",
                hint=_advice(more.process, before.get(more.process, 0) + more.fits, more.fits),
            )
        size += more.size * more.count
    return size


def fitting(context: Context, release: Release, before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """`after`, with no more replicas of each process than there is room for. Raises EngineUnavailable."""
    cut = {more.process: before.get(more.process, 0) + more.fits for more in _more(context, release, before, after)}
    return {**after, **cut}


@dataclass(frozen=True, slots=True, kw_only=True)
class _More:
    """So many replicas of `size` bytes are to come; how many `fits`, in the room that the ones before them leave."""

    process: str
    size: int
    count: int
    fits: int
    room: Room


def _more(context: Context, release: Release, before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[_More]:
    found: Room | None = None
    for process in release.processes:
        name, size = process.name, process.limits.memory
        count = after.get(name, 0) - before.get(name, 0)
        if name == "release" or count <= 0:
            continue
        found = found or look(context)
        fits = found.holds(size, count)
        yield _More(process=name, size=size, count=count, fits=fits, room=found)
        found = found.less(size * fits)


def in_words(found: Room, size: int) -> str:
    """The numbers of a refusal."""
    free = f", {_mib(found.free)} of it free" if found.free is not None else ""
    return (
        f"each may use {_mib(size)}; this machine has {_mib(found.machine)}{free}, "
        f"{_mib(found.promised)} are promised by limits already (at most {found.overcommit:g} times what it has), "
        f"and {_mib(found.reserve)} stay in reserve"
    )


def _advice(name: str, count: int, fits: int) -> str:
    fewer = f"paas scale {name}={count}, or " if fits else ""
    return f"{fewer}a lower limit (paas limits {name} --memory), fewer of another app, or PAAS_MEMORY_OVERCOMMIT"


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
        try:
            release = base_release(context.store, app)
        except PaasError:  # the others are not to wait until it can be read again: as if it had the usual limits
            apps += sum(app.formation.values()) * Limits().memory
            continue
        counts = wanted_counts(app, release) if release.image else {}
        apps += sum(one.limits.memory * counts.get(one.name, 0) for one in release.processes)
    return apps + len(context.store.addons()) * Limits().memory


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
