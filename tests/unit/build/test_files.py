"""The view of an app's files: what it reads, and what it never opens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from paas.build.files import Files
from paas.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    app = tmp_path / "app"
    (app / "pkg").mkdir(parents=True)
    (app / "app.py").write_text("x = 1\n")
    (app / "pkg" / "mod.py").write_text("y = 2\n")
    return app


def test_disk_and_memory_show_the_same_app(folder: Path) -> None:
    disk = Files.of(folder)
    memory = Files.from_mapping({"app.py": "x = 1\n", "pkg/mod.py": "y = 2\n"})
    for files in (disk, memory):
        assert files.paths == ("app.py", "pkg/mod.py")
        assert files.names() == ("app.py",)
        assert files.names("pkg") == ("mod.py",)
        assert files.glob("*.py") == ("app.py", "pkg/mod.py")
        assert files.has("pkg/mod.py")
        assert not files.has("pkg")
        assert files.has_folder("pkg")
        assert files.text("app.py") == "x = 1\n"
        with pytest.raises(ConfigError, match=r"gone\.py"):
            files.text("gone.py")


def test_links_are_followed_inside_the_folder_and_never_out_of_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "inside").symlink_to("app.py")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to("../secret")
    (folder / "etc").symlink_to("/etc")
    (folder / "loop").symlink_to("loop")
    files = Files.of(folder)
    assert files.text("inside") == "x = 1\n"
    for name in ("out", "up", "etc/passwd", "loop", "../secret", "/etc/passwd", "a\0b"):
        assert not files.has(name), name
        with pytest.raises(ConfigError):
            files.text(name)
    assert files.paths == ("app.py", "inside", "pkg/mod.py")


def test_a_fifo_is_not_opened_for_good_and_not_listed(folder: Path) -> None:
    os.mkfifo(folder / "Procfile")
    files = Files.of(folder)
    assert not files.has("Procfile")
    with pytest.raises(ConfigError, match="not a regular file"):
        files.text("Procfile")


def test_what_installing_made_is_skipped_and_named(folder: Path) -> None:
    for name in ("node_modules/x/index.js", "web/venv/lib/a.py", ".git/config", "__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("")
    (folder / "my-env").mkdir()
    (folder / "my-env" / "pyvenv.cfg").write_text("")
    assert Files.of(folder).skipped == (".git", "__pycache__", "my-env", "node_modules", "web/venv")
    assert Files.of(folder).paths == ("app.py", "pkg/mod.py")
    assert Files.from_mapping({"a.py": "", "web/venv/a.py": ""}).skipped == ("web/venv",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("web: x".encode("utf-16"), "UTF-16"),
        (b"web\0", "not text"),
        (b"ok\nbad \xff\n", "not UTF-8"),
        (b"x" * 101, "larger than 0 KiB"),
    ],
)
def test_what_is_no_small_utf8_text_is_refused_with_its_name(content: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Files.from_mapping({"Procfile": content}).text("Procfile", 100)
    assert caught.value.where.startswith("Procfile")


def test_a_byte_order_mark_is_dropped() -> None:
    assert Files.from_mapping({"a": b"\xef\xbb\xbfweb: x"}).text("a") == "web: x"


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(ConfigError):
            Files.of(path)
