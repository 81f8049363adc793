"""`reviews`: an app for each branch or pull request of an app."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from paas.cli.connection import ask, connected, follow, operate
from paas.cli.db import sent
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, ConfirmOption, JsonOption
from paas.cli.output import facts, put, put_json, say, size, table, when
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app(cls=ListByDefault)

ReviewArgument = Annotated[str, typer.Argument(metavar="REVIEW", help="The review app: paas reviews lists them.")]
DAYS = 90
"""Of the longest life."""


@app.command("list")
def list_reviews(app: AppOption = "", as_json: JsonOption = False) -> None:
    """List the review apps of an app."""
    from paas.requests.reviews import ListReviews

    answer = ask(ListReviews(app=app_of(app)))
    if as_json:
        put_json(answer)
        return
    table(
        ["name", "of", "status", "commit", "ends in", "url"],
        [(one["name"], _what(one), one["status"], one["commit"][:12], _left(one["expires_at"]), one["url"])
         for one in answer],
        empty="no review apps; open one: paas reviews open BRANCH",
    )  # fmt: skip


@app.command()
def enable(
    *,
    app: AppOption = "",
    ttl: Annotated[
        str, typer.Option("--ttl", metavar="TIME", help="How long each lives, from its last deploy.")
    ] = "5d",
    most: Annotated[int, typer.Option("--max", metavar="N", help="How many at once.", min=1, max=100)] = 10,
    memory: Annotated[str, typer.Option("--memory", metavar="SIZE", help="Of a replica at most: 256M.")] = "",
    cpus: Annotated[float, typer.Option("--cpus", metavar="CORES", help="Of a replica at most: 0.5.", min=0)] = 0.0,
    replicas: Annotated[int, typer.Option("--replicas", metavar="N", help="Of a process at most.", min=1, max=100)] = 1,
    config: Annotated[
        list[str] | None,
        typer.Option("--config", metavar="KEY[=VALUE]", help="A config var that comes along or has a value (repeat)."),
    ] = None,
    source: Annotated[
        str, typer.Option("--source", metavar="URL", help="The repository; else that of a deploy hook.")
    ] = "",
    seed: Annotated[
        str, typer.Option("--seed", metavar="ID|latest|FILE", help="A backup, or a dump file, for their database.")
    ] = "",
    addons: Annotated[
        bool, typer.Option("--addons/--no-addons", help="With addons of their own, of the same kinds.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Have review apps, or have them otherwise: what is not said is as if it was never said."""
    from paas.requests.reviews import EnableReviews

    name = app_of(app)
    inherit, own = _config(config or [])
    with connected() as client:
        file = Path(seed) if seed else None
        upload = sent(client, file) if file is not None and file.is_file() else ""
        answer = client.ask(
            EnableReviews(
                app=name, ttl=_period(ttl), most=most, memory=_memory(memory), cpus=cpus, replicas=replicas,
                inherit=inherit, config=own, source=source, seed="" if upload else seed, upload=upload, addons=addons,
            )
        )  # fmt: skip
    if as_json:
        put_json(answer)
        return
    _policy(answer)
    if answer["lacks"]:
        say(f"warning: {answer['lacks']}; before one can be opened: --source URL here, or paas deploy-hooks add")
    say(f"next: paas reviews open BRANCH -a {name}, or have pull requests open them: paas deploy-hooks add --reviews")


@app.command()
def disable(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Open no more; those there are stay until their time is over."""
    from paas.requests.reviews import DisableReviews

    name = app_of(app)
    answer = ask(DisableReviews(app=name))
    put_json(answer) if as_json else say(f"{name} has no review apps from now on")


@app.command()
def policy(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show what review apps of an app are like."""
    from paas.requests.reviews import ShowReviewPolicy

    answer = ask(ShowReviewPolicy(app=app_of(app)))
    put_json(answer) if as_json else _policy(answer)


@app.command("open")
def open_(
    branch: Annotated[str, typer.Argument(metavar="[BRANCH]", help="The branch.", show_default=False)] = "",
    pull: Annotated[int, typer.Option("--pr", metavar="N", help="The number of a pull request.", min=0)] = 0,
    ref: Annotated[str, typer.Option("--ref", metavar="COMMIT", help="A commit of it; else its newest.")] = "",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make the review app of a branch or a pull request, or deploy it anew."""
    from paas.requests.reviews import OpenReview

    answer = operate(OpenReview(app=app_of(app), branch=branch, pull_request=pull, commit=ref), quiet=as_json)
    if as_json:
        put_json(answer)
        return
    put(answer["url"])
    say(f"{answer['name']} v{answer['release']} serves {_what(answer)}, until {when(answer['expires_at'])}")


@app.command()
def show(review: ReviewArgument, app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show one review app."""
    from paas.requests.reviews import ShowReview

    answer = ask(ShowReview(app=app_of(app), review=review))
    if as_json:
        put_json(answer)
        return
    facts(
        [
            ("name", answer["name"]), ("of", f"{_what(answer)} of {answer['parent']}"), ("status", answer["status"]),
            ("why", answer["failure"]), ("url", answer["url"]), ("commit", answer["commit"]),
            ("release", f"v{answer['release']}" if answer["release"] else "-"),
            ("fork", "yes: no config, no seed" if answer["fork"] else ""),
            ("opened", f"{when(answer['opened_at'])} by {answer['opened_by']}"), ("ends", when(answer["expires_at"])),
        ]
    )  # fmt: skip


@app.command()
def extend(
    review: ReviewArgument,
    by: Annotated[str, typer.Option("--by", metavar="TIME", help="From now on.")] = "5d",
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Let a review app live longer."""
    from paas.requests.reviews import ExtendReview

    answer = ask(ExtendReview(app=app_of(app), review=review, seconds=_period(by)))
    put_json(answer) if as_json else say(f"{answer['name']} stays until {when(answer['expires_at'])}")


@app.command()
def close(
    review: ReviewArgument,
    backup: Annotated[bool, typer.Option("--backup", help="Keep a last dump of each database.")] = False,
    app: AppOption = "",
    confirm: ConfirmOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take a review app away, with its addons and their data."""
    from paas.cli.confirm import confirmed
    from paas.requests.reviews import CloseReview, ShowReview

    with connected() as client:
        name = app_of(app)
        found = client.ask(ShowReview(app=name, review=review))
        confirmed(found["name"], confirm, f"destroys the review app {found['name']} and its addons")
        answer = follow(client, CloseReview(app=name, review=found["name"], backup=backup), quiet=as_json)
    if as_json:
        put_json(answer)
        return
    say(" and ".join([f"{answer['name']} is gone", *([", ".join(answer["addons"])] if answer["addons"] else [])]))


def _policy(answer: dict[str, Any]) -> None:
    if not answer["enabled"]:
        put(f"{answer['app']} has no review apps")
        return
    facts(
        [
            ("app", answer["app"]), ("live for", _span(answer["ttl"])), ("at most", answer["most"]),
            ("memory", size(answer["memory"]) if answer["memory"] else "as the source says"),
            ("cpus", f"{answer['cpus']:g}" if answer["cpus"] else "as the source says"),
            ("replicas", answer["replicas"]), ("config along", " ".join(answer["inherit"]) or "none"),
            ("config of their own", " ".join(answer["config"]) or "none"),
            ("source", answer["source"] or ("none" if answer["lacks"] else "deploy hook")),
            ("seed", answer["seed"] or "none"),
            ("addons", "of the same kinds" if answer["addons"] else "as the source says"),
        ]
    )  # fmt: skip


def _config(given: list[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """`KEY` comes along, `KEY=VALUE` is a value of their own."""
    own = dict(one.split("=", 1) for one in given if "=" in one)
    return tuple(one for one in given if "=" not in one), own


def _memory(text: str) -> int:
    from paas.build import sizes

    try:
        return sizes.memory(text) if text else 0
    except ValueError as error:
        raise UsageError(f"--memory {text[:40]}: {error}", hint="--memory 256M") from None


def _period(text: str) -> float:
    """Seconds of `90m`, `12h`, `5d`. Raises UsageError."""
    from paas.build import sizes

    days = text.strip().endswith("d")
    try:
        most = DAYS * 24 * 3600.0
        found = sizes.seconds(f"{text.strip()[:-1]}h", most=most) * 24 if days else sizes.seconds(text, most=most)
    except ValueError:
        found = 0.0
    if not 60 <= found <= DAYS * 24 * 3600:
        raise UsageError(f"{text[:40]!a} is no time between a minute and {DAYS} days", hint="90m, 12h, 5d")
    return found


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600)):
        if seconds >= length:
            return f"{seconds / length:.3g}{unit}"
    return f"{max(0, seconds) / 60:.0f}m"


def _left(at: float) -> str:
    return _span(at - time.time())


def _what(one: dict[str, Any]) -> str:
    return f"pull request {one['pull_request']}" if one["pull_request"] else f"branch {one['branch']}"
