"""The command line in this process, against a server of stubs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from paas.cli.entry import run
from tests.unit.server.stub import Running, running
from tests.unit.sources.test_local import git


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Paas = Callable[..., Ran]


@pytest.fixture
def paas(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Paas:
    """Run `paas …` in an empty folder, with no settings but those of this test."""
    import os

    for name in list(os.environ):
        if name.startswith(("PAAS_", "_PAAS")) or name in ("CI", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PAAS_HOME", str(tmp_path / "no-home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    here = tmp_path / "my-app"
    here.mkdir()
    monkeypatch.chdir(here)

    def command(*argv: str) -> Ran:
        capfd.readouterr()
        code = run(list(argv))
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return command


@pytest.fixture
def server(paas: Paas, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server that the commands of this test reach; its operations end at once."""
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, running(Path(name)) as found:
        monkeypatch.setenv("PAAS_HOME", name)
        found.operations.go.set()
        yield found


@pytest.fixture
def repository(paas: Paas) -> Path:
    """The folder the commands run in, as a repository."""
    git(Path.cwd(), "init", "--quiet")
    return Path.cwd()
