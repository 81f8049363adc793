"""`paas detect`, `dockerfile`, `check` and `init`: standard output is data, the rest is talk."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from paas.cli.source import app
from paas.errors import Conflict, NothingDetected

APPS = Path(__file__).parents[2] / "apps"


@pytest.fixture(autouse=True)
def _no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAAS_STACK", "debian")


def run(*argv: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in argv], catch_exceptions=False)


def test_detect_says_what_and_with_explain_why() -> None:
    short = run("detect", APPS / "flask-hello").stdout
    assert "buildpack  python" in short
    assert "app.py:3" not in short
    assert "app.py:3" in run("detect", APPS / "flask-hello", "--explain").stdout
    assert json.loads(run("detect", APPS / "flask-hello", "--json").stdout)["buildpack"] == "python"


def test_dockerfile_prints_the_dockerfile_alone_and_warns_beside_it() -> None:
    found = run("dockerfile", APPS / "vite-spa")
    assert found.stdout.startswith("FROM ")
    assert "warning: package.json has no lock file" in found.stderr


def test_check_is_content_with_good_apps_and_refuses_bad_ones() -> None:
    assert "nothing wrong" in run("check", APPS / "guestbook").stdout
    assert json.loads(run("check", APPS / "guestbook", "--json").stdout)["ok"] is True
    with pytest.raises(NothingDetected):
        run("check", APPS / "bad-nothing")


def test_init_writes_a_manifest_that_is_right_and_whose_every_comment_would_be(tmp_path: Path) -> None:
    folder = tmp_path / "My Shop!"
    folder.mkdir()
    (folder / "app.py").write_text("def app(environ, start_response): pass\n")
    run("init", folder)
    path = folder / "paas.toml"
    assert tomllib.loads(path.read_text()) == {"name": "my-shop"}
    with pytest.raises(Conflict):
        run("init", folder)
    run("init", folder, "--force", "--name", "other")
    assert tomllib.loads(path.read_text()) == {"name": "other"}
    path.write_text(re.sub(r"^# (?=\[|[A-Za-z_]+ = )", "", path.read_text(), flags=re.MULTILINE))
    assert len(tomllib.loads(path.read_text())) > 5
    assert "nothing wrong" in run("check", folder).stdout
