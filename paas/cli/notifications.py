"""`notifications`: what is told to the outside, and where."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from paas.cli.connection import ask
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import JsonOption
from paas.cli.output import ago, facts, put_json, say, table
from paas.cli.target import checked
from paas.errors import PlatformError, UsageError

app = new_app(cls=ListByDefault)

TargetArgument = Annotated[str, typer.Argument(metavar="NAME", help="The target's name.")]
OfApp = Annotated[str, typer.Option("--app", "-a", metavar="APP", help="Of this app; else of all and of the platform.")]


class Kind(StrEnum):
    """How it is told."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    EMAIL = "email"


KINDS = "webhook, email, or slack, which also fits Mattermost, Rocket.Chat and Discord's /slack."


class Security(StrEnum):
    """How the way to a mail server is kept."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@app.command("list")
def list_targets(app: OfApp = "", as_json: JsonOption = False) -> None:
    """Show where it is told, and how each target is."""
    from paas.requests.notifications import ListNotifications

    answer = ask(ListNotifications(app=_app(app)))
    if as_json:
        put_json(answer)
        return
    rows = [
        (one["name"], one["kind"], one["app"] or "-", " ".join(one["topics"]) or "all", one["to"],
         one["disabled"] or (f"{one['failures']} tries failed" if one["failures"] else "well"))
        for one in answer
    ]  # fmt: skip
    table(["name", "kind", "app", "on", "to", ""], rows,
          empty="nothing is told to the outside; begin: paas notifications add webhook NAME --url URL")  # fmt: skip


@app.command()
def add(
    *,
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help=KINDS)],
    name: TargetArgument,
    app: OfApp = "",
    url: Annotated[str, typer.Option("--url", metavar="URL", help="Where to post.")] = "",
    topic: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="TOPIC", help="Only this (repeat): deploy.failed, crash, backup."),
    ] = None,
    smtp: Annotated[str, typer.Option("--smtp", metavar="HOST[:PORT]", help="The mail server.")] = "",
    security: Annotated[Security, typer.Option("--security", help="How the way there is kept.")] = Security.STARTTLS,
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="Who logs in there; the password is read.")] = "",
    sender: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Whom the mail is from.")] = "",
    recipient: Annotated[
        list[str] | None, typer.Option("--to", metavar="ADDRESS", help="Whom the mail is to (repeat).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell it there from now on. A webhook's secret is shown once; a mail password is read from standard input."""
    from paas.requests.notifications import AddNotification

    host, port = _server(smtp)
    answer = ask(
        AddNotification(
            name=name, kind=kind.value, app=_app(app), topics=tuple(topic or ()), url=url, host=host, port=port,
            security=security.value, user=user, password=_password() if user else "", sender=sender,
            recipients=tuple(recipient or ()),
        )
    )  # fmt: skip
    if as_json:
        put_json(answer)
        return
    if answer["secret"]:
        facts([("secret", answer["secret"])])
    of = f" -a {app}" if app else ""
    say(f"{answer['name']} is told of {' '.join(answer['topics']) or 'everything'}")
    say(f"next: paas notifications test {answer['name']}{of}")


@app.command("test")
def try_it(name: TargetArgument, app: OfApp = "", as_json: JsonOption = False) -> None:
    """Tell it something now, and say what it answers. A disabled target that takes it is told again."""
    from paas.requests.notifications import TestNotification

    answer = ask(TestNotification(target=name, app=_app(app)))
    if as_json:
        put_json(answer)
    if not answer["delivered"]:
        raise PlatformError(f"{name} did not take it: {answer['answer']}", hint="paas notifications")
    if not as_json:
        say(f"{name} took it: {answer['answer']}")


@app.command()
def remove(name: TargetArgument, app: OfApp = "", as_json: JsonOption = False) -> None:
    """Tell nothing there any more."""
    from paas.requests.notifications import RemoveNotification

    answer = ask(RemoveNotification(target=name, app=_app(app)))
    if as_json:
        put_json(answer)
        return
    say(f"{answer['name']} is told nothing any more")


@app.command()
def deliveries(
    name: TargetArgument,
    app: OfApp = "",
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", help="How many.", min=1, max=1000)] = 30,
    as_json: JsonOption = False,
) -> None:
    """Show what was told there, newest first, and what came back."""
    from paas.requests.notifications import ListNotificationDeliveries

    answer = ask(ListNotificationDeliveries(target=name, app=_app(app), limit=lines))
    if as_json:
        put_json(answer)
        return
    rows = [
        (ago(one["at"]), one["app"] or "-", one["topic"], one["status"], one["attempts"], one["answer"] or "-",
         one["message"])
        for one in answer
    ]  # fmt: skip
    table(["age", "app", "topic", "", "tries", "answer", "message"], rows, empty="nothing was told yet")


def _app(name: str) -> str:
    return checked(name) if name else ""


def _server(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text, 0
    if not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{text!r} is no mail server", hint="--smtp HOST or --smtp HOST:PORT")
    return host, int(port)


def _password() -> str:
    if sys.stdin.isatty():
        import getpass

        return getpass.getpass("password: ", stream=sys.stderr)
    return sys.stdin.readline(1000).rstrip("\r\n")
