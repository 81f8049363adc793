"""One mail through the SMTP server that somebody named, to addresses that were checked, within a deadline."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

from paas.egress.connect import connected, found
from paas.egress.http import deadline
from paas.egress.policy import Policy
from paas.model.secret import Secret

SECONDS = 30.0
Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in. A password is never sent over a connection without TLS."""

    host: str
    port: int
    security: Security = "starttls"
    user: str = ""
    password: Secret = Secret("")


def send(
    server: MailServer,
    message: EmailMessage,
    *,
    policy: Policy,
    tls: ssl.SSLContext | None = None,
    seconds: float = SECONDS,
) -> dict[str, int]:
    """Hand it in; the recipients that were refused while others were taken, with the server's code for each. Raises
    Refused, UsageError, ConfigError (no such name), and OSError or smtplib.SMTPException with what the server said."""
    client = _Client(server, policy, tls or ssl.create_default_context(), seconds)
    with deadline(seconds, lambda: client.sock):
        try:
            client.connect(server.host, server.port)
            client.ehlo_or_helo_if_needed()
            if server.security == "starttls":
                client.starttls(context=client.tls)
            if server.user:
                client.login(server.user, server.password.reveal())
            refused = client.send_message(message)
            with suppress(OSError):  # it is handed in, whatever becomes of the farewell
                client.quit()
            return {recipient: code for recipient, (code, _) in refused.items()}
        finally:
            client.close()


class _Client(smtplib.SMTP):
    """smtplib over a connection of ours."""

    def __init__(self, server: MailServer, policy: Policy, tls: ssl.SSLContext, seconds: float) -> None:
        super().__init__(timeout=seconds)
        self._host: str = server.host  # the name that STARTTLS checks the certificate against
        self._server = server
        self._policy = policy
        self.tls = tls

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        plain = connected(found(host, port, self._policy), timeout)
        if self._server.security != "tls":
            return plain
        try:
            return self.tls.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise
