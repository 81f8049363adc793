"""`python -m benchmarks.step [noise]`: a real step in the load, 10 → 200 requests/s, on an app of which one replica
serves 40. How soon enough replicas are routed, when the p95 is good again, what failed, and when it is back at one.

`noise`: the load varies by ± 30 % every second; how often the number changes its direction.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from benchmarks.lab import Lab, lab
from benchmarks.report import Report

APP = Path(__file__).parent / "queue"
HOST = "queue.localhost"
LOW, HIGH, CAPACITY = 10.0, 200.0, 40.0
ENOUGH = ceil(HIGH / CAPACITY)
BEFORE, STEP = 60.0, 150.0
"""Seconds at the low load, and at the high one."""
TARGET = 0.5
"""A p95 that is good, seconds."""
IN_WINDOW = 120.0
MOST = 8000
"""Requests that are open at once."""
TIMEOUT = 60.0


@dataclass(slots=True)
class Seen:
    """What the load saw, per request: when it was sent (seconds since the start), how long it took; failed ones."""

    took: list[tuple[float, float]] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)
    replicas: list[tuple[float, int, int]] = field(default_factory=list)
    """Time, wanted, routed."""


async def ask(port: int) -> None:
    """One request on a connection of its own. Raises OSError, ValueError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), TIMEOUT)
    finally:
        writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        raise ValueError(answer[:40].decode(errors="replace") or "empty answer")


async def drive(port: int, rate: Callable[[float], float], seconds: float, seen: Seen) -> None:
    """Requests by the clock, whether or not earlier ones were answered."""
    begin, due, open_ones = time.perf_counter(), 0.0, set[asyncio.Task[None]]()

    async def one(at: float) -> None:
        try:
            await ask(port)
            seen.took.append((at, time.perf_counter() - begin - at))
        except (OSError, ValueError, TimeoutError) as error:
            seen.failed.append((at, f"{type(error).__name__}: {error}"))

    while due < seconds:
        now = time.perf_counter() - begin
        if now < due:
            await asyncio.sleep(due - now)
        if len(open_ones) >= MOST:
            seen.failed.append((due, "too many are open"))
        else:
            task = asyncio.create_task(one(due))
            open_ones.add(task)
            task.add_done_callback(open_ones.discard)
        due += 1 / rate(due)
    await asyncio.gather(*open_ones)


async def watch(here: Lab, begin: float, seen: Seen, stop: asyncio.Event) -> None:
    """Once a second: how many are wanted, and how many the router leads to."""
    while not stop.is_set():
        wanted, routed = await asyncio.to_thread(count, here)
        seen.replicas.append((time.perf_counter() - begin, wanted, routed))
        await asyncio.sleep(1.0)


def count(here: Lab) -> tuple[int, int]:
    """Replicas wanted, and servers of Traefik."""
    (line,) = here.json("autoscale", "list", "-a", "queue")["processes"]
    services: Any = here.traefik("/api/http/services")
    servers = [len(one["loadBalancer"]["servers"]) for one in services if one["name"].startswith("app-")]
    return int(line["replicas"]), sum(servers)


async def run(here: Lab, rate: Callable[[float], float], seconds: float, after: float) -> Seen:
    """Load for `seconds`, then none; watched `after` seconds more, or until one replica is left."""
    seen, stop, begin = Seen(), asyncio.Event(), time.perf_counter()
    watching = asyncio.create_task(watch(here, begin, seen, stop))
    await drive(here.port, rate, seconds, seen)
    end = time.perf_counter() + after
    while time.perf_counter() < end and seen.replicas[-1][1:] != (1, 1):
        await asyncio.sleep(1.0)
    stop.set()
    await watching
    return seen


def p95(values: Sequence[float]) -> float:
    """The 95th percentile; 0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.95))] if values else 0.0


def good_again(seen: Seen, since: float) -> float:
    """Seconds after `since` from which on the p95 of those sent in each 5 s stayed good."""
    last = 0.0
    for start in range(int(since), int(since + STEP), 5):
        inside = [took for at, took in seen.took if start <= at < start + 5]
        if p95(inside) > TARGET:
            last = start + 5 - since
    return last


def turns(seen: Seen) -> list[float]:
    """When the direction of the wanted number changed."""
    changes = [(at, after - before) for (_, before, _), (at, after, _) in pairwise(seen.replicas) if after != before]
    return [at for (_, before), (at, after) in pairwise(changes) if (before > 0) != (after > 0)]


def step(here: Lab, report: Report) -> None:
    """10 → 200 requests/s, then nothing."""
    report.section("a step from 10 to 200 requests/s, one replica serves 40")
    end = BEFORE + STEP
    seen = asyncio.run(run(here, lambda at: LOW if at < BEFORE else HIGH, end, IN_WINDOW + 90))
    # What was routed first counts from the step on, which the load's own start may be late by.
    routed = next((at - BEFORE for at, _, routed in seen.replicas if at > BEFORE and routed >= ENOUGH), 999.0)
    back = next((at - end for at, wanted, routed in seen.replicas if at > end and (wanted, routed) == (1, 1)), 999.0)
    report.count(f"{ENOUGH} replicas are routed", routed, 30, "s")
    report.count("p95 is within its target again", good_again(seen, BEFORE), 45, "s")
    report.count("requests that failed", len(seen.failed), 0, f"of {len(seen.took) + len(seen.failed)}")
    report.count("back at one replica", back, IN_WINDOW + 30, "s")
    told(report, seen)


def noise(here: Lab, report: Report) -> None:
    """100 requests/s ± 30 % every second."""
    report.section("100 requests/s, ± 30 % every second, for six minutes")
    random.seed(4)
    rates = [100 * random.uniform(0.7, 1.3) for _ in range(400)]
    seen = asyncio.run(run(here, lambda at: rates[int(at)], 360, 0))
    found = turns(seen)
    closest = min((after - before for before, after in pairwise(found)), default=999.0)
    report.count("changes of direction", len(found), 360 / IN_WINDOW, "")
    report.note(f"the closest two are {closest:.0f} s apart" if len(found) > 1 else "never two of them in a window")
    report.count("requests that failed", len(seen.failed), 0, f"of {len(seen.took) + len(seen.failed)}")
    told(report, seen)


def told(report: Report, seen: Seen) -> None:
    """The line of time, and what went wrong."""
    last: tuple[int, int] | None = None
    for at, wanted, routed in seen.replicas:
        if (wanted, routed) != last:
            report.note(f"{at:5.0f} s: {wanted} wanted, {routed} routed")
        last = wanted, routed
    for at, text in seen.failed[:5]:
        report.note(f"failed at {at:.1f} s: {text}")


PARTS = {"step": step, "noise": noise}


def main(names: list[str]) -> int:
    """The named parts, or all of them, on a platform of their own."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    report = Report()
    with lab() as here:
        here.paas("deploy", str(APP), "-a", "queue")
        for name in names or list(PARTS):
            PARTS[name](here, report)
        print(here.paas("autoscale", "explain", "-a", "queue", "-n", "30", check=False))
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
