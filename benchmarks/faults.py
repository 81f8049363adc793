"""Requests that fail while versions are swapped and replicas die. The load is bounded and goes to loopback only."""

from __future__ import annotations

import time

from benchmarks.byhand import docker
from benchmarks.lab import Lab, change_version
from benchmarks.load import Load, Seen
from benchmarks.report import Report

DEPLOYS = 20


def deploys_under_load(lab: Lab, report: Report) -> None:
    """20 deploys in a row under a constant load, keep-alive and not, and with requests that last 3 s."""
    report.section(f"{DEPLOYS} deploys in a row under load")
    folder = lab.copy_of_app("swap")
    lab.paas("deploy", folder, "-a", "swap")
    lab.paas("scale", "web=2", "-a", "swap")
    host, seconds = "swap.localhost", 150
    loads = {
        "keep-alive, 150/s": Load(lab.port, host, rate=150, workers=10, seconds=seconds),
        "new connections, 80/s": Load(lab.port, host, rate=80, workers=10, seconds=seconds, keep_alive=False),
        "requests of 3 s": Load(lab.port, host, "/slow?s=3", rate=6, workers=6, seconds=seconds),
    }
    begin = time.perf_counter()
    for number in range(DEPLOYS):
        change_version(folder, f"swap{number}.")
        lab.paas("deploy", folder, "-a", "swap")
    report.note(f"{DEPLOYS} deploys took {time.perf_counter() - begin:.0f} s of the load's {seconds} s")
    if time.perf_counter() - begin > seconds:
        report.missed.append("the load ended before the deploys did")
    for name, load in loads.items():
        _failed(report, name, load.result(), most=0)


def replica_killed(lab: Lab, report: Report) -> None:
    """One of two replicas killed while 500 requests pass."""
    report.section("A replica killed under load")
    folder = lab.copy_of_app("kill")
    lab.paas("deploy", folder, "-a", "kill")
    lab.paas("scale", "web=2", "-a", "kill")
    for event in range(3):
        load = Load(lab.port, "kill.localhost", rate=100, workers=10, seconds=5)
        time.sleep(2)
        victim = docker("ps", "-q", "--filter", "label=paas.instance=bench", "--filter", "label=paas.app-name=kill")
        docker("kill", victim.split()[0])
        seen = load.result()
        _failed(report, f"kill {event + 1}", seen, most=4)
        report.count(f"kill {event + 1}: slowest answer", seen.slowest, 1.0, "s")
        _until_two(lab)


def _until_two(lab: Lab) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if sum(replica["state"] == "healthy" for replica in lab.json("ps", "-a", "kill")["replicas"]) == 2:
            return
        time.sleep(0.5)
    raise SystemExit("the killed replica did not come back in 60 s")


def _failed(report: Report, name: str, seen: Seen, *, most: int) -> None:
    report.count(f"{name}: failed of {seen.good + seen.bad}", seen.bad, most, "requests")
    report.note(f"{seen.rate:.0f} requests/s, slowest {seen.slowest:.2f} s" + "".join(f"; {e}" for e in seen.errors))
