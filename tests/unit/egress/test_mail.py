"""Mail handed in to a real mail server: how the way there is kept, what a refusal means, that nothing comes twice."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from paas.egress import mail
from paas.egress.mail import MailServer
from paas.egress.policy import Policy
from paas.model.notification import Notification, Target, TargetKind
from paas.model.secret import Secret
from paas.usecases.notify import Told, sent
from paas.webhooks import outgoing
from tests.ports import free_port
from tests.unit.usecases.parts import parts

HERE = Policy.of("127.0.0.0/8, localhost")
ANN, BOB = "ann@example.com", "bob@example.com"
ONE = Notification(id="msg_1_t", target_id="t", at=1.0, topic="deploy.failed", message="v3 failed: ü", app="shop")


@dataclass
class Box:
    """A mail server that keeps what is handed in, and answers as it is told."""

    recipients: dict[str, str] = field(default_factory=dict)
    data: str = "250 OK"
    hang_up: bool = False
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    seen: list[tuple[list[str], bytes]] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        said = self.recipients.get(address, "250 OK")
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data.startswith("250"):
            self.seen.append((envelope.rcpt_tos, envelope.content))
        return self.data

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.hang_up:
            server.transport.abort()
        return "221 Bye"

    def login(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        """Takes one password."""
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right")


Open = Callable[..., int]


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def opened(box: Box) -> Iterator[Open]:
    """Begins to listen; the port."""
    controllers: list[Controller] = []

    def begin(**more: Any) -> int:
        port = free_port()
        controllers.append(Controller(box, hostname="127.0.0.1", port=port, **more))
        controllers[-1].start()
        return port

    yield begin
    for one in controllers:
        one.stop()


@pytest.fixture(scope="module")
def authority() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of a server called localhost, and of who trusts it."""
    issuer = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    issuer.issue_cert("localhost").configure_cert(server)
    issuer.configure_trust(client)
    return server, client


def target(port: int, *, security: str = "none") -> Target:
    way = {"host": "127.0.0.1", "port": str(port), "security": security, "user": "", "sender": "paas@example.com",
           "recipients": f"{ANN}, {BOB}"}  # fmt: skip
    return Target(id="t", name="mail", kind=TargetKind.EMAIL, created_at=1.0, created_by="ann", mail=way)


@pytest.fixture
def told(tmp_path: Any, opened: Open) -> Callable[[], Told]:
    """One try to tell it by mail."""
    platform, port = parts(tmp_path, egress_allow="127.0.0.0/8"), opened()
    return lambda: sent(platform.context, target(port), ONE)


def hand_in(server: MailServer, tls: ssl.SSLContext | None = None, seconds: float = 20) -> dict[str, int]:
    return mail.send(server, outgoing.mail(ONE, target(0), "paas"), policy=HERE, tls=tls, seconds=seconds)


def test_a_mail_is_handed_in_once_for_all(box: Box, told: Callable[[], Told]) -> None:
    assert told() == Told("handed in", delivered=True)
    ((recipients, content),) = box.seen
    assert recipients == [ANN, BOB]
    assert b"Subject: [paas] shop: deploy.failed\r\n" in content


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_password_goes_over_tls_to_the_server_of_that_name(
    box: Box, opened: Open, authority: tuple[ssl.SSLContext, ssl.SSLContext], security: Any
) -> None:
    ours, theirs = authority
    if security == "tls":
        port = opened(ssl_context=ours, authenticator=box.login, auth_require_tls=False)
    else:
        port = opened(tls_context=ours, require_starttls=True, authenticator=box.login, auth_required=True)
    server = MailServer(host="localhost", port=port, security=security, user="paas", password=Secret("right"))
    assert hand_in(server, theirs) == {}
    assert box.logins == [(b"paas", b"right")]
    for other, trust in ((server, None), (MailServer(host="127.0.0.1", port=port, security=security), theirs)):
        with pytest.raises(ssl.SSLError):
            hand_in(other, trust)
    assert len(box.seen) == 1


def test_a_server_without_tls_gets_no_password_and_no_mail(box: Box, opened: Open) -> None:
    port = opened(authenticator=box.login, auth_require_tls=False)
    with pytest.raises(OSError, match="STARTTLS"):
        hand_in(MailServer(host="127.0.0.1", port=port, user="paas", password=Secret("right")))
    assert (box.seen, box.logins) == ([], [])


def test_a_server_that_hangs_up_after_it_took_a_mail_has_it(box: Box, told: Callable[[], Told]) -> None:
    box.hang_up = True
    assert told().delivered
    assert len(box.seen) == 1


def test_recipients_that_are_refused_are_named_and_the_others_get_it_once(box: Box, told: Callable[[], Told]) -> None:
    box.recipients = {BOB: "550 No such user"}
    assert told() == Told(f"handed in, but refused for {BOB}: 550", delivered=True)
    assert box.seen[0][0] == [ANN]


@pytest.mark.parametrize(
    ("recipients", "data", "refused"),
    [
        ("550 No such user", "250 OK", True),
        ("450 Greylisted, come again", "250 OK", False),
        ("250 OK", "554 Looks like spam", True),
        ("250 OK", "451 Try later", False),
    ],
)
def test_a_refusal_is_told_from_a_plea_for_patience(
    box: Box, told: Callable[[], Told], recipients: str, data: str, refused: bool
) -> None:
    box.recipients, box.data = {ANN: recipients, BOB: recipients}, data
    found = told()
    assert (found.delivered, found.refused) == (False, refused)
    assert (recipients[:3] if recipients[0] != "2" else data[:3]) in found.answer


def test_a_server_that_says_nothing_is_left_with_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        hand_in(MailServer(host="127.0.0.1", port=silent.getsockname()[1]), seconds=0.5)
