"""`db`: shell, backups and restores of a database. Which one: --addon, else the app's DATABASE_URL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paas.cli.confirm import confirmed
from paas.cli.connection import connected, follow
from paas.cli.lazy import new_app
from paas.cli.options import AppOption, ConfirmOption, JsonOption
from paas.cli.output import put, put_json, say, size, table, when
from paas.cli.run import in_terminal
from paas.cli.target import app_of
from paas.errors import NotFound, PlatformError, UsageError

if TYPE_CHECKING:
    from paas.client import Client

app = new_app(no_args_is_help=True)

AddonOption = Annotated[str, typer.Option("--addon", metavar="NAME", help="The addon; else the app's DATABASE_URL.")]
AddonArgument = Annotated[str, typer.Argument(metavar="[NAME]", help="The addon; else the app's DATABASE_URL.")]


def addon_of(client: Client, given: str, app: str) -> str:
    """The addon's name. Raises NotFound when the app has none, UsageError when it has several and none is DATABASE."""
    from paas.requests.addons import ListAddons

    if given:
        return given
    name = app_of(app)
    found = client.ask(ListAddons(app=name))
    bound = [one["name"] for one in found for use in one["apps"]
             if use["app"] == name and use["config_var"] == "DATABASE_URL"]  # fmt: skip
    names = bound or [one["name"] for one in found]
    if not names:
        raise NotFound(f"{name} has no database", hint=f"paas addons create postgres -a {name}")
    if len(names) > 1:
        raise UsageError(f"{name} has several databases", hint=f"--addon {' or --addon '.join(names)}")
    return str(names[0])


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def shell(
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[-- ARGUMENT…]", help="For psql: -- -c SQL")] = None,
    app: AppOption = "",
    addon: AddonOption = "",
) -> None:
    """Open the database's own client (psql) in it. Its exit code is passed through."""
    from paas.requests.sessions import AddonShell

    with connected() as client:
        name = addon_of(client, addon, app)
        in_terminal(client, lambda **facts: AddonShell(addon=name, command=tuple(arguments or ()), **facts))


@app.command()
def backup(name: AddonArgument = "", app: AppOption = "", addon: AddonOption = "", as_json: JsonOption = False) -> None:
    """Take a backup now, while the apps go on working."""
    from paas.requests.addons import BackupAddon

    with connected() as client:
        found = addon_of(client, addon or name, app)
        answer = follow(client, BackupAddon(addon=found), quiet=as_json)
    if as_json:
        put_json(answer)
        return
    say(f"{answer['addon']}: {answer['tables']} {answer['counts']}, {size(answer['size'])}")
    put(answer["id"])
    say(f"next: paas db download {answer['id']} --addon {found}; paas db restore {answer['id']} --addon {found}")


@app.command()
def backups(
    name: AddonArgument = "", app: AppOption = "", addon: AddonOption = "", as_json: JsonOption = False
) -> None:
    """List backups, newest first. By NAME also those of a database that is gone."""
    from paas.requests.addons import ListBackups

    with connected() as client:
        found = addon_of(client, addon or name, app)
        answer = client.ask(ListBackups(addon=found))
    if as_json:
        put_json(answer)
        return
    table(
        ["id", "when", "size", answer[0]["counts"] if answer else "tables", "server"],
        [(one["id"], when(one["at"]), size(one["size"]), one["tables"], one["server_version"]) for one in answer],
        empty=f"no backups: paas db backup {found}",
    )


@app.command()
def download(
    backup: Annotated[str, typer.Argument(metavar="ID", help="The backup: paas db backups lists them.")],
    app: AppOption = "",
    addon: AddonOption = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file; else ID.dump.")
    ] = None,
) -> None:
    """Write a backup to a file: a dump that pg_restore reads."""
    from paas.requests.addons import FetchBackup

    path = output or Path(f"{Path(backup).name}.dump")
    coming = path.with_name(f".{path.name}.part")
    with connected() as client:
        request = FetchBackup(addon=addon_of(client, addon, app), backup=backup)
        try:
            with coming.open("wb") as file:
                count = client.download(request, file)
            coming.replace(path)
        except OSError as error:
            raise PlatformError(f"{path} cannot be written: {error.strerror}") from error
        finally:
            coming.unlink(missing_ok=True)
    say(f"{size(count)}")
    put(str(path))


@app.command()
def restore(
    backup: Annotated[str, typer.Argument(metavar="ID|FILE", help="A backup's id, or a dump file.")],
    app: AppOption = "",
    addon: AddonOption = "",
    confirm: ConfirmOption = "",
    as_json: JsonOption = False,
) -> None:
    """Replace what is in a database by a backup. When it fails or is interrupted, the data is as it was."""
    from paas.requests.addons import RestoreAddon

    with connected() as client:
        name = addon_of(client, addon, app)
        typed = confirmed(name, confirm, f"replaces all data in {name} by {backup}")
        file = Path(backup)
        if file.is_file():
            request = RestoreAddon(addon=name, confirm=typed, upload=sent(client, file))
        else:
            request = RestoreAddon(addon=name, confirm=typed, backup=backup)
        answer = follow(client, request, quiet=as_json)
    if as_json:
        put_json(answer)
    else:
        say(f"{answer['addon']} holds {answer['tables']} {answer['counts']}, {size(answer['size'])}")


def sent(client: Client, file: Path) -> str:
    """The id under which the server has the file now."""
    import shutil
    from typing import IO

    from paas.cli.sent import sent as progress

    def write(into: IO[bytes]) -> None:
        with file.open("rb") as source:
            shutil.copyfileobj(source, into, 1 << 20)

    with progress() as told:
        return client.upload(write, told, packing=False)  # the server reads it as the file it is
