"""Which server a command talks to: the one of `paas --context`, else PAAS_HOST, else PAAS_CONTEXT, else the one that
`contexts use` chose, else this machine's.

Servers and their tokens are kept in `~/.config/paas/contexts.json`, for this user alone. `local` is this machine.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import JsonOption
from paas.cli.output import put_json, say, table
from paas.errors import ConfigError, Conflict, NotFound, UsageError
from paas.settings import Settings, load

app = new_app(cls=ListByDefault)

LOCAL = "local"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A server and the token for it. `user` is who it is of, as of when it was kept; `ca` a file with the authority
    that its certificate is of, where this machine does not trust it."""

    server: str
    token: str = field(repr=False)
    user: str = ""
    ca: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contexts:
    """What the file holds. `current` empty: this machine."""

    current: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)


def chosen(environ: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """The settings with the server of the context that counts. Raises NotFound for one that is not there."""
    settings = load(environ, **flags)
    found = os.environ if environ is None else environ
    name = found.get("PAAS_CONTEXT") or read().current
    if "server" in flags or found.get("PAAS_HOST") or not name:
        return settings
    if name == LOCAL:
        return replace(settings, server="")
    place = read().places.get(name)
    if place is None:
        raise NotFound(f"there is no context {name!r}", hint="paas contexts; paas login URL makes one")
    return at(place, settings)


def at(place: Place, settings: Settings) -> Settings:
    """The settings by which that server is reached."""
    return replace(settings, server=place.server, token=place.token, server_ca=place.ca or settings.server_ca)


def of_this_machine() -> Settings:
    """The settings for a command about the platform of this machine. Raises UsageError when commands go elsewhere: what
    was meant for a laptop must not stop the server of a team, nor the other way round."""
    settings = chosen()
    if settings.server:
        raise UsageError(
            f"this is about the platform of one machine, and commands go to {settings.server}",
            hint="there, or for the platform of this machine: paas --context local ...",
        )
    return settings


def name_of(environ: Mapping[str, str] | None = None) -> str:
    """The context that counts when PAAS_HOST is not set."""
    return (os.environ if environ is None else environ).get("PAAS_CONTEXT") or read().current or LOCAL


def path_of(environ: Mapping[str, str] | None = None) -> Path:
    """Where they are kept."""
    found = os.environ if environ is None else environ
    return Path(found.get("XDG_CONFIG_HOME") or Path(found.get("HOME", "/")) / ".config") / "paas" / "contexts.json"


def read() -> Contexts:
    """What is kept. Raises ConfigError for a file that cannot be read, or that others may read."""
    path = path_of()
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError("others may read it, and it holds tokens", where=str(path), hint=f"chmod 600 {path}")
        values = json.loads(path.read_text())
        places = {str(name): Place(**one) for name, one in values["contexts"].items()}
        return Contexts(current=str(values.get("current", "")), places=places)
    except FileNotFoundError:
        return Contexts()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"cannot be read: {type(error).__name__}", where=str(path), hint="mend it, or remove it and log in again"
        ) from error


def write(contexts: Contexts) -> None:
    """Keep it: a new file in the place of the old one, at no moment for other eyes."""
    path = path_of()
    values = {
        "current": contexts.current,
        "contexts": {
            name: {key: value for key, value in asdict(one).items() if value or key != "ca"}
            for name, one in contexts.places.items()
        },
    }
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(values, file, indent=2)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(path)) from error


def keep(name: str, place: Place) -> None:
    """Add or replace a context, and use it from now on."""
    before = read()
    write(Contexts(current=name, places={**before.places, checked(name): place}))


def forget(name: str) -> None:
    """Take one away. Raises NotFound."""
    before = read()
    if name not in before.places:
        raise NotFound(f"there is no context {name!r}", hint=f"there are: {', '.join([LOCAL, *before.places])}")
    left = {key: one for key, one in before.places.items() if key != name}
    write(Contexts(current="" if before.current == name else before.current, places=left))


def checked(name: str) -> str:
    """The name if it can be one. Raises UsageError."""
    if not _NAME.fullmatch(name) or name == LOCAL:
        raise UsageError(f"{name[:80]!a} cannot name a context", hint="use lower-case letters, digits, dots and dashes")
    return name


def named_after(server: str) -> str:
    """What a server's context is called when nobody says."""
    return checked((urlsplit(server).hostname or "").replace(":", "-"))


# --- commands -------------------------------------------------------------------------------------------------------


@app.command("list")
def list_contexts(as_json: JsonOption = False) -> None:
    """Show the servers that are known here, and which one commands go to."""
    found, current = read(), name_of()
    rows = [(LOCAL, "this machine", ""), *((name, one.server, one.user) for name, one in found.places.items())]
    if as_json:
        put_json([{"name": name, "server": server, "user": user, "current": name == current}
                  for name, server, user in rows])  # fmt: skip
        return
    table(["", "name", "server", "user"], [("*" if row[0] == current else "", *row) for row in rows])
    if overriding := os.environ.get("PAAS_HOST"):
        say(f"PAAS_HOST is set: commands go to {overriding}")


@app.command()
def use(name: Annotated[str, typer.Argument(metavar="NAME", help="The context; local is this machine.")]) -> None:
    """Send commands to this server from now on."""
    found = read()
    if name != LOCAL and name not in found.places:
        raise NotFound(f"there is no context {name!r}", hint=f"there are: {', '.join([LOCAL, *found.places])}")
    write(replace(found, current="" if name == LOCAL else name))
    say(f"commands go to {name} now")


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called here.")],
    server: Annotated[str, typer.Argument(metavar="URL", help="https://paas.example.com")],
) -> None:
    """Add a server; its token comes on standard input. `paas login URL` does this and checks it."""
    import sys

    from paas.client import server_url

    if sys.stdin.isatty():
        raise UsageError("the token comes on standard input", hint=f"paas login {server} asks for it")
    if name in read().places:
        raise Conflict(f"there is a context {name} already", hint=f"paas contexts remove {name}")
    keep(name, Place(server=server_url(server), token=sys.stdin.readline().strip()))
    say(f"commands go to {name} now")


@app.command()
def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="The context.")]) -> None:
    """Forget a server and its token. The token counts on; `paas logout` ends it too."""
    forget(name)
    say(f"{name} is forgotten")
