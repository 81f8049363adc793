"""`keys`: the SSH keys that may push."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import JsonOption
from paas.cli.output import put_json, say, table
from paas.errors import UsageError

app = new_app(cls=ListByDefault)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the key is called here: alice-laptop.")]


@app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """Show the keys that may push."""
    from paas.requests.git import ListKeys

    answer = ask(ListKeys())
    if as_json:
        put_json(answer)
        return
    table(["name", "kind", "fingerprint"], [(one["name"], one["kind"], one["fingerprint"]) for one in answer],
          empty="no keys; add one: paas keys add NAME < key.pub")  # fmt: skip


@app.command()
def add(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let a key push and fetch over SSH: `paas keys add alice-laptop < id_ed25519.pub`. It gets no shell."""
    from paas.requests.git import AddKey

    if sys.stdin.isatty():
        raise UsageError("the public key comes on standard input", hint=f"paas keys add {name} < ~/.ssh/id_ed25519.pub")
    answer = ask(AddKey(name=name, public=sys.stdin.read(20_000)))
    if as_json:
        put_json(answer)
        return
    say(f"{answer['name']} may push: {answer['kind']} {answer['fingerprint']}")
    remote = answer.get("remote") or "ssh://USER@HOST/"
    say(f"next, on its machine: git remote add paas {remote}APP")


@app.command()
def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let a key push and fetch no more."""
    from paas.requests.git import RemoveKey

    answer = ask(RemoveKey(name=name))
    if as_json:
        put_json(answer)
        return
    say(f"{answer['name']} may push no more")
