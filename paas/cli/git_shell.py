"""`paas git-shell`: the one command that sshd runs for a key of `paas keys`. It does what git asks, nothing else."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import typer

from paas.cli.lazy import new_app
from paas.errors import Denied

app = new_app()

_ASKED = re.compile(
    r"git[- ](?P<service>receive-pack|upload-pack) "
    r"(?P<quote>'?)/?(?P<app>[a-z]([a-z0-9-]{0,38}[a-z0-9])?)(\.git)?/?(?P=quote)"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One of the two conversations that git may have, about one app."""

    service: Literal["receive-pack", "upload-pack"]
    app: str


@app.command("git-shell")
def git_shell(key: Annotated[str, typer.Argument(metavar="KEY", help="The name of the key that logged in.")]) -> None:
    """What sshd runs for a key that may push: the two git commands, for an app, and nothing else."""
    from paas.cli.terminal import LocalTerminal
    from paas.client import Client
    from paas.model.names import owned_key_name
    from paas.requests.git import GitSession
    from paas.settings import load

    name = owned_key_name(key)
    asked = asked_for(os.environ.get("SSH_ORIGINAL_COMMAND", ""), name)
    with (
        Client.connect(load(server=""), f"key {name}") as client,
        LocalTerminal(tty=False, interactive=True) as terminal,
    ):
        raise typer.Exit(client.session(GitSession(app=asked.app, service=asked.service), terminal))


def asked_for(command: str, key: str = "") -> Asked:
    """What git asks for by `SSH_ORIGINAL_COMMAND`. Raises Denied for anything else."""
    if not command:
        raise Denied(f"hello {key}: this key may push and fetch, and has no shell", hint="git push ssh://…/APP main")
    found = _ASKED.fullmatch(command)
    if found is None:
        raise Denied("this key may only push and fetch", hint="git push ssh://user@host/APP main")
    return Asked(cast(Literal["receive-pack", "upload-pack"], found["service"]), found["app"])
