"""Submodules of a pushed commit: where they come from, where they go, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from paas.errors import ConfigError, NotFound, PaasError
from paas.model.app import Source
from paas.model.events import Event, silent
from paas.sources import content_id, gittree, pushed
from paas.sources.submodules import MOST, addresses, fill
from tests.unit.sources.test_local import git

BOTH = ("https", "file")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A repository that others take in: two commits."""
    folder = tmp_path / "library"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for text in ("old", "new"):
        (folder / "lib.py").write_text(text)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", text)
    return folder


def app(folder: Path, *modules: tuple[str, str, str]) -> Path:
    """A repository whose commit has these submodules: path, url, commit."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "app.py").write_text("import lib")
    (folder / ".gitmodules").write_text(
        "".join(f'[submodule "{path}"]\n\tpath = {path}\n\turl = "{url}"\n' for path, url, _ in modules)
    )
    git(folder, "add", "--all")
    for path, _, commit in modules:
        git(folder, "update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def push(
    repository: Path, into: Path, said: list[Event], schemes: tuple[str, ...] = ("https",), limit: int = 1 << 30
) -> Source:
    head = git(repository, "rev-parse", "HEAD")
    objects = [repository / ".git" / "objects"]
    return pushed(head, into, objects=objects, emit=said.append, schemes=schemes, limit=limit)


def warnings(said: list[Event]) -> list[str]:
    return [event.message for event in said if event.kind == "warning"]


def test_a_submodule_comes_at_the_commit_that_is_named(library: Path, tmp_path: Path) -> None:
    old = git(library, "rev-parse", "HEAD~1")
    repository = app(tmp_path / "app", ("vendor/lib", f"file://{library}", old))
    said: list[Event] = []
    source = push(repository, tmp_path / "out", said, BOTH)
    assert (tmp_path / "out" / "vendor" / "lib" / "lib.py").read_text() == "old"
    assert sorted(path.name for path in (tmp_path / "out" / "vendor").iterdir()) == ["lib"]
    assert source.id == content_id(tmp_path / "out")
    assert source.version == git(repository, "rev-parse", "HEAD")
    assert warnings(said) == []


@pytest.mark.parametrize(
    "url",
    ["http://example.org/x", "git@example.org:x/y", "ssh://example.org/x", "../library", "/etc", "ext::sh -c id",
     "file:///etc", "https://example.org/x#--upload-pack=id", "HTTPS://example.org/x", "--upload-pack=id"],
)  # fmt: skip
def test_only_https_is_fetched(tmp_path: Path, url: str) -> None:
    said: list[Event] = []
    push(app(tmp_path / "app", ("lib", url, "ab" * 20)), tmp_path / "out", said)
    assert len(warnings(said)) == 1
    assert "no https address" in warnings(said)[0]
    assert not (tmp_path / "out" / "lib").exists()


@pytest.mark.parametrize("url", ["https://-oProxyCommand=id/x", "https://a b/x", "https://host", "https://host/-x"])
def test_an_address_that_git_could_take_for_something_else_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(PaasError, match="not a git URL that is allowed"):
        push(app(tmp_path / "app", ("lib", url, "ab" * 20)), tmp_path / "out", [])


def test_a_commit_that_is_not_there_refuses_the_source(library: Path, tmp_path: Path) -> None:
    repository = app(tmp_path / "app", ("lib", f"file://{library}", "ab" * 20))
    with pytest.raises((NotFound, ConfigError)):
        push(repository, tmp_path / "out", [], BOTH)


def test_limits_count_what_comes_with_it(library: Path, tmp_path: Path) -> None:
    (library / "large").write_text("x" * 5000)
    git(library, "add", "--all")
    git(library, "commit", "--quiet", "--message", "large")
    repository = app(tmp_path / "app", ("lib", f"file://{library}", git(library, "rev-parse", "HEAD")))
    with pytest.raises(ConfigError, match="more than"):
        push(repository, tmp_path / "out", [], BOTH, limit=5000)


def test_one_that_is_left_out_by_the_ignore_file_is_not_asked_for(tmp_path: Path) -> None:
    repository = app(tmp_path / "app", ("docs", "https://example.invalid/x", "ab" * 20))
    (repository / ".paasignore").write_text("docs\n")
    git(repository, "add", ".paasignore")
    git(repository, "commit", "--quiet", "--message", "without docs")
    said: list[Event] = []
    push(repository, tmp_path / "out", said)
    assert said == []


@pytest.mark.parametrize("path", ["out/lib", "../lib", ".git/lib", "sub/.GIT/x", "app.py", "/abs"])
def test_a_place_outside_or_through_a_link_is_refused(library: Path, tmp_path: Path, path: str) -> None:
    repository = app(tmp_path / "app", ("lib", f"file://{library}", "ab" * 20))
    (tmp_path / "elsewhere").mkdir()
    into = tmp_path / "into"
    into.mkdir()
    (into / "out").symlink_to(tmp_path / "elsewhere")
    (into / "app.py").write_text("")
    git(repository, "config", "--file", ".gitmodules", "submodule.lib.path", path)
    git(repository, "commit", "--quiet", "--all", "--message", "moved")
    link = gittree.Found("160000", "commit", git(library, "rev-parse", "HEAD"), 0, path)
    with pytest.raises(ConfigError, match="no place of its own"):
        fill(repository, "HEAD", [link], into, emit=silent, limit=1 << 20, most=100, schemes=BOTH)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_there_may_be_so_many_of_them(tmp_path: Path) -> None:
    links = [gittree.Found("160000", "commit", "ab" * 20, 0, f"m{number}") for number in range(MOST + 1)]
    with pytest.raises(ConfigError, match=f"more than {MOST}"):
        fill(tmp_path, "HEAD", links, tmp_path, emit=silent, limit=1, most=1)


def test_a_file_that_says_nothing_names_nothing(tmp_path: Path) -> None:
    repository = app(tmp_path / "app")
    assert addresses(repository, "HEAD") == {}
    (repository / ".gitmodules").write_text("[broken\n")
    git(repository, "commit", "--quiet", "--all", "--message", "broken")
    assert addresses(repository, "HEAD") == {}
    (repository / ".gitmodules").write_text('[include]\n\tpath = /etc/passwd\n[submodule "x"]\n\tpath = y\n')
    git(repository, "commit", "--quiet", "--all", "--message", "no url")
    assert addresses(repository, "HEAD") == {}
