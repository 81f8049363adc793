"""`certs`: certificates of your own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paas.cli.connection import ask, operate
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import JsonOption
from paas.cli.output import put_json, say, table, when
from paas.errors import NotFound, UsageError

app = new_app(cls=ListByDefault)

MOST = 1_000_000
"""Bytes of a PEM file."""


@app.command("list")
def list_certificates(as_json: JsonOption = False) -> None:
    """Show the certificates that are served; never their keys."""
    from paas.requests.config import ListCertificates

    answer = ask(ListCertificates())
    if as_json:
        put_json(answer)
        return
    table(
        ["host", "names", "issuer", "until", "status", "apps"],
        [
            (
                one["host"],
                " ".join(one["names"]),
                one["issuer"],
                when(one["not_after"]),
                one["status"],
                " ".join(one["apps"]),
            )
            for one in answer
        ],
        empty="no certificates: paas certs add chain.pem key.pem",
    )


@app.command()
def add(
    chain: Annotated[Path, typer.Argument(metavar="CHAIN", help="The certificate and its chain, PEM.")],
    key: Annotated[Path, typer.Argument(metavar="KEY", help="Its private key, PEM, not encrypted.")],
    as_json: JsonOption = False,
) -> None:
    """Serve https for the hosts that a certificate names; for them http redirects to https."""
    from paas.requests.config import PutCertificate

    answer = operate(PutCertificate(chain=_pem(chain), key=_pem(key)), quiet=as_json)
    if as_json:
        put_json(answer)
    else:
        say(answer["message"] or f"the certificate is served at {', '.join(answer['apps'])}")
        say("next: paas certs; paas domains")


def _pem(path: Path) -> str:
    try:
        if path.stat().st_size > MOST:
            raise UsageError(f"{path} is too large for a PEM file")
        return path.read_text()
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not PEM", hint="openssl x509 -inform der -in FILE makes PEM of DER") from None


@app.command()
def remove(
    host: Annotated[str, typer.Argument(metavar="HOST", help="As paas certs lists it.")], as_json: JsonOption = False
) -> None:
    """Stop serving https for a host with a certificate of its own."""
    from paas.requests.config import DeleteCertificate

    answer = operate(DeleteCertificate(host=host), quiet=as_json)
    if as_json:
        put_json(answer)
    else:
        say(answer["message"])
