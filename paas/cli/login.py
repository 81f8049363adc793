"""`login`, `logout`, `whoami`: who one is on a server."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from paas.cli import contexts
from paas.cli.connection import ask
from paas.cli.lazy import new_app
from paas.cli.options import JsonOption
from paas.cli.output import facts, put_json, say, when
from paas.errors import Denied, UsageError
from paas.settings import Settings, load

app = new_app()


@app.command()
def login(
    server: Annotated[str, typer.Argument(metavar="URL", help="https://paas.example.com")],
    invite: Annotated[
        str, typer.Option("--invite", metavar="CODE", help="The code of an invite; - reads it from standard input.")
    ] = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What the server is called here.")] = "",
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca", metavar="FILE", help="Authority of its certificate, PEM, where it is no public one; kept."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Log in to a server: by an invite's code, once, or by a token (asked for, or on standard input).

    The server becomes the current context; its token is kept in ~/.config/paas, for this user alone.
    """
    from paas.client import server_url

    url = server_url(server)
    context = contexts.checked(name) if name else contexts.named_after(url)
    settings = replace(load(), server=url, token="")
    if ca:
        settings = replace(settings, server_ca=str(ca.absolute()))
    token = _invited(settings, _read("code of the invite") if invite == "-" else invite) if invite else _read("token")
    answer = _me(replace(settings, token=token))
    contexts.keep(context, contexts.Place(server=url, token=token, user=answer["name"], ca=settings.server_ca))
    if as_json:
        put_json({**answer, "context": context, "server": url})
        return
    say(f"you are {answer['name']} on {url}")
    say(f"commands go to {context} now; paas contexts use local goes back to this machine")
    if url.startswith("http://"):
        say("note: this address has no TLS; whoever is on the way reads the token")


@app.command()
def logout(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The context; else the current one.")] = "",
) -> None:
    """End the login of a context, on the server and here. A token that `paas tokens create` made ends too."""
    from paas.client import Client
    from paas.errors import ServerUnavailable
    from paas.requests.logins import Logout

    context = name or contexts.name_of()
    place = contexts.read().places.get(context)
    if place is None:
        raise UsageError("this machine's own platform needs no login", hint="paas contexts")
    try:
        with Client.connect(contexts.at(place, load())) as client:
            client.ask(Logout())
    except Denied:
        pass  # it did not count any more
    except (ServerUnavailable, UsageError) as error:
        say(f"the server was not told: {error.message}; its owner can end the login: paas sessions revoke")
    contexts.forget(context)
    say(f"logged out of {context}")


@app.command()
def whoami(as_json: JsonOption = False) -> None:
    """Show who one is on the server, and what one may."""
    from paas.requests.people import WhoAmI

    answer = ask(WhoAmI())
    if as_json:
        put_json(answer)
        return
    limits = [] if answer["most"] == "owner" else [f"at most {answer['most']}"]
    limits += [f"only {', '.join(answer['only']) or 'apps not yours any more'}"] if answer["only"] is not None else []
    facts(
        [
            ("name", answer["name"]),
            ("server", contexts.chosen().server or "this machine"),
            ("by", f"{answer['kind'] or answer['via']} {answer['token_name']}".strip()),
            ("until", when(answer["expires_at"]) if answer["expires_at"] else ""),
            ("limits", "; ".join(limits)),
            ("platform", answer["role"]),
            ("teams", ", ".join(f"{team} ({_team(role)})" for team, role in answer["teams"].items())),
            ("apps", ", ".join(f"{one} ({role})" for one, role in answer["apps"].items())),
        ]
    )


def _team(role: str) -> str:
    return "leads it" if role == "owner" else "member"


def _invited(settings: Settings, code: str) -> str:
    from paas.client import Client
    from paas.requests.logins import AcceptInvite

    with Client.connect(settings, anonymous=True) as client:
        answer = client.ask(AcceptInvite(code=code, label=_label()))
    return str(answer["token"])


def _me(settings: Settings) -> Any:
    from paas.client import Client
    from paas.requests.people import WhoAmI

    with Client.connect(settings) as client:
        return client.ask(WhoAmI())


def _label() -> str:
    """What the session is called: who and where, as far as a name may say it."""
    text = f"{os.environ.get('USER', 'me')}@{socket.gethostname()}"
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "._@-") else "-" for char in text)
    return kept[:63].strip("._@-") or "login"


def _read(what: str) -> str:
    """From the terminal, unseen, or from standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ").strip()
    return sys.stdin.readline().strip()
