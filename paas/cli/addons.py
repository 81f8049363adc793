"""`addons`: backing services with data of their own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.confirm import confirmed
from paas.cli.connection import ask, connected, follow, operate
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, ConfirmOption, JsonOption
from paas.cli.output import ago, facts, put, put_json, say, size, table
from paas.cli.target import app_of, checked

app = new_app(cls=ListByDefault)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The addon's name.")]
AliasOption = Annotated[str, typer.Option("--as", metavar="ALIAS", help="REPORTS binds REPORTS_URL.")]


@app.command("list")
def list_addons(
    app: Annotated[str, typer.Option("--app", "-a", metavar="APP", help="Only those of this app.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List addons; of one app with --app."""
    from paas.requests.addons import ListAddons

    answer = ask(ListAddons(app=checked(app) if app else ""))
    if as_json:
        put_json(answer)
        return
    table(
        ["name", "kind", "version", "status", "age", "attached to"],
        [
            (one["name"], one["kind"], one["version"], one["status"], ago(one["created_at"]), _attached(one) or "-")
            for one in answer
        ],
        empty="no addons: paas addons create postgres",
    )


def _attached(one: dict[str, Any]) -> str:
    return ", ".join(f"{bound['app']} ({bound['config_var']})" for bound in one["apps"])


@app.command()
def kinds(as_json: JsonOption = False) -> None:
    """List the kinds there are, with their versions."""
    from paas.requests.addons import ListAddonKinds

    answer = ask(ListAddonKinds())
    if as_json:
        put_json(answer)
        return
    table(
        ["kind", "binds", "versions", "what"],
        [(one["name"], one["binds"], " ".join(one["versions"]), one["summary"]) for one in answer],
    )


@app.command()
def create(
    *,
    kind: Annotated[str, typer.Argument(metavar="KIND[:VERSION]", help="For example postgres or postgres:17.")],
    app: AppOption = "",
    alias: AliasOption = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="Its name; else APP-KIND.")] = "",
    version: Annotated[str, typer.Option(metavar="VERSION", help="Its version; paas addons kinds lists them.")] = "",
    unattached: Annotated[bool, typer.Option("--unattached", help="Bind it to no app.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Create a backing service, wait until it answers, and bind its URL to the app: one release."""
    from paas.requests.addons import CreateAddon

    kind, _, said = kind.partition(":")
    wanted = "" if unattached else app_of(app)
    request = CreateAddon(kind=kind, app=wanted, name=name, alias=alias, version=version or said)
    answer = operate(request, quiet=as_json)
    if as_json:
        put_json(answer)
        return
    bound = f": {answer['config_var']} of {answer['app']}" if answer["app"] else ""
    say(f"{answer['kind']} {answer['version']} answers{bound}")
    put(answer["name"])
    say(f"next: paas db shell --addon {answer['name']}; paas db backup --addon {answer['name']}")


@app.command()
def info(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show one addon: state, version, size, who uses it, backups. Its password stays hidden."""
    from paas.requests.addons import ShowAddon

    answer = ask(ShowAddon(addon=name))
    if as_json:
        put_json(answer)
        return
    facts(
        [
            ("name", answer["name"]),
            ("id", answer["id"]),
            ("kind", f"{answer['kind']} {answer['server_version'] or answer['version']}"),
            ("status", answer["status"]),
            ("url", answer["url"]),
            ("attached to", _attached(answer)),
            ("size", size(answer["size"]) if answer["size"] else ""),
            (answer["counts"], answer["tables"]),
            ("connections", answer["connections"]),
            ("volume", answer["volume"]),
            ("backups", len(answer["backups"])),
            ("created", f"{ago(answer['created_at'])} ago"),
        ]
    )


@app.command()
def credentials(name: NameArgument, as_json: JsonOption = False) -> None:
    """Print the addon's URL with its password."""
    from paas.requests.addons import ShowCredentials

    answer = ask(ShowCredentials(addon=name))
    if as_json:
        put_json(answer)
    else:
        put(answer["url"])


@app.command()
def attach(name: NameArgument, app: AppOption = "", alias: AliasOption = "", as_json: JsonOption = False) -> None:
    """Bind an addon to one more app: one release there."""
    from paas.requests.addons import AttachAddon

    answer = operate(AttachAddon(addon=name, app=app_of(app), alias=alias), quiet=as_json)
    if as_json:
        put_json(answer)
    else:
        say(f"{answer['name']} is {answer['config_var']} of {answer['app']} (v{answer['release']})")


@app.command()
def detach(name: NameArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Unbind an addon from an app: one release there. Its data stays."""
    from paas.requests.addons import DetachAddon

    answer = operate(DetachAddon(addon=name, app=app_of(app)), quiet=as_json)
    if as_json:
        put_json(answer)
    else:
        say(f"{answer['name']} is detached from {answer['app']}; its data stays")


@app.command()
def destroy(
    name: NameArgument,
    confirm: ConfirmOption = "",
    backup: Annotated[bool, typer.Option(help="Take a last backup first, and keep it.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Take an addon and its data away, after a last backup."""
    from paas.requests.addons import DestroyAddon, ShowAddon

    with connected() as client:
        found = client.ask(ShowAddon(addon=name))
        users = f"; {_attached(found)} lose it" if found["apps"] else ""
        kept = "after a last backup" if backup else "with NO last backup"
        typed = confirmed(found["name"], confirm, f"destroys {found['name']} and its data, {kept}{users}")
        request = DestroyAddon(addon=found["name"], confirm=typed, backup=backup)
        answer = follow(client, request, quiet=as_json)
    if as_json:
        put_json(answer)
        return
    say(f"{answer['name']} is gone")
    if answer["backup"]:
        say(f"  its last backup: {answer['backup']['id']} ({size(answer['backup']['size'])}); paas db backups {name}")
