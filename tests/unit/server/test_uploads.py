"""Uploads that come in parts, over lines that break: they go on where they stopped, and nothing of them is mixed up."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from paas.client import Client
from paas.errors import NotFound, ServerUnavailable, UsageError
from paas.sending import Sending
from paas.usecases import uploads
from tests.unit.server.stub import Running, eventually, running

DATA = random.Random(7).randbytes(6_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@contextmanager
def cutting(target: str, *after: int) -> Iterator[str]:
    """A line to `target` that breaks after so many bytes sent, once for each number; then it holds."""
    host, _, port = target.rpartition(":")
    left = list(after)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, (host, int(port)), left), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert not left, "the line was to break more often"


def _accept(listener: socket.socket, target: tuple[str, int], left: list[int]) -> None:
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        with near, socket.create_connection(target) as far:
            _pass(near, far, left)


def _pass(near: socket.socket, far: socket.socket, left: list[int]) -> None:
    """What a client says, until it is too much; answers all the time."""
    back = threading.Thread(target=_answers, args=(far, near), daemon=True)
    back.start()
    passed = 0
    with suppress(OSError):
        while data := near.recv(1 << 16):
            far.sendall(data)
            passed += len(data)
            if left and passed > left[0]:
                left.pop(0)
                break
    for each in (near, far):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    back.join(10)


def _answers(far: socket.socket, near: socket.socket) -> None:
    with suppress(OSError):
        while data := far.recv(1 << 16):
            near.sendall(data)


@pytest.fixture
def server() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, running(Path(name)) as found:
        yield found


def files(server: Running) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (server.settings.home / "uploads").iterdir()}


@contextmanager
def talking(server: Running, token: str = "let-me-in") -> Iterator[httpx2.Client]:
    with httpx2.Client(
        base_url=f"http://{server.settings.listen}", headers={"Authorization": f"Bearer {token}"}
    ) as http:
        yield http


def begun(http: httpx2.Client, size: int = len(DATA)) -> str:
    answer = http.post("/uploads", json={"size": size})
    assert answer.status_code == 200, answer.text
    return f"/uploads/{answer.json()['upload']}"


def more(http: httpx2.Client, path: str, start: int, end: int | None = None) -> httpx2.Response:
    return http.patch(path, content=DATA[start:end], headers={"Upload-Offset": str(start)})


def test_over_a_line_that_breaks_again_and_again_all_of_it_arrives_once(server: Running) -> None:
    told: list[tuple[int, int]] = []
    with cutting(server.settings.listen, 900_000, 1_700_000, 2_000_000) as line:
        far = replace(server.settings, server=f"http://{line}", token="let-me-in")
        with Client.connect(far) as client:
            upload = client.upload(lambda file: file.write(DATA) and None, lambda done, size: told.append((done, size)))
    assert list(files(server)) == [upload]
    assert gzip.decompress(files(server)[upload]) == DATA
    assert told[-1][0] == told[-1][1]


def test_what_is_packed_by_itself_arrives_as_it_is(server: Running) -> None:
    far = replace(server.settings, server=f"http://{server.settings.listen}", token="let-me-in")
    with Client.connect(far) as client:
        upload = client.upload(lambda file: file.write(b"PGDMP" + DATA) and None, packing=False)
    assert files(server)[upload] == b"PGDMP" + DATA


@pytest.mark.parametrize(("unpacked", "entries"), [(1_000_001, 1), (1, 4)])
def test_a_source_larger_than_this_server_takes_is_refused_before_anything_of_it_comes(
    unpacked: int, entries: int
) -> None:
    """Packed it may be small: the sender says how large it is, and whose limit counts is the server's."""
    with (
        tempfile.TemporaryDirectory(prefix="paas-t-") as name,
        running(Path(name), upload_limit=1_000_000, upload_files=3) as server,
        Client.connect(replace(server.settings, server=f"http://{server.settings.listen}", token="let-me-in")) as far,
    ):
        told: list[tuple[int, int]] = []
        with pytest.raises(UsageError, match="this server takes") as caught:
            far.upload(
                lambda file: file.write(b"x") and None,
                lambda done, size: told.append((done, size)),
                announced={"unpacked": unpacked, "files": entries},
            )
        assert "on the server" in caught.value.hint
        assert (told, (server.settings.home / "uploads").exists()) == ([], False)
        assert far.upload(lambda file: file.write(b"x") and None, announced={"unpacked": 1_000_000, "files": 3})


def test_a_line_that_carries_nothing_is_given_up_and_nothing_is_deployed(server: Running) -> None:
    waited: list[float] = []

    def dead(method: str, path: str, body: object, headers: object) -> object:
        if method == "POST":
            return {"upload": "ab"}
        if method == "GET":
            return {"offset": 3}
        raise ServerUnavailable("the connection to the server broke")

    sending = Sending(dead, io.BytesIO(DATA), len(DATA), DIGEST, sleep=waited.append)
    with pytest.raises(ServerUnavailable, match="carries nothing"):
        sending.all()
    assert 30 < sum(waited) < 300


def test_it_goes_on_after_the_server_was_started_anew() -> None:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name:
        with running(Path(name)) as first, talking(first) as http:
            path = begun(http)
            assert more(http, path, 0, 2_500_000).json()["offset"] == 2_500_000
        with running(Path(name)) as second, talking(second) as http:
            assert http.get(path).json()["offset"] == 2_500_000
            assert more(http, path, 2_500_000).json()["offset"] == len(DATA)
            done = http.post(path, json={"sha256": DIGEST})
            assert done.json() == {"upload": path[9:], "size": len(DATA), "sha256": DIGEST}
            assert files(second) == {path[9:]: DATA}


def test_what_is_not_where_it_stopped_is_refused_and_changes_nothing(server: Running) -> None:
    with talking(server) as http:
        path = begun(http)
        more(http, path, 0, 1000)
        for start in (0, 999, 1001):
            refused = more(http, path, start, start + 10)
            assert (refused.status_code, refused.json()["message"]) == (409, "1000 bytes of the upload are here")
        assert http.patch(path, content=b"x").status_code == 409
        assert http.get(path).json()["offset"] == 1000


def test_a_connection_that_hangs_cannot_write_after_another_took_over(server: Running) -> None:
    host, _, port = server.settings.listen.rpartition(":")
    with talking(server) as http, closing(socket.create_connection((host, int(port)), timeout=30)) as hanging:
        path = begun(http)
        head = f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer let-me-in\r\nUpload-Offset: 0\r\n"
        hanging.sendall(f"{head}Content-Length: {len(DATA)}\r\n\r\n".encode() + DATA[:2_000_000])
        eventually(lambda: sum(map(len, files(server).values())) >= 1 << 20)
        here = http.get(path).json()["offset"]
        assert 0 < here <= 2_000_000
        with suppress(OSError):
            hanging.sendall(b"?" * 3_000_000)
        assert more(http, path, here).json()["offset"] == len(DATA)
        assert http.post(path, json={"sha256": DIGEST}).status_code == 200
    assert files(server) == {path[9:]: DATA}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"size": 1, "unpacked": "9"},
        {"size": 1, "files": -1},
        {"size": "9"},
        {"size": -1},
        {"size": True},
        {"size": 10**18},
        [],
    ],
)
def test_a_size_that_is_none_or_too_much_is_refused_before_anything_comes(server: Running, body: object) -> None:
    with talking(server) as http:
        assert http.post("/uploads", json=body).status_code == 422
    assert not (server.settings.home / "uploads").exists() or not files(server)


def test_more_than_a_source_may_have_is_refused_on_the_way_and_goes() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="paas-t-") as name,
        running(Path(name), upload_limit=1_000_000, upload_files=1) as server,
        talking(server) as http,
    ):
        path = begun(http, 10)
        refused = more(http, path, 0)
        assert (refused.status_code, refused.json()["code"]) == (422, "UsageError")
        assert http.get(path).status_code == 404
        assert files(server) == {}


def test_what_one_person_has_waiting_does_not_fill_the_disk() -> None:
    """However it comes: announced, in parts that say less than they bring, or at once."""
    with (
        tempfile.TemporaryDirectory(prefix="paas-t-") as name,
        running(Path(name), upload_limit=1_000_000, upload_files=0) as server,
        talking(server) as http,
    ):
        for _ in range(uploads.LARGEST_WAITING - 1):
            assert more(http, begun(http, 1_000_000), 0, 1_000_000).status_code == 200
        assert http.put("/uploads", content=DATA[:600_000]).status_code == 200
        part = begun(http, 10)
        for refused in (
            http.post("/uploads", json={"size": 400_001}),
            http.put("/uploads", content=DATA[:400_001]),
            more(http, part, 0, 400_001),
        ):
            assert (refused.status_code, refused.json()["code"]) == (409, "Conflict"), refused.text
            assert "would hold more than 4000000 bytes" in refused.json()["message"]
        assert http.get(part).status_code == 404, "it is gone, and what it held is free"
        held = files(server)
        assert sum(map(len, held.values())) == 3_600_000
        assert http.put("/uploads", content=DATA[:400_000]).status_code == 200


def test_the_last_of_the_disk_is_for_no_upload(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with talking(server) as http:
        path = begun(http)
        assert more(http, path, 0, 1000).status_code == 200
        monkeypatch.setattr("paas.usecases.machine.LEAST_FREE", 1 << 60)
        for refused in (
            http.post("/uploads", json={"size": 1}),
            http.put("/uploads", content=b"x"),
            more(http, path, 1000, 2000),
        ):
            assert (refused.status_code, refused.json()["code"]) == (503, "PlatformError")
            assert "keeps" in refused.json()["message"]
    assert files(server) == {}


def test_what_arrived_damaged_is_refused_and_goes(server: Running) -> None:
    with talking(server) as http:
        path = begun(http)
        more(http, path, 0)
        for wrong in ({}, {"sha256": "no"}, {"sha256": 7}):
            assert http.post(path, json=wrong).status_code == 422
        damaged = http.post(path, json={"sha256": "0" * 64})
        assert (damaged.status_code, damaged.json()["message"]) == (422, "the upload arrived damaged")
        assert http.get(path).status_code == 404
    assert files(server) == {}


def test_nobody_reaches_the_upload_of_somebody_else(server: Running) -> None:
    local = httpx2.HTTPTransport(uds=str(server.settings.socket))
    with talking(server) as http, httpx2.Client(transport=local, base_url="http://paas") as other:
        path = begun(http)
        made = server.settings.home / "uploads" / f"{path[9:]}.part"
        foreign = made.with_name("0" * 48 + ".part")
        made.rename(foreign)
        for each in (http, other):
            assert each.get("/uploads/" + foreign.stem).status_code == 404
            assert each.patch("/uploads/" + foreign.stem, headers={"Upload-Offset": "0"}).status_code == 404
            assert each.post("/uploads/" + foreign.stem, json={"sha256": DIGEST}).status_code == 404
            assert each.get("/uploads/..%2f..%2fpaas").status_code in (404, 405)
    assert foreign.read_bytes() == b""


def test_half_an_upload_is_no_source(server: Running) -> None:
    with talking(server) as http:
        path = begun(http)
        more(http, path, 0, 10)
    with pytest.raises(NotFound, match="not here"):
        uploads.find(server.settings, path[9:])
