"""`git push` over SSH: a real sshd, keys that may push and nothing else."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import pytest

from tests.e2e.git_lab import Work
from tests.e2e.platform import Platform, eventually
from tests.e2e.sshd import Sshd
from tests.ports import free_port

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {"PAAS_SSH_KEYS": str(tmp_path_factory.mktemp("keys") / "authorized_keys")}


def clone(server: tuple[Platform, Sshd], folder: Path, app: str, key: str = "alice") -> Work:
    platform, found = server
    environ = {"GIT_SSH_COMMAND": shlex.join(found.ssh(key)), "GIT_SSH_VARIANT": "ssh"}
    return Work(platform, folder, app, url=f"ssh://{found.host}/{app}", environ=environ)


def test_a_push_over_ssh_deploys_in_the_name_of_the_key(server: tuple[Platform, Sshd], tmp_path: Path) -> None:
    work = clone(server, tmp_path / "work", "far")
    work.commit("first")
    said = work.git("push", "paas", "main").err
    assert "remote: far v1 serves" in said
    assert work.serves() == "first"
    assert work.remote() == work.head()
    assert work.platform.json("releases", "-a", "far")[0]["actor"] == "key alice"
    work.git("clone", "--quiet", f"ssh://{server[1].host}/far.git", str(tmp_path / "clone"))
    assert (tmp_path / "clone" / "app.py").exists()


def test_a_refused_push_says_why(server: tuple[Platform, Sshd], tmp_path: Path) -> None:
    work = clone(server, tmp_path / "work", "refused")
    work.commit("first")
    work.git("push", "paas", "main")
    work.commit("broken", procfile="web python app.py\n")
    assert "Procfile" in work.git("push", "paas", "main", code=1).err
    assert work.serves() == "first"


@pytest.mark.parametrize(
    "command",
    [[], ["id"], ["git-receive-pack '/far';id"], ["git-receive-pack", "'../../etc'"], ["git-receive-pack --help"],
     ["git-upload-archive '/far'"], ["internal-sftp"], ["$(touch /tmp/x)"]],
)  # fmt: skip
def test_a_key_can_do_nothing_else(server: tuple[Platform, Sshd], command: list[str]) -> None:
    ran = server[1].run("alice", *command)
    assert ran.returncode == 11, ran
    assert ran.stdout == ""
    assert "this key may" in ran.stderr


def test_a_key_gets_neither_a_terminal_nor_a_tunnel_nor_an_environment(server: tuple[Platform, Sshd]) -> None:
    platform, found = server
    assert "PTY allocation request failed" in found.run("alice", "-tt").stderr
    inside, strict = f"127.0.0.1:{platform.api_port}", ("-o", "ExitOnForwardFailure=yes")
    assert "forwarding failed" in found.run("alice", options=("-W", inside)).stderr, "no tunnel into the machine"
    assert "forwarding failed" in found.run("alice", options=(*strict, "-R", f"{free_port()}:{inside}")).stderr
    assert "forwarding failed" in found.run("alice", options=(*strict, "-w", "0:0")).stderr
    assert "subsystem request failed" in found.run("alice", "sftp", options=("-s",)).stderr
    elsewhere = found.run("alice", "git-upload-pack '/nowhere'", send_env="PAAS_HOME=/tmp")
    assert "no app 'nowhere'" in elsewhere.stderr, "the server asked is still the one that the key is for"
    broken = found.run("alice", "git-upload-pack '/nowhere'", send_env="PYTHONHOME=/nowhere")
    assert "no app 'nowhere'" in broken.stderr
    assert platform.run("status").code == 0


def test_a_key_that_is_removed_or_unknown_may_nothing(server: tuple[Platform, Sshd]) -> None:
    platform, found = server
    line = found.public("bob")
    assert "Permission denied" in found.run("bob", "id").stderr
    platform.ok("keys", "add", "bob", text=line)
    assert "may only push" in found.run("bob", "id").stderr
    assert [key["name"] for key in platform.json("keys")] == ["alice", "bob"]
    platform.ok("keys", "remove", "bob")
    assert "Permission denied" in found.run("bob", "id").stderr


def test_a_line_that_is_cut_while_it_deploys_leaves_a_finished_push(
    server: tuple[Platform, Sshd], tmp_path: Path
) -> None:
    work = clone(server, tmp_path / "work", "cut")
    work.commit("first")
    work.git("push", "paas", "main")
    slow = "release: python -c 'import time; time.sleep(4)'\nweb: python app.py\n"
    wanted = work.commit("second", procfile=slow)
    push = work.start("push", "paas", "main")
    eventually(
        lambda: [one for one in work.platform.json("operations", "-a", "cut") if one["status"] == "running"],
        what="the operation",
    )
    os.killpg(push.pid, signal.SIGKILL)
    push.communicate(timeout=30)
    eventually(lambda: work.remote() == wanted, what="the branch")
    assert work.serves() == "second"
