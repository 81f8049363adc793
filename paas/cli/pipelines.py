"""`pipelines`: apps in stages, and the same image from one to the next."""

from __future__ import annotations

from typing import Annotated

import typer

from paas.cli.connection import ask, operate
from paas.cli.deploy import check_script
from paas.cli.lazy import ListByDefault, new_app
from paas.cli.options import AppOption, ConfirmOption, JsonOption
from paas.cli.output import put, put_json, say, table
from paas.cli.target import app_of
from paas.errors import UsageError

app = new_app(cls=ListByDefault)

NameArgument = Annotated[str, typer.Argument(metavar="PIPELINE", help="The pipeline.")]
StageOption = Annotated[
    str, typer.Option("--stage", "-s", metavar="STAGE", help="review, development, staging or production.")
]
ToOption = Annotated[
    str,
    typer.Option("--to", "-t", metavar="APP[,APP]", help="Other apps of the pipeline than those of the next stage."),
]


@app.command("list")
def list_pipelines(as_json: JsonOption = False) -> None:
    """List the pipelines and their apps."""
    from paas.requests.pipelines import ListPipelines

    answer = ask(ListPipelines())
    if as_json:
        put_json(answer)
        return
    table(
        ["pipeline", "stage", "app", "release"],
        [(one["name"], at["stage"], at["app"], _release(at["release"])) for one in answer for at in one["apps"]],
        empty="no pipelines yet: paas pipelines create NAME --stage staging -a APP",
    )


@app.command()
def create(name: NameArgument, stage: StageOption, app: AppOption = "") -> None:
    """Make a pipeline, with its first app."""
    _put(name, stage, app_of(app), create=True)


@app.command()
def add(name: NameArgument, stage: StageOption, app: AppOption = "") -> None:
    """Put an app into a pipeline, or at another stage of it."""
    _put(name, stage, app_of(app), create=False)


def _put(name: str, stage: str, app: str, *, create: bool) -> None:
    from paas.model.pipeline import Stage
    from paas.requests.pipelines import AddToPipeline, StageName

    try:
        known: StageName = Stage(stage).value
    except ValueError:
        raise UsageError(f"{stage[:40]!a} is no stage", hint=f"one of {', '.join(Stage)}") from None
    ask(AddToPipeline(app=app, pipeline=name, stage=known, create=create))
    say(f"{app} is at {stage} of {name}")


@app.command()
def show(name: NameArgument, as_json: JsonOption = False) -> None:
    """Show what runs at each stage."""
    from paas.requests.pipelines import ShowPipeline

    answer = ask(ShowPipeline(pipeline=name))
    if as_json:
        put_json(answer)
        return
    table(
        ["stage", "app", "release", "version", "url"],
        [(at["stage"], at["app"], _release(at["release"]), at["version"], at["url"]) for at in answer["apps"]],
        empty="",
    )


@app.command()
def remove(app: AppOption = "") -> None:
    """Take an app out of its pipeline; the last one ends the pipeline."""
    from paas.requests.pipelines import RemoveFromPipeline

    name = app_of(app)
    answer = ask(RemoveFromPipeline(app=name))
    say(f"{name} is in no pipeline" if answer["changed"] else f"{name} was in no pipeline")


@app.command()
def destroy(name: NameArgument, confirm: ConfirmOption = "") -> None:
    """Take a pipeline away; its apps stay."""
    from paas.cli.confirm import confirmed
    from paas.requests.pipelines import DestroyPipeline

    confirmed(name, confirm, f"takes the pipeline {name} away; its apps stay")
    answer = ask(DestroyPipeline(pipeline=name))
    say(f"the pipeline {name} is gone; its apps stay: {' '.join(answer['apps'])}")


@app.command()
def promote(app: AppOption = "", to: ToOption = "", as_json: JsonOption = False) -> None:
    """Release what runs in an app in the apps of the next stage, without a build."""
    from paas.requests.pipelines import PromoteApp

    name = app_of(app)
    targets = tuple(part for part in to.split(",") if part)
    answer = operate(PromoteApp(app=name, to=targets), quiet=as_json)
    if as_json:
        put_json(answer)
        return
    for one in answer:
        say(f"{one['app']} v{one['release']} {'is live' if one['changed'] else 'runs that already'}: {one['url']}")
    for one in answer:
        check_script(one.get("postdeploy"))


@app.command()
def diff(app: AppOption = "", to: ToOption = "", as_json: JsonOption = False) -> None:
    """Show what a promotion would change, and config vars that only one side has; never values."""
    from paas.requests.pipelines import DiffPipeline

    answer = ask(DiffPipeline(app=app_of(app), to=to))
    if as_json:
        put_json(answer)
        return
    for one in answer:
        put(f"{one['to']} → {one['app']}:")
        for change in one["changes"]:
            put(f"  {change['what']}: {change['before'] or '-'} → {change['after'] or '-'}")
        if not one["changes"]:
            put("  nothing differs")


def _release(number: int) -> str:
    return f"v{number}" if number else "-"
