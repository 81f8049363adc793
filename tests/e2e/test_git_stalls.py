"""People who stand still in the middle of a push, by every way there is; and two who push a new app at once."""

from __future__ import annotations

import base64
import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.git_lab import Work
from tests.e2e.platform import PAAS, TOKEN, Platform, eventually, listening
from tests.e2e.sshd import Sshd

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

ENDED = "nothing came and nothing was taken for 5 s"


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """It is reached by its socket, TCP and SSH, and has little patience."""
    keys = tmp_path_factory.mktemp("keys") / "authorized_keys"
    little = {"PAAS_PUSH_IDLE": "5", "PAAS_REPOSITORY_LIMIT": "8000000"}
    return {**listening(), "PAAS_SSH_KEYS": str(keys), **little}


def names(platform: Platform) -> list[str]:
    return [app["name"] for app in platform.json("apps")]


def said_by(command: list[str], platform: Platform, given: bytes) -> tuple[int, str]:
    """Exit code and errors of a program that gets this and then nothing more; its input stays open."""
    with subprocess.Popen(
        command, env=platform.environ, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(given)
        process.stdin.flush()
        errors = process.stderr.read().decode()
        return process.wait(timeout=60), errors


def test_a_push_by_the_helper_that_brings_nothing_is_ended_and_told(server: tuple[Platform, Sshd]) -> None:
    platform, _ = server
    helper = [str(PAAS.with_name("git-remote-paas")), "paas", "still"]
    code, said = said_by(helper, platform, b"connect git-receive-pack\n00a4")
    assert (code, ENDED in said, "Traceback" in said) == (9, True, False), said
    assert "still" not in names(platform)


def test_a_push_by_ssh_that_brings_nothing_is_ended_and_told(server: tuple[Platform, Sshd]) -> None:
    platform, found = server
    command = [*found.ssh("alice"), "-p", str(found.port), f"{found.user}@127.0.0.1", "git-receive-pack '/still'"]
    code, said = said_by(command, platform, b"00a4")
    assert (code, ENDED in said, "Traceback" in said) == (9, True, False), said
    assert "still" not in names(platform)


def test_a_body_that_stops_coming_is_ended_and_told(server: tuple[Platform, Sshd]) -> None:
    platform, _ = server
    host, _, port = platform.environ["PAAS_LISTEN"].partition(":")
    password = base64.b64encode(f"x:{TOKEN}".encode()).decode()
    head = (
        "POST /git/still.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        f"Content-Type: application/x-git-receive-pack-request\r\nAuthorization: Basic {password}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head.encode() + b"00a40000")
        answer = b""
        while part := connection.recv(1 << 16):  # to its end: the server closes
            answer += part
    assert answer.startswith(b"HTTP/1.1 503")
    assert ENDED.encode() in answer
    assert "still" not in names(platform)


@pytest.mark.parametrize("way", ["helper", "http"])
def test_who_takes_nothing_any_more_does_not_hold_the_next_push(
    server: tuple[Platform, Sshd], tmp_path: Path, way: str
) -> None:
    platform, found = server
    app = f"{way}-still"
    urls = {"ssh": f"ssh://{found.host}/{app}", "http": f"http://x:{TOKEN}@{platform.environ['PAAS_LISTEN']}/git/{app}"}
    environ = {"GIT_SSH_COMMAND": shlex.join(found.ssh("alice")), "GIT_SSH_VARIANT": "ssh"}
    work = Work(platform, tmp_path / "work", app, url=f"{urls[way]}.git" if way in urls else "", environ=environ)
    work.commit("first")
    work.git("push", "paas", "main")
    loud = "print('begun', flush=True); time.sleep(1); [print('x' * 200, n, flush=False) for n in range(100_000)]"
    wanted = work.commit("second", procfile=f'release: python -c "import time; {loud}"\nweb: python app.py\n')
    push = work.start("push", "paas", "main")
    eventually(
        lambda: [one for one in platform.json("operations", "-a", app) if one["status"] == "running"],
        what="the operation",
    )
    os.killpg(push.pid, signal.SIGSTOP)
    try:
        eventually(lambda: work.remote() == wanted, seconds=90, what="the branch")
        assert work.serves() == "second"
        work.commit("third")
        work.git("push", "paas", "main")
        assert work.serves() == "third"
    finally:
        os.killpg(push.pid, signal.SIGKILL)
        push.communicate(timeout=30)


def test_the_branches_of_an_app_hold_so_much_together(server: tuple[Platform, Sshd], tmp_path: Path) -> None:
    platform, _ = server
    work = Work(platform, tmp_path / "work", "full")
    work.commit("first")
    work.git("push", "paas", "main")
    base = work.head()
    for branch, code in (("one", 0), ("two", 1)):
        work.git("checkout", "--quiet", "-b", branch, base)
        (work.folder / "large").write_bytes(os.urandom(5_000_000))
        work.commit(branch)
        said = work.git("push", "paas", branch, code=code).err
    assert "would hold 9.5 MB in all branches, more than 7.6 MB" in said
    work.git("push", "paas", "--delete", "one")
    assert "would hold" in work.git("push", "paas", "two", code=1).err, "it may be a push on its way"
    app_id = platform.json("info", "-a", "full")["id"]
    for path in (platform.folder / "home" / "git" / f"{app_id}.git" / "objects").rglob("*"):
        os.utime(path, (1, 1))
    work.git("push", "paas", "two")
    assert work.remote("refs/heads/two") == work.head()
    work.git("checkout", "--quiet", "main")
    work.commit("second")
    work.git("push", "paas", "main")
    assert work.serves() == "second"


def held(work: Work, until: Path) -> Path:
    """Have the pushes of this clone wait, connected, until that file is there. The file that says they do."""
    hook, waits = work.folder / ".git" / "hooks" / "pre-push", work.folder / ".git" / "waits"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {waits}\nwhile [ ! -e {until} ]; do sleep 0.1; done\n")
    hook.chmod(0o755)
    return waits


def test_a_first_push_that_is_refused_leaves_the_app_to_another_first_push(platform: Platform, tmp_path: Path) -> None:
    bad = Work(platform, tmp_path / "bad", "contended")
    good = Work(platform, tmp_path / "good", "contended")
    bad.commit("bad", procfile="web python app.py\n")
    wanted = good.commit("good")
    bad_waits, good_waits = held(bad, tmp_path / "bad-goes"), held(good, tmp_path / "good-goes")
    first = bad.start("push", "paas", "main")
    eventually(bad_waits.exists, what="the first push")
    second = good.start("push", "paas", "main")
    eventually(good_waits.exists, what="the second push")
    (tmp_path / "bad-goes").touch()
    _, said = first.communicate(timeout=120)
    assert first.returncode == 1, said
    assert "Procfile" in said
    (tmp_path / "good-goes").touch()
    _, said = second.communicate(timeout=120)
    assert second.returncode == 0, said
    assert (good.serves(), good.remote()) == ("good", wanted)
