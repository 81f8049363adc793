"""`up`, `down`, `status`, `doctor`: the platform as a whole."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.connection import bring_up, connected, follow
from paas.cli.contexts import chosen, of_this_machine
from paas.cli.lazy import new_app
from paas.cli.options import JsonOption
from paas.cli.output import facts, put, put_json, say, size
from paas.errors import EngineUnavailable, PaasError, PlatformError, ServerUnavailable, UsageError

app = new_app()


@app.command()
def up(
    domain: Annotated[
        str | None,
        typer.Option(
            metavar="HOST", help="Host the platform itself answers at by https, kept; empty: this machine only."
        ),
    ] = None,
    apps_domain: Annotated[
        str | None,
        typer.Option(metavar="DOMAIN", help="Apps answer at APP.DOMAIN; kept. Its wildcard must lead to this machine."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Have the platform run: the Engine checked, server and router started, every app as it should be.

    Safe to repeat. A server of another version, or with other settings, is replaced.
    """
    from paas.cli.kept import keep

    bring_all_up(restart=keep(platform_domain=_host(domain), domain=_host(apps_domain)), as_json=as_json)


def bring_all_up(*, restart: bool, as_json: bool = False) -> None:
    """Have the platform run; with `restart` the server starts anew first, because its settings have changed."""
    import paas
    from paas.cli import daemon
    from paas.cli.kept import said_anew
    from paas.client import Client
    from paas.requests.platform import PlatformUp

    settings = of_this_machine()
    with Client.connect(settings) as client:
        if client.version() and (restart or said_anew(settings)):
            changes = ", ".join(map(str, said_anew(settings)))
            say(f"the settings have changed{changes and f' ({changes})'}; starting the server anew")
            daemon.end(settings)
        version = client.version()
        if version and version != paas.__version__:
            say(f"the server is paas {version}; replacing it by {paas.__version__}")
            daemon.end(settings)
            version = ""
        answer = follow(client, PlatformUp()) if version else bring_up(client)
    if as_json:
        put_json(answer)
        return
    say(f"the platform runs: {answer['apps']} apps, at {answer['url']}")
    if answer["server"]:
        say(f"it answers at {answer['server']}")
    if answer["note"]:
        say(f"note: {answer['note']}")
    say("next: paas deploy path/to/app")
    if answer["failed"]:
        details = tuple(f"{name}: {why}" for name, why in answer["failed"].items())
        raise PlatformError("not every app came up", hint="paas ps -a APP; paas logs -a APP", details=details)


def _host(given: str | None) -> str | None:
    """The host as it is kept. Raises UsageError for what is none."""
    from paas.model.names import host_name

    if not given:
        return given
    host = host_name(given)
    if host.startswith("*."):
        raise UsageError(f"{host} is no single host", hint="without the star: apps answer below it by themselves")
    return host


@app.command()
def down() -> None:
    """Stop the router and the server. Apps and their data stay as they are; `paas up` starts again."""
    from paas.cli import daemon
    from paas.client import Client
    from paas.requests.platform import PlatformDown

    settings = of_this_machine()
    with Client.connect(settings) as client:
        if not client.version():
            if not daemon.left_behind(settings):
                say("the platform does not run")
                return
            # Its server was killed: the router goes on, and only a server can stop it.
            daemon.start(settings)
        try:
            follow(client, PlatformDown())
        except EngineUnavailable as error:
            say(f"warning: the router could not be stopped: {error.message}")
            daemon.end(settings)
    daemon.disable(settings)
    if not daemon.stopped(settings):
        raise ServerUnavailable("the server has not ended yet", hint=f"see {settings.home / 'server.log'}")
    say("the platform is down; apps and data are as they were")


@app.command()
def status(as_json: JsonOption = False) -> None:
    """Show versions, addresses, counts, and whether the parts are well."""
    from paas.requests.platform import PlatformStatus

    with connected(start=False) as client:
        answer = client.ask(PlatformStatus())
    if as_json:
        put_json(answer)
        return
    facts(_status(answer))
    if not answer["engine"]:
        raise PlatformError("the Docker Engine does not answer", hint="paas doctor")
    if not answer["router"]:
        raise PlatformError("the router does not run", hint="paas up")


def _status(answer: dict[str, Any]) -> list[tuple[str, object]]:
    engine = f"{answer['engine']} {answer['engine_version']}, API {answer['api_version']}"
    return [
        ("version", answer["version"]),
        ("instance", answer["instance"]),
        ("home", answer["home"]),
        ("server at", answer["server"]),
        ("apps at", answer["url"]),
        ("engine", engine if answer["engine"] else "does not answer"),
        ("buildkit", "yes" if answer["buildkit"] else "no"),
        ("machine", f"{answer['cpus']} CPUs, {size(answer['memory'])}" if answer["cpus"] else ""),
        ("stack", answer["stack"]),
        ("router", "runs" if answer["router"] else "does not run"),
        ("apps", answer["apps"]),
        ("replicas", f"{answer['healthy']} healthy of {answer['replicas']}"),
        ("addons", answer["addons"]),
        ("certificates", answer["certificates"]),
        ("running", ", ".join(answer["running"])),
    ]


@app.command()
def doctor(
    as_json: JsonOption = False,
    build: Annotated[bool, typer.Option(help="Also try the network from inside a build.")] = True,
) -> None:
    """Check everything the platform stands on; each finding comes with the command that mends it."""
    failed: PaasError | None = None
    try:
        answer = _examined(build)
    except ServerUnavailable as error:
        settings = chosen()
        if settings.server:
            raise
        from dataclasses import asdict

        from paas.bootstrap import examined

        failed, answer = error, [asdict(check) for check in examined(settings, build=build)]
    if as_json:
        put_json(answer)
    else:
        _checks(answer)
    if failed:
        raise failed
    bad = [check for check in answer if not check["ok"] and check["level"] == "error"]
    if bad:
        raise PlatformError(f"{len(bad)} of {len(answer)} checks failed", hint="mend them, then paas doctor again")


def _examined(build: bool) -> list[dict[str, Any]]:
    """What the server finds."""
    from paas.cli import daemon
    from paas.client import Client
    from paas.requests.platform import Doctor

    with Client.connect(chosen()) as client:
        if client.local and not client.version():
            daemon.start(client.settings)
        found: list[dict[str, Any]] = client.ask(Doctor(build=build))
    return found


def _checks(checks: list[dict[str, Any]]) -> None:
    for check in checks:
        put(f"{'ok' if check['ok'] else check['level']:<7}  {check['name']}: {check['message']}")
        if check["fix"]:
            put(f"         fix: {check['fix']}")
