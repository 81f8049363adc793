"""Says who listens on a TCP port of this machine. Reads /proc, changes nothing."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket. `owner` is `name (pid 12)`, empty when it cannot be told (another user's process)."""

    address: str
    port: int
    owner: str = ""
    pid: int = 0


def listener(port: int, address: str = "", proc: Path = Path("/proc")) -> Listener | None:
    """Who keeps us from listening on `address:port` (empty: on all addresses); None when nobody does."""
    for found, number, inode in _listening(proc):
        if number == port and _clash(found, address):
            pid = _pid_of(inode, proc)
            return Listener(found, port, f"{_name(pid, proc)} (pid {pid})" if pid else "", pid)
    return None


def _listening(proc: Path) -> Iterator[tuple[str, int, str]]:
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTEN:
                address, _, port = fields[1].partition(":")
                yield _address(address, family), int(port, 16), fields[9]


def _address(text: str, family: int) -> str:
    # The kernel prints each 32-bit word of an address in the machine's own byte order.
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    return socket.inet_ntop(family, b"".join(words))


def _clash(found: str, wanted: str) -> bool:
    if not wanted:
        return True
    there, here = ipaddress.ip_address(found), ipaddress.ip_address(wanted.strip("[]"))
    if there.is_unspecified:
        # :: takes IPv4 too, unless a socket says otherwise.
        return there.version in (here.version, 6)
    return here.is_unspecified or there == here


def _pid_of(inode: str, proc: Path) -> int:
    wanted = f"socket:[{inode}]"
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if any(str(link.readlink()) == wanted for link in (folder / "fd").iterdir()):
                return int(folder.name)
        except OSError:
            continue
    return 0


def _name(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return "a process"
