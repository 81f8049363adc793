"""git on the command line: which refs are taken, which SSH commands, remotes, hooks of one's own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paas.cli.contexts import Place, keep
from paas.cli.follow import chosen
from paas.cli.git_credential import asks_for
from paas.cli.git_shell import Asked, asked_for
from paas.cli.receive import Update, judged, updates
from paas.errors import Denied, UsageError
from paas.requests.git import AddKey, ListKeys, RemoveKey, SetBranch, ShowBranch
from tests.unit.cli.conftest import Paas
from tests.unit.server.stub import Running
from tests.unit.sources.test_local import git

NONE, ONE, TWO = "0" * 40, "1" * 40, "2" * 40
MAIN = "refs/heads/main"


# --- what becomes of a push ----------------------------------------------------------------------------------------


def test_the_lines_of_git_are_read() -> None:
    found = updates([f"{NONE} {ONE} {MAIN}\n", f"{ONE} {NONE} refs/tags/a b\n"])
    assert [one.ref for one in found] == [MAIN, "refs/tags/a b"]
    assert (found[0].makes, found[0].deletes) == (True, False)
    assert (found[1].makes, found[1].deletes) == (False, True)
    with pytest.raises(UsageError, match="at most 1000"):
        updates(f"{NONE} {ONE} refs/tags/{number}\n" for number in range(1001))


@pytest.mark.parametrize(
    ("refs", "head", "there", "deployed"),
    [
        ([MAIN], MAIN, True, MAIN),
        ([MAIN], MAIN, False, MAIN),
        (["refs/heads/master"], MAIN, False, "refs/heads/master"),
        (["refs/heads/master", MAIN], MAIN, False, MAIN),
        (["refs/heads/master"], MAIN, True, ""),
        (["refs/heads/production", MAIN], "refs/heads/production", True, "refs/heads/production"),
        ([MAIN], "refs/heads/master", True, ""),
        (["refs/heads/feature"], MAIN, False, ""),
        (["refs/tags/v1"], MAIN, True, ""),
        (["refs/heads/feature", "refs/tags/v1", MAIN], MAIN, True, MAIN),
    ],
)
def test_one_branch_is_deployed(refs: list[str], head: str, there: bool, deployed: str) -> None:
    verdict = judged([Update(ONE, TWO, ref) for ref in refs], head, there)
    assert (verdict.deploy.ref if verdict.deploy else "") == deployed
    others = [ref for ref in refs if ref.startswith("refs/heads/") and ref != deployed]
    assert len(verdict.notes) == len(others), "each other branch is told that it is not deployed"


@pytest.mark.parametrize(
    "ref",
    ["refs/notes/x", "refs/pull/1/head", "HEAD", "refs/heads", "refs/heads/" + "x" * 300, "refs/heads/a\x1b[31m",
     "refs/heads/main/inside", "refs/heads/" + "ü" * 130, "refs/heads/\udcff"],
)  # fmt: skip
def test_other_refs_are_refused_with_the_whole_push(ref: str) -> None:
    with pytest.raises(UsageError) as caught:
        judged([Update(ONE, TWO, MAIN), Update(NONE, ONE, ref)], MAIN, True)
    assert "\x1b" not in caught.value.message


def review(branch: str, name: str, **changes: object) -> dict[str, object]:
    return {"branch": branch, "name": name, "pull_request": 0, "fork": False, "status": "open", "release": 2, **changes}


def test_review_apps_of_branches_follow_what_was_pushed_of_these() -> None:
    there = [
        review("better", "shop-better"),
        review("tea/green", "shop-tea-green-3fa9c1", status="failed", release=0),
        review("gone", "shop-gone"),
        review("other", "shop-other"),
        review("v1", "shop-v1"),
        review("theirs", "shop-pr-3", pull_request=3),
        review("forked", "shop-forked", fork=True),
        review("ends", "shop-ends", status="closing"),
    ]
    names = ("main", "better", "tea/green", "theirs", "forked", "ends", "unknown")
    pushed = [Update(ONE, TWO, f"refs/heads/{name}") for name in names]
    pushed += [Update(ONE, NONE, "refs/heads/gone"), Update(ONE, TWO, "refs/tags/v1")]
    found = chosen(pushed, there)
    assert [(one.review, one.update.deletes, one.served) for one in found] == [
        ("shop-better", False, True), ("shop-tea-green-3fa9c1", False, False), ("shop-gone", True, True),
    ]  # fmt: skip
    assert chosen(pushed, []) == ()


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict", "latin-1"])
def test_a_name_that_is_no_text_is_refused_whatever_the_locale(tmp_path: Path, encoding: str) -> None:
    git(tmp_path, "init", "--quiet", "--bare")
    lines = f"{NONE} {ONE} refs/heads/x".encode() + b"\xff\n"
    ran = subprocess.run(
        [sys.executable, "-m", "paas.cli.receive"], cwd=tmp_path, input=lines, capture_output=True, check=False,
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": encoding, "LC_ALL": "C", "GIT_DIR": str(tmp_path)},
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr.startswith(b"error: refs/heads/x\\udcff is not taken\n"), ran.stderr
    assert b"Traceback" not in ran.stderr


def test_a_branch_whose_name_is_no_text_ends_no_command(paas: Paas, tmp_path: Path) -> None:
    git(Path.cwd(), "init", "--quiet")
    (Path.cwd() / ".git" / "HEAD").write_bytes(b"ref: refs/heads/x\xff\n")
    ran = paas("git", "remote")
    assert (ran.code, ran.out) == (0, "paas::my-app\n"), ran
    bare = tmp_path / "odd.git"
    bare.mkdir()
    git(bare, "init", "--quiet", "--bare")
    (bare / "HEAD").write_bytes(b"ref: refs/heads/x\xff\n")
    assert paas("hooks", "install", str(bare)).code == 2, "no server takes it"


def test_what_runs_cannot_be_deleted_other_branches_can() -> None:
    with pytest.raises(UsageError, match="cannot be deleted"):
        judged([Update(ONE, NONE, MAIN)], MAIN, True)
    verdict = judged([Update(ONE, NONE, "refs/heads/old"), Update(ONE, NONE, "refs/tags/v1")], MAIN, True)
    assert (verdict.deploy, verdict.notes) == (None, ())


@pytest.mark.parametrize(
    ("refs", "there", "said"),
    [
        (["refs/heads/side/x"], ["refs/heads/side"], "side/x and side cannot both be"),
        (["refs/heads/side"], ["refs/heads/side/x/y"], "side and side/x/y cannot both be"),
        (["refs/heads/a", "refs/heads/a/b"], [], "cannot both be"),
        (["refs/tags/v1/x"], ["refs/tags/v1"], "v1/x and v1 cannot both be"),
    ],
)
def test_refs_that_git_has_no_room_for_are_refused_before_anything_is_deployed(
    refs: list[str], there: list[str], said: str
) -> None:
    pushed = [Update(ONE, TWO, MAIN), *(Update(NONE, ONE, ref) for ref in refs)]
    with pytest.raises(UsageError, match=said):
        judged(pushed, MAIN, True, [MAIN, *there])


def test_refs_beside_each_other_are_taken() -> None:
    pushed = [Update(NONE, ONE, ref) for ref in ("refs/heads/side-x", "refs/heads/a/b", "refs/tags/side")]
    assert judged(pushed, MAIN, True, [MAIN, "refs/heads/side", "refs/heads/a/c"]).deploy is None


def test_the_refs_of_a_repository_are_bounded() -> None:
    there = [f"refs/tags/{number}" for number in range(10_000)]
    with pytest.raises(UsageError, match="at most 10000"):
        judged([Update(NONE, ONE, "refs/tags/new")], MAIN, True, there)
    assert judged([Update(ONE, TWO, "refs/tags/1")], MAIN, True, there).deploy is None
    assert judged([Update(ONE, NONE, "refs/tags/1")], MAIN, True, there).deploy is None
    instead = [Update(ONE, NONE, "refs/tags/1"), Update(NONE, ONE, "refs/tags/new")]
    assert judged(instead, MAIN, True, there).deploy is None


def test_what_is_said_to_be_typed_is_safe_to_type() -> None:
    (note,) = judged([Update(NONE, ONE, "refs/heads/x;id")], MAIN, True).notes
    assert note.endswith("git push paas 'x;id:main'")


# --- what a key may ask for ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("git-receive-pack '/shop'", Asked("receive-pack", "shop")),
        ("git-receive-pack 'shop.git'", Asked("receive-pack", "shop")),
        ("git-upload-pack '/my-shop.git/'", Asked("upload-pack", "my-shop")),
        ("git upload-pack shop", Asked("upload-pack", "shop")),
    ],
)
def test_the_two_git_commands_are_understood(command: str, asked: Asked) -> None:
    assert asked_for(command) == asked


@pytest.mark.parametrize(
    "command",
    [
        "",
        "id",
        "sh",
        "scp -t /",
        "git-receive-pack",
        "git-receive-pack ''",
        "git-receive-pack '/shop';id",
        "git-receive-pack '/shop'\nid",
        "git-receive-pack '/shop'\n",
        "git-receive-pack '/shop' --help",
        "git-receive-pack --help",
        "git-receive-pack '-x'",
        "git-receive-pack '$(id)'",
        "git-receive-pack '/a/b'",
        "git-receive-pack '../../etc'",
        "git-receive-pack 'shop",
        "git-receive-pack shop'",
        "git-receive-pack '/Shop'",
        f"git-upload-pack '{'a' * 60}'",
        "git-upload-archive 'shop'",
    ],
)
def test_every_other_command_is_denied(command: str) -> None:
    with pytest.raises(Denied):
        asked_for(command)


def test_git_shell_says_no_without_a_traceback(paas: Paas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", "rm -rf /")
    ran = paas("git-shell", "alice")
    assert (ran.code, ran.out) == (11, "")
    assert "may only push and fetch" in ran.err


# --- keys ----------------------------------------------------------------------------------------------------------


def test_keys_are_sent_from_standard_input(
    server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = {"name": "alice", "kind": "ssh-ed25519", "fingerprint": "SHA256:x"}
    server.door.answers = {AddKey: key, ListKeys: [key], RemoveKey: key}
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA me\n")
    with (tmp_path / "key.pub").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        ran = paas("keys", "add", "alice")
    assert ran.code == 0, ran
    assert "SHA256:x" in ran.err
    assert server.door.seen[-1][0] == AddKey(name="alice", public="ssh-ed25519 AAAA me\n")
    assert json.loads(paas("keys", "--json").out) == [key]
    assert "SHA256:x" in paas("keys").out
    assert paas("keys", "remove", "alice").code == 0


# --- the remote ----------------------------------------------------------------------------------------------------


def test_the_remote_is_added_once(paas: Paas, repository: Path) -> None:
    ran = paas("git", "remote")
    assert (ran.code, ran.out) == (0, "paas::my-app\n"), ran
    assert "git push paas main" in ran.err
    assert git(repository, "remote", "get-url", "paas") == "paas::my-app"
    assert paas("git", "remote").code == 0, "safe to repeat"


def test_the_deploy_branch_of_an_app_that_is_there_is_said_with_the_remote(
    server: Running, paas: Paas, repository: Path
) -> None:
    known = {"app": "my-app", "branch": "production", "commit": "", "chosen": True, "release": 0}
    server.door.answers = {ShowBranch: known}
    assert "git push paas main:production" in paas("git", "remote", "-a", "my-app").err
    server.door.answers = {ShowBranch: {**known, "branch": "main", "chosen": False}}
    git(repository, "checkout", "--quiet", "-b", "master")
    assert "git push paas master\n" in paas("git", "remote", "-a", "my-app").err, "the first of the two that comes"


def test_the_deploy_branch_is_shown_and_chosen(server: Running, paas: Paas) -> None:
    known = {"app": "shop", "branch": "production", "commit": "", "chosen": True, "release": 0}
    server.door.answers = {ShowBranch: known}
    server.operations.answers = {SetBranch: [known]}
    assert paas("git", "branch", "-a", "shop").out == "production\n"
    ran = paas("git", "set-branch", "production", "-a", "shop")
    assert ran.code == 0, ran
    assert "git push paas production" in ran.err
    assert server.operations.requests[-1] == SetBranch(app="shop", branch="production")


def test_a_remote_that_leads_elsewhere_is_only_replaced_when_told_to(paas: Paas, repository: Path) -> None:
    git(repository, "remote", "add", "paas", "https://example.org/x.git")
    ran = paas("git", "remote")
    assert ran.code == 4
    assert "https://example.org/x.git" in ran.err
    assert paas("git", "remote", "--replace").code == 0
    assert git(repository, "remote", "get-url", "paas") == "paas::my-app"


def test_another_branch_is_said_with_the_one_it_deploys_to(paas: Paas, repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "trunk")
    assert "git push far trunk:main" in paas("git", "remote", "--name", "far").err


def test_the_remote_may_lead_through_ssh(paas: Paas, repository: Path) -> None:
    assert paas("git", "remote", "--ssh", "deploy@example.org:2222", "-a", "shop").out == (
        "ssh://deploy@example.org:2222/shop\n"
    )
    for hostile in ("-oProxyCommand=id", "a b", "x/y", "user@-x", "$(id)"):
        assert paas("git", "remote", "--ssh", hostile, "--name", "other").code == 2


def test_the_remote_may_lead_to_a_server_elsewhere_with_its_password(
    paas: Paas, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert paas("git", "remote", "--http").code == 2, "there is no server elsewhere"
    monkeypatch.setenv("PAAS_HOST", "https://paas.example.org/")
    monkeypatch.setenv("PAAS_TOKEN", "secret")
    assert paas("git", "remote", "--http", "-a", "shop").out == "https://paas.example.org/git/shop.git\n"
    helper = git(repository, "config", "credential.https://paas.example.org.helper")
    assert helper.endswith("paas git-credential")
    assert "secret" not in (repository / ".git" / "config").read_text()
    assert paas("git", "remote", "--http", "--ssh", "a@b", "--name", "other").code == 2


@pytest.mark.parametrize(
    ("asked", "server", "may"),
    [
        ("protocol=https\nhost=paas.example.org\n", "https://paas.example.org", True),
        ("protocol=https\nhost=paas.example.org\n", "https://paas.example.org/", True),
        ("protocol=http\nhost=127.0.0.1:88\n", "http://127.0.0.1:88", True),
        ("protocol=http\nhost=paas.example.org\n", "https://paas.example.org", False),
        ("protocol=https\nhost=paas.example.org.evil.org\n", "https://paas.example.org", False),
        ("protocol=https\nhost=paas.example.org:444\n", "https://paas.example.org", False),
        ("protocol=https\nhost=\n", "", False),
        ("", "", False),
        ("protocol=\nhost=\n", "", False),
    ],
)
def test_the_password_goes_to_that_server_alone(asked: str, server: str, may: bool) -> None:
    assert asks_for(asked.splitlines(), server) is may


def test_git_gets_the_password_as_it_asks_for_it(paas: Paas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAAS_HOST", "https://paas.example.org")
    monkeypatch.setenv("PAAS_TOKEN", "secret")
    monkeypatch.setattr(sys, "stdin", io.StringIO("protocol=https\nhost=paas.example.org\n\n"))
    assert paas("git-credential", "get").out == "username=paas\npassword=secret\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("protocol=https\nhost=elsewhere.org\n\n"))
    assert paas("git-credential", "get").out == ""
    assert paas("git-credential", "store").out == ""


def test_git_trusts_the_authority_that_the_context_names(
    paas: Paas, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)
    keep("a", Place(server="https://a.example.org", token="ta", ca=str(tmp_path / "ca.pem")))
    added = paas("git", "remote", "--http", "-a", "shop")
    assert (added.code, "GIT_SSL_CAINFO" in added.err) == (0, False)
    assert git(repository, "config", "http.https://a.example.org.sslCAInfo") == str(tmp_path / "ca.pem")
    monkeypatch.setenv("GIT_SSL_CAINFO", "/etc/ssl/company.pem")
    assert "GIT_SSL_CAINFO is set here" in paas("git", "remote", "--http", "-a", "shop").err


def test_a_repository_keeps_its_password_when_another_context_is_used(
    paas: Paas, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, place in {
        "a": Place(server="https://a.example.org", token="of-a"),
        "other": Place(server="https://b.example.org", token="of-other"),
        "b": Place(server="https://b.example.org", token="of-b"),
    }.items():
        keep(name, place)
    for host, said in (("a.example.org", "of-a"), ("b.example.org", "of-b"), ("c.example.org", "")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"protocol=https\nhost={host}\n\n"))
        out = paas("git-credential", "get").out
        assert out == (f"username=paas\npassword={said}\n" if said else "")
    monkeypatch.setattr(sys, "stdin", io.StringIO("protocol=http\nhost=a.example.org\n\n"))
    assert paas("git-credential", "get").out == "", "not without TLS"


def test_a_folder_without_a_repository_is_told_so(paas: Paas) -> None:
    ran = paas("git", "remote")
    assert ran.code == 2
    assert "no git repository" in ran.err


# --- the program git runs ------------------------------------------------------------------------------------------


def helper(*argv: str, said: bytes, home: Path) -> subprocess.CompletedProcess[bytes]:
    """`git-remote-paas`, as git runs it."""
    code = "from paas.cli.remote_helper import main; main()"
    environ = {"PATH": os.environ["PATH"], "PAAS_HOST": "http://127.0.0.1:1", "PAAS_TOKEN": "x", "PAAS_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", code, *argv], input=said, capture_output=True, env=environ, check=False, timeout=60
    )


def test_the_helper_can_connect_and_nothing_else(tmp_path: Path) -> None:
    ran = helper("paas", "shop", said=b"capabilities\n", home=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, b"connect\n\n")
    ran = helper("paas", "shop", said=b"fetch x\n", home=tmp_path)
    assert ran.returncode == 2
    assert b"Traceback" not in ran.stderr


@pytest.mark.parametrize("name", ["../x", "a b", "-x", "", "shop;id", "Shop"])
def test_the_helper_takes_only_names_of_apps(tmp_path: Path, name: str) -> None:
    ran = helper("paas", name, said=b"connect git-receive-pack\n", home=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, b"")


def test_the_helper_says_that_no_server_answers(tmp_path: Path) -> None:
    ran = helper("paas", "shop", said=b"connect git-receive-pack\n", home=tmp_path)
    assert ran.returncode == 9
    assert b"no server answers" in ran.stderr
