"""`apps`, `create`, `info`, `open`, `rename`, `environment`, `destroy`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from paas.cli.confirm import confirmed
from paas.cli.connection import ask, connected, follow, operate
from paas.cli.deploy import BuildpackOption, check_script
from paas.cli.lazy import new_app
from paas.cli.options import AppOption, ConfirmOption, JsonOption
from paas.cli.output import ago, facts, put, put_json, say, table, when
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app()

TeamOption = Annotated[str, typer.Option("--team", metavar="TEAM", help="A team that gets the role deployer.")]


@app.command()
def apps(as_json: JsonOption = False) -> None:
    """List all apps, with what they are doing and where they answer."""
    from paas.requests.apps import ListApps

    answer = ask(ListApps())
    if as_json:
        put_json(answer)
        return
    table(
        ["name", "status", "release", "processes", "url"],
        [
            (one["name"], one["status"], f"v{one['release']}" if one["release"] else "-", _counts(one), one["url"])
            for one in answer
        ],
        empty="no apps yet: paas deploy path/to/app",
    )


def _counts(one: dict[str, Any]) -> str:
    return " ".join(f"{name}={count}" for name, count in one["processes"].items()) or "-"


@app.command()
def create(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Its name; else the app of this folder.")] = None,
    *,
    app: AppOption = "",
    source: Annotated[str, typer.Option("--from", metavar="URL", help="Set it up from this git repository.")] = "",
    ref: Annotated[str, typer.Option("--ref", metavar="REV", help="With --from: a branch, tag or commit.")] = "",
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="K=V", help="With --from: config it needs.")
    ] = None,
    hook: Annotated[
        str, typer.Option("--hook", metavar="HOST", help="With --from: deploy what is pushed there (github, gitlab…).")
    ] = "",
    buildpack: BuildpackOption = "",
    environment: Annotated[
        str, typer.Option("--environment", metavar="NAME", help="The environment of its files that counts.")
    ] = "",
    team: TeamOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a new, empty app; with --from, set one up from a git repository, its addons and config included.

    `paas deploy` makes an app by itself; this is for setting config first, or for somebody else's repository.
    """
    from paas.model.names import app_name
    from paas.requests.apps import CreateApp

    if source:
        from paas.cli.set_up import SetUp

        wanted = SetUp(source, ref, name or app, tuple(env or ()), hook, buildpack, environment, team)
        wanted.run(as_json=as_json)
        return
    given = {"--ref": ref, "--env": env, "--hook": hook, "--buildpack": buildpack}
    if extra := next((option for option, value in given.items() if value), ""):
        raise UsageError(f"{extra} is for an app that is set up from a repository", hint="paas create --from URL")
    wanted_name = app_name(name if name is not None else app_of(app))
    answer = ask(CreateApp(name=wanted_name, team=team, environment=environment))
    if as_json:
        put_json(answer)
        return
    put(answer["name"])
    say(f"next: paas config set KEY=value -a {wanted_name}; paas deploy -a {wanted_name}")


@app.command()
def clone(
    words: Annotated[list[str], typer.Argument(metavar="[SRC] DST", help="The app that is cloned, and the new one.")],
    app: AppOption = "",
    *,
    with_data: Annotated[bool, typer.Option("--with-data", help="Copy the data of its databases too.")] = False,
    team: TeamOption = "",
    as_json: JsonOption = False,
) -> None:
    """Make a new app that runs what another one runs: same image, config and formation, databases of its own.

    Its host is its default one, its members are its own, and its scheduled jobs are paused.
    """
    from paas.model.names import app_name
    from paas.requests.apps import CloneApp

    if len(words) != (1 if app else 2):
        raise UsageError("name the app that is cloned and the new one", hint="paas clone shop copy, or copy -a shop")
    source, name = app or words[0], words[-1]
    request = CloneApp(app=app_of(source), name=app_name(name), team=team, with_data=with_data)
    answer = operate(request, quiet=as_json)
    if as_json:
        put_json(answer)
    else:
        for one in answer["copied"]:
            say(f"  {one['addon']} has the data of {one['source']}: {one['tables']} {one['counts']}")
        if answer["paused"]:
            say(f"  paused: {', '.join(answer['paused'])}; go on with: paas cron resume JOB -a {name}")
        say(f"{name} v{answer['release']} serves what {source} v{answer['source_release']} does  {_counts(answer)}")
        put(answer["url"])
        say(f"next: paas config -a {name}; paas domains add HOST -a {name}")
    check_script(answer.get("postdeploy"))


@app.command()
def info(app: AppOption = "", as_json: JsonOption = False) -> None:
    """Show one app: address, release, processes, databases."""
    from paas.requests.apps import ShowApp

    answer = ask(ShowApp(app=app_of(app)))
    if as_json:
        put_json(answer)
        return
    released = f"v{answer['release']}: {answer['description']}" if answer["release"] else "none"
    facts(
        [
            ("name", answer["name"]),
            ("id", answer["id"]),
            ("status", answer["status"]),
            ("url", answer["url"]),
            ("domains", ", ".join(answer["domains"])),
            ("environment", answer["environment"]),
            ("release", released),
            ("released", f"{when(answer['released_at'])} by {answer['actor']}" if answer["released_at"] else ""),
            ("version", answer["version"]),
            ("buildpack", answer["buildpack"]),
            ("processes", _counts(answer)),
            ("addons", ", ".join(f"{one['name']} ({one['alias']}_URL)" for one in answer["addons"])),
            ("created", f"{ago(answer['created_at'])} ago"),
            ("busy", answer["busy"]),
        ]
    )


@app.command("open")
def open_app(app: AppOption = "") -> None:
    """Open an app in the browser; its address is printed too."""
    import os
    import sys
    import webbrowser

    from paas.requests.apps import ShowApp

    answer = ask(ShowApp(app=app_of(app)))
    put(answer["url"])
    # A text browser would take over the terminal, and without a screen there is nothing to open.
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not (screen and webbrowser.open(answer["url"])):
        say("no browser could be started; open the address above")


@app.command()
def rename(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Give an app another name. Its id, data and history stay; its default host changes."""
    from paas.model.names import app_name
    from paas.requests.apps import RenameApp

    answer = ask(RenameApp(app=app_of(app), name=app_name(name)))
    if as_json:
        put_json(answer)
        return
    say(f"{answer['app']}: {answer['message'] or 'renamed'}")
    say(f"next: paas info -a {name}")


@app.command()
def environment(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[NAME]", help="One of [environments.NAME] in paas.toml or app.json.", show_default=False
        ),
    ] = "",
    *,
    unset: Annotated[bool, typer.Option("--unset", help="The one of its pipeline stage again.")] = False,
    app: AppOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show or say which environment of its files counts for an app, from its next deploy on."""
    from paas.requests.apps import SetEnvironment, ShowApp

    if name and unset:
        raise UsageError("a name and --unset are two different things", hint="give one of them")
    if not name and not unset:
        found = ask(ShowApp(app=app_of(app)))["environment"]
        put_json({"environment": found}) if as_json else put(
            found or "none: what stands outside of environments counts"
        )
        return
    answer = ask(SetEnvironment(app=app_of(app), environment=name))
    if as_json:
        put_json(answer)
        return
    now = answer["environment"] or "none"
    say(f"{answer['app']}: {now}" + ("" if answer["changed"] else ", as before"))
    say(f"next: paas deploy --force -a {answer['app']}, for it to count")


@app.command()
def destroy(
    name: Annotated[str, typer.Argument(metavar="[APP]", help="The app, as with --app.", show_default=False)] = "",
    *,
    app: AppOption = "",
    confirm: ConfirmOption = "",
    addons: Annotated[bool, typer.Option("--addons", help="Its databases too, each after a last backup.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Even if its predestroy script fails.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take an app away: replicas, routes, images, config and history. Its databases stay unless --addons."""
    from paas.requests.apps import DestroyApp, ShowApp

    with connected() as client:
        if name and app and name != app:
            raise UsageError(f"two apps are named: {name} and {app}", hint="name the one to destroy")
        found = client.ask(ShowApp(app=app_of(name or app)))
        typed = confirmed(found["name"], confirm, f"destroys the app {found['name']}, {_loss(found, addons)}")
        answer = follow(client, DestroyApp(app=found["name"], confirm=typed, addons=addons, force=force), quiet=as_json)
    if as_json:
        put_json(answer)
        return
    say(f"{answer['app']} is gone")
    if answer["addons"]:
        say(f"  with {', '.join(answer['addons'])}; the last backups stay: paas db backups NAME")
    for kept in answer["kept_addons"]:
        say(f"  {kept} stays with its data: paas addons destroy {kept} takes it away")


def _loss(found: dict[str, Any], addons: bool) -> str:
    if not found["addons"]:
        return "its releases and its config"
    names = ", ".join(one["name"] for one in found["addons"])
    return f"its releases and its config{', and the data of ' if addons else '; the data stays in '}{names}"
