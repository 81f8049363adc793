"""A commit out of folders of git objects, while the repository it was pushed to does not have it yet."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from paas.errors import ConfigError, NotFound, UsageError
from paas.model.events import Event, silent
from paas.sources import gittree, open_local, pushed
from tests.unit.sources.test_local import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits; the second one changes the text of the app."""
    folder = tmp_path / "app"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, "first")
    commit(folder, "second")
    return folder


def commit(folder: Path, text: str, name: str = "app.py") -> str:
    (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", f"{text[:20]}: said")
    return git(folder, "rev-parse", "HEAD")


def test_a_commit_becomes_a_folder_with_the_content_id_it_has_everywhere(repository: Path, tmp_path: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    source = pushed(head, tmp_path / "out", objects=[repository / ".git" / "objects"], emit=silent)
    assert (tmp_path / "out" / "app.py").read_text() == "second"
    assert source.id == open_local(repository).content_id
    assert (source.kind, source.version, source.message) == ("git", head, "second: said")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app", "out"], "nothing else is left"


def test_a_commit_is_enough_what_was_before_it_may_be_missing(repository: Path, tmp_path: Path) -> None:
    git(repository, "clone", "--quiet", "--bare", "--depth=1", f"file://{repository}", str(tmp_path / "shallow"))
    head = git(repository, "rev-parse", "HEAD")
    source = pushed(head, tmp_path / "out", objects=[tmp_path / "shallow" / "objects"], emit=silent)
    assert (source.version, source.message) == (head, "second: said")


def test_objects_that_are_kept_apart_are_found_with_those_they_build_on(repository: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(repository / ".git" / "objects", kept)
    before = {path for path in kept.rglob("*") if path.is_file()}
    head = commit(repository, "another", "more.py")
    apart = tmp_path / "apart"
    for path in (repository / ".git" / "objects").rglob("*"):
        relative = path.relative_to(repository / ".git" / "objects")
        if path.is_file() and kept / relative not in before:
            (apart / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, apart / relative)
    with pytest.raises((NotFound, ConfigError)):
        pushed(head, tmp_path / "none", objects=[kept], emit=silent)
    pushed(head, tmp_path / "out", objects=[kept, apart], emit=silent)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["app.py", "more.py"]


@pytest.mark.parametrize("name", ["HEAD", "main", "--all", "", "a" * 39, "../../etc", "a" * 40 + "\n", "A" * 40])
def test_only_a_whole_commit_id_names_a_commit(repository: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no commit id"):
        pushed(name, tmp_path / "out", objects=[repository / ".git" / "objects"], emit=silent)


def test_a_commit_that_is_not_there_is_said_so(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no commit"):
        pushed("ab" * 20, tmp_path / "out", objects=[repository / ".git" / "objects"], emit=silent)


@pytest.mark.parametrize("limits", [{"limit": 1000}, {"most": 1}])
def test_a_source_over_the_limits_is_refused(repository: Path, tmp_path: Path, limits: dict[str, int]) -> None:
    head = commit(repository, "x" * 2000, "big")
    with pytest.raises(ConfigError, match="more than"):
        pushed(head, tmp_path / "out", objects=[repository / ".git" / "objects"], emit=silent, **limits)
    assert not (tmp_path / "out").exists()


def test_files_are_read_in_pieces_and_what_is_not_read_is_skipped(repository: Path) -> None:
    for number in range(3):
        commit(repository, f"{number}" * 3_000_000, f"file{number}")
    tree = gittree.GitTree(repository, gittree.commit(repository, "HEAD"))
    said = {entry.path: body.read(2) for entry, body in tree.bodies()}
    assert said == {"app.py": b"se", "file0": b"00", "file1": b"11", "file2": b"22"}
    whole = {
        entry.path: sum(len(part) for part in iter(lambda b=body: b.read(4096), b"")) for entry, body in tree.bodies()
    }  # type: ignore[misc]
    assert whole == {"app.py": 6, "file0": 3_000_000, "file1": 3_000_000, "file2": 3_000_000}


def test_a_submodule_without_an_address_is_left_out_and_said_so(repository: Path, tmp_path: Path) -> None:
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'ab' * 20},library")
    git(repository, "commit", "--quiet", "--message", "with a submodule")
    said: list[Event] = []
    head = git(repository, "rev-parse", "HEAD")
    pushed(head, tmp_path / "out", objects=[repository / ".git" / "objects"], emit=said.append)
    warnings = [event.message for event in said if event.kind == "warning"]
    assert len(warnings) == 1
    assert warnings[0].startswith("submodule library is not part of the source")
    assert not (tmp_path / "out" / "library").exists()


def test_a_pointer_of_git_lfs_is_said_so(repository: Path, tmp_path: Path) -> None:
    commit(repository, f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n", "big.bin")
    said: list[Event] = []
    head = git(repository, "rev-parse", "HEAD")
    pushed(head, tmp_path / "out", objects=[repository / ".git" / "objects"], emit=said.append)
    assert [event.message for event in said if event.kind == "warning"] == [
        "big.bin: only a Git LFS pointer, the content is not part of the source"
    ]
