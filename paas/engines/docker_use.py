"""What replicas use, read from cgroup files that stay open, version 1 and 2. Only reads; None where it cannot know.

Kept open, the files of 100 replicas are read in a fraction of a millisecond; opening them takes many times that. An
open file does not keep a cgroup alive: reading one that has gone fails, and it is looked up anew.
Formats: the kernel's cgroup v1 and v2 documents, proc(5) on `/proc/net/dev`.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paas.engines import docker_proc
from paas.model.service import Used

_MOST = 64 << 10
"""Bytes of one file; `memory.stat` has some 2 kB."""

Reader = Callable[[list[bytes]], Used]


@dataclass(frozen=True, slots=True)
class _Open:
    """The open files of one replica and how they are read."""

    pid: int
    files: tuple[int, ...]
    read: Reader


class Uses:
    """What replicas use. Usable from any thread. At most `room` files stay open, the rest is opened each time."""

    def __init__(
        self, proc: Path = docker_proc.PROC, cgroups: Path = docker_proc.CGROUPS, room: int | None = None
    ) -> None:
        self._proc = proc
        self._cgroups = cgroups
        # The other descriptors are for connections and the database.
        self._room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 if room is None else room
        self._guard = threading.Lock()
        self._kept: dict[str, _Open] = {}

    def of(self, pid: int, container: str) -> Used | None:
        """What the container whose first process is `pid` used so far; None where its cgroup cannot be read."""
        if not pid:
            return None
        with self._guard:
            found = self._again(pid, container) or self._anew(pid, container)
        return found and self._with_network(pid, found)

    def keep(self, containers: Iterable[str]) -> None:
        """Close the files of all but these."""
        kept = set(containers)
        with self._guard:
            for container in self._kept.keys() - kept:
                self._close(container)

    def close(self) -> None:
        """Close all files. It can still be used afterwards."""
        self.keep(())

    def _again(self, pid: int, container: str) -> Used | None:
        """Read what is open; None when it is not, or of a process that has gone."""
        kept = self._kept.get(container)
        if kept is None:
            return None
        if kept.pid == pid:
            with suppress(OSError, ValueError, LookupError):
                return _read(kept)
        self._close(container)
        return None

    def _anew(self, pid: int, container: str) -> Used | None:
        found = _opened(pid, container, self._proc, self._cgroups)
        if found is None:
            return None
        try:
            used = _read(found)
        except (OSError, ValueError, LookupError):
            used = None
        if used and (len(self._kept) + 1) * len(found.files) <= self._room:
            self._kept[container] = found
        else:
            _shut(found.files)
        return used

    def _close(self, container: str) -> None:
        _shut(self._kept.pop(container).files)

    def _with_network(self, pid: int, found: Used) -> Used:
        # Opened each time: an open one would keep the container's network alive after its end.
        try:
            text = (self._proc / str(pid) / "net" / "dev").read_text()
            network_in, network_out = network(text)
        except (OSError, ValueError, LookupError):
            return found
        return Used(
            cpu_seconds=found.cpu_seconds,
            memory=found.memory,
            network_in=network_in,
            network_out=network_out,
            disk_read=found.disk_read,
            disk_write=found.disk_write,
        )


def network(text: str) -> tuple[int, int]:
    """Bytes in and out of all but the loopback device, from the text of `/proc/<pid>/net/dev`."""
    inside = outside = 0
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            fields = numbers.split()
            inside, outside = inside + int(fields[0]), outside + int(fields[8])
    return inside, outside


def version_1(texts: list[bytes]) -> Used:
    """From `cpuacct.usage`, `memory.usage_in_bytes`, `memory.stat` and `blkio.throttle.io_service_bytes_recursive`."""
    cpu, memory, stat, disk = texts
    read = write = 0
    for line in disk.splitlines():
        match line.split():  # `8:0 Read 4096`
            case [_, b"Read", count]:
                read += int(count)
            case [_, b"Write", count]:
                write += int(count)
    reclaimable = _field(stat, b"total_inactive_file")
    return Used(cpu_seconds=int(cpu) / 1e9, memory=max(0, int(memory) - reclaimable), disk_read=read, disk_write=write)


def version_2(texts: list[bytes]) -> Used:
    """From `cpu.stat`, `memory.current`, `memory.stat` and `io.stat`."""
    cpu, memory, stat, disk = texts
    read = write = 0
    for part in disk.split():  # `8:0 rbytes=4096 wbytes=0 rios=1 …`
        name, _, count = part.partition(b"=")
        if name == b"rbytes":
            read += int(count)
        elif name == b"wbytes":
            write += int(count)
    return Used(
        cpu_seconds=_field(cpu, b"usage_usec") / 1e6,
        memory=max(0, int(memory) - _field(stat, b"inactive_file")),
        disk_read=read,
        disk_write=write,
    )


def of_api(answer: Mapping[str, Any]) -> Used:
    """The same from the Engine's stats, where its cgroups cannot be read from here."""
    use = docker_proc.use_of_api(answer)
    networks = (answer.get("networks") or {}).values()
    disk = (answer.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()

    def moved(op: str) -> int:
        return sum(int(one.get("value") or 0) for one in disk if str(one.get("op", "")).lower() == op)

    return Used(
        cpu_seconds=use.cpu_seconds,
        memory=use.memory,
        network_in=sum(int(one.get("rx_bytes") or 0) for one in networks) if networks else None,
        network_out=sum(int(one.get("tx_bytes") or 0) for one in networks) if networks else None,
        disk_read=moved("read"),
        disk_write=moved("write"),
    )


def _opened(pid: int, container: str, proc: Path, cgroups: Path) -> _Open | None:
    """Its files, opened; None when the process is another's by now or the files are not to be seen."""
    try:
        text = (proc / str(pid) / "cgroup").read_text()
        if container not in text:
            return None
        paths, read = _files(docker_proc.cgroup_paths(text), cgroups)
    except (OSError, ValueError, LookupError):
        return None
    files: list[int] = []
    try:
        for path in paths:
            files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        _shut(files)
        return None
    return _Open(pid, tuple(files), read)


def _files(paths: Mapping[str, str], cgroups: Path) -> tuple[list[Path], Reader]:
    if "memory" in paths:
        memory = cgroups / "memory" / paths["memory"]
        blocks = cgroups / "blkio" / paths["blkio"]
        return [
            cgroups / "cpuacct" / paths["cpuacct"] / "cpuacct.usage",
            memory / "memory.usage_in_bytes",
            memory / "memory.stat",
            blocks / "blkio.throttle.io_service_bytes_recursive",
        ], version_1
    folder = cgroups / paths[""]
    return [folder / name for name in ("cpu.stat", "memory.current", "memory.stat", "io.stat")], version_2


def _read(found: _Open) -> Used:
    return found.read([os.pread(file, _MOST, 0) for file in found.files])


def _shut(files: Iterable[int]) -> None:
    for file in files:
        os.close(file)


def _field(text: bytes, name: bytes) -> int:
    """The number beside a name at the start of a line; 0 when it is not there."""
    at = 0 if text.startswith(name + b" ") else text.find(b"\n" + name + b" ") + 1
    if at == 0 and not text.startswith(name + b" "):
        return 0
    start = at + len(name) + 1
    end = text.find(b"\n", start)
    return int(text[start : end if end >= 0 else len(text)])
