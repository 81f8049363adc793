"""`releases` and `rollback`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import ask, operate
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import ago, facts, put, put_json, say, size, table, when
from paas.cli.ps import changed
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app(cls=ListByDefault)


@app.command("list")
def list_releases(
    app: AppOption = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", min=0, max=10_000, help="The last N; 0: all.")
    ] = 30,
    as_json: JsonOption = False,
) -> None:
    """List releases, newest first."""
    from paas.requests.deploys import ListReleases

    answer = ask(ListReleases(app=app_of(app), limit=limit))
    if as_json:
        put_json(answer)
        return
    table(
        ["release", "status", "kind", "by", "age", "what"],
        [
            (f"v{one['number']}{' *' if one['current'] else ''}", one["status"], one["kind"], one["actor"],
             ago(one["at"]), one["description"] + (f" ({one['failure']})" if one["failure"] else ""))
            for one in answer
        ],
        empty="no releases yet: paas deploy",
    )  # fmt: skip


@app.command()
def show(
    number: Annotated[str, typer.Argument(metavar="N", help="12 or v12.")],
    diff: Annotated[bool, typer.Option("--diff", help="Also what it changed; values stay hidden.")] = False,
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show one release in full."""
    from paas.requests.deploys import ShowRelease

    answer = ask(ShowRelease(app=app_of(app), number=_number(number), diff=diff))
    if as_json:
        put_json(answer)
        return
    _release(answer)
    if diff:
        put("\nchanged:")
        for one in answer["diff"]:
            put(f"  {one['what']}: {one['before'] or '-'} → {one['after'] or '-'}")
        if not answer["diff"]:
            put("  nothing")


def _release(answer: dict[str, Any]) -> None:
    release = answer["release"]
    facts(
        [
            ("release", f"v{release['number']}{' (current)' if release['current'] else ''}"),
            ("what", f"{release['kind']}: {release['description']}"),
            ("status", release["status"]),
            ("failure", release["failure"]),
            ("when", f"{when(release['at'])} by {release['actor']}"),
            ("source", answer["source"]),
            ("version", release["version"]),
            ("buildpack", answer["buildpack"]),
            ("image", release["image"]),
            ("config", ", ".join(answer["config"])),
            ("domains", ", ".join(answer["domains"])),
            ("addons", ", ".join(answer["addons"])),
            *((one["name"], _process(one)) for one in answer["processes"]),
        ]
    )


def _process(one: dict[str, Any]) -> str:
    command = one["command"] or "(the image's own command)"
    return f"{command}  [{size(one['memory'])}, {one['cpus']:g} CPUs, {one['health']}]"


@app.command()
def rollback(
    number: Annotated[str, typer.Argument(metavar="[N]", help="12 or v12; else the last good one before.")] = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier release: image, config, processes and domains, without a build."""
    from paas.requests.deploys import Rollback

    name = app_of(app)
    answer = operate(Rollback(app=name, number=_number(number) if number else 0), quiet=as_json)
    changed(answer, as_json)
    if not as_json:
        say(f"next: paas releases show {answer['release']} --diff -a {name}")


def _number(text: str) -> int:
    digits = text.removeprefix("v")
    if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits) < 10**9:
        raise UsageError(f"{text!r} is no release", hint="a number, 12 or v12; paas releases lists them")
    return int(digits)
