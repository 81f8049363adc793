"""`git push` by git's own HTTP: the token is the password; errors, refusals and accidents as by every other way."""

from __future__ import annotations

import base64
import gzip
import os
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.git_lab import Work
from tests.e2e.packs import delta_bomb, tree_bomb_pack
from tests.e2e.platform import PAAS, TOKEN, Platform, eventually, listening
from tests.git_server import git_server

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    return listening()


def base(platform: Platform) -> str:
    return f"http://{platform.environ['PAAS_LISTEN']}"


def clone(platform: Platform, folder: Path, app: str) -> Work:
    """A clone whose remote is the server's address; the password comes from `paas git-credential`."""
    environ = {"PAAS_HOST": base(platform), "GIT_TERMINAL_PROMPT": "0"}
    work = Work(platform, folder, app, url=f"{base(platform)}/git/{app}.git", environ=environ)
    work.git("config", f"credential.{base(platform)}.helper", f"!{PAAS} git-credential")
    return work


def ask(
    platform: Platform, path: str, *, token: str = "", data: bytes | None = None, **headers: str
) -> tuple[int, bytes, str]:
    """Status, body and WWW-Authenticate of one request."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        given["Authorization"] = "Basic " + base64.b64encode(f"anybody:{token}".encode()).decode()
    request = urllib.request.Request(base(platform) + path, data=data, headers=given)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read(), ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers.get("WWW-Authenticate", "")


def test_a_push_deploys_and_a_refused_one_leaves_the_branch(platform: Platform, tmp_path: Path) -> None:
    work = clone(platform, tmp_path / "work", "web")
    work.commit("first")
    said = work.git("push", "paas", "main").err
    assert "remote: web v1 serves" in said
    assert work.serves() == "first"
    assert work.remote() == work.head()
    before = work.head()
    work.commit("broken", procfile="web python app.py\n")
    assert "Procfile" in work.git("push", "paas", "main", code=1).err
    assert work.remote() == before
    work.git("clone", "--quiet", f"{base(platform)}/git/web.git", str(tmp_path / "clone"),
             "--config", f"credential.{base(platform)}.helper=!{PAAS} git-credential")  # fmt: skip
    assert (tmp_path / "clone" / "app.py").exists()


def test_the_remote_and_its_password_are_set_up_by_one_command(platform: Platform, tmp_path: Path) -> None:
    work = clone(platform, tmp_path / "work", "setup")
    work.git("remote", "remove", "paas")
    work.git("config", "--unset", f"credential.{base(platform)}.helper")
    before = dict(platform.environ)
    platform.environ["PAAS_HOST"] = base(platform)
    try:
        platform.ok("git", "remote", "-a", "setup", "--http", cwd=work.folder)
    finally:
        platform.environ.clear()
        platform.environ.update(before)
    work.commit("first")
    work.git("push", "paas", "main")
    assert work.serves() == "first"


def test_the_helper_goes_to_the_server_elsewhere_too(platform: Platform, tmp_path: Path) -> None:
    work = clone(platform, tmp_path / "work", "helped")
    work.git("remote", "set-url", "paas", "paas::helped")
    work.commit("first")
    work.git("push", "paas", "main")
    assert work.serves() == "first"
    assert platform.json("releases", "-a", "helped")[0]["actor"] == "token"
    work.environ["PAAS_TOKEN"] = "wrong"
    assert "not logged in" in work.git("fetch", "paas", code=128).err


def test_a_netrc_does_as_well(platform: Platform, tmp_path: Path) -> None:
    work = clone(platform, tmp_path / "work", "netrc")
    work.git("config", "--unset", f"credential.{base(platform)}.helper")
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {TOKEN}\n")
    work.environ["HOME"] = str(tmp_path)
    work.commit("first")
    work.git("push", "paas", "main")
    assert work.serves() == "first"


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN}x", "ü"])
def test_only_the_token_is_a_password(platform: Platform, token: str) -> None:
    for path in (
        "/git/web.git/info/refs?service=git-receive-pack",
        "/git/nowhere.git/info/refs?service=git-upload-pack",
    ):
        status, body, login = ask(platform, path, token=token)
        assert (status, login.startswith("Basic")) == (401, True), body
    assert ask(platform, "/git/web.git/git-receive-pack", token=token, data=b"0000")[0] == 401
    assert ask(platform, "/apps", token=TOKEN)[0] == 401, "a password counts for git alone"
    for broken in ("Basic", "Basic ???", "Basic " + base64.b64encode(b"\xff\xfe").decode()):
        assert ask(platform, "/git/web.git/info/refs?service=git-upload-pack", Authorization=broken)[0] == 401
    assert ask(platform, f"/git/web.git/info/refs?service=git-upload-pack&token={TOKEN}")[0] == 401


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/git/web.git/info/refs", 404),
        ("/git/web.git/info/refs?service=git-upload-archive", 404),
        ("/git/nowhere.git/info/refs?service=git-upload-pack", 404),
        ("/git/..%2f..%2fetc.git/info/refs?service=git-upload-pack", 404),
        ("/git/Shop.git/info/refs?service=git-receive-pack", 422),
        ("/git/web.git/HEAD", 404),
        ("/git/web.git/objects/info/packs", 404),
        ("/git/web.git/config", 404),
    ],
)
def test_nothing_but_the_two_conversations_is_answered(platform: Platform, path: str, status: int) -> None:
    assert ask(platform, path, token=TOKEN)[0] in (status, 405)
    assert "Shop" not in [app["name"] for app in platform.json("apps")]


def test_broken_bodies_are_refused_and_leave_nothing(platform: Platform) -> None:
    kind = "application/x-git-receive-pack-request"
    path = "/git/broken.git/git-receive-pack"
    assert ask(platform, path, token=TOKEN, data=b"0000", Content_Type="text/plain")[0] == 422
    assert ask(platform, path, token=TOKEN, data=b"0000", Content_Type=kind) == (200, b"", "")
    assert ask(platform, path, token=TOKEN, data=b"not gzip", Content_Type=kind, Content_Encoding="gzip")[0] == 422
    assert (
        ask(platform, path, token=TOKEN, data=gzip.compress(b"0000"), Content_Type=kind, Content_Encoding="gzip")[0]
        == 200
    )
    assert ask(platform, path, token=TOKEN, data=b"zzzz", Content_Type=kind)[0] == 503
    bomb = gzip.compress(b"0" * 200_000_000)
    assert ask(platform, path, token=TOKEN, data=bomb, Content_Type=kind, Content_Encoding="gzip")[0] in (200, 503)
    assert "broken" not in [app["name"] for app in platform.json("apps")]
    assert memory(platform) < 300_000_000


def test_a_few_bytes_that_stand_for_very_many_are_refused(platform: Platform) -> None:
    path, kind = "/git/bomb.git/git-receive-pack", "application/x-git-receive-pack-request"
    body = delta_bomb(80)
    assert len(body) < 20_000
    status, said, _ = ask(platform, path, token=TOKEN, data=body, Content_Type=kind)
    assert status in (200, 503)
    assert b"unpack ok" not in said
    assert b"Out of memory" in said or b"unpacker error" in said, said
    assert "bomb" not in [app["name"] for app in platform.json("apps")]


def test_folders_that_hold_the_same_ones_again_and_again_are_refused(platform: Platform, tmp_path: Path) -> None:
    work, before = clone(platform, tmp_path / "work", "folders"), memory(platform)
    commit, pack = tree_bomb_pack(12)
    assert len(pack) < 3000
    subprocess.run(["git", "index-pack", "--stdin"], cwd=work.folder, input=pack, check=True, capture_output=True)
    work.git("update-ref", "refs/heads/main", commit)
    assert "the source has more than 100000 files" in work.git("push", "paas", "main", code=1).err
    with git_server(tmp_path / "work") as server:
        said = platform.fails(5, "deploy", server.url(".git"), "-a", "folders")
    assert "the source has more than 100000 files" in said
    assert memory(platform) - before < 250_000_000
    assert "folders" not in [app["name"] for app in platform.json("apps")]


def test_a_pattern_of_many_stars_holds_nobody_up(platform: Platform, tmp_path: Path) -> None:
    work = clone(platform, tmp_path / "work", "stars")
    (work.folder / ".paasignore").write_text("*a" * 40 + "b\n")
    (work.folder / ("a" * 200)).write_text("")
    work.commit("first")
    work.git("push", "paas", "main")
    assert work.serves() == "first"


def test_of_git_lfs_only_the_pointers_come_and_the_push_says_so(platform: Platform, tmp_path: Path) -> None:
    work = clone(platform, tmp_path / "work", "pointers")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    (work.folder / "big.bin").write_text(pointer)
    work.commit("first")
    said = work.git("push", "paas", "main").err
    assert "big.bin: only a Git LFS pointer, the content is not part of the source" in said
    assert work.serves() == "first"


def memory(platform: Platform) -> int:
    """The most that the server ever held, in bytes."""
    return peak(Path(f"/proc/{platform.server_pid()}"))


def peak(process: Path) -> int:
    """The most that a process ever held, in bytes; 0: it has gone."""
    with suppress(OSError):
        lines = (process / "status").read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
    return 0


@contextmanager
def watched(platform: Platform) -> Iterator[dict[str, int]]:
    """The most that git's processes on the server held meanwhile, by command."""
    found: dict[str, int] = {}
    ended, home = threading.Event(), str(platform.folder / "home" / "git").encode()

    def look() -> None:
        while not ended.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    if words[0] == b"git" and home in (process / "environ").read_bytes():
                        name = next((word for word in words if b"-pack" in word), b"git").decode()
                        found[name] = max(found.get(name, 0), peak(process))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def test_a_large_push_is_not_held_in_memory(platform: Platform, tmp_path: Path) -> None:
    work = clone(platform, tmp_path / "work", "large")
    work.commit("first")
    work.git("push", "paas", "main")
    before = memory(platform)
    (work.folder / "large").write_bytes(os.urandom(100 << 20))
    work.commit("large")
    with watched(platform) as git:
        work.git("push", "paas", "main")
    assert work.serves() == "large"
    assert memory(platform) - before < 50_000_000
    assert git["receive-pack"] < 50_000_000
    assert max(git.values()) < 80_000_000, git


def test_a_client_that_dies_while_it_deploys_leaves_a_finished_push(platform: Platform, tmp_path: Path) -> None:
    work = clone(platform, tmp_path / "work", "cut")
    work.commit("first")
    work.git("push", "paas", "main")
    slow = "release: python -c 'import time; time.sleep(4)'\nweb: python app.py\n"
    wanted = work.commit("second", procfile=slow)
    push = work.start("push", "paas", "main")
    eventually(
        lambda: [one for one in platform.json("operations", "-a", "cut") if one["status"] == "running"],
        what="the operation",
    )
    os.killpg(push.pid, signal.SIGKILL)
    push.communicate(timeout=30)
    eventually(lambda: work.remote() == wanted, what="the branch")
    assert work.serves() == "second"


def test_a_token_revoked_while_its_push_deploys_ends_the_push_and_not_the_deploy(
    platform: Platform, tmp_path: Path
) -> None:
    work = clone(platform, tmp_path / "work", "revoked")
    work.commit("first")
    work.git("push", "paas", "main")
    token = platform.json("tokens", "create", "ci", "--app", "revoked", "--role", "deployer")
    work.environ["PAAS_TOKEN"] = token["token"]
    wanted = work.commit("second", procfile="release: python -c 'import time; time.sleep(8)'\nweb: python app.py\n")
    push = work.start("push", "paas", "main")
    eventually(
        lambda: [one for one in platform.json("operations", "-a", "revoked") if one["status"] == "running"],
        what="the operation",
    )
    platform.ok("tokens", "revoke", token["id"])
    _, said = push.communicate(timeout=120)
    assert push.returncode != 0, said
    assert "revoked v2 serves" not in said, "who may not look any more sees no more"
    work.environ["PAAS_TOKEN"] = TOKEN
    eventually(lambda: work.remote() == wanted, what="the branch")
    assert work.serves() == "second", "the branch says what runs"


def test_a_body_that_breaks_off_leaves_nothing(platform: Platform) -> None:
    host, _, port = platform.environ["PAAS_LISTEN"].partition(":")
    password = base64.b64encode(f"x:{TOKEN}".encode()).decode()
    head = (
        "POST /git/halfway.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        f"Content-Type: application/x-git-receive-pack-request\r\nAuthorization: Basic {password}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + b"00a40000")
        eventually(lambda: "halfway" in [app["name"] for app in platform.json("apps")], what="the app")
    eventually(lambda: "halfway" not in [app["name"] for app in platform.json("apps")], what="its end")
