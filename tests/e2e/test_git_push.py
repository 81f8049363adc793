"""`git push` deploys, told with real git, real hooks and a real server; and what people and accidents do to it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.git_lab import Work
from tests.e2e.platform import Platform, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

SLOW = "release: python -c 'import time; print(\"migrating\", flush=True); time.sleep(4)'\nweb: python app.py\n"


def test_the_first_push_makes_the_app_and_tells_what_happens_while_it_happens(work: Work) -> None:
    said = work.git("push", "paas", "main").err
    lines = [line.strip() for line in said.splitlines()]
    assert any(line.startswith("remote: - Building with python") for line in lines), said
    assert any(line.startswith(f"remote: {work.app} v1 serves") for line in lines), said
    assert any(line.startswith("remote: http://") and work.app in line for line in lines), said
    assert work.serves() == "first"
    assert work.remote() == work.head()
    shown = work.platform.json("info", "-a", work.app)
    assert shown["version"] == work.head()
    assert shown["description"] == "first"


def test_a_push_deploys_the_commit_not_what_lies_around(pushed: Work) -> None:
    pushed.commit("second")
    (pushed.folder / "app.py").write_text("not committed")
    pushed.git("push", "paas", "main")
    assert pushed.serves() == "second"
    assert pushed.release() == 2


def test_what_a_push_brings_is_what_a_deploy_of_the_folder_brings(pushed: Work) -> None:
    ran = pushed.platform.run("deploy", pushed.folder, "-a", pushed.app)
    assert ran.code == 0, ran.said
    assert "nothing changed" in ran.err
    pushed.git("commit", "--quiet", "--allow-empty", "--message", "the same files")
    assert "nothing changed" in pushed.git("push", "paas", "main").err
    assert pushed.release() == 1


@pytest.mark.parametrize(
    ("procfile", "said"),
    [
        ("release: echo migration broke; exit 5\nweb: python app.py\n", "migration broke"),
        ("web: python -c 'print(\"cannot start\"); raise SystemExit(3)'\n", "cannot start"),
        ("web python app.py\n", "Procfile"),
    ],
)
def test_a_deploy_that_fails_refuses_the_push_and_the_branch_stays(pushed: Work, procfile: str, said: str) -> None:
    before = pushed.head()
    pushed.commit("broken", procfile=procfile)
    refused = pushed.git("push", "paas", "main", code=1).err
    assert said in refused
    assert "remote rejected" in refused
    assert "Traceback" not in refused
    assert pushed.serves() == "first"
    assert pushed.remote() == before
    pushed.commit("mended")
    pushed.git("push", "paas", "main")
    assert pushed.serves() == "mended"


def test_a_commit_without_files_is_refused_and_a_detached_head_is_a_commit_like_any(pushed: Work) -> None:
    before = pushed.head()
    pushed.git("rm", "--quiet", "-r", ".")
    pushed.git("commit", "--quiet", "--message", "nothing")
    assert "there is no file to deploy" in pushed.git("push", "paas", "main", code=1).err
    pushed.git("checkout", "--quiet", "--detach", before)
    detached = pushed.commit("detached")
    pushed.git("push", "paas", "HEAD:main")
    assert (pushed.remote(), pushed.serves()) == (detached, "detached")


def test_a_first_push_that_is_refused_leaves_no_app_behind(work: Work) -> None:
    repositories = work.platform.folder / "home" / "git"
    before = set(repositories.glob("*.git"))
    work.commit("broken", procfile="web python app.py\n")
    assert "Procfile" in work.git("push", "paas", "main", code=1).err
    assert work.app not in [app["name"] for app in work.platform.json("apps")]
    assert set(repositories.glob("*.git")) == before


def test_other_branches_and_tags_are_kept_and_not_deployed(pushed: Work) -> None:
    pushed.git("checkout", "--quiet", "-b", "feature")
    feature = pushed.commit("feature")
    pushed.git("tag", "--annotate", "--message", "a tag", "v1")
    said = pushed.git("push", "paas", "feature", "v1").err
    assert "feature is kept, not deployed: main is. To deploy it: git push paas feature:main" in said
    assert pushed.serves() == "first"
    assert pushed.remote("refs/heads/feature") == feature
    pushed.git("push", "paas", "feature:main")
    assert pushed.serves() == "feature"
    pushed.git("push", "paas", "--delete", "feature", "v1")
    assert pushed.remote("refs/heads/feature") == pushed.remote("refs/tags/v1") == ""
    assert pushed.serves() == "feature"


def test_what_runs_cannot_be_deleted(pushed: Work) -> None:
    assert "main is what runs: it cannot be deleted" in pushed.git("push", "paas", ":main", code=1).err
    assert pushed.remote() == pushed.head()


def test_a_forced_push_deploys_the_older_commit(pushed: Work) -> None:
    first = pushed.head()
    pushed.commit("second")
    pushed.git("push", "paas", "main")
    pushed.git("reset", "--quiet", "--hard", first)
    assert "non-fast-forward" in pushed.git("push", "paas", "main", code=1).err
    assert pushed.serves() == "second"
    pushed.git("push", "--force", "paas", "main")
    assert pushed.serves() == "first"
    assert pushed.remote() == first


def test_several_refs_in_one_push_are_taken_or_refused_together(pushed: Work) -> None:
    before = pushed.remote()
    pushed.commit("broken", procfile="web python app.py\n")
    pushed.git("push", "paas", "HEAD:refs/heads/main", "HEAD:refs/heads/side", code=1)
    assert (pushed.remote(), pushed.remote("refs/heads/side")) == (before, "")
    good = pushed.commit("good")
    pushed.git("push", "paas", "HEAD:refs/heads/main", "HEAD:refs/heads/side")
    assert (pushed.remote(), pushed.remote("refs/heads/side"), pushed.serves()) == (good, good, "good")


def test_what_git_would_refuse_after_the_deploy_is_refused_before_it(pushed: Work) -> None:
    before = pushed.remote()
    pushed.git("push", "paas", "main:side")
    pushed.commit("second")
    pushed.git("tag", "--annotate", "--message", "a tag", "v2")
    for ref in ("HEAD:refs/heads/side/inside", "v2:refs/heads/tagged"):
        pushed.git("push", "paas", "HEAD:refs/heads/main", ref, code=1)
        assert (pushed.remote(), pushed.serves(), pushed.release()) == (before, "first", 1)
    said = pushed.git("push", "paas", "v2:refs/heads/main", code=1).err
    assert "main cannot name a tag" in said
    assert "git push paas 'TAG^{}:main'" in said
    pushed.git("push", "paas", "v2^{}:main")
    assert pushed.serves() == "second"


def test_a_master_branch_deploys_where_it_came_first(work: Work) -> None:
    work.git("push", "paas", "main:master")
    assert work.serves() == "first"
    assert work.git("ls-remote", "--symref", "paas", "HEAD").out.startswith("ref: refs/heads/master\tHEAD")
    work.commit("second")
    assert "main is kept, not deployed: master is" in work.git("push", "paas", "main").err
    work.git("push", "paas", "main:master")
    assert work.serves() == "second"


@pytest.mark.parametrize("ref", ["refs/notes/x", "refs/heads/main/inside", f"refs/heads/{'x' * 251}"])
def test_refs_that_are_no_branches_are_refused(pushed: Work, ref: str) -> None:
    assert "remote rejected" in pushed.git("push", "paas", f"HEAD:{ref}", code=1).err
    assert pushed.remote(ref) == ""


def test_hostile_trees_are_refused(pushed: Work) -> None:
    def blob(text: str) -> str:
        (pushed.folder / "blob").write_text(text)
        return pushed.git("hash-object", "-w", "blob").out.strip()

    def tree(*lines: str) -> str:
        (pushed.folder / "lines").write_text("".join(f"{line}\n" for line in lines))
        argv = ["git", "mktree", "--missing"]
        with (pushed.folder / "lines").open() as given:
            done = subprocess.run(
                argv, cwd=pushed.folder, env=pushed.environ, stdin=given, capture_output=True, text=True, check=True
            )
        return done.stdout.strip()

    hook = tree(f"100755 blob {blob('#!/bin/sh')}\tpre-receive")
    modules = blob('[submodule "x"]\n\tpath = x\n\turl = --upload-pack=id\n')
    climbing = blob('[submodule "../../hooks"]\n\tpath = x\n\turl = https://example.org/x\n')
    before = pushed.remote()
    for hostile in (
        tree(f"040000 tree {hook}\t.git"),
        tree(f"100644 blob {modules}\t.gitmodules", f"160000 commit {'ab' * 20}\tx"),
        tree(f"100644 blob {climbing}\t.gitmodules", f"160000 commit {'ab' * 20}\tx"),
        tree(f"120000 blob {blob('/etc/passwd')}\t.gitmodules"),
    ):
        commit = pushed.git("commit-tree", hostile, "-p", "HEAD", "-m", "hostile").out.strip()
        said = pushed.git("push", "paas", f"{commit}:refs/heads/main", code=1).err
        assert "fsck error" in said or "unpacker error" in said, said
    assert pushed.remote() == before
    assert pushed.serves() == "first"


def test_hooks_in_the_repository_itself_never_run(pushed: Work) -> None:
    repository = app_repository(pushed)
    (repository / "hooks").mkdir()
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction"):
        hook = repository / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {pushed.folder}/ran-{name}\n")
        hook.chmod(0o755)
    pushed.commit("second")
    pushed.git("push", "paas", "main")
    assert pushed.serves() == "second"
    assert not list(pushed.folder.glob("ran-*"))


def app_repository(work: Work) -> Path:
    app_id = work.platform.json("info", "-a", work.app)["id"]
    return work.platform.folder / "home" / "git" / f"{app_id}.git"


def test_names_that_are_no_apps_are_refused_before_anything_is_sent(work: Work) -> None:
    for name in ("Shop", "../../etc", "shop;id", "x" * 70, "paas"):
        ran = work.attempt("push", f"paas::{name}", "main")
        assert ran.code != 0
        assert "Traceback" not in ran.err
    assert "no app" in work.git("fetch", "paas", code=128).err, "a fetch makes no app"


def test_a_rename_keeps_the_repository_and_a_destroyed_app_takes_it_along(pushed: Work) -> None:
    platform, new = pushed.platform, f"{pushed.app}-new"
    repository = app_repository(pushed)
    platform.ok("rename", new, "-a", pushed.app)
    assert pushed.git("push", f"paas::{new}", "main").err.strip() == "Everything up-to-date"
    platform.ok("destroy", "-a", new, "--confirm", new)
    assert not repository.exists()


def test_a_shallow_clone_can_be_pushed_and_a_whole_one_after_it(work: Work, tmp_path: Path) -> None:
    work.commit("second")
    shallow = tmp_path / "shallow"
    work.git("clone", "--quiet", "--depth=1", f"file://{work.folder}", str(shallow))
    work.git("-C", str(shallow), "push", f"paas::{work.app}", "HEAD:refs/heads/main")
    assert work.serves() == "second"
    work.commit("third")
    work.git("push", "paas", "main")
    assert work.serves() == "third"
    work.git("clone", "--quiet", f"paas::{work.app}", str(tmp_path / "clone"))
    assert "third" in (tmp_path / "clone" / "app.py").read_text()


def test_a_clone_brings_back_what_was_pushed(pushed: Work, tmp_path: Path) -> None:
    pushed.git("clone", "--quiet", f"paas::{pushed.app}", str(tmp_path / "clone"))
    assert (tmp_path / "clone" / "app.py").read_text() == (pushed.folder / "app.py").read_text()


# --- accidents -----------------------------------------------------------------------------------------------------


def test_a_client_that_dies_while_it_deploys_leaves_a_finished_push(pushed: Work) -> None:
    wanted = pushed.commit("second", procfile=SLOW)
    push = pushed.start("push", "paas", "main")
    eventually(pushed.running, what="the operation")
    os.killpg(push.pid, signal.SIGKILL)
    push.communicate(timeout=30)
    eventually(lambda: pushed.remote() == wanted, what="the branch")
    assert pushed.serves() == "second"
    assert not pushed.running()
    assert "Everything up-to-date" in pushed.git("push", "paas", "main").err
    pushed.commit("third")
    pushed.git("push", "paas", "main")
    assert pushed.serves() == "third"


def test_ctrl_c_does_the_same_and_a_deploy_that_then_fails_leaves_the_branch(pushed: Work) -> None:
    before = pushed.head()
    pushed.commit("second", procfile=SLOW.replace("time.sleep(4)", "time.sleep(3); raise SystemExit(4)"))
    push = pushed.start("push", "paas", "main")
    eventually(pushed.running, what="the operation")
    os.killpg(push.pid, signal.SIGINT)
    assert "goes on without you" in push.communicate(timeout=30)[1]
    eventually(lambda: not pushed.running(), what="the end of the operation")
    assert pushed.remote() == before
    assert pushed.serves() == "first"


def test_a_push_cut_while_it_is_sent_leaves_nothing(pushed: Work) -> None:
    before = pushed.remote()
    (pushed.folder / "large").write_bytes(os.urandom(40 << 20))
    pushed.commit("large")
    push = pushed.start("push", "paas", "main")
    apart = app_repository(pushed) / "objects"
    eventually(lambda: list(apart.glob("*incoming*")), what="the first bytes")
    os.killpg(push.pid, signal.SIGKILL)
    push.communicate(timeout=30)
    eventually(lambda: not list(apart.glob("*incoming*")), what="the end of the push")
    assert (pushed.remote(), pushed.serves()) in ((before, "first"), (pushed.head(), "large"))


def test_a_server_killed_while_it_deploys_takes_the_next_push(pushed: Work) -> None:
    before = pushed.head()
    wanted = pushed.commit("second", procfile=SLOW)
    push = pushed.start("push", "paas", "main")
    eventually(pushed.running, what="the operation")
    os.kill(pushed.platform.server_pid(), signal.SIGKILL)
    _, said = push.communicate(timeout=60)
    assert push.returncode != 0, said
    pushed.platform.ok("up")
    assert pushed.remote() == before
    assert not list((app_repository(pushed) / "objects").glob("*incoming*"))
    pushed.git("push", "paas", "main")
    assert (pushed.serves(), pushed.remote()) == ("second", wanted)


def test_two_pushes_at_once_take_turns_and_the_branch_is_what_serves(pushed: Work, tmp_path: Path) -> None:
    other = Work(pushed.platform, tmp_path / "other", pushed.app)
    other.git("pull", "--quiet", "paas", "main")
    commits = {pushed.commit("left", boot=1): "left", other.commit("right", boot=1): "right"}
    pushes = [work.start("push", "paas", "main") for work in (pushed, other)]
    said = [push.communicate(timeout=180)[1] for push in pushes]
    assert sorted(push.returncode for push in pushes) == [0, 1], said
    assert pushed.serves() == commits[pushed.remote()]


def test_an_app_destroyed_while_it_is_pushed_to_leaves_nothing(pushed: Work) -> None:
    repository = app_repository(pushed)
    pushed.commit("second", procfile=SLOW)
    push = pushed.start("push", "paas", "main")
    eventually(pushed.running, what="the operation")
    pushed.platform.ok("destroy", "-a", pushed.app, "--confirm", pushed.app)
    _, said = push.communicate(timeout=60)
    assert "internal error" not in said, "whichever of the two was first"
    eventually(lambda: not repository.exists(), what="the end of the repository")


def test_a_push_over_the_limit_is_refused(platform: Platform, tmp_path: Path) -> None:
    platform.environ["PAAS_PUSH_LIMIT"] = "1000000"
    try:
        platform.ok("down")
        platform.ok("up")
        work = Work(platform, tmp_path / "work", "toolarge")
        work.commit("first")
        (work.folder / "large").write_bytes(os.urandom(2 << 20))
        work.commit("large")
        assert "exceeds maximum allowed size" in work.git("push", "paas", "main", code=1).err
        assert "toolarge" not in [app["name"] for app in platform.json("apps")]
    finally:
        del platform.environ["PAAS_PUSH_LIMIT"]
        platform.ok("down")
        platform.ok("up")


# --- a repository of one's own -------------------------------------------------------------------------------------


def test_a_bare_repository_with_our_hook_deploys_what_is_pushed_to_it(work: Work, tmp_path: Path) -> None:
    bare = tmp_path / "team.git"
    work.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    work.platform.ok("hooks", "install", bare, "-a", work.app)
    work.git("remote", "add", "team", str(bare))
    said = work.git("push", "team", "main").err
    assert f"{work.app} v1 serves" in said
    assert work.serves() == "first"
    work.git("push", "team", "main:another")
    work.platform.ok("hooks", "remove", bare)
    work.commit("second")
    work.git("push", "team", "main")
    assert work.serves() == "first"


def test_a_hook_of_ours_that_refuses_keeps_out_what_does_not_deploy(work: Work, tmp_path: Path) -> None:
    bare = tmp_path / "strict.git"
    work.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    work.platform.ok("hooks", "install", bare, "-a", work.app, "--refuse")
    work.git("remote", "add", "team", str(bare))
    work.git("push", "team", "main")
    assert work.serves() == "first"
    before = work.head()
    work.commit("broken", procfile="web: python not-there.py\n")
    assert "rejected" in work.git("push", "team", "main", code=1).err
    assert work.git("ls-remote", "team", "refs/heads/main").out.startswith(before)
    assert work.serves() == "first"
    work.commit("second")
    work.git("push", "team", "main")
    assert work.serves() == "second"
    assert work.git("ls-remote", "team", "refs/heads/main").out.startswith(work.head())


# --- which branch --------------------------------------------------------------------------------------------------


def test_another_branch_is_deployed_once_it_is_chosen(pushed: Work) -> None:
    work, branch = pushed, "production"
    before = work.head()
    kept = work.commit("kept")
    said = work.git("push", "paas", f"main:{branch}").err
    assert f"{branch} is kept, not deployed: main is" in said
    ran = work.platform.run("git", "set-branch", branch, "-a", work.app)
    assert ran.code == 0, ran.said
    assert work.serves() == "kept", "it says what runs from the moment it is the one"
    assert (work.remote(f"refs/heads/{branch}"), work.remote()) == (kept, before)
    work.commit("second")
    assert "main is kept, not deployed: production is" in work.git("push", "paas", "main").err
    assert work.serves() == "kept"
    work.git("push", "paas", f"main:{branch}")
    assert work.serves() == "second"
    assert "cannot be deleted" in work.git("push", "paas", f":{branch}", code=1).err
    work.git("push", "paas", ":main")
    assert work.platform.ok("git", "branch", "-a", work.app).strip() == branch


def test_pushes_wait_while_a_branch_is_being_chosen_and_then_know_it(pushed: Work) -> None:
    """A push that was judged by the deploy branch before would be taken and not run, or run and not be the one."""
    work, branch = pushed, "live"
    before = work.head()
    kept = work.commit("slow", boot=8)
    work.git("push", "--quiet", "paas", f"main:{branch}")
    newest = work.commit("newest")
    choosing = work.platform.start("git", "set-branch", branch, "-a", work.app)
    eventually(work.running, what="the deploy of the branch")
    late = {one: work.start("push", "paas", one) for one in ("main", f"main:{branch}", "main:other")}
    said = choosing.communicate(timeout=200)[0]
    assert choosing.returncode == 0, said
    told = {one: push.communicate(timeout=100)[1] for one, push in late.items()}
    for one in ("main", f"main:{branch}"):
        assert late[one].returncode == 1, told[one]
        assert "waiting for" in told[one]
        assert "another branch has become the deploy branch meanwhile" in told[one]
    assert late["main:other"].returncode == 0, told["main:other"]
    assert (work.remote(), work.remote(f"refs/heads/{branch}"), work.serves()) == (before, kept, "slow")
    work.git("push", "paas", f"main:{branch}")
    assert (work.remote(f"refs/heads/{branch}"), work.serves()) == (newest, "newest")


def test_a_branch_may_be_chosen_before_anything_is_pushed(work: Work) -> None:
    work.platform.ok("create", work.app)
    work.platform.ok("git", "set-branch", "live", "-a", work.app)
    assert "main is kept, not deployed: live is" in work.git("push", "paas", "main").err
    work.git("push", "paas", "main:live")
    assert work.serves() == "first"
    work.commit("broken", procfile="web: python not-there.py\n")
    work.git("push", "paas", "main:other")
    assert work.platform.run("git", "set-branch", "other", "-a", work.app).code == 8
    assert work.platform.ok("git", "branch", "-a", work.app).strip() == "live", "what does not run is not chosen"
