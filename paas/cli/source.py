"""`paas init`, `detect`, `dockerfile`, `check`: look at an app folder. They need no platform and change nothing in it,
but for `init`, which writes one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paas.cli.lazy import new_app

if TYPE_CHECKING:
    from paas.build.detect import Inspection
    from paas.interfaces import Stack

app = new_app()

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The app's folder.", show_default="here")]
BuildpackName = Annotated[str, typer.Option("--buildpack", metavar="NAME", help="Use this one, whatever is found.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def detect(
    folder: Folder = Path(),
    explain: Annotated[bool, typer.Option("--explain", help="Say why, file by file.")] = False,
    buildpack: BuildpackName = "",
    json: Json = False,
) -> None:
    """Say which buildpack fits a folder, with version and processes; --explain says why."""
    from paas.build import explain as words

    inspection, _ = _inspected(folder, buildpack)
    if json:
        _print_json(words.data(inspection))
    else:
        typer.echo(words.text(inspection, full=explain), nl=False)


@app.command()
def dockerfile(folder: Folder = Path(), buildpack: BuildpackName = "") -> None:
    """Print the Dockerfile that a folder would be built with."""
    inspection, stack = _inspected(folder, buildpack)
    _warn(inspection)
    typer.echo(_rendered(inspection, stack), nl=False)


@app.command()
def check(folder: Folder = Path(), buildpack: BuildpackName = "", json: Json = False) -> None:
    """Check the files of an app without deploying it. Exits with 5 when they are wrong."""
    inspection, stack = _inspected(folder, buildpack)
    _rendered(inspection, stack)
    for name in inspection.manifest.environments:
        _rendered(*_inspected(folder, buildpack, name))
    wanted = sorted(
        key
        for key, asked in inspection.manifest.env.items()
        if asked.required and asked.value is None and not asked.generate
    )
    if json:
        _print_json({"ok": True, "warnings": list(inspection.plan.warnings), "required": wanted})
        return
    _warn(inspection)
    for key in wanted:
        typer.echo(f"note: {key} has to be set before the first deploy: paas config set {key}=…", err=True)
    typer.echo(f"{folder.resolve().name}: a {inspection.plan.buildpack} app, nothing wrong")


@app.command()
def init(
    folder: Folder = Path(),
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The app's name.", show_default="the folder's")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a paas.toml that is there.")] = False,
) -> None:
    """Write a paas.toml that says what was found, with every other key as a comment."""
    from paas.errors import Conflict
    from paas.model import names

    path = folder / "paas.toml"
    if path.exists() and not force:
        raise Conflict(f"{path} is there already", hint="edit it, or replace it with --force")
    inspection, _ = _inspected(folder, "")
    text = _starter(names.app_name(name or _name_of(folder)), inspection)
    path.write_text(text)
    typer.echo(f"wrote {path}", err=True)
    typer.echo("next: paas deploy", err=True)


# --- what the commands share ---------------------------------------------------------------------------------------


def _inspected(folder: Path, buildpack: str, environment: str = "") -> tuple[Inspection, Stack]:
    from paas import settings, stacks
    from paas.build.detect import inspect
    from paas.build.files import Files
    from paas.images import DockerBuilder

    loaded = settings.load()
    # Nothing is built here: the builder is only what a stack is made with, and connects to nothing.
    stack = stacks.choose(loaded, DockerBuilder(loaded))
    return inspect(Files.of(folder), offers=stack.offers, buildpack=buildpack, environment=environment), stack


def _rendered(inspection: Inspection, stack: Stack) -> str:
    from paas.build.dockerfile import BuildFacts, render

    bases = {stage: stack.answer(runtime) for stage, runtime in inspection.plan.runtimes.items()}
    return render(inspection.plan, bases, BuildFacts(cache_mounts=True))


def _warn(inspection: Inspection) -> None:
    for warning in inspection.plan.warnings:
        typer.echo(f"warning: {warning}", err=True)


def _print_json(value: object) -> None:
    import json

    typer.echo(json.dumps(value, indent=2))


def _name_of(folder: Path) -> str:
    """The folder's name as an app's name."""
    import re

    text = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    return text[:40].strip("-") if text[:1].isalpha() else f"app-{text}"[:40].strip("-")


def _starter(name: str, inspection: Inspection) -> str:
    plan = inspection.plan
    found = "".join(f"#   {process.name}: {process.command or 'what the image starts'}\n" for process in plan.processes)
    return STARTER.format(name=name, buildpack=plan.buildpack, found=found)


STARTER = """\
# What the platform should know about this app. Everything but what you write here has a default.
# Found: a {buildpack} app with these processes (a Procfile would replace them):
{found}
name = "{name}"
# buildpack = "{buildpack}"
# port = 8080                        # only when web does not follow $PORT
# addons = ["postgres"]              # or "redis"; made and attached at the first deploy: DATABASE_URL
# domains = ["www.example.com"]
# static_dir = "public"              # for files that are served as they are
# spa = true                         # unknown paths get index.html

# [processes.web]
# command = "..."
# replicas = 2                       # at the first deploy
# memory = "512M"
# cpus = 1.0
# pids = 1024                        # processes and threads
# stop_grace = "30s"                 # between SIGTERM and SIGKILL

# [processes.web.health]
# path = "/healthz"                  # or: tcp = true, or: command = "..."
# interval = "5s"
# timeout = "3s"
# passes = 1                         # good checks in a row
# failures = 3                       # bad checks in a row
# grace = "60s"                      # for a new replica

# [processes.web.autoscale]          # the number follows the load; paas autoscale simulate tries it
# min = 1
# max = 10
# targets = {{ cpu = "80%" }}          # else 70 % of one alone, more of several; or requests = 30, p95 = "400ms"…
# tolerance = 0.0                    # share by which a target may be missed
# out_window = "0s"                  # how long more have to be wanted
# in_window = "2m"                   # how long fewer have to be enough
# warm_up = "15s"                    # how long after a change a latency is not believed
# max_alarm = "5m"                   # how long at the maximum, with more wanted, until an event tells it
# scale_in = true
# paused = false

# [[processes.web.autoscale.step]]
# metric = "cpu"
# upper = "80%"                      # above it more, below lower fewer
# lower = "30%"
# statistic = "average"              # minimum, maximum, sum
# period = "1m"
# evaluations = 1                    # periods in a row
# breach = "1m"                      # at least
# add = 1
# remove = 1
# cooldown = "5m"

# [[processes.web.autoscale.schedule]]
# cron = "0 8 * * mon-fri"           # or once: at = "2026-12-24T08:00"
# time_zone = "Europe/Berlin"
# min = 4
# max = 20
# lasts = "10h"

# [processes.web.autoscale.trigger]  # one step in the words of Elastic Beanstalk
# MeasureName = "CPUUtilization"
# Statistic = "Average"
# Unit = "Percent"
# LowerThreshold = 20
# UpperThreshold = 60
# Period = 5
# EvaluationPeriods = 1
# BreachDuration = 5
# UpperBreachScaleIncrement = 1
# LowerBreachScaleIncrement = -1
# MinSize = 1
# MaxSize = 10
# Cooldown = 360

# [scripts]                          # each runs once, in a container of its own
# postdeploy = "python seed.py"      # after the first deploy that serves
# predestroy = "python goodbye.py"   # before the app is taken away

# [environments.review]              # over all of this, in review apps or by --environment review
# addons = []
# env = {{ MODE = "review" }}
# processes = {{ web = {{ replicas = 1, memory = "256M" }} }}

# [sleep]                            # docs/sleep.md
# after = "30m"

# [signals.waiting]                  # a number of the app's own for autoscaling: docs/autoscaling.md
# path = "/metrics"
# prometheus = 'jobs_waiting{{queue="mail"}}'   # or json = "/queues/mail/depth"
# combine = "sum"                    # or average, maximum
# period = "15s"
# process = "web"
# port = 9100

# [signals.jobs]
# query = "SELECT count(*) FROM jobs WHERE done_at IS NULL"
# addon = "DATABASE"

# [alerts.slow]                      # told once it has lasted: docs/alerts.md
# metric = "p95"                     # or errors, requests, cpu, memory, healthy, 5xx, waiting ...
# above = "800ms"
# below = "5ms"                      # or both: what is good lies between
# lasts = "5m"
# process = "web"

# [[cron]]                           # docs/cron.md
# name = "report"
# schedule = "30 6 * * mon-fri"
# zone = "Europe/Berlin"
# command = "python report.py"       # or process = "report"
# overlap = "skip"                   # or queue, replace
# missed = "skip"                    # or run
# time_limit = "1h"
# retries = 0
# env = {{ MODE = "daily" }}
# memory = "512M"
# cpus = 1

# [env]
# GREETING = "hello"
# SECRET_KEY = {{ generate = true }}
# MAIL_URL = {{ required = true, description = "where mail goes" }}

# [build]
# command = "..."                    # runs in the build, after the source is there
# packages = ["ffmpeg"]              # Debian packages
# args = {{ KEY = "value" }}
# dockerfile = "docker/Dockerfile"   # for the dockerfile buildpack
# target = "web"                     # its stage

# [deploy]
# drain = "30s"                      # for requests in flight
# timeout = "5m"
# release_timeout = "15m"
"""
