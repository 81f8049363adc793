"""What `git push` costs over `paas deploy` of the same kind of change, and what many at once cost the server."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from benchmarks.lab import PAAS, Lab, change_version
from benchmarks.report import Report, interleaved

RUNS = 7
APPS = 10
MOST = 400
"""Megabytes that the server may hold while two pushes to each of those apps are on their way."""
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


def pushes_at_once(lab: Lab, report: Report) -> None:
    """Two pushes to each of ten apps in one moment: the memory of the server, at most; and that the newest commit is
    what serves, after the push that was told to pull was made again."""
    report.section(f"{2 * APPS} pushes at once to {APPS} apps")
    folders = [_with_two_commits(lab, f"many{number}") for number in range(APPS)]
    server = int((Path(lab.environ["PAAS_HOME"]) / "server.pid").read_text().split()[0])
    Path(f"/proc/{server}/clear_refs").write_text("5")  # the peak counts from now
    before, begin = _memory(server, "VmRSS"), time.perf_counter()
    pushes = [
        subprocess.Popen(
            ["git", "push", "--quiet", "paas", f"{rev}:refs/heads/main"], cwd=folder, env=_environ(lab),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for folder in folders
        for rev in ("main~1", "main")
    ]  # fmt: skip
    taken = sum(push.wait() == 0 for push in pushes)
    seconds, most = time.perf_counter() - begin, _memory(server, "VmHWM")
    for folder in folders:
        _git(lab, folder, "push", "--quiet", "paas", "main")
    old = sum(not lab.get(f"{folder.name}.localhost").startswith("second") for folder in folders)
    report.count("server's memory, at most", round(most / 1e6), MOST, "MB")
    report.note(f"{before / 1e6:.0f} MB before")
    report.count("apps that do not serve the newest commit", old, 0, "apps")
    report.note(f"{taken} pushes taken, {len(pushes) - taken} told to pull, in {seconds:.0f} s")


def _with_two_commits(lab: Lab, app: str) -> Path:
    folder = lab.copy_of_app(app)
    _git(lab, folder, "init", "--quiet", "--initial-branch=main")
    _git(lab, folder, "remote", "add", "paas", f"paas::{app}")
    _commit(lab, folder, f"first {app}")
    _commit(lab, folder, f"second {app}")
    return folder


def _memory(pid: int, which: str) -> int:
    """Bytes: `VmRSS` are held now, `VmHWM` the most that were."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{which}:"))


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
    done = subprocess.run(["git", *argv], cwd=folder, env=_environ(lab), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {' '.join(argv)} exited {done.returncode}\n{done.stderr}")


def _environ(lab: Lab) -> dict[str, str]:
    return {**lab.environ, **PERSON, "PATH": f"{PAAS.parent}:{os.environ['PATH']}"}
