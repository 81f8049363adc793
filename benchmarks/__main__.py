"""`python -m benchmarks [deploy|dependency|push|pushes|load|kill|startup|wake|rest …]`: all of them when none is named.

Exit code 1 when a number missed its bound, so that nobody has to read the lines to know.
"""

from __future__ import annotations

import sys

from benchmarks import deploys, faults, idle, push
from benchmarks import wake as waking
from benchmarks.lab import lab
from benchmarks.report import Report

PARTS = {
    "startup": idle.startup,
    "deploy": deploys.code_change,
    "dependency": deploys.one_dependency,
    "push": push.git_push,
    "pushes": push.pushes_at_once,
    "load": faults.deploys_under_load,
    "kill": faults.replica_killed,
    "wake": waking.wake,
    "rest": idle.platform_at_rest,
}


def main(names: list[str]) -> int:
    """Run the named parts on one platform of their own."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    report = Report()
    with lab() as here:
        for name in names or list(PARTS):
            PARTS[name](here, report)
    print(f"\n{len(report.missed)} missed" + (f": {', '.join(report.missed)}" if report.missed else ""))
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
