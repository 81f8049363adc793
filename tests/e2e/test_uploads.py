"""Folders and dumps sent to a server over the network: that they arrive, and what that costs both ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.git_lab import APP
from tests.e2e.platform import PAAS, Platform, listening

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

SIZE = 200 << 20
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    return listening()


def test_a_large_folder_is_held_in_memory_at_neither_end(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP.format(text="large", boot=0))
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "Procfile").write_text("web: python app.py\n")
    with (tmp_path / "large").open("wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    server = Path(f"/proc/{platform.server_pid()}")
    (server / "clear_refs").write_text("5")  # what it held at most counts from now on
    before = held(server)
    client = deploy_from_afar(platform, tmp_path)
    assert platform.get("large").body == "large"
    assert held(server) - before < 40 << 20
    assert client < 150 << 20
    assert not any((platform.folder / "home" / "uploads").iterdir()), "what was sent is removed once it is built"


def test_a_dump_that_was_fetched_from_afar_is_restored_from_there(platform: Platform, tmp_path: Path) -> None:
    platform.environ["PAAS_HOST"] = f"http://{platform.environ['PAAS_LISTEN']}"
    try:
        platform.ok("create", "far")
        platform.ok("addons", "create", "postgres", "-a", "far", "--name", "far-db")
        sql = ("db", "shell", "--addon", "far-db")
        platform.ok(*sql, text="create table kept (id int); insert into kept values (7);")
        backup = platform.ok("db", "backup", "--addon", "far-db").strip()
        platform.ok("db", "download", backup, "--addon", "far-db", cwd=tmp_path)
        platform.ok(*sql, text="update kept set id = 9")
        platform.ok("db", "restore", f"./{backup}.dump", "--addon", "far-db", "--confirm", "far-db", cwd=tmp_path)
        assert "7" in platform.ok(*sql, text="select id from kept").split()
    finally:
        del platform.environ["PAAS_HOST"]


def deploy_from_afar(platform: Platform, folder: Path) -> int:
    """Deploy by the network; bytes that the command held at most.

    The kernel counts what a process held before its exec, which is its parent's memory: hence a small
    parent, not the test's own process.
    """
    environ = platform.environ | {"PAAS_HOST": f"http://{platform.environ['PAAS_LISTEN']}"}
    command = [sys.executable, "-c", MEASURE, str(PAAS), "deploy", "-a", "large", str(folder)]
    done = subprocess.run(command, check=False, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.splitlines()[-1]) * 1024


def held(process: Path) -> int:
    """The most that a process held, in bytes."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
