"""`paas git-credential`: what git asks for the password of a server (gitcredentials(7)): the token for exactly that
one: PAAS_TOKEN for the one at PAAS_HOST, what `paas login` kept for others."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated
from urllib.parse import urlsplit

import typer

from paas.cli.lazy import new_app

app = new_app()


@app.command("git-credential")
def git_credential(
    action: Annotated[str, typer.Argument(metavar="get|store|erase", help="What git wants; only get is answered.")],
) -> None:
    """What git asks for the password of the server at PAAS_HOST, or of one that you logged in to. Others get none."""
    if action == "get" and (token := _token(list(sys.stdin))):
        print(f"username=paas\npassword={token}")


def _token(asked: Sequence[str]) -> str:
    """The token for the server that git means; empty: there is none. Which context is the current one does not matter:
    a repository stays with its server."""
    from paas.cli.contexts import name_of, read
    from paas.settings import load

    settings, current = load(), name_of()
    kept = sorted(read().places.items(), key=lambda one: one[0] != current)  # of two on one server, the current one
    known = [(settings.server, settings.token), *((place.server, place.token) for _, place in kept)]
    return next((token for server, token in known if token and asks_for(asked, server)), "")


def asks_for(lines: Iterable[str], server: str) -> bool:
    """Whether git means exactly this server: scheme, host and port."""
    asked = dict(line.rstrip("\n").split("=", 1) for line in lines if "=" in line)
    known = urlsplit(server)
    return bool(known.netloc) and (asked.get("protocol"), asked.get("host")) == (known.scheme, known.netloc)
