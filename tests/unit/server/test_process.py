"""The server process: one a home, a clean end, and words when it cannot begin. Its Engine is one that is not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from paas.cli import daemon
from paas.client import Client
from paas.errors import ServerUnavailable
from paas.requests.apps import ListApps
from paas.settings import Settings
from tests.unit.server.stub import eventually

COMMAND = [sys.executable, "-m", "paas.server"]


def environ(home: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PAAS_HOME": str(home),
        "PAAS_STACK": "debian",
        "DOCKER_HOST": f"unix://{home}/no-engine.sock",
        **more,
    }


def ran(home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A server that is expected to end by itself."""
    return subprocess.run(COMMAND, env=environ(home, **more), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def home(folder: Path, request: pytest.FixtureRequest) -> Path:
    return folder / f"h{abs(hash(request.node.name)) % 10_000}"


@pytest.fixture
def process(home: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        COMMAND, env=environ(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as found:
        try:
            with Client.connect(Settings(home=home)) as client:
                eventually(lambda: client.version() or found.poll() is not None, seconds=30)
            assert found.poll() is None, found.communicate()[0]
            yield found
        finally:
            if found.poll() is None:
                found.send_signal(signal.SIGKILL)


def test_it_serves_without_an_engine_and_keeps_its_state_to_itself(process: object, home: Path) -> None:
    with Client.connect(Settings(home=home)) as client:
        assert client.ask(ListApps()) == []
    assert home.stat().st_mode & 0o077 == 0
    assert (home / "paas.sock").stat().st_mode & 0o777 == 0o600
    assert json.loads((home / "server.settings").read_text())["PAAS_STACK"] == "debian"


def test_it_ends_cleanly_when_told_and_leaves_neither_socket_nor_pid(
    process: subprocess.Popen[str], home: Path
) -> None:
    assert (home / "server.pid").read_text().strip() == str(process.pid)
    process.terminate()
    assert process.wait(30) == 0
    assert not (home / "server.pid").exists()
    assert not (home / "paas.sock").exists()
    lines = [json.loads(line) for line in (home / "server.log").read_text().splitlines()]
    assert [line["message"] for line in lines if line["logger"] == "paas.server"][-2:] == ["told to stop", "stopped"]


def test_a_second_one_for_the_same_home_refuses_and_names_the_first(process: subprocess.Popen[str], home: Path) -> None:
    second = ran(home)
    assert second.returncode == 4
    assert str(process.pid) in second.stderr
    assert "Traceback" not in second.stderr
    with Client.connect(Settings(home=home)) as client:
        assert client.version(), "the first one serves on"


def test_a_killed_one_leaves_nothing_that_keeps_the_next_from_starting(
    process: subprocess.Popen[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process.kill()
    process.wait(30)
    settings = Settings(home=home)
    assert daemon.left_behind(settings)
    assert not daemon.owned(settings)
    for name, value in environ(home).items():
        monkeypatch.setenv(name, value)
    daemon.start(settings)
    pid = int((home / "server.pid").read_text())
    try:
        assert pid != process.pid
        assert daemon.owned(settings)
        assert os.getsid(pid) == pid, "no Ctrl-C of a terminal reaches it"
    finally:
        os.kill(pid, signal.SIGTERM)
    assert daemon.stopped(settings)
    assert not daemon.left_behind(settings)


def test_a_laptop_without_an_engine_is_told_of_other_machines_and_gets_no_server(home: Path) -> None:
    own = environ(home, HOME=str(home), XDG_CONFIG_HOME=str(home / "config"))

    def apps() -> str:
        command = [sys.executable, "-m", "paas", "apps"]
        done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 9, done
        assert not daemon.owned(Settings(home=home))
        return done.stderr

    for _ in range(2):
        assert "Is the platform on another machine: paas login https://…" in apps()
    kept = home / "config" / "paas" / "contexts.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"current": "", "contexts": {"work": {"server": "https://paas.example.com", "token": "t"}}}')
    kept.chmod(0o600)
    assert "another machine: paas contexts use work" in apps()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"PAAS_LISTEN": "127.0.0.1:0"}, "PAAS_LISTEN"),
        ({"PAAS_LISTEN": "127.0.0.1:8800"}, "PAAS_TOKEN"),
        ({"PAAS_TICK": "soon"}, "PAAS_TICK"),
    ],
)
def test_wrong_settings_keep_it_from_starting_and_are_named(home: Path, more: dict[str, str], words: str) -> None:
    done = ran(home, **more)
    assert done.returncode == 5, done
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (home / "server.pid").exists()


def test_a_home_too_deep_for_a_socket_is_named(folder: Path) -> None:
    done = ran(folder / ("x" * 120))
    assert done.returncode == 5
    assert "too long for a socket" in done.stderr


def test_a_start_that_fails_shows_what_the_server_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environ(home, PAAS_LISTEN="127.0.0.1:8800").items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ServerUnavailable) as caught:
        daemon.start(Settings(home=home))
    assert any("PAAS_TOKEN" in line for line in caught.value.details)
