"""Commits that are few bytes and stand for very many, through a real git: refused in words, and nothing is left."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from paas.egress.policy import Policy
from paas.errors import ConfigError, PaasError
from paas.model.events import Event, silent
from paas.sources import clone, gittree, limits, open_local, pushed
from tests.e2e.packs import delta_bomb_pack, tree_bomb_pack
from tests.git_server import git_server
from tests.unit.sources.test_local import git

HERE = Policy.of("127.0.0.0/8")


def repository(folder: Path, commit: str, pack: bytes) -> Path:
    """A repository that a push with this pack got into, all checks of git included; its objects."""
    git(folder.parent, "init", "--quiet", "--bare", str(folder))
    command = ["git", "-C", str(folder), "index-pack", "--stdin", "--strict"]
    subprocess.run(command, input=pack, check=True, capture_output=True)
    git(folder, "update-ref", "refs/heads/main", commit)
    return folder / "objects"


def written(folder: Path, files: dict[str, bytes], modes: dict[str, str] | None = None) -> str:
    """Make a repository with one commit of these files, without the files; the commit."""
    git(folder.parent, "init", "--quiet", "--initial-branch=main", str(folder))
    lines = [b"commit refs/heads/main\ncommitter a <a@example.org> 1 +0000\ndata 1\nx\n"]
    for path, body in files.items():
        mode = (modes or {}).get(path, "100644").encode()
        lines.append(b"M %b inline %b\ndata %d\n%b\n" % (mode, path.encode(), len(body), body))
    subprocess.run(["git", "-C", folder, "fast-import", "--quiet"], input=b"".join(lines), check=True)
    return git(folder, "rev-parse", "main")


@pytest.mark.timeout(60)
def test_a_push_of_folders_in_folders_is_refused_while_it_is_read(tmp_path: Path) -> None:
    commit, pack = tree_bomb_pack(12)
    objects = repository(tmp_path / "bomb", commit, pack)
    with pytest.raises(ConfigError, match="more than 1000 files"):
        pushed(commit, tmp_path / "out", objects=[objects], emit=silent, most=1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bomb"]


@pytest.mark.timeout(60)
def test_a_git_url_of_folders_in_folders_is_refused_while_it_is_read(tmp_path: Path) -> None:
    commit, pack = tree_bomb_pack(12)
    (tmp_path / "served").mkdir()
    repository(tmp_path / "served" / "bomb", commit, pack)
    with git_server(tmp_path / "served") as server, pytest.raises(ConfigError, match="more than 1000 files"):
        clone(server.url("bomb"), tmp_path / "into", emit=silent, timeout=30, most=1000, policy=HERE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["served"]


@pytest.mark.timeout(60)
def test_what_the_list_leaves_out_is_not_looked_at_without_end(tmp_path: Path) -> None:
    commit = written(tmp_path / "app", {".paasignore": b"a\n", "app.py": b"", **{f"a/{n}": b"" for n in range(25)}})
    objects = [tmp_path / "app" / ".git" / "objects"]
    pushed(commit, tmp_path / "out", objects=objects, emit=silent, most=3)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".paasignore", "app.py"]
    with pytest.raises(ConfigError, match="20 files, with those that are left out"):
        pushed(commit, tmp_path / "again", objects=objects, emit=silent, most=2)


@pytest.mark.timeout(60)
def test_folders_that_hold_nothing_end_with_gits_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gittree, "SECONDS", 1)
    commit, pack = tree_bomb_pack(12, leaf=b"")
    objects = repository(tmp_path / "bomb", commit, pack)
    with pytest.raises(ConfigError, match="git cannot read the commit") as caught:
        pushed(commit, tmp_path / "out", objects=[objects], emit=silent)
    assert "signal" in caught.value.details[0]


def test_a_path_or_link_that_no_disk_takes(tmp_path: Path) -> None:
    far = written(tmp_path / "far", {"app.py": b"", "/".join(["a" * 99] * 50): b""})
    with pytest.raises(ConfigError, match="more than 4096 bytes"):
        pushed(far, tmp_path / "out", objects=[tmp_path / "far" / ".git" / "objects"], emit=silent)
    said: list[Event] = []
    links = {f"link{number}": b"x/" * 3000 for number in range(30)}
    commit = written(tmp_path / "app", {"app.py": b"", **links}, dict.fromkeys(links, "120000"))
    pushed(commit, tmp_path / "out", objects=[tmp_path / "app" / ".git" / "objects"], emit=said.append)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["app.py"]
    assert [event.message for event in said][-1] == "10 more are left out like these"
    assert len(said) == 21


def test_names_have_a_bound_of_their_own(tmp_path: Path) -> None:
    commit = written(tmp_path / "app", {f"{'a' * 200}/{'b' * 200}{number}": b"" for number in range(9)})
    with pytest.raises(ConfigError, match="the names of the files"):
        pushed(commit, tmp_path / "out", objects=[tmp_path / "app" / ".git" / "objects"], emit=silent, most=10)


def test_files_that_are_looked_into_count_before_they_are_read(tmp_path: Path) -> None:
    commit = written(tmp_path / "app", {"app.py": b"", "server.pem": bytes(3000), "zone.key": bytes(3000)})
    objects = [tmp_path / "app" / ".git" / "objects"]
    with pytest.raises(ConfigError, match="MB unpacked"):
        pushed(commit, tmp_path / "out", objects=objects, emit=silent, limit=5000)
    said: list[Event] = []
    pushed(commit, tmp_path / "out", objects=objects, emit=said.append, limit=6000)
    assert [event.message.split(":")[0] for event in said] == ["left out server.pem"]


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    commit = written(tmp_path / "app", {"app.py": b""})
    tree = git(tmp_path / "app", "rev-parse", f"{commit}^{{tree}}")
    (tmp_path / "message").write_text("é" * 3_000_000)
    long = git(tmp_path / "app", "commit-tree", tree, "-F", str(tmp_path / "message"))
    assert gittree.commit(tmp_path / "app", long).subject == "é" * 200
    assert len(gittree.run(tmp_path / "app", "show", "--no-patch", "--format=%s", long, most=1000)) == 1000


@pytest.mark.timeout(120)
def test_a_fetch_may_not_take_more_memory_than_the_limit(tmp_path: Path) -> None:
    commit, pack = delta_bomb_pack(80)
    with (
        git_server(tmp_path, packs={"bomb": (commit, (pack,))}) as server,
        pytest.raises(ConfigError, match="more than 1024 MB of memory"),
    ):
        clone(server.url("bomb"), tmp_path / "into", emit=silent, timeout=60, policy=HERE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
def test_a_fetch_may_not_bring_more_than_the_limit(tmp_path: Path) -> None:
    with (
        git_server(tmp_path, packs={"endless": ("ab" * 20, endless())}) as server,
        pytest.raises(ConfigError, match="more than 2 MB packed"),
    ):
        clone(server.url("endless"), tmp_path / "into", emit=silent, timeout=50, policy=HERE, packed=2 << 20)
    assert list(tmp_path.iterdir()) == []


def endless() -> Iterator[bytes]:
    """A pack of one blob that goes on for 32 GB, in stored blocks (RFC 1951)."""
    yield b"PACK" + struct.pack(">II", 2, 1) + b"\xb0\x80\x80\x80\x80\x01" + b"\x78\x01"
    block = b"\x00\xff\xff\x00\x00" + os.urandom(0xFFFF)
    for _ in range(500_000):
        yield block


def test_limits_hold_for_what_git_starts() -> None:
    alias = "alias.show-limits=!sh -c 'ulimit -d; ulimit -t; ulimit -f; ulimit -c'"
    command = limits.limited(["git", "-c", alias, "show-limits"], seconds=7, file=1025)
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=gittree.environment())
    assert done.stdout.split() == [str(limits.MEMORY // 1024), "7", "3", "0"]


def test_a_lower_limit_stays() -> None:
    inner = limits.limited(["git", "-c", "alias.limits=!ulimit -d", "limits"])
    command = ["/bin/sh", "-c", 'ulimit -d 500000; exec "$@"', "sh", *inner]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=gittree.environment())
    assert done.stdout.strip() == "500000"


def test_as_many_files_as_are_allowed_come(tmp_path: Path) -> None:
    commit = written(tmp_path / "app", {f"pkg{n % 7}/file{n}": b"%d" % n for n in range(2000)})
    objects = [tmp_path / "app" / ".git" / "objects"]
    source = pushed(commit, tmp_path / "out", objects=objects, emit=silent, most=2000)
    git(tmp_path / "app", "checkout", "--quiet", "main")
    assert source.id == open_local(tmp_path / "app").content_id
    with pytest.raises(PaasError, match="more than 1999 files"):
        pushed(commit, tmp_path / "not", objects=objects, emit=silent, most=1999)
