"""A bounded, constant-rate load through the router with `hey` (Debian package), and what it saw."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """What the load saw: answers with 200, others (status or error), the slowest in seconds, the rate."""

    good: int
    bad: int
    slowest: float
    rate: float
    errors: tuple[str, ...]


class Load:
    """`hey` in the background against loopback: `rate` requests/s over `workers` connections for `seconds`."""

    def __init__(
        self, port: int, host: str, path: str = "/", *, rate: int, workers: int, seconds: int, keep_alive: bool = True
    ) -> None:
        argv = [
            "hey",
            "-z",
            f"{seconds}s",
            "-c",
            str(workers),
            "-q",
            str(max(1, rate // workers)),
            "-t",
            "30",
            "-host",
            host,
        ]
        argv += [] if keep_alive else ["-disable-keepalive"]
        self._process = subprocess.Popen(
            [*argv, f"http://127.0.0.1:{port}{path}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def result(self) -> Seen:
        """Wait for its end and read its summary."""
        output, _ = self._process.communicate(timeout=600)
        statuses = {int(code): int(count) for code, count in re.findall(r"\[(\d{3})\]\s+(\d+) responses", output)}
        errors = re.findall(r"\[(\d+)\]\s+(.*)", output.partition("Error distribution:")[2])
        good = statuses.pop(200, 0)
        odd = [f"{count} × {text}" for count, text in errors]
        odd += [f"{count} × {code}" for code, count in statuses.items()]
        return Seen(
            good=good,
            bad=sum(statuses.values()) + sum(int(count) for count, _ in errors),
            slowest=_number(r"Slowest:\s+([\d.]+)", output),
            rate=_number(r"Requests/sec:\s+([\d.]+)", output),
            errors=tuple(odd),
        )


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0
