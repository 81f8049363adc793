"""The doctor where no server starts."""

from __future__ import annotations

from pathlib import Path

from paas.bootstrap import examined
from paas.settings import Settings


def test_every_check_is_made_without_a_server_and_without_a_store(tmp_path: Path) -> None:
    (tmp_path / "paas.db").write_bytes(b"not a database" * 1000)
    found = {check.name: check for check in examined(_settings(tmp_path), build=False)}
    assert {"engine", "store", "clock", "ports", "networks", "disk (home)"} <= set(found)
    assert not found["engine"].ok
    assert "damaged" in found["store"].message
    assert found["clock"].ok


def test_looking_makes_nothing_in_the_home(tmp_path: Path) -> None:
    examined(_settings(tmp_path / "home"), build=False)
    assert not (tmp_path / "home" / "paas.db").exists()


def _settings(home: Path) -> Settings:
    return Settings(home=home, docker=f"unix://{home}/none.sock", instance="t-nobody", traefik_port=1, http_port=1)
