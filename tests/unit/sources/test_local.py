"""What a person deploys: a folder, a commit, an archive; and what stays behind, said in words."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from paas.errors import ConfigError, NotFound, UsageError
from paas.sources import LocalSource, content_id, open_local, unpack

GIT = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "init.defaultBranch=main")


def git(folder: Path, *arguments: str) -> str:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        ["git", *GIT, "-C", folder, *arguments], check=True, capture_output=True, text=True, env=environ
    )
    return done.stdout.strip()


def names(source: LocalSource) -> list[str]:
    out = io.BytesIO()
    source.write_tar(out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        return [member.name for member in tar]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "pkg").mkdir(parents=True)
    (folder / "app.py").write_text("print(1)\n")
    (folder / "pkg" / "run").write_text("#!/bin/sh\n")
    (folder / "pkg" / "run").chmod(0o755)
    (folder / "current").symlink_to("pkg/run")
    return folder


@pytest.fixture
def repository(app: Path) -> Path:
    git(app, "init", "--quiet")
    git(app, "add", "--all")
    git(app, "commit", "--quiet", "--message", "First: it runs")
    return app


def test_a_plain_folder_is_taken_as_it_is(app: Path) -> None:
    source = open_local(app)
    assert (source.kind, source.files, source.size) == ("directory", 3, 19)
    assert names(source) == ["app.py", "current", "pkg/run"]
    assert source.version == source.content_id[:12]
    assert source.warnings == ()


def test_the_tar_unpacks_to_the_same_content_id(app: Path, tmp_path: Path) -> None:
    source = open_local(app)
    with (tmp_path / "up.tar").open("wb") as out:
        source.write_tar(out)
    found = unpack(tmp_path / "up.tar", tmp_path / "into", limit=1 << 20, most=100)
    assert found == source.content_id == content_id(tmp_path / "into")
    assert os.access(tmp_path / "into" / "pkg" / "run", os.X_OK)
    assert (tmp_path / "into" / "current").readlink() == Path("pkg/run")


def test_the_tar_is_always_the_same(app: Path) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    open_local(app).write_tar(first)
    open_local(app).write_tar(second)
    assert first.getvalue() == second.getvalue()


def test_the_content_id_follows_content_bits_links_and_names_and_nothing_else(app: Path) -> None:
    seen = [open_local(app).content_id]
    os.utime(app / "app.py", (5, 5))
    assert open_local(app).content_id == seen[0]
    for change in (
        lambda: (app / "app.py").write_text("print(2)\n"),
        lambda: (app / "app.py").chmod(0o755),
        lambda: (app / "app.py").rename(app / "main.py"),
        lambda: ((app / "current").unlink(), (app / "current").symlink_to("main.py")),
    ):
        change()
        seen.append(open_local(app).content_id)
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("name", [".dockerignore", ".paasignore"])
def test_an_ignore_file_leaves_files_out_and_keeps_what_the_platform_reads(app: Path, name: str) -> None:
    (app / name).write_text("# comment\n*\n!pkg\n")
    for file in ("Dockerfile", "Procfile", "paas.toml", "app.json"):
        (app / file).write_text("x")
    assert names(open_local(app)) == sorted([name, "Dockerfile", "Procfile", "paas.toml", "app.json", "pkg/run"])


def test_the_platforms_ignore_file_wins_over_dockers(app: Path) -> None:
    (app / ".dockerignore").write_text("app.py\n")
    (app / ".paasignore").write_text("pkg\n")
    assert "app.py" in names(open_local(app))
    assert "pkg/run" not in names(open_local(app))


@pytest.mark.parametrize(
    ("pattern", "out"),
    [
        ("pkg", ["pkg/run", "pkg/sub/a.log"]),
        ("pkg/", ["pkg/run", "pkg/sub/a.log"]),
        ("*.log", ["b.log"]),
        ("**/*.log", ["b.log", "pkg/sub/a.log"]),
        ("pkg/**\n!pkg/sub", ["pkg/run"]),
        ("pkg\n!pkg/sub/a.log", ["pkg/run"]),
        ("/app.py", ["app.py"]),
        ("?pp.py", ["app.py"]),
        ("# app.py\n\n", []),
    ],
)
def test_patterns_have_dockers_meaning(app: Path, pattern: str, out: list[str]) -> None:
    (app / "b.log").write_text("")
    (app / "pkg" / "sub").mkdir()
    (app / "pkg" / "sub" / "a.log").write_text("")
    everything = set(names(open_local(app)))
    (app / ".dockerignore").write_text(pattern)
    assert sorted(everything - set(names(open_local(app)))) == out


SECRETS = {
    ".env": "KEY=1",
    "deploy/id_ed25519": "-----",
    "server.pem": "-----BEGIN PRIVATE KEY-----",
    "tls.key": "-----BEGIN RSA PRIVATE KEY-----",
    ".npmrc": "//registry.example/:_authToken=npm_abc\n",
    ".yarnrc.yml": "npmAuthToken: abc\n",
    ".aws/credentials": "x",
    ".git-credentials": "x",
    "store.p12": "x",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_stays_behind_and_is_named(app: Path, name: str) -> None:
    (app / name).parent.mkdir(exist_ok=True)
    (app / name).write_text(SECRETS[name])
    source = open_local(app)
    assert name not in names(source)
    assert len(source.warnings) == 1
    assert source.warnings[0].startswith(f"left out {name.removesuffix('/credentials')}: secrets")


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_comes_along_when_the_ignore_file_says_so(app: Path, name: str) -> None:
    (app / name).parent.mkdir(exist_ok=True)
    (app / name).write_text(SECRETS[name])
    (app / ".paasignore").write_text(f"!{name}\n")
    assert name in names(open_local(app))
    assert open_local(app).warnings == ()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("ca.pem", "-----BEGIN CERTIFICATE-----"),
        ("i18n.key", "hello=world"),
        (".npmrc", "//registry.example/:_authToken=${NPM_TOKEN}\nengine-strict=true\n"),
        (".env.example", "KEY="),
        (".env.production", "VITE_API=/api"),
    ],
)
def test_what_only_looks_like_a_secret_comes_along(app: Path, name: str, body: str) -> None:
    (app / name).write_text(body)
    assert name in names(open_local(app))
    assert open_local(app).warnings == ()


@pytest.mark.parametrize(
    "name", [".venv/bin/python", "node_modules/x/i.js", "pkg/__pycache__/a.pyc", ".git/config", "a/node_modules/y"]
)
def test_what_is_made_again_stays_behind_without_words(app: Path, name: str) -> None:
    (app / name).parent.mkdir(parents=True)
    (app / name).write_text("x")
    assert name not in names(open_local(app))
    assert open_local(app).warnings == ()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "deep/../../../outside", "up/../outside"])
def test_a_link_that_leaves_the_folder_stays_behind(app: Path, target: str) -> None:
    (app.parent / "outside").write_text("secret")
    (app / "pkg" / "up").symlink_to("..")
    (app / "pkg" / "bad").symlink_to(target)
    source = open_local(app)
    assert "pkg/bad" not in names(source)
    assert source.warnings == ("left out pkg/bad: it is a link that leaves the folder",)


def test_a_loop_of_links_does_not_hang(app: Path) -> None:
    (app / "one").symlink_to("two")
    (app / "two").symlink_to("one")
    (app / "self").symlink_to(".")
    assert {"one", "two", "self"} <= set(names(open_local(app)))


def test_sockets_and_pipes_stay_behind_and_are_named(app: Path) -> None:
    os.mkfifo(app / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(app / "sock"))
        source = open_local(app)
    assert sorted(source.warnings) == [
        "left out pipe: it is a socket, pipe or device",
        "left out sock: it is a socket, pipe or device",
    ]


def test_names_of_any_bytes_travel(app: Path, tmp_path: Path) -> None:
    odd = ["ünïcode.txt", "new\nline", "semi;colon $(x)", os.fsdecode(b"latin-\xe9")]
    for name in odd:
        (app / name).write_text("x")
    source = open_local(app)
    with (tmp_path / "up.tar").open("wb") as out:
        source.write_tar(out)
    assert unpack(tmp_path / "up.tar", tmp_path / "into", limit=1 << 20, most=100) == source.content_id
    assert all((tmp_path / "into" / name).exists() for name in odd)


def test_a_file_that_changes_between_is_an_error_that_names_it(app: Path) -> None:
    source = open_local(app)
    (app / "app.py").write_text("")
    with pytest.raises(ConfigError, match=r"app\.py: changed while it was being read"):
        source.write_tar(io.BytesIO())


def test_a_file_that_cannot_be_read_is_named(app: Path) -> None:
    source = open_local(app)
    (app / "app.py").unlink()
    (app / "app.py").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match=r"app\.py: cannot be read"):
        source.write_tar(io.BytesIO())


def test_an_empty_folder_is_no_app(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no app found"):
        open_local(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere does not exist"):
        open_local(tmp_path / "nowhere")


def test_in_a_repository_the_commit_is_deployed_and_the_rest_is_counted(repository: Path) -> None:
    clean = open_local(repository)
    (repository / "app.py").write_text("print(2)\n")
    (repository / "new.py").write_text("x")
    source = open_local(repository)
    assert (source.kind, source.content_id) == ("git", clean.content_id)
    assert source.version == git(repository, "rev-parse", "HEAD")
    assert source.message == "First: it runs"
    assert clean.warnings == ()
    assert source.warnings == ("2 uncommitted files are left out (--worktree takes them along)",)


def test_a_commit_and_its_files_have_the_same_content_id(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    subprocess.run(
        ["cp", "-a", *(repository / name for name in ("app.py", "pkg", "current")), tmp_path / "copy"], check=True
    )
    assert open_local(repository).content_id == open_local(tmp_path / "copy").content_id


def test_the_work_tree_has_uncommitted_files_but_not_ignored_ones(repository: Path) -> None:
    (repository / ".gitignore").write_text("*.tmp\n")
    (repository / "x.tmp").write_text("x")
    (repository / "new.py").write_text("x")
    (repository / "app.py").unlink()
    source = open_local(repository, worktree=True)
    assert names(source) == [".gitignore", "current", "new.py", "pkg/run"]
    assert source.version == source.content_id[:12]


def test_a_clean_work_tree_is_its_commit(repository: Path) -> None:
    assert open_local(repository, worktree=True).version == git(repository, "rev-parse", "HEAD")


def test_a_ref_picks_a_branch_a_tag_or_a_commit(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "v1")
    git(repository, "checkout", "--quiet", "-b", "feature/x")
    (repository / "app.py").write_text("print(2)\n")
    git(repository, "commit", "--quiet", "--all", "--message", "Second")
    assert {open_local(repository, ref=ref).version for ref in ("main", "v1", first, first[:8])} == {first}
    assert open_local(repository, ref="feature/x").message == "Second"


@pytest.mark.parametrize("ref", ["nope", "--upload-pack=id", "-x", "a b", "HEAD:app.py", "main\nx"])
def test_a_ref_that_is_none_is_refused_by_name(repository: Path, ref: str) -> None:
    with pytest.raises(NotFound) as caught:
        open_local(repository, ref=ref)
    assert repr(ref) in caught.value.message


def test_a_subfolder_is_that_folder_of_the_commit(repository: Path) -> None:
    (repository / "pkg" / "draft").write_text("x")
    source = open_local(repository / "pkg")
    assert names(source) == ["run"]
    assert source.warnings == ("1 uncommitted file is left out (--worktree takes them along)",)


def test_a_subfolder_with_nothing_committed_is_taken_as_it_is_and_says_so(repository: Path) -> None:
    (repository / "new").mkdir()
    (repository / "new" / "app.py").write_text("x")
    source = open_local(repository / "new")
    assert names(source) == ["app.py"]
    assert "nothing of this folder is committed" in source.warnings[0]


def test_a_repository_without_a_commit_is_taken_as_it_is(app: Path) -> None:
    git(app, "init", "--quiet")
    assert names(open_local(app)) == ["app.py", "current", "pkg/run"]


def test_a_folder_that_git_ignores_is_a_project_of_its_own(repository: Path) -> None:
    (repository / ".gitignore").write_text("build\n")
    (repository / "build").mkdir()
    (repository / "build" / "app.py").write_text("x")
    assert open_local(repository / "build").kind == "directory"


def test_submodules_and_large_file_pointers_are_told_about(repository: Path, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    (repository / "big.bin").write_text(pointer)
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    git(other, "commit", "--quiet", "--allow-empty", "--message", "x")
    sha = git(other, "rev-parse", "HEAD")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{sha},vendor")
    git(repository, "add", "big.bin")
    git(repository, "commit", "--quiet", "--message", "more")
    warnings = " | ".join(open_local(repository).warnings)
    assert "submodule vendor is not part of the source" in warnings
    assert "big.bin: only a Git LFS pointer" in warnings


def test_committed_links_that_leave_and_secrets_stay_behind_too(repository: Path) -> None:
    (repository / "out").symlink_to("/etc/passwd")
    (repository / ".env").write_text("x=1")
    git(repository, "add", "--force", "--all")
    git(repository, "commit", "--quiet", "--message", "oops")
    source = open_local(repository)
    assert names(source) == ["app.py", "current", "pkg/run"]
    assert len(source.warnings) == 2


def test_filters_and_attributes_of_a_repository_do_not_run(repository: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    git(repository, "config", "filter.evil.smudge", f"touch {proof}; cat")
    git(repository, "config", "filter.evil.clean", "cat")
    (repository / ".gitattributes").write_text("*.py filter=evil export-ignore\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "filter")
    assert "app.py" in names(open_local(repository))
    assert not proof.exists()


def test_surroundings_that_point_git_elsewhere_do_not(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert open_local(repository).kind == "git"


def test_a_password_in_the_origin_is_not_kept(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:s3cret@example.org/app.git")
    assert open_local(repository).origin == "https://example.org/app.git"


def test_a_ref_needs_a_repository(app: Path) -> None:
    with pytest.raises(UsageError, match="not in a git repository"):
        open_local(app, ref="main")


def test_the_files_as_they_are_need_no_repository(app: Path) -> None:
    assert open_local(app, worktree=True).content_id == open_local(app).content_id


def test_a_ref_and_the_work_tree_exclude_each_other(repository: Path) -> None:
    with pytest.raises(UsageError, match="cannot both"):
        open_local(repository, ref="main", worktree=True)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tgz", "tar.xz", "zip"])
def test_an_archive_with_one_top_folder_is_that_folder(app: Path, tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"app-1.0.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as out:
            out.write(app / "app.py", "app-1.0/app.py")
            out.write(app / "pkg" / "run", "app-1.0/pkg/run")
            link = zipfile.ZipInfo("app-1.0/current")
            link.external_attr = 0o120777 << 16
            out.writestr(link, "pkg/run")
    else:
        mode = {"tar": "w", "tar.gz": "w:gz", "tgz": "w:gz", "tar.xz": "w:xz"}[kind]
        with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
            tar.add(app, "app-1.0")
    source = open_local(archive)
    assert (source.kind, source.origin) == ("archive", archive.name)
    assert source.content_id == open_local(app).content_id


@pytest.mark.parametrize(("allowed", "setting"), [({"limit": 10_000}, "LIMIT"), ({"most": 1}, "FILES")])
@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_source_beyond_the_limits_is_refused_before_it_is_sent(
    app: Path, tmp_path: Path, kind: str, allowed: dict[str, int], setting: str
) -> None:
    (app / "zeros").write_bytes(bytes(1 << 20))
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        tar.add(app, "x")
    with pytest.raises(ConfigError, match="the source has more than") as caught:
        open_local(app if kind == "folder" else tmp_path / "bomb.tar.gz", **allowed)
    assert f"PAAS_UPLOAD_{setting}" in caught.value.hint


def test_an_archive_leaves_nothing_behind_when_the_source_is_gone(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(app, "x")
    source = open_local(tmp_path / "a.tar")
    assert list(scratch.iterdir())
    del source
    assert not list(scratch.iterdir())


def test_an_archive_has_no_refs(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(UsageError, match="is an archive"):
        open_local(tmp_path / "a.zip", ref="main")
