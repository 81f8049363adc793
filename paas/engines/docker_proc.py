"""What this machine's /proc and /sys say about a container: its sockets, its use of CPU and memory.

Only reads, and only helps where the Engine runs on this machine: every function answers None where it cannot know.
Formats: proc(5) on `/proc/net/tcp`; the kernel's cgroup v1 and v2 documents.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")

ESTABLISHED = 0x01
LISTEN = 0x0A

DOCKER_DNS = "127.0.0.11"
"""Docker's own resolver listens there inside every container of a network that is not the default one."""


@dataclass(frozen=True, slots=True)
class Socket:
    """One row of /proc/net/tcp or tcp6. `state` is the kernel's number: 1 established, 10 listening."""

    host: str
    port: int
    peer: str
    state: int


def alive(pid: int, container: str, proc: Path = PROC) -> bool | None:
    """Whether process `pid` is still the first one of this container; None where /proc does not show it at all.

    The cgroup's path holds the container's id, so a pid that now belongs to something else is not mistaken for it.
    """
    try:
        return container in (proc / str(pid) / "cgroup").read_text()
    except FileNotFoundError:
        return False
    except OSError:
        return None


def sockets(pid: int, container: str, proc: Path = PROC) -> tuple[Socket, ...] | None:
    """The TCP sockets inside the container's network, None where they cannot be read."""
    if not pid or not alive(pid, container, proc):
        return None
    try:
        texts = [(proc / str(pid) / "net" / name).read_text() for name in ("tcp", "tcp6")]
    except OSError:
        return None
    return tuple(socket for text in texts for socket in parse_sockets(text))


def parse_sockets(text: str) -> Iterator[Socket]:
    """The rows of a /proc/net/tcp or tcp6; lines that are none are passed over."""
    for line in text.splitlines():
        parts = line.split()
        if len(parts) < 4 or not parts[0].endswith(":"):
            continue
        try:
            (host, port), (peer, _) = _address(parts[1]), _address(parts[2])
            yield Socket(host, port, peer, int(parts[3], 16))
        except ValueError:
            continue


def _address(text: str) -> tuple[str, int]:
    """`0100007F:1F40` → 127.0.0.1, 8000: the address is in 32-bit words of the machine's (little-endian) order."""
    raw, _, port = text.partition(":")
    data = bytes.fromhex(raw)
    swapped = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    address = ipaddress.ip_address(swapped)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address), int(port, 16)


def established(found: Iterable[Socket], port: int) -> int:
    """Connections to `port` from elsewhere; a replica that talks to itself holds up no drain."""
    return sum(
        1
        for socket in found
        if socket.state == ESTABLISHED and socket.port == port and not ipaddress.ip_address(socket.peer).is_loopback
    )


def listening(found: Iterable[Socket], port: int) -> str:
    """Why nobody gets through to `port`, in words; empty when something listens there for everybody."""
    listeners = {(s.host, s.port) for s in found if s.state == LISTEN and s.host != DOCKER_DNS}
    local = sorted((host, at) for host, at in listeners if ipaddress.ip_address(host).is_loopback)
    public = sorted({at for host, at in listeners if not ipaddress.ip_address(host).is_loopback})
    if port in public:
        return ""
    if public:
        return f"listens on port {', '.join(map(str, public))}, expected $PORT={port}"
    if local:
        where = ", ".join(sorted({f"[{host}]:{at}" if ":" in host else f"{host}:{at}" for host, at in local}))
        return f"listens on {where} only, expected 0.0.0.0:$PORT (PORT={port})"
    return f"listens on no port, expected $PORT={port}"


@dataclass(frozen=True, slots=True)
class Use:
    """CPU seconds since the start, bytes of memory that cannot be reclaimed at once, processes and threads."""

    cpu_seconds: float
    memory: int
    pids: int


def use(pid: int, container: str, proc: Path = PROC, cgroups: Path = CGROUPS) -> Use | None:
    """What the container uses now, None where its cgroup cannot be read."""
    try:
        text = (proc / str(pid) / "cgroup").read_text()
        if container not in text:
            return None
        return _use_of(cgroup_paths(text), cgroups)
    except (OSError, ValueError, KeyError):
        return None


def cgroup_paths(text: str) -> dict[str, str]:
    """Controller → path from /proc/<pid>/cgroup; version 2's only path stands under the empty name."""
    paths: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            paths[name] = path.lstrip("/")
    return paths


def _use_of(paths: dict[str, str], cgroups: Path) -> Use:
    if "memory" in paths:
        memory = cgroups / "memory" / paths["memory"]
        return Use(
            int((cgroups / "cpuacct" / paths["cpuacct"] / "cpuacct.usage").read_text()) / 1e9,
            _working_set(memory / "memory.usage_in_bytes", memory / "memory.stat", "total_inactive_file"),
            int((cgroups / "pids" / paths["pids"] / "pids.current").read_text()),
        )
    folder = cgroups / paths[""]
    cpu = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
    return Use(
        int(cpu["usage_usec"]) / 1e6,
        _working_set(folder / "memory.current", folder / "memory.stat", "inactive_file"),
        int((folder / "pids.current").read_text()),
    )


def _working_set(usage: Path, stat: Path, reclaimable: str) -> int:
    """Usage without file pages that the kernel would give back at once: what `docker stats` shows."""
    values = dict(line.split() for line in stat.read_text().splitlines())
    return max(0, int(usage.read_text()) - int(values.get(reclaimable, 0)))


def signal(pid: int, container: str, number: int) -> bool:
    """Send a signal to a process inside the container, if it can be seen from here."""
    if not pid or not alive(pid, container):
        return False
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def use_of_api(answer: Mapping[str, Any]) -> Use:
    """The same from the Engine's stats, where its cgroups cannot be read from here."""
    memory = answer.get("memory_stats") or {}
    details = memory.get("stats") or {}
    reclaimable = int(details.get("total_inactive_file") or details.get("inactive_file") or 0)
    cpu = (answer.get("cpu_stats") or {}).get("cpu_usage") or {}
    return Use(
        int(cpu.get("total_usage") or 0) / 1e9,
        max(0, int(memory.get("usage") or 0) - reclaimable),
        int((answer.get("pids_stats") or {}).get("current") or 0),
    )
