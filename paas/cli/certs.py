"""`certs`: certificates of your own, and those that come by themselves."""

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
        ["host", "names", "issuer", "until", "status", "by", "apps"],
        [
            (
                one["host"],
                " ".join(one["names"]),
                one["issuer"],
                when(one["not_after"]) if one["not_after"] else "",
                one["status"],
                one["source"],
                " ".join(one["apps"]),
            )
            for one in answer
        ],
        empty="no certificates: paas certs add chain.pem key.pem, or paas certs auto on",
    )
    for one in answer:
        if one["source"] == "automatic" and one["message"]:
            say(f"{one['host']}: {one['message']}")


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


@app.command()
def request(as_json: JsonOption = False) -> None:
    """Ask at once for certificates that come by themselves and were refused, after mending what was wrong."""
    from paas.requests.config import RequestCertificates

    answer = ask(RequestCertificates())
    if as_json:
        put_json(answer)
    else:
        hosts = [one["host"] for one in answer if one["status"] in ("failed", "requested")]
        say(f"asked for {', '.join(hosts)}" if hosts else "none is missing")
        say("next: paas certs")


@app.command()
def auto(
    *,
    state: Annotated[str, typer.Argument(metavar="on|off", help="Whether certificates come by themselves.")],
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where the authority may write to.")] = None,
    challenge: Annotated[
        str | None,
        typer.Option(metavar="HOW", help="How a host is proven: http (port 80; at first), tls (port 443), dns."),
    ] = None,
    directory: Annotated[
        str | None, typer.Option(metavar="URL", help="The authority's ACME URL; Let's Encrypt without.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CA of that URL (PEM), where this machine does not trust it.")
    ] = None,
    dns: Annotated[str | None, typer.Option(metavar="NAME", help="The DNS provider, as Traefik names it.")] = None,
    dns_env: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The provider's variables, NAME=value a line; kept as a secret.")
    ] = None,
    dns_servers: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Name servers that show whether the record is there; else the public ones."
        ),
    ] = None,
) -> None:
    """Have certificates come by themselves (ACME), for the platform's host and every app's; own ones win.

    What is not said stays as it was. Kept on this machine; its server starts anew.
    """
    from paas.cli.contexts import of_this_machine
    from paas.cli.kept import keep
    from paas.cli.platform import bring_all_up

    before = of_this_machine()
    challenge = challenge or (before.acme if before.acme in ("tls", "dns") else "http")
    if state not in ("on", "off") or challenge not in ("http", "tls", "dns"):
        raise UsageError(f"{state} {challenge} is nothing that can be kept", hint="on or off; http, tls or dns")
    if state == "on" and challenge == "dns" and not (dns or before.acme_dns):
        raise UsageError("which DNS provider?", hint="paas certs auto on --challenge dns --dns NAME --dns-env FILE")
    if dns_env is not None:
        _keep_credentials(dns_env)
    changed = keep(
        acme=challenge if state == "on" else "off",
        acme_email=email,
        acme_directory=directory,
        acme_ca=str(ca.absolute()) if ca else None,
        acme_dns=dns,
        acme_dns_servers=dns_servers,
    )
    bring_all_up(restart=changed or dns_env is not None)


def _keep_credentials(path: Path) -> None:
    """Keep the provider's variables in the home, readable by its owner only."""
    import os

    from paas.routers.traefik.trust import CREDENTIALS, parsed
    from paas.settings import load

    text = _pem(path)
    parsed(text)
    kept = load().home / CREDENTIALS
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = kept.with_name(f".{kept.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(kept)
