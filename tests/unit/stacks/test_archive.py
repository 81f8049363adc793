"""Where Debian packages come from, and how the minimal Debian is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from paas.errors import PlatformError
from paas.stacks import archive
from paas.stacks.archive import Mirror, arguments, mirror

DEB822 = """\
Types: deb
URIs: {uri}
Suites: bookworm
Components: main
"""


def apt(tmp_path: Path, files: dict[str, str]) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_machine_without_debian_sources_is_asked_to_name_a_mirror(tmp_path: Path) -> None:
    folder = apt(tmp_path, {"sources.list": "deb http://near.example/ubuntu noble main\n"})
    for place in (folder, tmp_path / "nowhere"):
        with pytest.raises(PlatformError, match="names no Debian mirror") as caught:
            mirror("", place)
        assert "PAAS_DEBIAN_MIRROR" in caught.value.hint


def test_the_machines_own_mirror_is_used(tmp_path: Path) -> None:
    lines = "# deb http://no/debian x main\ndeb [arch=amd64 signed-by=/k] http://near.example/debian bookworm main\n"
    folder = apt(tmp_path, {"sources.list": lines})
    assert mirror("", folder) == Mirror("http://near.example/debian", "http://near.example/debian-security")


def test_sources_in_the_newer_format_are_read(tmp_path: Path) -> None:
    text = (
        DEB822.format(uri="http://near.example/debian")
        + "\n"
        + DEB822.format(uri="http://sec.example/debian-security/")
    )
    folder = apt(tmp_path, {"sources.list.d/debian.sources": text})
    assert mirror("", folder) == Mirror("http://near.example/debian", "http://sec.example/debian-security")


def test_the_setting_wins_and_security_is_beside_it(tmp_path: Path) -> None:
    assert mirror("http://corp/debian/", tmp_path) == Mirror("http://corp/debian", "http://corp/debian-security")


def test_a_setting_that_does_not_say_where_security_is_takes_apts_or_is_refused(tmp_path: Path) -> None:
    folder = apt(tmp_path, {"sources.list": "deb http://sec.example/debian-security bookworm-security main\n"})
    assert mirror("http://corp/deb", folder) == Mirror("http://corp/deb", "http://sec.example/debian-security")
    with pytest.raises(PlatformError, match="security archive") as caught:
        mirror("http://corp/deb", tmp_path / "nowhere")
    assert "PAAS_DEBIAN_MIRROR" in caught.value.hint


def test_the_command_has_updates_and_security_and_no_documentation() -> None:
    command = arguments("trixie", Mirror("http://m/debian", "http://m/debian-security"), Path("/out.tar"))
    assert command[0] == "mmdebstrap"
    assert command[-5:] == (
        "trixie",
        "/out.tar",
        "deb http://m/debian trixie main",
        "deb http://m/debian trixie-updates main",
        "deb http://m/debian-security trixie-security main",
    )
    assert "--dpkgopt=path-exclude=/usr/share/doc/*" in command


def test_without_root_the_hint_is_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.os, "geteuid", lambda: 1000)
    with pytest.raises(PlatformError, match="needs root") as caught:
        archive.able()
    assert "`sudo paas ...`" in caught.value.hint


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(archive.os, "geteuid", lambda: 0)
    monkeypatch.setattr(archive, "KEYRING", tmp_path / "none.gpg")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PlatformError, match="needs mmdebstrap and debian-archive-keyring") as caught:
        archive.able()
    assert caught.value.hint.startswith("apt-get install -y mmdebstrap debian-archive-keyring")


def test_a_mirror_that_fails_is_named_with_the_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "mmdebstrap"
    program.write_text("#!/bin/sh\necho 'E: Failed to fetch http://m/debian' >&2\nexit 100\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(archive, "able", lambda: None)
    with pytest.raises(PlatformError, match="Debian trixie cannot be made from http://m/debian") as caught:
        list(archive.root_filesystem("trixie", Mirror("http://m/debian", "http://m/debian-security")))
    assert caught.value.details == ("E: Failed to fetch http://m/debian",)
