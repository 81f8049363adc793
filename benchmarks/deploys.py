"""How long a deploy takes, against the same by hand."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.byhand import ByHand, docker
from benchmarks.lab import Lab, change_version
from benchmarks.report import Report, interleaved

RUNS = 7


def code_change(lab: Lab, report: Report) -> None:
    """A code-only change until the new version serves, one replica; and no change at all."""
    report.section("A code-only change, one replica")
    ours, theirs = lab.copy_of_app("speed"), lab.copy_of_app("byhand-app")
    lab.paas("deploy", ours, "-a", "speed")
    hand = ByHand(lab, theirs)
    try:
        hand.start_router()
        hand.deploy()
        counter = iter(range(1, 10_000))
        mine, baseline = interleaved(
            RUNS, lambda: _deploy_change(lab, ours, next(counter)), lambda: _by_hand_change(hand, theirs, next(counter))
        )
        report.ratio("code-only change → new version serves", mine, baseline, 1.3)
        same, ping = interleaved(RUNS, lambda: _timed(lab, "deploy", ours, "-a", "speed"), _engine_round_trip)
        report.difference("no change at all", same, ping, 0.5)
    finally:
        hand.clean()


def one_dependency(lab: Lab, report: Report) -> None:
    """One dependency added, against the same Dockerfile built by hand with uv and a cache mount, then run by hand."""
    report.section("One dependency added")
    ours, theirs = lab.copy_of_app("depend"), lab.copy_of_app("byhand-depend")
    lab.paas("deploy", ours, "-a", "depend")
    hand = ByHand(lab, theirs)
    try:
        hand.start_router()
        hand.deploy()
        # Two lists of the same weight: a package that one side has just fetched is in no cache of the other's.
        mine = iter(["attrs==23.2.0", "certifi==2024.7.4", "idna==3.7", "urllib3==2.2.2", "six==1.17.0"])
        other = iter(["attrs==23.1.0", "certifi==2024.6.2", "idna==3.6", "urllib3==2.2.1", "six==1.16.0"])
        times, baseline = interleaved(
            5, lambda: _deploy_with(lab, ours, next(mine)), lambda: _by_hand_with(hand, theirs, next(other))
        )
        report.ratio("one dependency added → new version serves", times, baseline, 1.2)
    finally:
        hand.clean()


def _deploy_change(lab: Lab, folder: Path, number: int) -> float:
    """What counts is when the new version answers, not when the old one has drained and stopped."""
    change_version(folder, f"ours{number}.")
    return lab.until_served(folder, "speed", f"ours{number}.")


def _deploy_with(lab: Lab, folder: Path, package: str) -> float:
    _add(folder, package)
    change_version(folder, f"{package}.")
    return lab.until_served(folder, "depend", f"{package}.")


def _by_hand_change(hand: ByHand, folder: Path, number: int) -> float:
    change_version(folder, f"hand{number}.")
    return hand.deploy()


def _by_hand_with(hand: ByHand, folder: Path, package: str) -> float:
    _add(folder, package)
    change_version(folder, f"{package}.")
    return hand.deploy()


def _add(folder: Path, package: str) -> None:
    """The app's own two requirements and one more."""
    requirements = folder / "requirements.txt"
    requirements.write_text("\n".join([*requirements.read_text().splitlines()[:2], package]) + "\n")


def _timed(lab: Lab, *argv: str | Path) -> float:
    begin = time.perf_counter()
    lab.paas(*argv)
    return time.perf_counter() - begin


def _engine_round_trip() -> float:
    begin = time.perf_counter()
    docker("version", "--format", "{{.Server.Version}}")
    return time.perf_counter() - begin
