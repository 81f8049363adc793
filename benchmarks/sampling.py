"""`python -m benchmarks.sampling [REPLICAS]`: what measuring so many replicas (100) costs at the default period.

In percent of one core: this process, and the Engine that it asks. Real containers that sleep; the router's page is that
of as many apps, made here, so what Traefik spends on writing it is not in it.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from benchmarks.report import Report
from paas.clock import SystemClock
from paas.engines import docker_use
from paas.model.events import silent
from paas.model.route import Traffic
from paas.model.service import HealthCheck, HealthKind, Limits, ServiceSpec
from paas.routers.traefik import connections, metrics
from paas.settings import Settings
from paas.signals.ring import Ring
from paas.store.memory import MemoryStore
from paas.usecases.context import Context, Locks
from paas.usecases.sampling import Sampler
from tests.contract.engine_lab import DockerLab, docker_lab

BOUND = 5.0
"""Percent of one core."""
LOOKS = 40
AN_APP = 50
"""Replicas of one app: its network has room for 61."""

USUAL = ((200, "GET"), (200, "POST"), (404, "GET"), (500, "GET"))
METHODS = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
ALL = tuple((code, method) for code in range(100, 1000) for method in METHODS)
"""What an app can have Traefik count at most."""


class Page:
    """A router that answers with a page as long as that of so many apps, each with these statuses and methods."""

    def __init__(self, apps: int, pairs: Sequence[tuple[int, str]] = USUAL) -> None:
        self._count = itertools.count(1)
        labels = [
            f'code="{code}",method="{method}",protocol="http",router="app-{app:08x}@file",service="app-{app:08x}@file"'
            for app in range(apps)
            for code, method in pairs
        ]
        bounds = [*(f"{bound:g}" for bound in metrics.BUCKETS), "+Inf"]
        self._lines = [f"traefik_router_requests_total{{{one}}}" for one in labels]
        name = "traefik_router_request_duration_seconds"
        self._lines += [f'{name}_bucket{{{one},le="{bound}"}}' for one in labels for bound in bounds]
        self._lines += [f"{name}_sum{{{one}}}" for one in labels]

    def traffic(self) -> tuple[Traffic, ...]:
        """The page, read anew."""
        return metrics.read([self.text()]).traffic

    def text(self) -> str:
        """The page, with other numbers each time."""
        count = next(self._count) * 100
        return "".join(f"{line} {count}\n" for line in self._lines)

    def in_flight(self, servers: Collection[str]) -> Mapping[str, int]:
        """The kernel's own list."""
        return connections.in_flight(servers)


def main(arguments: Sequence[str]) -> int:
    """Start the replicas, look at them, tell the cost, and take them away."""
    replicas = int(arguments[0]) if arguments else 100
    report = Report()
    with tempfile.TemporaryDirectory() as folder, docker_lab(Path(folder)) as lab:
        started(lab, replicas)
        ring = Ring(Path(folder))
        try:
            measure(lab, ring, replicas, report)
        finally:
            ring.close()
    return 1 if report.missed else 0


def started(lab: DockerLab, replicas: int) -> None:
    """Containers that only sleep."""
    for number, first in enumerate(range(0, replicas, AN_APP)):
        app_id = f"{number:08x}"
        spec = ServiceSpec(
            app_id=app_id, app_name=f"app{number}", process="web", release=1, image=lab.image,
            command=("sleep", "100000"), limits=Limits(memory=32 << 20, cpus=0.5, pids=16),
            health=HealthCheck(kind=HealthKind.RUNNING), stop_grace=0.0, networks=(f"{lab.instance}-{app_id}",),
            port=8000,  # where nobody listens: it makes them servers, whose requests in flight are looked for
        )  # fmt: skip
        lab.engine.apply(spec, min(AN_APP, replicas - first), silent)


def measure(lab: DockerLab, ring: Ring, replicas: int, report: Report) -> None:
    """Two looks to open what stays open, then the cost of some dozens."""
    clock, period = SystemClock(), Settings().sample
    context = Context(
        settings=replace(lab.settings), store=MemoryStore(), engine=lab.engine, builder=cast(Any, None),
        stack=cast(Any, None), router=cast(Any, Page(replicas)), clock=clock, locks=Locks(clock),
    )  # fmt: skip
    sampler = Sampler(context, ring)
    sampler()
    sampler()
    found = sum(one.used is not None for one in lab.engine.measure())
    if found != replicas or not engine_seconds():
        raise SystemExit(f"{found} of {replicas} replicas can be measured, or no dockerd is seen: this would cost less")
    report.section(f"sampling {found} replicas, one look in {period:g} s")
    begun, engine, wall = time.process_time(), engine_seconds(), time.perf_counter()
    for _ in range(LOOKS):
        sampler()
    ours, theirs = (time.process_time() - begun) / LOOKS, (engine_seconds() - engine) / LOOKS
    wall = (time.perf_counter() - wall) / LOOKS
    kept(ring, replicas)
    report.count("this process", ours / period * 100, BOUND, "% of one core")
    report.count("with the Engine", (ours + theirs) / period * 100, BOUND, "% of one core")
    report.note(
        f"a look takes {wall * 1000:.0f} ms: {ours * 1000:.0f} ms of CPU here, {theirs * 1000:.0f} ms the Engine's"
    )
    files(lab, report)
    odd(report, period)


def kept(ring: Ring, replicas: int) -> None:
    """Raise SystemExit unless every look left a sample of every replica, with what it used."""
    for number in range(replicas):
        app_id, name = f"{number // AN_APP:08x}", f"web.{number % AN_APP + 1}"
        found = ring.recent(app_id, name, 3600.0)
        if len(found) < LOOKS or not {"cpu", "memory", "network_in", "in_flight"} <= found[-1].values.keys():
            raise SystemExit(f"{len(found)} samples of {name} in {app_id} after {LOOKS} looks: {found[-1:]}")


def files(lab: DockerLab, report: Report) -> None:
    """Of that, the cgroup files alone: kept open, and opened each time."""
    found = [(one["Id"], lab.api.inspect_container(one["Id"])["State"]["Pid"]) for one in lab.containers()]
    times = []
    for room in (None, 0):
        uses = docker_use.Uses(room=room)
        for id, pid in found:
            uses.of(pid, id)
        begun = time.process_time()
        for id, pid in found:
            uses.of(pid, id)
        times.append(time.process_time() - begun)
        uses.close()
    report.note(
        f"cgroup files and network: {times[0] * 1000:.1f} ms kept open, {times[1] * 1000:.1f} ms opened each time"
    )


def odd(report: Report, period: float) -> None:
    """What reading the page costs when one app answers with everything there is."""
    page = Page(1, ALL)
    page.traffic()
    text = page.text()
    begun = time.process_time()
    metrics.read([text])
    spent = time.process_time() - begun
    report.count("reading every status of one app", spent / period * 100, BOUND, "% of one core")


def engine_seconds() -> float:
    """CPU seconds of dockerd so far; 0 where it cannot be seen."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "comm").read_text().strip() == "dockerd":
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue
    return 0.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
