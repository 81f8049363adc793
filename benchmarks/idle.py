"""What the command line costs to start, and the platform at rest."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from pathlib import Path

from benchmarks.byhand import docker
from benchmarks.lab import PAAS, Lab
from benchmarks.report import Report

APPS = 10
SECONDS = 60


def startup(lab: Lab, report: Report) -> None:
    """CPU of `paas --help`, beside a bare interpreter's."""
    report.section("Command start-up")
    python = PAAS.with_name("python")
    ours = min(_cpu([str(PAAS), "--help"]) for _ in range(15))
    bare = min(_cpu([str(python), "-c", "pass"]) for _ in range(15))
    report.count("paas --help, CPU", round(ours * 1000), 150, "ms")
    report.note(f"a bare interpreter takes {bare * 1000:.0f} ms: {ours / bare:.1f} of it")


def platform_at_rest(lab: Lab, report: Report) -> None:
    """Memory and CPU of server, controller and Traefik with ten apps that nobody asks."""
    report.section(f"The platform at rest, {APPS} apps")
    folder = lab.copy_of_app("rest")
    for number in range(APPS):
        lab.paas("deploy", folder, "-a", f"rest{number}")
    time.sleep(10)
    pids = [int((Path(lab.environ["PAAS_HOME"]) / "server.pid").read_text().split()[0])]
    pids.append(int(docker("inspect", "-f", "{{.State.Pid}}", "bench-traefik")))
    before = sum(_ticks(pid) for pid in pids)
    time.sleep(SECONDS)
    cpu = (sum(_ticks(pid) for pid in pids) - before) / os.sysconf("SC_CLK_TCK") / SECONDS
    memory = {pid: _resident(pid) for pid in pids}
    report.count("memory", round(sum(memory.values()) / 1e6), 250, "MB")
    report.note(f"server {memory[pids[0]] / 1e6:.0f} MB, Traefik {memory[pids[1]] / 1e6:.0f} MB")
    report.count("CPU", round(cpu * 100, 2), 2, "% of one core")


def _cpu(argv: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def _resident(pid: int) -> int:
    """Bytes of its own: proportional set size, so that shared pages are counted once."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
