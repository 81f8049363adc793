"""`paas git-credential`: what git asks for the password of the server at PAAS_HOST (gitcredentials(7)): PAAS_TOKEN."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Annotated
from urllib.parse import urlsplit

import typer

from paas.cli.lazy import new_app

app = new_app()


@app.command("git-credential")
def git_credential(
    action: Annotated[str, typer.Argument(metavar="get|store|erase", help="What git wants; only get is answered.")],
) -> None:
    """What git asks for the password of the server at PAAS_HOST. Other servers get none."""
    from paas.cli.contexts import chosen

    settings = chosen()
    if action == "get" and settings.token and asks_for(sys.stdin, settings.server):
        print(f"username=paas\npassword={settings.token}")


def asks_for(lines: Iterable[str], server: str) -> bool:
    """Whether git means exactly this server: scheme, host and port."""
    asked = dict(line.rstrip("\n").split("=", 1) for line in lines if "=" in line)
    known = urlsplit(server)
    return bool(known.netloc) and (asked.get("protocol"), asked.get("host")) == (known.scheme, known.netloc)
