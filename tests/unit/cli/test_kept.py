"""What is said here, and what the running server began with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paas.cli.kept import said_anew
from paas.errors import ConfigError
from paas.server.home import began
from paas.settings import FILE, Settings, keep, load


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAAS_HOME", str(tmp_path))
    for name in ("PAAS_HTTP_PORT", "PAAS_HTTPS_PORT", "PAAS_TOKEN", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_port_said_anew_is_found_with_what_the_server_has(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began(load())
    assert said_anew(load()) == ()
    monkeypatch.setenv("PAAS_HTTPS_PORT", "8443")
    assert [str(one) for one in said_anew(load())] == ["PAAS_HTTPS_PORT 443 → 8443"]


def test_the_usual_value_counts_where_it_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAAS_HTTPS_PORT", "8443")
    began(load())
    monkeypatch.setenv("PAAS_HTTPS_PORT", "443")
    assert [one.now for one in said_anew(load())] == ["443"]


def test_a_shell_that_says_nothing_replaces_no_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAAS_HTTPS_PORT", "8443")
    began(load())
    monkeypatch.delenv("PAAS_HTTPS_PORT")
    assert said_anew(load()) == ()


def test_one_said_anew_tells_what_else_the_new_server_would_not_have(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAAS_HTTP_PORT", "8080")
    began(load())
    monkeypatch.delenv("PAAS_HTTP_PORT")
    monkeypatch.setenv("PAAS_HTTPS_PORT", "8443")
    assert [str(one) for one in said_anew(load())] == ["PAAS_HTTP_PORT 8080 → 80", "PAAS_HTTPS_PORT 443 → 8443"]


def test_the_server_file_counts_too(home: Path) -> None:
    began(load())
    keep(home, domain="apps.example.com")
    assert (home / FILE).exists()
    assert [one.name for one in said_anew(load())] == ["PAAS_DOMAIN"]


def test_no_secret_is_kept(home: Path) -> None:
    began(Settings(home=home, token="of-the-server"))
    text = (home / "server.settings").read_text()
    assert "of-the-server" not in text
    assert "PAAS_TOKEN" not in json.loads(text)


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_server_that_tells_nothing_is_left_alone(
    home: Path, text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        (home / "server.settings").write_text(text)
    monkeypatch.setenv("PAAS_HTTPS_PORT", "8443")
    assert said_anew(load()) == ()


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "30", "0.5"])
def test_a_period_of_measuring_that_leaves_rules_blind_is_refused(home: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="expected 1 to 15"):
        load({"PAAS_HOME": str(home), "PAAS_SAMPLE": value})
    assert load({"PAAS_HOME": str(home), "PAAS_SAMPLE": "15"}).sample == 15
    (home / FILE).write_text(f"sample = {value}\n")
    with pytest.raises(ConfigError, match="expected 1 to 15"):
        load({"PAAS_HOME": str(home)})
