"""`domains`: the hosts an app answers at."""

from __future__ import annotations

from typing import Annotated

import typer

from paas.cli.connection import ask, operate
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import put_json, table
from paas.cli.ps import changed
from paas.cli.target import app_of

app = new_app(cls=ListByDefault)

HostsArgument = Annotated[list[str], typer.Argument(metavar="HOST…", help="For example shop.example.com.")]


@app.command("list")
def list_domains(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show the hosts of an app, the default one first."""
    from paas.requests.config import ListDomains

    answer = ask(ListDomains(app=app_of(app)))
    if as_json:
        put_json(answer)
        return
    rows = [
        (one["host"], "yes" if one["tls"] else "no", "default" if one["default"] else "", one["url"]) for one in answer
    ]
    table(["host", "https", "", "url"], rows)


@app.command()
def add(hosts: HostsArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Let the app answer at more hosts, `*.example.com` included. A release; nothing restarts."""
    from paas.model.names import host_name
    from paas.requests.config import ChangeDomains

    wanted = tuple(host_name(host) for host in hosts)
    changed(operate(ChangeDomains(app=app_of(app), add=wanted), quiet=as_json), as_json)


@app.command()
def remove(hosts: HostsArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Let the app no longer answer at these hosts. A release; nothing restarts."""
    from paas.requests.config import ChangeDomains

    changed(operate(ChangeDomains(app=app_of(app), remove=tuple(hosts)), quiet=as_json), as_json)
