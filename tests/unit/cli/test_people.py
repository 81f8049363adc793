"""Logging in, contexts, and the commands about people."""

from __future__ import annotations

import io
import json
import os
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from paas.cli import contexts
from paas.cli.contexts import Contexts, Place, chosen
from paas.errors import ConfigError, NotFound, NotLoggedIn, UsageError
from paas.requests.base import Request
from paas.requests.logins import AcceptInvite, CreateInvite, CreateToken, Logout, RevokeToken
from paas.requests.people import ListAudit, PutMember, RemoveMember, RemoveUser, VerifyAudit, WhoAmI
from tests.unit.cli.conftest import Paas, Ran
from tests.unit.server.stub import Running

ME = {"name": "zoe", "user": "0zoe", "via": "token", "role": "viewer", "apps": {"shop": "deployer"},
      "teams": {"web": "viewer"}, "token": "ab", "token_name": "laptop", "kind": "session", "most": "owner",
      "only": None, "expires_at": 0.0}  # fmt: skip


def last(server: Running, kind: type[Request]) -> Request:
    return [request for request, _, _ in server.door.seen if isinstance(request, kind)][-1]


def remote(server: Running) -> str:
    return f"http://{server.settings.listen}"


def test_an_invite_logs_in_and_the_server_is_the_current_context(server: Running, paas: Paas) -> None:
    server.door.answers = {AcceptInvite: {"token": "let-me-in"}, WhoAmI: ME}
    ran = paas("login", remote(server), "--invite", "paasinvite_x_y")
    assert ran.code == 0, ran
    assert "let-me-in" not in ran.out + ran.err
    accepted = last(server, AcceptInvite)
    assert isinstance(accepted, AcceptInvite)
    assert accepted.code == "paasinvite_x_y"
    assert accepted.label
    kept = contexts.read()
    assert kept.current == "127.0.0.1"
    assert kept.places["127.0.0.1"] == Place(server=remote(server), token="let-me-in", user="zoe")
    path = contexts.path_of()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["contexts.json"]
    who = paas("whoami")
    assert "shop (deployer)" in who.out
    assert server.door.seen[-1][1] == "token", "it went over TCP with the token"


def test_a_token_logs_in_and_a_wrong_one_leaves_nothing(
    server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.door.answers = {WhoAmI: ME}
    monkeypatch.setattr("sys.stdin", io.StringIO("wrong\n"))
    ran = paas("login", remote(server), "--name", "prod")
    assert ran.code == 11
    assert contexts.read() == Contexts()
    monkeypatch.setattr("sys.stdin", io.StringIO("let-me-in\n"))
    assert paas("login", remote(server), "--name", "prod").code == 0
    assert contexts.read().current == "prod"


def test_logout_ends_it_on_the_server_and_here(server: Running, paas: Paas) -> None:
    contexts.keep("prod", Place(server=remote(server), token="let-me-in"))
    server.door.answers = {Logout: None}
    assert paas("logout").code == 0
    assert isinstance(last(server, Logout), Logout)
    assert contexts.read() == Contexts()
    assert paas("logout").code == 2


def test_a_login_that_does_not_count_any_more_can_be_forgotten(server: Running, paas: Paas) -> None:
    contexts.keep("prod", Place(server=remote(server), token="let-me-in"))
    server.door.answers = {Logout: NotLoggedIn("not logged in")}
    assert paas("logout").code == 0
    contexts.keep("gone", Place(server="http://127.0.0.1:9", token="x"))
    ran = paas("logout", "gone")
    assert ran.code == 0
    assert "was not told" in ran.err


def test_what_is_said_later_wins(paas: Paas) -> None:
    contexts.keep("a", Place(server="https://a.example", token="ta"))
    contexts.keep("b", Place(server="https://b.example", token="tb"))
    home = {"HOME": "/nowhere"}
    assert chosen(home).server == "https://b.example"
    assert chosen({**home, "PAAS_CONTEXT": "a"}).token == "ta"
    assert chosen({**home, "PAAS_CONTEXT": "local"}).server == ""
    both = chosen({**home, "PAAS_CONTEXT": "a", "PAAS_HOST": "https://c.example", "PAAS_TOKEN": "tc"})
    assert (both.server, both.token) == ("https://c.example", "tc"), "a token never goes to another server"
    assert chosen({**home, "PAAS_HOST": "https://c.example"}).token == ""
    assert chosen({**home}, server="").server == ""
    with pytest.raises(NotFound):
        chosen({**home, "PAAS_CONTEXT": "none"})


def test_a_context_wins_over_the_file_of_the_home(paas: Paas, tmp_path: Path) -> None:
    (tmp_path / "paas.conf.toml").write_text('server = "https://file.example"\ntoken = "tf"\n')
    home = {"PAAS_HOME": str(tmp_path)}
    assert chosen(home).server == "https://file.example"
    contexts.keep("a", Place(server="https://a.example", token="ta"))
    assert (chosen(home).server, chosen(home).token) == ("https://a.example", "ta")
    assert chosen({**home, "PAAS_CONTEXT": "local"}).server == ""


def test_the_context_of_one_command_wins_over_everything(
    server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.door.answers = {WhoAmI: ME}
    contexts.keep("prod", Place(server=remote(server), token="let-me-in"))
    monkeypatch.setenv("PAAS_HOST", "https://elsewhere.invalid")
    monkeypatch.setenv("PAAS_TOKEN", "te")
    ran = paas("--context", "prod", "whoami")
    assert ran.code == 0, ran
    assert remote(server) in ran.out


@pytest.mark.parametrize("argv", [["up"], ["up", "--domain", "a.example"], ["down"], ["certs", "auto", "on"]])
@pytest.mark.parametrize("by", ["context", "variable"])
def test_what_is_about_one_machine_is_done_neither_here_nor_elsewhere_when_commands_go_elsewhere(
    server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch, argv: list[str], by: str
) -> None:
    if by == "context":
        contexts.keep("prod", Place(server=remote(server), token="let-me-in"))
    else:
        monkeypatch.setenv("PAAS_HOST", remote(server))
    before = sorted(path.name for path in server.settings.home.iterdir())
    ran = paas(*argv)
    assert (ran.code, remote(server) in ran.err, "--context local" in ran.err) == (2, True, True)
    assert server.door.seen == []
    assert server.operations.started == []
    assert sorted(path.name for path in server.settings.home.iterdir()) == before


def test_the_authority_of_a_server_is_kept_with_its_context(paas: Paas, tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    stranger.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with https(authority, json.dumps(ME).encode()) as url:
        for given in ((), ("--ca", str(tmp_path / "other.pem"))):
            ran = login(paas, url, *given)
            assert (ran.code, "is not trusted" in ran.err, "--ca" in ran.err) == (9, True, True)
        assert login(paas, url, "--ca", str(tmp_path / "none.pem")).code == 5
        assert contexts.read() == Contexts()
        assert login(paas, url, "--ca", str(tmp_path / "ca.pem")).code == 0
        assert contexts.read().places["localhost"].ca == str(tmp_path / "ca.pem")
        assert paas("whoami").code == 0


def login(paas: Paas, url: str, *given: str) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO("let-me-in\n"))
        return paas("login", url, *given)


@contextmanager
def https(authority: trustme.CA, answer: bytes) -> Iterator[str]:
    """A server that answers this to everything, with a certificate of this authority; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        found.socket = tls.wrap_socket(found.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"https://localhost:{found.server_address[1]}"
        found.shutdown()
        thread.join(10)


def test_contexts_are_listed_used_and_removed_without_their_tokens(paas: Paas) -> None:
    contexts.keep("prod", Place(server="https://a.example", token="s3cret", user="zoe"))
    shown = paas("contexts", "--json")
    assert [(one["name"], one["current"]) for one in json.loads(shown.out)] == [("local", False), ("prod", True)]
    assert "s3cret" not in shown.out
    assert paas("contexts", "use", "local").code == 0
    assert contexts.name_of() == "local"
    assert paas("contexts", "use", "nowhere").code == 3
    assert paas("contexts", "remove", "prod").code == 0
    assert contexts.read().places == {}


@pytest.mark.parametrize("name", ["", "local", "../x", "A", "a b", "-a", "é", "a/b", "x" * 65])
def test_a_name_that_cannot_be_one_is_refused(paas: Paas, name: str) -> None:
    with pytest.raises(UsageError):
        contexts.keep(name, Place(server="https://a.example", token="t"))


def test_a_file_that_others_may_read_or_that_is_broken_is_not_used(paas: Paas) -> None:
    contexts.keep("prod", Place(server="https://a.example", token="t"))
    contexts.path_of().chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        contexts.read()
    for text in ("", "{", "[]", '{"contexts": []}', '{"contexts": {"a": {}}}', '{"contexts": {"a": {"x": 1}}}'):
        contexts.path_of().write_text(text)
        contexts.path_of().chmod(0o600)
        with pytest.raises(ConfigError, match="cannot be read"):
            contexts.read()


def test_the_option_chooses_for_one_command(server: Running, paas: Paas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAAS_CONTEXT", "")
    contexts.keep("prod", Place(server=remote(server), token="let-me-in"))
    contexts.keep("other", Place(server="http://127.0.0.1:9", token="x"))
    assert paas("--context", "prod", "apps", "--json").code == 0
    assert server.door.seen[-1][1] == "token"
    os.environ["PAAS_CONTEXT"] = ""


@pytest.mark.parametrize(
    ("argv", "sent"),
    [
        ("members add bob deployer -a shop", PutMember(app="shop", user="bob", role="deployer")),
        ("access:add bob operate -a shop", PutMember(app="shop", user="bob", role="operator")),
        ("members add --team web viewer -a shop", PutMember(app="shop", team="web", role="viewer")),
        ("access:remove bob -a shop", RemoveMember(app="shop", user="bob")),
        ("tokens create ci -a shop --days 0", CreateToken(name="ci", apps=("shop",), days=0.0)),
        ("tokens revoke abc", RevokeToken(token="abc")),
        ("users remove bob --confirm bob", RemoveUser(user="bob", confirm="bob")),
        ("invites create zoe --team web --platform viewer", CreateInvite(name="zoe", role="viewer", team="web")),
        ("audit -a shop --user bob -n 5", ListAudit(app="shop", user="bob", limit=5)),
        ("audit --verify --head 1:ab", VerifyAudit(head="1:ab")),
    ],
)
def test_a_command_sends_its_request(server: Running, paas: Paas, argv: str, sent: Request) -> None:
    verdict = {"broken": 0, "records": 1, "head": "1:ab", "cause": ""}
    made = {"token": "t", "id": "i", "name": "n", "apps": None, "role": "viewer", "expires_at": 0.0, "code": "c"}
    server.door.answers = {
        PutMember: [], RemoveMember: [], ListAudit: [], VerifyAudit: verdict, CreateToken: made, CreateInvite: made,
        RevokeToken: None, RemoveUser: made,
    }  # fmt: skip
    ran = paas(*argv.split())
    assert ran.code == 0, ran
    assert server.door.seen[-1][0] == sent


def test_who_is_invited_is_told_the_address_of_the_platform(server: Running, paas: Paas) -> None:
    made = {"id": "i", "name": "zoe", "expires_at": 0.0, "code": "c", "server": "https://paas.example.com"}
    server.door.answers = {CreateInvite: made}
    assert "paas login https://paas.example.com --invite CODE" in paas("invites", "create", "zoe").err
    server.door.answers = {CreateInvite: {**made, "server": ""}}
    assert "paas login https://… --invite CODE" in paas("invites", "create", "zoe").err


@pytest.mark.parametrize(
    "argv",
    ["members add bob", "members add bob nonsense -a x", "members add --team web bob viewer", "users remove bob",
     "audit --since yesterday", "sessions revoke", "login ftp://x", "login https://a@b", "tokens create x --role no"],
)  # fmt: skip
def test_a_wrong_command_line_sends_nothing(server: Running, paas: Paas, argv: str, tmp_path: Path) -> None:
    ran = paas(*argv.split())
    assert ran.code == 2, ran
    assert not server.door.seen


def test_a_log_that_does_not_hold_is_an_error(server: Running, paas: Paas) -> None:
    broken = {"broken": 7, "records": 6, "head": "6:ab", "cause": "a record was changed"}
    server.door.answers = {VerifyAudit: broken}
    ran = paas("audit", "--verify")
    assert ran.code == 9
    assert "record 7" in ran.err
