"""The HTTP interface and the client that speaks it, over a real socket, around a door that answers from memory."""

from __future__ import annotations

import getpass
import gzip
import io
import json
import socket
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

import paas
from paas.client import Client
from paas.errors import (
    Conflict,
    Denied,
    NotFound,
    OtherVersion,
    PaasError,
    ServerUnavailable,
    UsageError,
)
from paas.interfaces import Resize
from paas.requests.addons import FetchBackup
from paas.requests.all import all_requests
from paas.requests.apps import CreateApp, ListApps, ShowApp
from paas.requests.deploys import DeployApp, Rollback, SourceRef
from paas.requests.platform import PlatformDown
from paas.requests.processes import ReadLogs, Scale
from paas.requests.sessions import RunCommand
from paas.server.listen import unix_socket
from paas.settings import Settings
from tests.unit.server.stub import Running, eventually, running


@pytest.fixture
def client(server: Running):
    with Client.connect(server.settings) as found:
        yield found


def raw(server: Running, method: str, path: str, **kwargs: object) -> httpx2.Response:
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(server.settings.socket))) as http:
        return http.request(method, f"http://anything{path}", **kwargs)


def test_an_answer_arrives_as_json_and_secrets_masked(client: Client) -> None:
    assert client.ask(ListApps()) == [{"name": "shop", "secret": "••••"}]


def test_a_request_arrives_as_it_was_sent_with_the_local_user_as_owner(server: Running, client: Client) -> None:
    sent = CreateApp(name="../x\n{{ 7 }}")
    client.ask(sent)
    assert server.door.seen == [(sent, getpass.getuser(), "owner")]


def test_every_request_has_a_route(server: Running) -> None:
    for kind in all_requests():
        path = kind.path.replace("{number}", "1")
        if kind.shape != "session":
            answer = raw(server, kind.method, path.replace("{", "").replace("}", ""), headers={"Connection": "close"},
                         params={"surely_unknown": 1} if kind.method in ("GET", "DELETE") else None,
                         json=None if kind.method in ("GET", "DELETE") else {"surely_unknown": 1})  # fmt: skip
            assert answer.status_code == 422, f"{kind.__name__}: {answer.status_code} {answer.text}"
            said = answer.json()
            assert "surely_unknown" in " ".join([said["message"], *said["details"]]), kind


def test_an_error_is_raised_as_the_class_it_was_with_hint_and_details(client: Client) -> None:
    with pytest.raises(NotFound) as caught:
        client.ask(ShowApp(app="none"))
    assert caught.value.hint == "paas apps"
    assert caught.value.details == ("one", "two")


def test_a_bug_is_told_without_its_text(client: Client) -> None:
    with pytest.raises(PaasError) as caught:
        client.ask(ShowApp(app="bug"))
    assert "hunter2" not in str(caught.value.as_dict())
    assert "internal error (RuntimeError)" in caught.value.message


@pytest.mark.parametrize(
    ("method", "path", "kwargs", "words"),
    [
        ("POST", "/apps", {"content": b"{"}, "not JSON"),
        ("POST", "/apps", {"json": [1]}, "not a JSON object"),
        ("POST", "/apps", {"json": {}}, "name"),
        ("POST", "/apps/x/scale", {"json": {"counts": {"web": "s3cret"}}}, "counts.web"),
        ("POST", "/apps/x/scale", {"json": {"counts": {"web": 1}, "app": "y"}}, "app"),
        ("POST", "/apps", {"content": b"[" * 9_000}, "not JSON"),
        ("GET", "/apps/x/logs?lines=1&lines=2", {}, "lines"),
        ("GET", "/apps/x/logs?lines=-1", {}, "lines"),
        ("DELETE", "/apps/x", {}, "confirm"),
    ],
)
def test_a_bad_request_is_refused_by_field_and_rule_and_never_shows_the_value(
    server: Running, method: str, path: str, kwargs: dict[str, object], words: str
) -> None:
    answer = raw(server, method, path, **kwargs)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "UsageError"
    assert words in answer.text
    assert "s3cret" not in answer.text
    assert not server.operations.started


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("POST", "/platform", 405)])
def test_an_unknown_address_has_the_shape_of_an_error(server: Running, method: str, path: str, status: int) -> None:
    answer = raw(server, method, path)
    assert answer.status_code == status
    assert answer.json()["code"] == "NotFound"


def test_an_operation_streams_its_id_its_events_and_its_result(server: Running, client: Client) -> None:
    server.operations.go.set()
    events = list(client.follow(Scale(app="shop", counts={"web": 2})))
    assert [event.kind for event in events] == ["operation", "step", "result"]
    assert events[0].data["id"] == "op0"
    assert events[-1].data["answer"] == {"release": 3}


def test_an_operation_that_fails_raises_its_error(server: Running, client: Client) -> None:
    server.operations.go.set()
    with pytest.raises(Conflict) as caught:
        list(client.follow(Rollback(app="shop")))
    assert caught.value.hint == "deploy first"
    assert caught.value.details == ("v1 only",)


def test_a_client_that_goes_away_leaves_the_operation_running(server: Running, client: Client) -> None:
    events = client.follow(DeployApp(app="shop", source=SourceRef(image="x")))
    assert next(events).kind == "operation"
    events.close()
    server.operations.go.set()
    eventually(lambda: server.operations.finished or not server.operations.started[0].ended_at)
    assert client.ask(ListApps()), "the server serves on"


def test_log_lines_arrive_in_order_however_many(client: Client) -> None:
    lines = list(client.lines(ReadLogs(app="shop", lines=20_000)))
    assert [line.text for line in lines] == [f"line {i}" for i in range(20_000)]
    assert lines[0].process == "web"


def test_a_stream_that_breaks_raises_what_broke_it_after_what_came_before(client: Client) -> None:
    lines = client.lines(ReadLogs(app="shop", process="broken"))
    assert next(lines).text == "before"
    with pytest.raises(Conflict, match="on the way"):
        next(lines)


def test_a_hundred_silent_followers_keep_nobody_waiting_and_end_when_they_go(server: Running) -> None:
    clients = [Client.connect(server.settings) for _ in range(100)]
    streams = [client.lines(ReadLogs(app="shop", follow=True)) for client in clients]
    assert {next(stream).text for stream in streams} == {"only line"}
    with Client.connect(server.settings) as another:
        assert another.ask(ListApps())
    for stream, client in zip(streams, clients, strict=True):
        stream.close()
        client.close()
    eventually(lambda: all(one.closed.is_set() for one in server.door.endless))


def test_an_endless_stream_is_cut_when_the_server_stops(server: Running, client: Client) -> None:
    stream = client.lines(ReadLogs(app="shop", follow=True))
    next(stream)
    server.streams.cut()
    with pytest.raises(ServerUnavailable):
        list(stream)
    assert server.door.endless[0].closed.is_set()


def test_a_backup_is_streamed_as_a_file(client: Client) -> None:
    into = io.BytesIO()
    assert client.download(FetchBackup(addon="db", backup="b1"), into) == 250_000
    assert into.getvalue() == b"\0dump" * 50_000


@pytest.mark.parametrize("remote", [False, True])
def test_an_upload_arrives_whole_and_leaves_nothing_half(server: Running, remote: bool) -> None:
    data = bytes(range(256)) * 20_000
    with Client.connect(server.remote if remote else server.settings) as client:
        upload = client.upload(lambda file: file.write(data) and None)
    files = list((server.settings.home / "uploads").iterdir())
    assert [file.name for file in files] == [upload]
    kept = files[0].read_bytes()
    assert (gzip.decompress(kept) if remote else kept) == data


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_over_the_limit_is_refused_and_nothing_is_kept(announced: bool) -> None:
    data = b"x" * 3_000_000
    with (
        tempfile.TemporaryDirectory(prefix="paas-t-") as name,
        running(Path(name), upload_limit=1_000_000, upload_files=1) as server,
    ):
        answer = raw(
            server, "PUT", "/uploads", content=data if announced else iter([data[:2_000_000], data[2_000_000:]])
        )
        assert answer.status_code == 422
        assert "1002048" in answer.json()["message"]
        assert not list((Path(name) / "uploads").glob("*"))


def test_over_tcp_only_the_token_counts(server: Running) -> None:
    cases = [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic bGV0LW1lLWlu"},
        {"Authorization": "Bearer"},
        {"X-Forwarded-For": "unix:root"},
        {"Host": "paas", "X-Real-IP": "127.0.0.1"},
    ]
    with httpx2.Client(base_url=f"http://{server.settings.listen}") as http:
        for headers in cases:
            for kind in all_requests():
                if kind.shape != "session" and not kind.anyone:
                    answer = http.request(kind.method, kind.path.replace("{number}", "1"), headers=headers)
                    assert answer.status_code == 401, (kind, headers)
                    assert answer.json()["code"] == "NotLoggedIn"
            assert http.put("/uploads", content=b"x", headers=headers).status_code == 401
        assert http.get("/apps?token=let-me-in").status_code == 401
    with Client.connect(server.remote) as client:
        assert client.ask(ListApps())
    with Client.connect(replace(server.remote, token="no")) as client, pytest.raises(Denied) as caught:
        client.ask(ListApps())
    assert caught.value.exit_code == 11
    assert [actor for _, actor, _ in server.door.seen] == ["token"]


def test_on_the_socket_an_owner_may_say_in_whose_name(server: Running) -> None:
    for acting, recorded in (("key alice", "key alice"), ("", ""), ("a;b", ""), ("x" * 200, "")):
        with Client.connect(server.settings, acting) as client:
            client.ask(ListApps())
        assert server.door.seen[-1][1] == (recorded or getpass.getuser())
    with Client.connect(server.remote, "key alice") as client:
        client.ask(ListApps())
    assert server.door.seen[-1][1] == "token", "a token's bearer may not"


def test_a_session_over_tcp_without_the_token_is_refused_before_the_upgrade(server: Running) -> None:
    settings = replace(server.remote, token="no")
    with Client.connect(settings) as client, pytest.raises(Denied):
        client.session(RunCommand(app="shop", command=("sh",)), Keyboard([]))
    assert not server.door.seen


class Keyboard:
    """A terminal that types what it is given and keeps what it is shown."""

    tty = False
    interactive = True

    def __init__(self, keys: list[bytes | Resize | None]) -> None:
        self.keys = [*keys, None]
        self.out, self.err = b"", b""

    def read(self) -> bytes | Resize | None:
        return self.keys.pop(0)

    def write(self, data: bytes, stream: str = "stdout") -> None:
        if stream == "stderr":
            self.err += data
        else:
            self.out += data


@pytest.mark.parametrize("remote", [False, True])
def test_a_session_carries_input_output_errors_size_and_exit_code(server: Running, remote: bool) -> None:
    keyboard = Keyboard([b"hello ", Resize(40, 120), b"there\n"])
    with Client.connect(server.remote if remote else server.settings) as client:
        code = client.session(RunCommand(app="shop", command=("echo", "é"), env={"KEY": "s3cret"}), keyboard)
    assert code == 7
    assert keyboard.out == "echo é\nHELLO THERE\n".encode()
    assert keyboard.err == b"bye\n"
    assert server.door.sizes == [Resize(40, 120)]


def test_a_large_input_comes_back_whole(client: Client) -> None:
    keyboard = Keyboard([b"x" * 50_000] * 200)
    assert client.session(RunCommand(app="shop", command=("cat",)), keyboard) == 7
    assert keyboard.out == b"cat\n" + b"X" * 10_000_000


class Pager(Keyboard):
    """Shows a first page for some seconds, and then all the rest."""

    def write(self, data: bytes, stream: str = "stdout") -> None:
        if not self.out:
            time.sleep(4)
        super().write(data, stream)


def test_who_looks_at_the_first_page_for_long_is_not_taken_for_gone() -> None:
    pager = Pager([])
    with (
        tempfile.TemporaryDirectory(prefix="paas-t-") as name,
        running(Path(name), ping=1.0) as server,
        Client.connect(server.settings) as client,
    ):
        assert client.session(RunCommand(app="shop", command=("yes", "200")), pager) == 7
    assert pager.out == b"yes 200\n" + b"y" * 10_000_000


def test_a_session_that_fails_raises_its_error(client: Client) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        client.session(RunCommand(app="nowhere", command=("sh",)), Keyboard([]))


def test_a_session_with_a_bad_request_is_refused(client: Client) -> None:
    with pytest.raises(UsageError, match="command"):
        client.session(RunCommand(app="shop", command=()), Keyboard([]))


def test_a_client_that_goes_away_ends_its_session(server: Running) -> None:
    from websockets.sync.client import unix_connect

    with unix_connect(str(server.settings.socket), "ws://paas/apps/shop/run") as web:
        web.send(json.dumps({"command": ["sh"]}))
        assert web.recv() == b"\x01sh\n"
        assert not server.door.ended.is_set()
    assert server.door.ended.wait(10)


class Cutting(threading.Thread):
    """A server on a unix socket that answers every request with these bytes and closes."""

    def __init__(self, path: Path, answer: bytes) -> None:
        super().__init__(daemon=True)
        self._answer = answer
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self.start()

    def run(self) -> None:
        connection, _ = self._socket.accept()
        with self._socket, connection:
            connection.recv(1 << 16)
            connection.sendall(self._answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n[1",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n[1",
    ],
)
def test_an_answer_that_is_cut_anywhere_is_told_as_a_broken_connection(folder: Path, answer: bytes) -> None:
    for ask in (
        lambda client: client.ask(ListApps()),
        lambda client: list(client.lines(ReadLogs(app="shop"))),
        lambda client: client.download(FetchBackup(addon="db", backup="b1"), io.BytesIO()),
    ):
        settings = Settings(home=folder)
        settings.socket.parent.mkdir(parents=True, exist_ok=True)
        settings.socket.unlink(missing_ok=True)
        server = Cutting(settings.socket, answer)
        with Client.connect(settings) as client, pytest.raises(ServerUnavailable, match="broke"):
            ask(client)
        server.join(10)


def test_an_upload_that_is_refused_on_the_way_is_told_with_the_reason() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="paas-t-") as name,
        running(Path(name), upload_limit=1_000_000, upload_files=1) as server,
        Client.connect(server.settings) as client,
        pytest.raises(UsageError, match="limit"),
    ):
        client.upload(lambda file: file.write(b"x" * 50_000_000) and None)


@pytest.mark.parametrize("address", ["http://a:b", "ftp://x", "http://u@h", "nothing"])
def test_an_address_that_is_none_is_refused_by_name(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match="PAAS_HOST"):
        Client.connect(Settings(home=tmp_path, server=address, token="x")).ask(ListApps())


def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Client.connect(Settings(home=tmp_path, server="http://127.0.0.1:1", token="s3cret\r\nX: y"))
    assert "s3cret" not in caught.value.message


def test_nobody_there_is_told_with_the_command_that_helps(tmp_path: Path) -> None:
    with Client.connect(Settings(home=tmp_path)) as client, pytest.raises(ServerUnavailable) as caught:
        client.ask(ListApps())
    assert caught.value.hint == "paas up"
    assert caught.value.exit_code == 9


@pytest.mark.parametrize(("theirs", "older"), [("7.0.0", "command line"), ("0.0.9", "server"), ("odd", "server")])
def test_a_server_of_another_major_version_is_refused_and_the_older_side_named(theirs: str, older: str) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="paas-t-") as name,
        running(Path(name), version=theirs) as server,
        Client.connect(server.settings) as client,
        pytest.raises(OtherVersion, match=f"the server is paas {theirs}") as caught,
    ):
        client.ask(ListApps())
    assert f"update the {older}" in caught.value.hint
    assert caught.value.exit_code == 9


def test_for_a_command_line_of_another_major_version_nothing_is_done(server: Running) -> None:
    answer = raw(server, "POST", "/apps", json={"name": "shop"}, headers={"Paas-Version": "7.0.0"})
    assert (answer.status_code, answer.json()["code"]) == (426, "OtherVersion")
    assert "update the server" in answer.json()["hint"]
    assert not server.door.seen


@pytest.mark.parametrize(("path", "status"), [("/apps?colour=red", 422), ("/not-yet-there", 404)])
def test_what_only_a_newer_command_line_knows_is_refused_with_both_versions(
    server: Running, path: str, status: int
) -> None:
    newer = f"{paas.__version__}.1"
    answer = raw(server, "GET", path, headers={"Paas-Version": newer})
    assert answer.status_code == status
    assert {paas.__version__, newer} <= set(answer.json()["hint"].replace(":", "").replace(",", "").split())
    assert raw(server, "GET", path, headers={"Paas-Version": paas.__version__}).json()["hint"] == ""


def test_platform_down_stops_the_server_when_it_has_succeeded_whoever_listens(server: Running, client: Client) -> None:
    events = client.follow(PlatformDown())
    next(events)
    events.close()
    assert not server.stopped.is_set()
    server.operations.go.set()
    assert server.stopped.wait(10)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\nb", "a\0"])
def test_a_name_that_cannot_be_part_of_an_address_is_refused_before_it_is_sent(client: Client, name: str) -> None:
    with pytest.raises(UsageError):
        client.ask(ShowApp(app=name))


def test_odd_names_arrive_as_they_are(server: Running, client: Client) -> None:
    for name in ("a b", "a%2fb", "ünï", "a?b=c", "a#b", "-rf"):
        with pytest.raises(NotFound):
            client.ask(ShowApp(app=name))
    assert [request.app for request, _, _ in server.door.seen] == ["a b", "a%2fb", "ünï", "a?b=c", "a#b", "-rf"]


def test_the_socket_opens_for_its_owner_only_and_replaces_a_stale_one(folder: Path) -> None:
    path = folder / "stale.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with unix_socket(path):
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
