"""The systemd unit: what it says, and what systemd itself thinks of it where that can be asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from paas.cli import daemon


def test_the_unit_starts_this_python_with_the_environment_that_is_kept() -> None:
    lines = daemon.unit("/opt/paas/bin/python", Path("/var/lib/paas/server.env")).splitlines()
    assert "ExecStart=/opt/paas/bin/python -m paas.server" in lines
    assert "EnvironmentFile=-/var/lib/paas/server.env" in lines
    assert "WantedBy=multi-user.target" in lines


def test_blanks_and_percent_signs_in_paths_stay_themselves() -> None:
    assert "ExecStart=/a\\x20b/%%h/python -m" in daemon.unit("/a b/%h/python", Path("/x"))


def test_the_environment_holds_settings_and_the_way_to_the_network_and_nothing_else() -> None:
    given = {"PAAS_HTTP_PORT": "8080", "HTTPS_PROXY": "http://p", "AWS_SECRET": "x", "PAAS_DOMAIN": "a\nb=c"}
    assert set(daemon.environment(given)) == {"PAAS_HTTP_PORT", "HTTPS_PROXY", "MALLOC_ARENA_MAX"}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this machine has no systemd-analyze")
def test_systemd_has_nothing_to_complain_about(tmp_path: Path) -> None:
    path = tmp_path / "paas.service"
    path.write_text(daemon.unit(sys.executable, tmp_path / "server.env"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "paas.service" in line] == []
    assert done.returncode == 0
