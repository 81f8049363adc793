"""What `git push` costs over `paas deploy` of the same kind of change."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from benchmarks.lab import PAAS, Lab, change_version
from benchmarks.report import Report, interleaved

RUNS = 7
PERSON = {"GIT_AUTHOR_NAME": "bench", "GIT_AUTHOR_EMAIL": "bench@example.org", "GIT_COMMITTER_NAME": "bench",
          "GIT_COMMITTER_EMAIL": "bench@example.org"}  # fmt: skip


def git_push(lab: Lab, report: Report) -> None:
    """A code-only change, each way to the end of its command."""
    report.section("git push")
    folder = lab.copy_of_app("pushed")
    _git(lab, folder, "init", "--quiet", "--initial-branch=main")
    _git(lab, folder, "remote", "add", "paas", "paas::pushed")
    _commit(lab, folder, "first")
    _git(lab, folder, "push", "--quiet", "paas", "main")
    counter = iter(range(1, 10_000))
    pushed, deployed = interleaved(
        RUNS, lambda: _push(lab, folder, f"p{next(counter)}"), lambda: _deploy(lab, folder, f"d{next(counter)}")
    )
    report.difference("git push of a code-only change, over paas deploy", pushed, deployed, 1.0)


def _push(lab: Lab, folder: Path, version: str) -> float:
    _commit(lab, folder, version)
    begin = time.perf_counter()
    _git(lab, folder, "push", "--quiet", "paas", "main")
    return time.perf_counter() - begin


def _deploy(lab: Lab, folder: Path, version: str) -> float:
    _commit(lab, folder, version)
    begin = time.perf_counter()
    lab.paas("deploy", folder, "-a", "pushed")
    return time.perf_counter() - begin


def _commit(lab: Lab, folder: Path, version: str) -> None:
    change_version(folder, version)
    _git(lab, folder, "add", "--all")
    _git(lab, folder, "commit", "--quiet", "--message", version)


def _git(lab: Lab, folder: Path, *argv: str) -> None:
    environ = {**lab.environ, **PERSON, "PATH": f"{PAAS.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["git", *argv], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {' '.join(argv)} exited {done.returncode}\n{done.stderr}")
