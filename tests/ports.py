"""Free ports of this machine for the servers of tests that run side by side."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

# Below what the kernel gives to outgoing connections (32768 and up): a port of those that is free now may be the
# local end of somebody's connection a moment later. From the system's randomness, since workers may share a seed.
RANGE = (15_000, 32_000)
DICE = random.SystemRandom()


def free_port() -> int:
    """A port nobody listens on right now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on right now, all different."""
    found: list[int] = []
    while len(found) < count:
        port = DICE.randrange(*RANGE)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found
