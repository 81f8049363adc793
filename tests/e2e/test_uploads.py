"""Folders sent to a server over the network: what that costs both ends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.git_lab import APP
from tests.e2e.platform import PAAS, Platform
from tests.ports import free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

SIZE = 200 << 20


@pytest.fixture(scope="module")
def platform(bases: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that listens on TCP."""
    platform = Platform(tmp_path_factory.mktemp("far"))
    platform.environ |= {"PAAS_LISTEN": f"127.0.0.1:{free_port()}", "PAAS_TOKEN": "open-sesame-1"}
    try:
        platform.ok("up")
        yield platform
    finally:
        platform.close()


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


def deploy_from_afar(platform: Platform, folder: Path) -> int:
    """Deploy by the network; bytes that the command held at most."""
    environ = platform.environ | {"PAAS_HOST": f"http://{platform.environ['PAAS_LISTEN']}"}
    with (folder.parent / "said").open("w+") as said:
        process = subprocess.Popen(
            [str(PAAS), "deploy", "-a", "large", str(folder)], env=environ, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        assert process.returncode == 0, said.read()
    return usage.ru_maxrss * 1024


def held(process: Path) -> int:
    """The most that a process held, in bytes."""
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
