"""A client, or the server, dies while the image of a push is built: it is finished and told, or leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.git_lab import Work
from tests.e2e.platform import eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def arriving(work: Work) -> list[Path]:
    """Folders of what pushes brought that are not taken yet."""
    return list((work.platform.folder / "home" / "git").glob("*.git/objects/*incoming*"))


def builds(work: Work, *, ends: str = "true") -> subprocess.Popen[str]:
    """A push whose image is being built: a step of it, which no cache has, runs for some seconds yet and ends so."""
    step = f"RUN echo compiling {work.app} && sleep 10 && {ends}"
    (work.folder / "Dockerfile").write_text(f"FROM paas-base/python:3.13\nWORKDIR /app\nCOPY app.py .\n{step}\n")
    work.commit("second")
    push = work.start("push", "paas", "main")
    assert push.stderr is not None
    said = [next(line for line in push.stderr if "compiling" in line)]
    assert work.running(), said
    return push


def killed(push: subprocess.Popen[str]) -> None:
    os.killpg(push.pid, signal.SIGKILL)
    push.communicate(timeout=30)


def test_a_client_that_dies_while_the_image_is_built_leaves_a_finished_push(pushed: Work) -> None:
    before, push = pushed.head(), builds(pushed)
    killed(push)
    assert pushed.running(), "it does not end with its client"
    assert (pushed.remote(), pushed.serves()) == (before, "first"), "nothing is half done"
    eventually(lambda: not pushed.running(), seconds=120, what="the end of the operation")
    eventually(lambda: pushed.remote() == pushed.head(), what="the branch")
    assert (pushed.serves(), pushed.release()) == ("second", 2)
    assert "Everything up-to-date" in pushed.git("push", "paas", "main").err


def test_a_build_that_fails_when_its_client_has_died_is_reported_and_leaves_the_branch(pushed: Work) -> None:
    before, push = pushed.head(), builds(pushed, ends="false")
    killed(push)
    eventually(lambda: not pushed.running(), seconds=120, what="the end of the operation")
    newest = pushed.platform.json("operations", "-a", pushed.app)[0]
    assert newest["status"] == "failed", newest
    eventually(lambda: not arriving(pushed), what="the end of the push")
    assert (pushed.remote(), pushed.serves(), pushed.release()) == (before, "first", 1)


def test_a_first_push_whose_client_died_and_whose_build_failed_leaves_no_app_behind(work: Work) -> None:
    killed(builds(work, ends="false"))
    eventually(lambda: work.platform.run("info", "-a", work.app).code == 3, seconds=120, what="the end of the app")
    assert not arriving(work)


def test_a_server_killed_while_the_image_is_built_takes_the_next_push(pushed: Work) -> None:
    before, push = pushed.head(), builds(pushed)
    os.kill(pushed.platform.server_pid(), signal.SIGKILL)
    said = push.communicate(timeout=60)[1]
    assert push.returncode != 0, said
    pushed.platform.ok("up")
    assert (pushed.remote(), pushed.serves(), pushed.release()) == (before, "first", 1)
    assert not pushed.running()
    assert not arriving(pushed)
    pushed.git("push", "paas", "main")
    assert (pushed.remote(), pushed.serves()) == (pushed.head(), "second")
