"""`python -m benchmarks.step [step] [check] [noise]`: a real step in the load, 10 → 200 requests/s, on an app of which
one replica serves 40. How soon enough replicas are routed, when the p95 is good again, what failed, and when it is back
at one.

Each part begins when one replica is routed, and not before. While replicas are let go there are still as many requests
as one of them serves at its target, and none may fail either. A request that failed counts as one that took for ever,
and five seconds in which none was sent count as bad. A replica is routed when Traefik finds it up.

`check`: the same step where the check of the app waits in its queue, as the one does that an app has by default.

`noise`: the load varies by ± 30 % every second; how often the number changes its direction, and how close together.
"""

from __future__ import annotations

import asyncio
import math
import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.lab import Lab, lab
from benchmarks.report import Report
from paas.requests.autoscale import ExplainAutoscale, ListAutoscale

APP = Path(__file__).parent / "queue"
HOST = "queue.localhost"
LOW, HIGH, CAPACITY, AFTER, NOISY = 10.0, 200.0, 40.0, 25.0, 100.0
"""Requests/s: before, in, and after the step; what one replica serves; and the middle of the noise."""
ENOUGH = math.ceil(HIGH / CAPACITY)
BEFORE, STEP, NOISE, CLIMB = 60.0, 150.0, 360.0, 60.0
"""Seconds at the low load, and at the high one; of noise, and of its beginning, in which replicas climb from one."""
WINDOW = 5.0
"""Seconds of which there is one p95."""
TARGET = 0.5
"""A p95 that is good, seconds."""
GRACE = 30.0
"""Seconds beyond the window of a scale-in until one replica is left."""
MOST = 8000
"""Requests that are open at once."""
TIMEOUT = 60.0


@dataclass(slots=True)
class Seen:
    """What the load saw, per request: when it was sent (seconds since the start), how long it took; failed ones."""

    took: list[tuple[float, float]] = field(default_factory=list)
    failed: list[tuple[float, str]] = field(default_factory=list)
    replicas: list[tuple[float, int, int]] = field(default_factory=list)
    """Time, wanted, routed; the first one is from before the load."""

    @property
    def sent(self) -> int:
        """All of them."""
        return len(self.took) + len(self.failed)

    def p95(self, start: float, seconds: float = WINDOW) -> float:
        """Of those sent from `start` on for so long; infinite of none, and where too many failed."""
        inside = [took for at, took in self.took if start <= at < start + seconds]
        inside += [math.inf for at, _ in self.failed if start <= at < start + seconds]
        return sorted(inside)[min(len(inside) - 1, int(len(inside) * 0.95))] if inside else math.inf


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


async def drive(
    port: int, rate: Callable[[float], float], seconds: float, seen: Seen, done: Callable[[float], bool]
) -> None:
    """Requests by the clock, whether or not earlier ones were answered, for `seconds` or until it is `done`."""
    begin, due, open_ones = time.perf_counter(), 0.0, set[asyncio.Task[None]]()

    async def one(at: float) -> None:
        try:
            await ask(port)
            seen.took.append((at, time.perf_counter() - begin - at))
        except (OSError, ValueError, TimeoutError) as error:
            seen.failed.append((at, f"{type(error).__name__}: {error}"))

    while due < seconds and not done(due):
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


def rules(here: Lab) -> Any:
    """The rules that hold, and how many replicas are wanted."""
    (line,) = here.ask(ListAutoscale(app="queue"))["processes"]
    return line


def count(here: Lab) -> tuple[int, int]:
    """Replicas wanted, and servers that Traefik finds up."""
    services: Any = here.traefik("/api/http/services")
    up = [state for one in services if one["name"].startswith("app-") for state in one["serverStatus"].values()]
    return int(rules(here)["replicas"]), up.count("UP")


def at_rest(here: Lab) -> tuple[int, int]:
    """Wait until one replica is wanted and routed. Raises SystemExit: from elsewhere nothing could be measured."""
    deadline = time.perf_counter() + rules(here)["in_window"] + BEFORE + GRACE
    while (found := count(here)) != (1, 1):
        if time.perf_counter() > deadline:
            raise SystemExit(f"not at one replica before the load: {found[0]} wanted, {found[1]} routed")
        time.sleep(1.0)
    return found


async def run(here: Lab, rate: Callable[[float], float], seconds: float, until_one: float = 0) -> Seen:
    """Load for `seconds`; watched all the while, and ended earlier once one replica is left after `until_one`."""
    seen, stop, rest = Seen(), asyncio.Event(), await asyncio.to_thread(at_rest, here)
    begin = time.perf_counter()
    seen.replicas.append((0.0, *rest))
    watching = asyncio.create_task(watch(here, begin, seen, stop))

    def done(at: float) -> bool:
        return bool(until_one) and at > until_one + WINDOW and seen.replicas[-1][1:] == (1, 1)

    await drive(here.port, rate, seconds, seen, done)
    stop.set()
    await watching
    return seen


def good_again(seen: Seen, since: float, until: float) -> float:
    """Seconds after `since` from which on the p95 of those sent in each 5 s stayed good until then."""
    bad = [start for start in range(int(since), int(until), int(WINDOW)) if seen.p95(start) > TARGET]
    return max(bad) + WINDOW - since if bad else 0.0


def turns(seen: Seen) -> list[float]:
    """When the direction of the wanted number changed."""
    changes = [(at, after - before) for (_, before, _), (at, after, _) in pairwise(seen.replicas) if after != before]
    return [at for (_, before), (at, after) in pairwise(changes) if (before > 0) != (after > 0)]


def first(seen: Seen, since: float, good: Callable[[int, int], bool]) -> float:
    """Seconds after `since` until wanted and routed replicas were so."""
    return next((at - since for at, wanted, routed in seen.replicas if at > since and good(wanted, routed)), math.inf)


def step(here: Lab, report: Report) -> None:
    """10 → 200 → 25 requests/s."""
    report.section(f"a step from {LOW:g} to {HIGH:g} requests/s, one replica serves {CAPACITY:g}")
    window, end = rules(here)["in_window"], BEFORE + STEP

    def rate(at: float) -> float:
        return LOW if at < BEFORE else HIGH if at < end else AFTER

    seen = asyncio.run(run(here, rate, end + window + 90, until_one=end))
    early = sum((wanted, routed) != (1, 1) for at, wanted, routed in seen.replicas if at < BEFORE)
    report.count("looks before the step that found more than one replica", early, 0, "")
    report.count(f"{ENOUGH} replicas are routed", first(seen, BEFORE, lambda _, routed: routed >= ENOUGH), 30, "s")
    again = good_again(seen, BEFORE, end)
    report.count("p95 is within its target again", again, 45, "s")
    report.count("steps that one replica was enough for", int(not again), 0, "")
    report.count("requests that failed", len(seen.failed), 0, f"of {seen.sent}")
    back = first(seen, end, lambda wanted, routed: (wanted, routed) == (1, 1))
    report.count(f"back at one replica, at {AFTER:g} requests/s", back, window + GRACE, "s")
    steady(here, report, seen)
    for start in range(int(BEFORE), int(BEFORE + 60), int(WINDOW)):
        took = max((took for at, took in seen.took if start <= at < start + WINDOW), default=0.0)
        report.note(
            f"sent from {start - BEFORE:.0f} s after the step: p95 {seen.p95(start):.2f} s, longest {took:.2f} s"
        )


def check(here: Lab, report: Report) -> None:
    """The step, with the default check: `GET /`, answered when its turn comes."""
    with TemporaryDirectory() as folder:
        for file in APP.iterdir():
            if file.is_file():
                shutil.copy(file, folder)
        rules, found = Path(folder, "paas.toml"), '[processes.web.health]\npath = "/health"\n'
        text = rules.read_text()
        if found not in text:
            raise SystemExit(f"{rules.name} has no health path to leave out")
        rules.write_text(text.replace(found, ""))
        here.paas("deploy", folder, "-a", "queue")
        step(here, report)
    here.paas("deploy", str(APP), "-a", "queue")


def noise(here: Lab, report: Report) -> None:
    """100 requests/s ± 30 % every second. The climb from one replica is in it, but for the numbers of what serves."""
    report.section(f"{NOISY:g} requests/s, ± 30 % every second, for {NOISE / 60:.0f} minutes")
    random.seed(4)
    rates = [NOISY * random.uniform(0.7, 1.3) for _ in range(int(NOISE) + 1)]
    seen = asyncio.run(run(here, lambda at: rates[int(at)], NOISE))
    report.count("changes of direction", len(turns(seen)), NOISE / rules(here)["in_window"], "")
    report.count("requests that failed", len(seen.failed), 0, f"of {seen.sent}")
    few = sum(routed * CAPACITY < NOISY for at, _, routed in seen.replicas if at > CLIMB)
    report.count("looks with fewer replicas than the load needs, after the climb", few, 0, "")
    slow = [start for start in range(int(CLIMB), int(NOISE), int(WINDOW)) if seen.p95(start) > TARGET]
    report.note(f"seconds over the target p95, after the climb: {len(slow) * WINDOW:g}")
    steady(here, report, seen)


def steady(here: Lab, report: Report, seen: Seen) -> None:
    """What holds of every load: within the bounds, and no two changes of direction within one window."""
    line = rules(here)
    numbers = [one for _, *both in seen.replicas for one in both]
    beyond = sum(not line["least"] <= one <= line["most"] for one in numbers)
    report.count(f"numbers seen outside {line['least']} to {line['most']}", beyond, 0, f"of {len(numbers)}")
    for name, of in (("wanted", 1), ("routed", 2)):
        found = [look[of] for look in seen.replicas]
        report.note(f"{name}: {min(found)} to {max(found)}")
    apart = [after - before for before, after in pairwise(turns(seen))]
    report.count("changes of direction within a window", sum(one < line["in_window"] for one in apart), 0, "")
    report.note(f"the closest two are {min(apart):.0f} s apart" if apart else "never two changes of direction")
    told(here, report, seen)


def told(here: Lab, report: Report, seen: Seen) -> None:
    """The line of time, how old the samples were that decided, and what went wrong."""
    last: tuple[int, int] | None = None
    for at, wanted, routed in seen.replicas:
        if (wanted, routed) != last:
            report.note(f"{at:5.0f} s: {wanted} wanted, {routed} routed")
        last = wanted, routed
    for one in here.ask(ExplainAutoscale(app="queue", limit=30))["decisions"]:
        decision, samples = one["decision"], one["samples"]
        if decision["wanted"] != decision["replicas"] and samples:
            age = decision["at"] - samples[-1]["at"]
            report.note(f"{decision['replicas']} → {decision['wanted']} was decided {age:.2f} s after its last sample")
    for at, text in seen.failed[:5]:
        report.note(f"failed at {at:.1f} s: {text}")


PARTS = {"step": step, "check": check, "noise": noise}


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
