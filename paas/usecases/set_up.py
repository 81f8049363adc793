"""Set up an app out of a git repository, in one go: the app, what it requires, its addons, its first deploy.

Each part is one that may be done again, so the same request given after a failure goes on where it ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from paas.errors import ConfigError, Conflict, Denied, NotFound, PaasError
from paas.model import names
from paas.model.app import App
from paas.model.events import Event
from paas.model.people import Grant, Role
from paas.model.scripts import environment_name
from paas.requests.config import ChangeConfig
from paas.requests.deploys import DeployApp, SetUpApp, SourceRef
from paas.usecases import shape
from paas.usecases.apps import new_app
from paas.usecases.build_image import inspected
from paas.usecases.config import change_config, checked
from paas.usecases.context import Act, Context
from paas.usecases.deploy import Deployed, Work, carried_out, prepared
from paas.usecases.fetch import Fetched, fetched
from paas.usecases.scripts import change_setup, environment_of
from paas.usecases.shape import Shape
from paas.usecases.switch import base_release


def set_up_app(context: Context, request: SetUpApp, act: Act) -> Deployed:
    """The app, serving what is in the repository. What its files require and nobody gave, and everything else that can
    be known before, is refused before anything is made; after that the error says what there is.

    Raises Conflict for an app that was deployed from elsewhere, ConfigError, and what a deploy fails with.
    """
    started = context.clock.monotonic()
    names.app_name(request.app)
    checked(request.env, ())
    if request.environment:
        environment_name(request.environment)
    app = _there(context, request, act)
    with fetched(context, SourceRef(git=request.url, kind="git"), act.emit, who=act.who) as found:
        _refuse_foreign(context, app, found)
        _check(context, app, request, found, act)
        made = _made(context, app, request, act)
        with _going_on(context, made, request):
            work = _prepared(context, made, request, found, act)
    with _going_on(context, made, request):
        done = carried_out(work)
    return replace(done, created=app is None, seconds=round(context.clock.monotonic() - started, 3))


# --- before anything is made ----------------------------------------------------------------------------------------


def _there(context: Context, request: SetUpApp, act: Act) -> App | None:
    """The app, when it is there already. What more than a deploy takes is refused to who may not do it by itself."""
    try:
        app = context.store.app(request.app)
    except NotFound:
        return None
    needed: Mapping[str, tuple[str, Role]] = {
        "team": (request.team, "owner"),
        "environment": (request.environment, "operator"),
    }
    for what, (asked, role) in needed.items():
        if asked and not act.may(app.id, role):
            raise Denied(f"there is an app {app.name!r}; to change its {what} takes the role {role}")
    return app


def _refuse_foreign(context: Context, app: App | None, found: Fetched) -> None:
    """Raise Conflict when something else runs there: a name typed wrong must not replace an app."""
    source = base_release(context.store, app).source if app else None
    if app and source and source.origin != found.source.origin:
        raise Conflict(
            f"there is an app {app.name!r} already, deployed from {source.origin or source.kind}",
            hint=f"name the new one: paas create --from URL NAME; or deploy into it: paas deploy URL -a {app.name}",
        )


def _check(context: Context, app: App | None, request: SetUpApp, found: Fetched, act: Act) -> None:
    """Raise ConfigError listing every config var that is required and not given."""
    environment = request.environment or environment_of(context, app)
    wanted: Shape = inspected(context, found, request.buildpack, environment)
    if request.environment and request.environment not in wanted.manifest.environments:
        message = f"no file names the environment {request.environment}: what stands outside of them counts"
        act.emit(Event(kind="warning", app=request.app, message=message))
    known = app or App(id="", name=request.app, created_at=0)
    missing = shape.missing(wanted.manifest, base_release(context.store, known))
    left = {key: text for key, text in missing.items() if key not in request.env}
    if left:
        raise ConfigError(
            f"{request.app} needs config that is not given: {', '.join(left)}",
            hint=f"give the same command with {' '.join(f'--env {key}=…' for key in left)}",
            details=tuple(f"{key}: {text}" for key, text in left.items() if text),
        )


# --- making it ------------------------------------------------------------------------------------------------------


def _made(context: Context, app: App | None, request: SetUpApp, act: Act) -> App:
    """The app with its team and environment, new or as it is."""
    team = context.store.team(request.team) if request.team else None
    context.engine.info()  # an Engine that is away leaves no empty app behind
    made = app
    if made is None:
        made = new_app(context, request.app, _coming_id(context, act), act)
        act.emit(Event(kind="note", app=made.name, message=f"created app {made.name}"))
    if team is not None and not context.store.grants(app_id=made.id, team_id=team.id):
        context.store.put_grant(Grant(app_id=made.id, role="deployer", team_id=team.id))
    if request.environment:
        change_setup(context, made.id, environment=request.environment)
    return made


def _coming_id(context: Context, act: Act) -> str:
    """The id that the operation was given for it."""
    return context.store.operation(act.operation).app_id if act.operation else ""


def _prepared(context: Context, app: App, request: SetUpApp, found: Fetched, act: Act) -> Work:
    if request.env:
        change_config(context, ChangeConfig(app=app.id, set=request.env), act)
    deploy = DeployApp(app=app.name, source=SourceRef(git=request.url, kind="git"), buildpack=request.buildpack)
    return prepared(context, deploy, act, context.store.app(app.id), found)


@contextmanager
def _going_on(context: Context, app: App, request: SetUpApp) -> Iterator[None]:
    """What fails inside says what there is by then, and how to go on."""
    try:
        yield
    except PaasError as error:
        there = [f"app {app.name}"]
        there += [f"addon {one.name}" for one in context.store.addons() if one.owner_app == app.id]
        there += [f"config {key}" for key in sorted(request.env)]
        error.details = (*error.details, f"there is by now: {', '.join(there)}")
        again = f"then give the same command again, or take it away: paas destroy {app.name} --addons"
        error.hint = f"{error.hint or 'mend it'}; {again}"
        raise
