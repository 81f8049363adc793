"""An app's own scripts: `postdeploy` once after the first deploy that serves, `predestroy` before the app goes.

Each runs in a container of its own with the image, config and network of the release that runs, its output goes to the
operation. The app's lock is not held meanwhile: what crashes is mended, what is scaled is scaled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from paas.errors import DeployFailed, PaasError, ScriptFailed
from paas.execute import Lines
from paas.model import shell
from paas.model.app import App, ProcessSpec, Release, ReleaseStatus
from paas.model.events import Event, silent
from paas.model.scripts import Scripts, Setup, chosen
from paas.model.service import HealthCheck, HealthKind, ServiceSpec
from paas.plan.wanted import environment
from paas.usecases.context import Act, Context
from paas.usecases.pipelines import place_of
from paas.usecases.steps import step
from paas.usecases.switch import base_release

TIMED_OUT = 124
"""The exit code of a script that did not end in time, as that of timeout(1)."""
POSTDEPLOY, PREDESTROY = "postdeploy", "predestroy"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """What became of a script. `exit_code` None: it did not start. `failure` is a sentence; empty: it went well."""

    script: str
    exit_code: int | None
    failure: str = ""


def environment_of(context: Context, app: App | None) -> str:
    """Which `environments.NAME` of its files counts for an app: the one it was made with, else its pipeline stage."""
    if app is None:
        return ""
    said = context.store.setup(app.id).environment
    place = None if said else place_of(context, app)
    return said or (place.stage.value if place else "")


def scripts_of(context: Context, app: App, release: Release) -> Scripts:
    """The scripts of a release that count for this app."""
    return chosen(release.scripts, environment_of(context, app))


def change_setup(context: Context, app_id: str, **changes: Any) -> Setup:
    """Keep these changes of an app's set-up, and none that somebody else made meanwhile is lost: `postdeploy` may run
    for minutes. Raises NotFound."""
    with context.locks.hold(f"setup {app_id}", "a moment", silent):
        done = replace(context.store.setup(app_id), **changes)
        context.store.put_setup(done)
        return done


def postdeploy(context: Context, app: App, act: Act) -> ScriptRun | None:
    """Run it if it is still to run; None: it is not. A failure is told and answered, never raised: the deploy stays,
    and the next one runs it again. An app without one when it was first deployed has it behind it."""
    if context.store.setup(app.id).done:
        return None
    with context.locks.hold(f"{POSTDEPLOY} {app.id}", f"{act.actor}: {POSTDEPLOY}", act.emit):
        setup, app = context.store.setup(app.id), context.store.app(app.id)
        release = base_release(context.store, app)
        if setup.done or not _serves(release):
            return None
        command = scripts_of(context, app, release).postdeploy
        script = _Script(context, act, app, release, POSTDEPLOY)
        ran = script.run(command) if command else None
        if ran is None or not ran.failure:
            change_setup(context, app.id, done=release.number)
    if ran is not None:
        script.tell(ran, f"v{release.number} serves; it runs again with the next deploy")
    return ran


def predestroy(context: Context, app: App, act: Act, *, force: bool) -> ScriptRun | None:
    """Run it where there is one and something was deployed. Raises ScriptFailed unless it exits 0; with `force` that
    is only told."""
    release = base_release(context.store, app)
    command = scripts_of(context, app, release).predestroy
    if not command or not _serves(release):
        return None
    script = _Script(context, act, app, release, PREDESTROY)
    ran = script.run(command)
    script.tell(ran, f"{app.name} is destroyed all the same" if force else f"{app.name} stays")
    if ran.failure and not force:
        raise ScriptFailed(
            f"{app.name} is not destroyed: {ran.failure}",
            hint=f"mend it and deploy, or leave out what it would do: paas destroy {app.name} --force",
        )
    return ran


def _serves(release: Release) -> bool:
    return bool(release.image) and release.status is ReleaseStatus.SUCCEEDED


@dataclass(frozen=True, slots=True)
class _Script:
    """One script of an app, about to run."""

    context: Context
    act: Act
    app: App
    release: Release
    name: str

    def run(self, command: str) -> ScriptRun:
        """Run it to its end; its output becomes events."""
        lines, limit = Lines(self.name, self.act.emit), self.release.release_timeout
        try:
            with step(self.context, self.act.emit, f"run {self.name}"):
                try:
                    code = self.context.engine.run_once(self._spec(command), limit, lines)
                finally:
                    lines.flush()
        except DeployFailed:
            return self._failed(TIMED_OUT, f"did not end within {limit:g} s")
        except PaasError as error:
            return self._failed(None, f"did not start: {error.message}")
        return self._failed(code, f"exited with code {code}") if code else ScriptRun(script=self.name, exit_code=0)

    def tell(self, ran: ScriptRun, then: str) -> None:
        """Keep what became of it under a kind of its own, and show it; of a failure also what follows."""
        message = f"{ran.failure}; {then}" if ran.failure else f"{self.name} of v{self.release.number} is done"
        event = Event(
            kind=f"{self.name}.{'failed' if ran.failure else 'succeeded'}",
            app=self.app.name,
            message=message,
            at=self.context.clock.now(),
            data={"release": self.release.number, "exit_code": ran.exit_code},
        )
        self.context.store.add_event(event, self.app.id, self.act.operation, self.act.actor)
        self.act.emit(event)

    def _failed(self, code: int | None, why: str) -> ScriptRun:
        return ScriptRun(script=self.name, exit_code=code, failure=f"{self.name} {why}")

    def _spec(self, command: str) -> ServiceSpec:
        """Its container: the release's image, config and network, the limits of `web`."""
        app, release = self.app, self.release
        return ServiceSpec(
            app_id=app.id,
            app_name=app.name,
            process=self.name,
            release=release.number,
            image=release.image,
            command=shell.argv(command),
            env=environment(app, release, release.number),
            limits=(release.process("web") or ProcessSpec(name="web")).limits,
            health=HealthCheck(kind=HealthKind.RUNNING),
            networks=(f"{self.context.settings.instance}-{app.id}",),
            kind="oneoff",
        )
