"""Commits from git URLs: which addresses are taken, what git may do, what comes out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from paas.egress.policy import Policy
from paas.errors import ConfigError, NotFound, PaasError, UsageError
from paas.model.events import Event, silent
from paas.sources import clone, content_id, is_git_url, open_local, redacted

HERE = Policy.of("127.0.0.0/8")
GIT = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "init.defaultBranch=main")


def git(folder: Path, *arguments: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", *GIT, "-C", folder, *arguments], check=True, capture_output=True, text=True, env=environ
    )
    return done.stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    folder = tmp_path / "remote"
    (folder / "pkg").mkdir(parents=True)
    (folder / "app.py").write_text("print(1)\n")
    (folder / "pkg" / "run").write_text("#!/bin/sh\n")
    (folder / "pkg" / "run").chmod(0o755)
    (folder / "current").symlink_to("pkg/run")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    return folder


REFUSED = [
    "ext::sh -c touch% /tmp/x",
    "ext::id",
    "file:///etc",
    "/etc",
    "../app",
    "--upload-pack=id",
    "-oProxyCommand=id",
    "ssh://-oProxyCommand=id/x",
    "ssh://-x@host/x",
    "git@-oProxyCommand=id:x",
    "git@h:-x",
    "-x@h:y",
    "https://-host/x",
    "https://host/-x/",
    "https://host",
    "https://host/a b",
    "https://host/a\nb",
    "https://host:99999/x",
    "git://host/x",
    "fd::17/foo",
    "transport::address",
    "https://host/x#--upload-pack=id",
    "https://host/x#-b",
    "https://host/x#a..b",
    "https://host/x#a b",
    "https://host/x#main:refs/heads/x",
]


@pytest.mark.parametrize("url", REFUSED)
def test_addresses_that_are_not_plain_ones_never_reach_git(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # git would not even be found
    with pytest.raises(UsageError):
        clone(url, tmp_path / "into", emit=silent, timeout=10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/app.git",
        "ssh://git@example.org:2222/app",
        "git@example.org:team/app.git",
        "http://[::1]:80/a",
        "file:///x",
        "ext::id",
    ],
)
def test_a_git_url_is_told_from_a_path(url: str) -> None:
    assert is_git_url(url)


@pytest.mark.parametrize("path", [".", "app", "/srv/app", "../app", "app.tar.gz", "a:b", "C:\\app", "~/app"])
def test_a_path_is_no_git_url(path: str) -> None:
    assert not is_git_url(path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:s3cret@host/x", "https://host/x"),
        ("fatal: unable to access 'https://tok3n@host/x/': The", "fatal: unable to access 'https://host/x/': The"),
        ("ssh://git@host/x and https://a:b@c/d", "ssh://host/x and https://c/d"),
        ("git@host:x", "git@host:x"),
    ],
)
def test_credentials_are_taken_out_of_what_is_shown(text: str, shown: str) -> None:
    assert redacted(text) == shown


def test_the_default_branch_comes_out_with_the_id_its_folder_has(remote: Path, tmp_path: Path) -> None:
    source = clone(f"file://{remote}", tmp_path / "into", emit=silent, timeout=30, allow_file=True)
    assert source.id == open_local(remote).content_id == content_id(tmp_path / "into")
    assert (source.kind, source.version, source.message) == ("git", git(remote, "rev-parse", "HEAD"), "First")
    assert not (tmp_path / "into" / ".git").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["into", "remote"]


def test_a_ref_is_a_branch_a_tag_or_a_commit(remote: Path, tmp_path: Path) -> None:
    first = git(remote, "rev-parse", "HEAD")
    git(remote, "tag", "-a", "v1", "-m", "one")
    git(remote, "checkout", "--quiet", "-b", "feature/x")
    (remote / "app.py").write_text("print(2)\n")
    git(remote, "commit", "--quiet", "--all", "--message", "Second")
    for number, (ref, message) in enumerate(
        {"v1": "First", "main": "First", first: "First", "feature/x": "Second"}.items()
    ):
        into = tmp_path / f"into{number}"
        assert clone(f"file://{remote}#{ref}", into, emit=silent, timeout=30, allow_file=True).message == message


@pytest.mark.parametrize("ref", ["nope", "0" * 40])
def test_a_ref_that_is_not_there_is_named_with_gits_last_words(remote: Path, tmp_path: Path, ref: str) -> None:
    with pytest.raises(NotFound, match=ref) as caught:
        clone(f"file://{remote}#{ref}", tmp_path / "into", emit=silent, timeout=30, allow_file=True)
    assert caught.value.details or ref == "0" * 40
    assert sorted(path.name for path in tmp_path.iterdir()) == ["remote"]


def test_a_repository_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no repository at file://.*/none"):
        clone(f"file://{tmp_path}/none", tmp_path / "into", emit=silent, timeout=30, allow_file=True)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_does_not_exist_is_named_without_the_password(tmp_path: Path) -> None:
    events: list[Event] = []
    with pytest.raises(ConfigError, match=r"nosuch\.invalid") as caught:
        clone("https://me:s3cret@nosuch.invalid/x", tmp_path / "into", emit=events.append, timeout=30)
    told = [caught.value.message, *caught.value.details, *(event.message for event in events)]
    assert not [line for line in told if "s3cret" in line]


def test_hooks_filters_and_links_of_the_repository_do_nothing(remote: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    (remote / ".gitattributes").write_text("*.py filter=evil\n")
    (remote / "out").symlink_to("/etc/passwd")
    (remote / ".env").write_text("x=1")
    (remote / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch proof"\n')
    for name in ("post-checkout", "post-merge"):
        hook = remote / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {proof}\n")
        hook.chmod(0o755)
    git(remote, "add", "--force", "--all")
    git(remote, "commit", "--quiet", "--message", "evil")
    events: list[Event] = []
    clone(f"file://{remote}", tmp_path / "into", emit=events.append, timeout=30, allow_file=True)
    assert not proof.exists()
    assert not (tmp_path / "into" / "out").is_symlink()
    assert not (tmp_path / "into" / ".env").exists()
    assert len([event for event in events if event.kind == "warning"]) == 2


def test_limits_hold_for_repositories_too(remote: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than 2 files"):
        clone(f"file://{remote}", tmp_path / "into", emit=silent, timeout=30, allow_file=True, most=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["remote"]


def test_a_transfer_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        port = silent_server.getsockname()[1]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(PaasError, match="took too long"):
            clone(f"http://127.0.0.1:{port}/x", tmp_path / "into", emit=silent, timeout=1, policy=HERE)
    assert list(tmp_path.iterdir()) == []


def test_whoever_follows_can_end_it_by_raising(remote: Path, tmp_path: Path) -> None:
    def emit(event: Event) -> None:
        if event.kind == "output":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clone(f"file://{remote}", tmp_path / "into", emit=emit, timeout=30, allow_file=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["remote"]


def test_a_commit_that_a_server_does_not_give_by_its_id_is_found_among_its_branches(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = git(remote, "rev-parse", "HEAD")
    for number in range(3):
        git(remote, "commit", "--quiet", "--allow-empty", "--message", f"later {number}")
    # The first of git's protocols gives only what a branch names.
    for name, value in (("COUNT", "1"), ("KEY_0", "protocol.version"), ("VALUE_0", "0")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    source = clone(f"file://{remote}#{wanted}", tmp_path / "into", emit=silent, timeout=30, allow_file=True)
    assert (source.version, source.message) == (wanted, "First")
