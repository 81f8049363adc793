"""The repository of an app: how it is made, which branch is deployed, what its hook and its room allow."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from paas.errors import BuildFailed, NotFound, UsageError
from paas.model.app import App
from paas.requests.git import SetBranch, ShowBranch
from paas.settings import Settings
from paas.sources import gittree
from paas.usecases import branches, repository
from paas.usecases.switch import base_release, source_version
from tests.polling import until
from tests.unit.sources.test_local import git
from tests.unit.usecases.git_lab import filled
from tests.unit.usecases.parts import Parts


@pytest.fixture
def app(platform: Parts) -> App:
    return platform.app()


@pytest.fixture
def settings(platform: Parts) -> Settings:
    return platform.context.settings


# --- the repository ------------------------------------------------------------------------------------------------


def test_a_repository_is_made_once_bare_and_without_hooks(settings: Settings, app: App) -> None:
    path = repository.prepared(settings, app.id)
    assert path == settings.home / "git" / f"{app.id}.git"
    made = (path / "HEAD").stat().st_mtime_ns
    assert repository.prepared(settings, app.id) == path
    assert (path / "HEAD").stat().st_mtime_ns == made
    assert (path / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert not (path / "hooks").exists()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("app_id", ["", "shop", "../../etc", "A1B2C3D4", "a1b2c3d4/..", "a1b2c3d4\n"])
def test_only_an_apps_id_names_a_repository(settings: Settings, app_id: str) -> None:
    with pytest.raises(UsageError):
        repository.path_of(settings, app_id)


def test_objects_kept_apart_are_a_folder_of_that_repository_and_nothing_else(settings: Settings, app: App) -> None:
    with pytest.raises(NotFound, match="nothing was ever pushed"):
        repository.objects(settings, app.id, "")
    kept = repository.prepared(settings, app.id) / "objects"
    (kept / "tmp_objdir-incoming-Ab12Cd").mkdir()
    (kept / "tmp_objdir-incoming-link00").symlink_to("/etc")
    assert repository.objects(settings, app.id, "") == (kept,)
    assert repository.objects(settings, app.id, "tmp_objdir-incoming-Ab12Cd") == (
        kept,
        kept / "tmp_objdir-incoming-Ab12Cd",
    )
    for hostile in ("pack", "..", "../../x", "tmp_objdir-incoming-link00", "tmp_objdir-incoming-gone00", "/etc"):
        with pytest.raises(UsageError, match="not on its way"):
            repository.objects(settings, app.id, hostile)


def test_head_follows_the_first_branch_that_can_be_deployed(settings: Settings, app: App, tmp_path: Path) -> None:
    path = filled(settings, app, tmp_path / "work")
    git(path, "branch", "--move", "main", "feature")
    git(path, "symbolic-ref", "HEAD", "refs/heads/main")
    repository.settle_head(path)
    assert git(path, "symbolic-ref", "HEAD") == "refs/heads/main"
    git(path, "branch", "master", "feature")
    repository.settle_head(path)
    assert git(path, "symbolic-ref", "HEAD") == "refs/heads/master"
    git(path, "branch", "main", "feature")
    repository.settle_head(path)
    assert git(path, "symbolic-ref", "HEAD") == "refs/heads/master", "what is deployed stays so"


def test_a_branch_that_was_chosen_stays_the_one_that_is_deployed(settings: Settings, app: App, tmp_path: Path) -> None:
    path = filled(settings, app, tmp_path / "work")
    repository.choose(path, "production")
    repository.settle_head(path)
    assert repository.deploy_branch(path) == "production", "it need not be there yet"
    assert repository.chosen(path)


# --- the deploy branch ---------------------------------------------------------------------------------------------


def chosen(platform: Parts, branch: str) -> branches.DeployBranch:
    return branches.set_branch(platform.context, SetBranch(app="shop", branch=branch), platform.act)


def test_the_deploy_branch_is_main_until_somebody_says_otherwise(platform: Parts, app: App) -> None:
    shown = branches.show_branch(platform.context, ShowBranch(app="shop"), platform.act)
    assert shown == branches.DeployBranch(app="shop", branch="main")
    assert not repository.path_of(platform.context.settings, app.id).exists(), "a question makes no repository"
    assert chosen(platform, "production") == branches.DeployBranch(app="shop", branch="production", chosen=True)
    assert branches.show_branch(platform.context, ShowBranch(app="shop"), platform.act).branch == "production"
    assert platform.store.releases(app.id, 1) == ()


def test_a_branch_that_was_kept_is_deployed_before_it_is_the_deploy_branch(
    platform: Parts, app: App, tmp_path: Path
) -> None:
    path = filled(platform.context.settings, app, tmp_path / "work")
    git(path, "branch", "production", "main")
    commit = git(path, "rev-parse", "main")
    found = chosen(platform, "production")
    assert (found.branch, found.commit, found.release) == ("production", commit, 1)
    assert platform.store.release(app.id, 1).source is not None
    assert chosen(platform, "main").release == 0, "what runs is not deployed again"


def test_a_branch_whose_deploy_fails_is_not_chosen(platform: Parts, app: App, tmp_path: Path) -> None:
    path = filled(platform.context.settings, app, tmp_path / "work")
    git(path, "branch", "broken", "main")
    platform.builder.fails = BuildFailed("no")
    with pytest.raises(BuildFailed):
        chosen(platform, "broken")
    assert repository.deploy_branch(path) == "main"
    assert not repository.chosen(path)


def test_no_push_changes_a_branch_while_it_is_being_chosen(platform: Parts, app: App, tmp_path: Path) -> None:
    """It would be judged as a branch like any other: taken, and not deployed."""
    path = filled(platform.context.settings, app, tmp_path / "work")
    git(path, "branch", "production", "main")
    commit = git(path, "rev-parse", "main")
    git(tmp_path / "work", "commit", "--quiet", "--allow-empty", "--message", "second")
    said = []

    def push() -> None:
        with Hook(platform.context.settings, path, tmp_path / "work").push("HEAD:refs/heads/production") as process:
            deploying.set()
            said.append((process.communicate(timeout=60)[1], process.returncode))

    def building() -> None:
        if pushing.ident is None:
            pushing.start()
        deploying.wait(30)
        until(lambda: waiting_for(path / "keep.lock"))

    deploying, pushing = threading.Event(), threading.Thread(target=push, daemon=True)
    platform.builder.while_building = building
    assert chosen(platform, "production").commit == commit
    pushing.join(60)
    assert said[0][1] == 1, said
    assert "another branch has become the deploy branch meanwhile" in said[0][0]
    assert git(path, "rev-parse", "production") == commit
    assert source_version(base_release(platform.store, platform.store.app("shop"))) == commit


def test_a_branch_is_chosen_when_no_push_has_still_to_change_it(platform: Parts, app: App, tmp_path: Path) -> None:
    """A push that was judged when it was a branch like any other, and has not changed it yet."""
    path = filled(platform.context.settings, app, tmp_path / "work")
    with repository.keeping(path) as judged:
        fcntl.flock(judged, fcntl.LOCK_SH)
        choosing = threading.Thread(target=chosen, args=(platform, "production"), daemon=True)
        choosing.start()
        until(lambda: waiting_for(path / "keep.lock"))
        git(path, "branch", "production", "main")
        fcntl.flock(judged, fcntl.LOCK_UN)
        choosing.join(30)
    assert repository.deploy_branch(path) == "production"
    assert source_version(base_release(platform.store, platform.store.app("shop"))) == git(path, "rev-parse", "main")


def waiting_for(lock: Path) -> bool:
    """Whether somebody waits for the lock of this file."""
    waiting = [line for line in Path("/proc/locks").read_text().splitlines() if " -> " in line]
    return any(line.split()[6].endswith(f":{lock.stat().st_ino}") for line in waiting)


@dataclass
class Hook:
    """git pushing to a repository whose hook is ours, and the files that a server gives it."""

    settings: Settings
    path: Path
    work: Path

    @contextmanager
    def push(self, *refs: str) -> Iterator[subprocess.Popen[str]]:
        """A push; what it deploys is refused, as there is no server."""
        with repository.turn(self.path) as turn, repository.keeping(self.path) as keeps:
            facts = {"PAAS_PUSH_APP": "shop", "PAAS_PUSH_ACTOR": "", "PAAS_PUSH_LOCK": str(turn.fileno()),
                     "PAAS_PUSH_KEEPS": str(keeps.fileno())}  # fmt: skip
            receives = " ".join(repository.command(self.settings, "receive-pack", self.path)[:-1])
            with subprocess.Popen(
                ["git", "push", "--quiet", f"--receive-pack={receives}", str(self.path), *refs],
                cwd=self.work, env=repository.environment(self.settings, **facts), stderr=subprocess.PIPE, text=True,
                pass_fds=[turn.fileno(), keeps.fileno()],
            ) as process:  # fmt: skip
                yield process


@pytest.mark.parametrize(("pushed", "lock"), [("main", "push.lock"), ("production", "keep.lock")])
def test_a_push_that_waited_while_another_branch_became_the_deploy_branch_is_refused(
    settings: Settings, app: App, tmp_path: Path, pushed: str, lock: str
) -> None:
    """What it was judged by is no more: `main` would be deployed, or `production` would not."""
    path = filled(settings, app, tmp_path / "work")
    git(path, "branch", "production", "main")
    before = git(path, "show-ref")
    git(tmp_path / "work", "commit", "--quiet", "--allow-empty", "--message", "second")
    with (path / lock).open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with Hook(settings, path, tmp_path / "work").push(f"HEAD:refs/heads/{pushed}") as process:
            until(lambda: waiting_for(path / lock))
            repository.choose(path, "production")
            fcntl.flock(held, fcntl.LOCK_UN)
            said = process.communicate(timeout=60)[1]
    assert process.returncode == 1, said
    assert "another branch has become the deploy branch meanwhile" in said
    assert git(path, "show-ref") == before


@pytest.mark.parametrize("name", ["-x", "a b", "x..y", "a~1", "a\nb", "x.lock", "/", "refs//x", "a\x00b", "@{u}", ".x"])
def test_what_cannot_name_a_branch_is_not_chosen(platform: Parts, app: App, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a branch"):
        chosen(platform, name)


def test_what_a_killed_server_left_is_removed(settings: Settings, app: App) -> None:
    path = repository.prepared(settings, app.id)
    (path / "objects" / "tmp_objdir-incoming-Ab12Cd").mkdir()
    (path.parent / ".new-0011").mkdir()
    repository.tidy(settings)
    assert path.exists()
    assert not list(path.parent.glob(".new-*"))
    assert not list(path.glob("objects/*incoming*"))


def test_a_ref_that_was_being_written_when_the_machine_fell_can_be_written_again(
    settings: Settings, app: App, tmp_path: Path
) -> None:
    path = filled(settings, app, tmp_path / "work")
    (path / "push.lock").touch()
    locks = [path / name for name in ("refs/heads/main.lock", "HEAD.lock", "packed-refs.lock", "config.lock")]
    for lock in locks:
        lock.touch()
    repository.tidy(settings)
    assert not [lock for lock in locks if lock.exists()]
    assert (path / "push.lock").exists()
    assert git(path, "show-ref", "--heads")
    git(path, "update-ref", "-d", "refs/heads/main")


def test_git_obeys_nothing_but_what_we_say(
    settings: Settings, app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = repository.prepared(settings, app.id)
    for name, value in {
        "GIT_DIR": "/", "GIT_CONFIG_PARAMETERS": "x", "GIT_SSH_COMMAND": "id", "PAAS_TOKEN": "t", "LD_PRELOAD": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    environ = repository.environment(settings, PAAS_PUSH_APP="shop")
    assert environ.keys() <= {
        "PATH", "TMPDIR", "LANG", "HOME", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_TERMINAL_PROMPT",
        "PAAS_HOME", "PAAS_PUSH_APP",
    }  # fmt: skip
    git(path, "config", "core.hooksPath", str(tmp_path / "hostile"))
    git(path, "config", "receive.fsckObjects", "false")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    command = repository.command(settings, "receive-pack", path)
    asked = [
        *command[:-2],
        "-C",
        str(path),
        "config",
        "--get-regexp",
        r"core.hookspath|pack.threads|receive\.(fsckobjects|max.*)",
    ]
    said = subprocess.run(asked, env=environ, capture_output=True, text=True, check=True).stdout.splitlines()
    assert f"core.hookspath {settings.home}/git/hooks" in said[-1]
    assert "pack.threads 4" in said, "memory does not grow with the machine"
    for wanted in ("receive.fsckobjects", "receive.maxinputsize"):
        assert [line for line in said if line.startswith(wanted)][-1].split()[1] in ("true", str(settings.push_limit))


def test_a_hook_is_written_anew_when_it_is_another_one(settings: Settings) -> None:
    for name, module in (("pre-receive", "paas.cli.receive"), ("post-receive", "paas.cli.follow")):
        hook = repository.hooks(settings) / name
        assert os.access(hook, os.X_OK)
        text = hook.read_text()
        assert f" -m {module}\n" in text
        hook.write_text("exit 0")
        assert (repository.hooks(settings) / name).read_text() == text
    assert sorted(one.name for one in hook.parent.iterdir()) == ["post-receive", "pre-receive"]


@pytest.mark.parametrize(
    ("follow", "pushed", "starts"),
    [
        ("", ["refs/heads/better"], False),
        ("refs/heads/better", ["refs/heads/main", "refs/heads/bett", "refs/heads/better2", "refs/tags/better"], False),
        ("refs/heads/better", ["refs/heads/main", "refs/heads/better"], True),
        ("refs/heads/tea\nrefs/heads/b.tter", ["refs/heads/better"], False),
        ("refs/heads/tea\nrefs/heads/grün", ["refs/heads/grün", "refs/tags/v1"], True),
    ],
)
def test_python_is_started_after_a_push_only_for_branches_that_have_a_review_app(
    settings: Settings, app: App, tmp_path: Path, follow: str, pushed: list[str], starts: bool
) -> None:
    path = filled(settings, app, tmp_path / "work")
    seen, lines = tmp_path / "seen", "".join(f"{'0' * 40} {'1' * 40} {ref}\n" for ref in pushed)
    hook = repository.hooks(settings) / "post-receive"
    hook.write_text(hook.read_text().replace(shlex.quote(sys.executable), f"tee {seen} #"))
    environ = repository.environment(settings, PAAS_PUSH_FOLLOW=follow)
    subprocess.run([hook], cwd=path, env=environ, input=lines.encode(), stdout=subprocess.DEVNULL, check=True)
    assert (seen.read_text() if seen.exists() else "") == (lines if starts else "")


def test_a_repository_that_is_full_takes_deletions_and_then_has_room_again(
    settings: Settings, app: App, tmp_path: Path
) -> None:
    settings, work = replace(settings, repository_limit=3_000_000), tmp_path / "work"
    path = filled(settings, app, work)
    environ = repository.environment(settings, PAAS_PUSH_ROOM=str(settings.repository_limit))
    receives = " ".join(repository.command(settings, "receive-pack", path)[:-1])

    def push(*refs: str) -> tuple[int, str]:
        argv = ["git", "-C", str(work), "push", "--quiet", f"--receive-pack={receives}", str(path), *refs]
        with repository.keeping(path) as keeps:
            given = {**environ, "PAAS_PUSH_KEEPS": str(keeps.fileno())}
            ran = subprocess.run(
                argv, env=given, capture_output=True, text=True, check=False, pass_fds=[keeps.fileno()]
            )
        return ran.returncode, ran.stderr

    for name in ("one", "two"):
        git(work, "checkout", "--quiet", "--orphan", name)
        (work / "large").write_bytes(os.urandom(2_000_000))
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--message", name)
    code, said = push("one")
    assert code == 0, said
    assert "one is kept, not deployed" in said
    code, said = push("two")
    assert code == 1
    assert "would hold 3.8 MB in all branches, more than 2.9 MB" in said
    assert push(":one") == (0, "")
    code, said = push("two")
    assert code == 1, "it may be of a push on its way"
    assert "giving back" in said
    for one in (path / "objects").rglob("*"):
        os.utime(one, (1, 1))
    code, said = push("two")
    assert code == 0, said
    assert gittree.held(path) < 2_100_000
    assert git(path, "rev-parse", "main"), "what has a name stays"
