"""Facts about this machine for `doctor`: disk, kernel limits, address ranges, clock, the store's files. Reads only."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import paas
from paas.engines.docker_networks import PREFIX, parse_ranges, routes

LEAST_FREE, LITTLE_FREE = 1 << 30, 5 << 30
"""Bytes: below the first nothing works for long, below the second a few builds fill it."""

LEAST_INODES, LITTLE_INODES = 0.02, 0.10

CGROUPS = Path("/sys/fs/cgroup")
NET = Path("/sys/class/net")
ROUTES = Path("/proc/net/route")

SKEW = 5.0
"""Seconds a file's time may differ from the clock (a network file system has its own)."""


@dataclass(frozen=True, slots=True)
class Room:
    """Free bytes for us, and the free share of inodes (1.0 where the file system does not count them)."""

    free: int
    inodes: float


@dataclass(frozen=True, slots=True)
class Pool:
    """How many networks fit into the ranges, how many of them nothing uses, and the routes that are not a bridge's."""

    total: int
    free: int
    foreign: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and what mends it."""

    message: str
    fix: str


def room(path: Path) -> Room | None:
    """Of the file system of the path, or of its nearest parent that is there; None when it cannot be told."""
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return Room(found.f_bavail * found.f_frsize, found.f_favail / found.f_files if found.f_files else 1.0)


def missing_limits(cgroups: Path = CGROUPS) -> tuple[str, ...]:
    """Of memory, CPU and process limits those that this kernel does not have."""
    wanted = {"memory": "memory", "cpu": "CPU", "pids": "process count"}
    try:
        present = set((cgroups / "cgroup.controllers").read_text().split())
    except OSError:
        present = {path.name for path in cgroups.iterdir()} if cgroups.is_dir() else set(wanted)
    return tuple(words for name, words in wanted.items() if name not in present)


def pool(ranges: str, routed: Path = ROUTES, net: Path = NET) -> Pool:
    """The room for networks of apps in these ranges. Raises ConfigError for a range that is none."""
    text = routed.read_text() if routed.exists() else ""
    lines = text.splitlines()
    bridged = "\n".join(lines[:1] + [line for line in lines[1:] if (net / line.split()[0] / "bridge").exists()])
    wanted = parse_ranges(ranges)
    busy = routes(text)
    foreign = busy - routes(bridged)
    subnets = [subnet for whole in wanted for subnet in whole.subnets(new_prefix=max(PREFIX, whole.prefixlen))]
    near = [network for network in busy if any(network.overlaps(whole) for whole in wanted)]
    free = sum(1 for subnet in subnets if not any(subnet.overlaps(network) for network in near))
    overlap = sorted(str(network) for network in foreign if any(network.overlaps(whole) for whole in wanted))
    return Pool(len(subnets), free, tuple(overlap))


def clock_fault(now: float, home: Path) -> str:
    """What is wrong with the time `now`; empty when nothing is. Certificates and logs depend on it."""
    installed = Path(paas.__file__).stat().st_mtime
    if now < installed - 86_400:
        return f"it is {_date(now)} here, but paas was installed on {_date(installed)}"
    try:
        with tempfile.NamedTemporaryFile(dir=home if home.is_dir() else None) as file:
            written = Path(file.name).stat().st_mtime
    except OSError:
        return ""
    skew = written - time.time()
    return f"files in {home} are {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}" if abs(skew) > SKEW else ""


def store_fault(home: Path) -> Fault | None:
    """What is wrong with the store's files; None when nothing is, or when there are none yet."""
    if not home.is_dir():
        return None
    database, copy = home / "paas.db", home / "paas.db.good"
    restore = f"paas down; rm -f {database}-wal {database}-shm; cp {copy} {database}; paas up"
    back = restore if copy.exists() else f"put back your copy of {database}"
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
        if not database.exists():
            return Fault(f"{database} is gone, its last good copy is there", back) if copy.exists() else None
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=5)) as connection:
            said = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except (OSError, sqlite3.OperationalError) as error:
        return Fault(f"{home} cannot be used: {error}", f"ls -l {home}; df -h {home}; run paas as its owner")
    except sqlite3.DatabaseError as error:
        return Fault(f"{database} is damaged: {error}", back)
    if said != "ok":
        return Fault(f"{database} is damaged: {said}", back)
    if not (home / "secret.key").exists():
        return Fault(f"{home / 'secret.key'} is gone: no secret can be read", "put back your copy of the key file")
    return None


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))
