"""`paas git hook`: hooks in a repository of one's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Paas
from tests.unit.sources.test_local import git

NONE, ONE, TWO = "0" * 40, "1" * 40, "2" * 40
MAIN = "refs/heads/main"


@pytest.fixture
def bare(paas: Paas, tmp_path: Path) -> Path:
    path = tmp_path / "team.git"
    path.mkdir()
    git(path, "init", "--quiet", "--bare")
    return path


def test_a_hook_is_installed_and_removed(paas: Paas, bare: Path) -> None:
    ran = paas("hooks", "install", str(bare))
    assert ran.code == 0, ran
    assert "main deploys to team" in ran.err
    hook = bare / "hooks" / "post-receive"
    assert os.access(hook, os.X_OK)
    assert 'git push paas::team "+$new:refs/heads/$deployed"' in hook.read_text()
    assert "PAAS_CONTEXT=local\n" in hook.read_text(), "another context of whoever pushes leads it nowhere else"
    assert subprocess.run(["sh", "-n", str(hook)], check=False).returncode == 0
    assert paas("hooks", "install", str(bare), "-a", "other").code == 0, "our own is replaced without asking"
    assert paas("hooks", "remove", str(bare)).code == 0
    assert not hook.exists()
    assert paas("hooks", "remove", str(bare)).code == 3


def test_what_whoever_pushes_has_set_leads_the_hook_nowhere_else(paas: Paas, bare: Path, tmp_path: Path) -> None:
    assert paas("hooks", "install", str(bare)).code == 0
    hook = bare / "hooks" / "post-receive"
    (tmp_path / "bin").mkdir()
    for name in ("paas", "git"):  # what the hook calls, and what of our settings it would get
        program = tmp_path / "bin" / name
        program.write_text('#!/bin/sh\necho "$@" >&2\nenv | grep ^PAAS_ | sort >&2\n')
        program.chmod(0o755)
    text = hook.read_text()
    ours = f"PATH={Path(sys.executable).parent}:$PATH"
    assert ours in text
    hook.write_text(text.replace(ours, f"PATH={tmp_path}/bin:$PATH").replace(" 2>/dev/null", ""))
    foreign = dict.fromkeys(("PAAS_HOST", "PAAS_TOKEN", "PAAS_HOST_CA", "PAAS_APP", "PAAS_CONTEXT"), "foreign")
    ran = subprocess.run(
        [str(hook)], env={"PATH": os.environ["PATH"], **foreign}, input=f"{NONE} {ONE} {MAIN}\n",
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "git branch -a team" in ran.stderr
    assert "push paas::team" in ran.stderr
    assert "PAAS_CONTEXT=local" in ran.stderr
    assert "foreign" not in ran.stderr


def test_a_hook_is_kept_to_a_context_and_not_to_a_variable(
    paas: Paas, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAAS_HOST", "https://paas.example.org")
    ran = paas("hooks", "install", str(bare))
    assert ran.code == 2
    assert "paas login https://paas.example.org" in ran.err
    assert not (bare / "hooks" / "post-receive").exists()


def test_a_hook_of_the_persons_own_is_asked_about_and_comes_back(paas: Paas, bare: Path) -> None:
    hook = bare / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho mine\n")
    assert paas("hooks", "install", str(bare)).code == 2
    assert hook.read_text() == "#!/bin/sh\necho mine\n"
    assert paas("hooks", "install", str(bare), "--confirm", "post-receive").code == 0
    assert paas("hooks", "remove", str(bare)).code == 0
    assert hook.read_text() == "#!/bin/sh\necho mine\n"


def test_a_hook_that_refuses_takes_the_place_of_one_that_does_not(paas: Paas, bare: Path) -> None:
    after, before = bare / "hooks" / "post-receive", bare / "hooks" / "pre-receive"
    assert paas("hooks", "install", str(bare)).code == 0
    ran = paas("hooks", "install", str(bare), "--refuse")
    assert ran.code == 0
    assert "or the push is refused" in ran.err
    assert before.exists()
    assert not after.exists(), "one push is one deploy"
    assert paas("hooks", "install", str(bare)).code == 0
    assert (after.exists(), before.exists()) == (True, False)
    assert paas("hooks", "remove", str(bare)).code == 0
    assert (after.exists(), before.exists()) == (False, False)


@pytest.mark.parametrize("branch", ["a b", "-x", "x..y", "$(id) ", "a~1"])
def test_a_branch_that_cannot_be_one_is_refused(paas: Paas, bare: Path, branch: str) -> None:
    assert paas("hooks", "install", str(bare), f"--branch={branch}").code == 2
    assert not (bare / "hooks" / "post-receive").exists()


def test_a_branch_of_odd_letters_stays_a_word_of_the_hook(paas: Paas, bare: Path) -> None:
    assert paas("hooks", "install", str(bare), "--branch", "it's;$(id)").code == 0
    text = (bare / "hooks" / "post-receive").read_text()
    assert """[ "$ref" = 'refs/heads/it'"'"'s;$(id)' ]""" in text


def test_a_branch_called_as_a_blank_of_the_hook_stays_itself(paas: Paas, bare: Path) -> None:
    assert paas("hooks", "install", str(bare), "--branch", "{home}").code == 0
    assert "[ \"$ref\" = 'refs/heads/{home}' ]" in (bare / "hooks" / "post-receive").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_somebody_else_is_told_from_one_that_is_not_bare(
    paas: Paas, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    os.chown(bare, 65534, 65534)
    ran = paas("hooks", "install", str(bare))
    assert ran.code == 2
    assert "somebody else's" in ran.err
    assert f"safe.directory {bare}" in ran.err


def test_hooks_are_for_bare_repositories(paas: Paas, repository: Path) -> None:
    ran = paas("hooks", "install", str(repository))
    assert ran.code == 2
    assert "no bare repository" in ran.err
