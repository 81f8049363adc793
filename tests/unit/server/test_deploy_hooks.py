"""How deliveries of git hosts come in by HTTP: read up to a limit, for addresses that exist, with honest answers."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from paas.errors import NotFound, NotLoggedIn, TooMany
from paas.server import deploy_hooks
from paas.usecases.hook_receiver import LIMIT, Received, Replayed
from tests.unit.server.stub import Running, running


@dataclass
class Receiver:
    """Knows the addresses `there…`; takes what is signed with the word `right`, once."""

    taken: list[bytes] = field(default_factory=list)

    def known(self, hook_id: str) -> None:
        if not hook_id.startswith("there"):
            raise NotFound("there is no such address")

    def receive(self, hook_id: str, headers: Mapping[str, str], body: bytes) -> Received:
        if headers.get("x-signature") != "right":
            raise NotLoggedIn("the signature is wrong")
        if body in self.taken:
            raise Replayed("was here before")
        if body == b"many":
            raise TooMany("too many")
        if body == b"bug":
            raise ValueError("of the inside")
        self.taken.append(body)
        return Received(delivery="d1", status="pinged" if body == b"ping" else "queued", reason="main")


RECEIVER = Receiver()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="paas-t-") as name, running(Path(name), receiver=RECEIVER) as found:
        yield found


def deliver(server: Running, body: object, hook_id: str = "there", **headers: str) -> httpx2.Response:
    with httpx2.Client(base_url=f"http://{server.settings.listen}") as http:
        return http.post(f"/deploy-hooks/{hook_id}", content=body, headers={"X-Signature": "right", **headers})


@pytest.mark.parametrize(("body", "status", "said"), [(b"push", 202, "queued"), (b"ping", 200, "pinged")])
def test_a_signed_delivery_is_answered_with_what_was_decided(
    server: Running, body: bytes, status: int, said: str
) -> None:
    answer = deliver(server, body)
    assert (answer.status_code, answer.json()["status"]) == (status, said)


@pytest.mark.parametrize(
    ("body", "signature", "status", "code"),
    [(b"x", "wrong", 401, "NotLoggedIn"), (b"many", "right", 429, "TooMany"), (b"bug", "right", 500, "PaasError")],
)
def test_a_refusal_has_its_status_and_says_nothing_of_the_inside(
    server: Running, body: bytes, signature: str, status: int, code: str
) -> None:
    answer = deliver(server, body, **{"X-Signature": signature})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "inside" not in answer.text


def test_what_was_here_before_is_refused(server: Running) -> None:
    assert deliver(server, b"again").status_code == 202
    assert deliver(server, b"again").status_code == 409


def test_of_an_unknown_address_no_body_is_read(server: Running) -> None:
    answer = deliver(server, b"x" * (LIMIT + 1), hook_id="elsewhere")
    assert answer.status_code == 404


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_refused_and_not_taken(server: Running, announced: bool) -> None:
    body = b"x" * (LIMIT + 1)
    parts = (body[start : start + (1 << 16)] for start in range(0, len(body), 1 << 16))
    assert deliver(server, body if announced else parts).status_code == 413
    assert body not in RECEIVER.taken


def test_a_body_that_does_not_come_is_not_waited_for(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_hooks, "SECONDS", 0.2)
    host, _, port = server.settings.listen.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as line, line.makefile("rb") as answer:
        line.sendall(b"POST /deploy-hooks/there HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nslo")
        assert b" 422 " in answer.readline()
    assert deliver(server, b"after").status_code == 202


def slowly(server: Running, lines: ExitStack, hook_id: str, count: int) -> list[socket.socket]:
    """That many deliveries of which a piece is on its way, and no more comes."""
    host, _, port = server.settings.listen.rpartition(":")
    made = [lines.enter_context(socket.create_connection((host, int(port)), timeout=30)) for _ in range(count)]
    head = f"POST /deploy-hooks/{hook_id} HTTP/1.1\r\nHost: localhost\r\nX-Signature: right\r\n"
    for line in made:
        line.sendall(f"{head}Content-Length: 200000\r\n\r\n".encode() + b"x" * 100_000)
    return made


def test_senders_that_are_slow_hold_up_no_other_hook(server: Running) -> None:
    with ExitStack() as lines:
        for number in range(5):
            slowly(server, lines, f"there-{number}", 10)
        assert deliver(server, b"of another", hook_id="there-too").status_code == 202


def test_the_next_of_a_hook_is_read_when_one_of_its_own_is_done(server: Running) -> None:
    with ExitStack() as lines:
        first, *others = slowly(server, lines, "there", deploy_hooks.OF_ONE + 1)
        for number, line in enumerate((*others, first)):
            line.sendall(str(number).encode().ljust(100_000))
        for line in (first, *others):
            assert b" 202 " in lines.enter_context(line.makefile("rb")).readline()


def test_what_waits_too_long_for_its_turn_is_told_so(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_hooks, "SECONDS", 1.0)
    with ExitStack() as lines:
        made = slowly(server, lines, "there", 3 * deploy_hooks.OF_ONE)
        answers = [lines.enter_context(line.makefile("rb")).readline().split()[1] for line in made]
    assert set(answers) == {b"422", b"429"}


def test_other_methods_are_refused_with_those_that_are_there(server: Running) -> None:
    with httpx2.Client(base_url=f"http://{server.settings.listen}") as http:
        answer = http.get("/deploy-hooks/there")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
