"""A server killed at any moment: what it left is finished or undone, and a release command never runs twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from paas.model.app import App, Release, ReleaseKind, ReleaseStatus
from paas.usecases.recovery import recover
from paas.usecases.switch import BEGUN, ENDED, command_progress, note_command
from tests.unit.usecases.parts import BAD, BETTER, GOOD, Parts


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code may catch and handle it."""


def killed_in(platform: Parts, app: App, image: str, method: str, *processes: str) -> None:
    """Deploy, and die when the engine's `method` is called."""

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    kept: Callable[..., object] = getattr(platform.engine, method)
    setattr(platform.engine, method, die)
    try:
        with pytest.raises(Killed):
            platform.release(app, image, *processes, release_command=True)
    finally:
        setattr(platform.engine, method, kept)


def left(platform: Parts, app: App, **values: object) -> Release:
    """The newest release."""
    return platform.store.releases(app.id, limit=1)[0]


@pytest.mark.parametrize("method", ["observe", "apply", "wait_healthy", "remove"])
def test_killed_after_the_release_row_or_during_the_rollout_it_is_finished(platform: Parts, method: str) -> None:
    app = platform.app(web=2)
    platform.release(app)
    killed_in(platform, app, BETTER, method)
    assert left(platform, app).status is ReleaseStatus.PENDING
    assert recover(platform.context, app, platform.events.append)
    assert left(platform, app).status is ReleaseStatus.SUCCEEDED
    assert platform.serving(app) == {BETTER}
    assert platform.running(app) == {"web v2": 2}


def test_killed_in_the_release_command_it_is_undone_and_never_run_again(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    killed_in(platform, app, BETTER, "run_once", "web", "release")
    assert command_progress(platform.context, left(platform, app)) == BEGUN
    recover(platform.context, app, platform.events.append)
    assert left(platform, app).status is ReleaseStatus.FAILED
    assert "not run a second time" in left(platform, app).failure
    assert platform.engine.ran == []
    assert platform.serving(app) == {GOOD}


def test_killed_after_the_release_command_it_is_finished_without_running_it_again(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    killed_in(platform, app, BETTER, "apply", "web", "release")
    assert command_progress(platform.context, left(platform, app)) == ENDED
    recover(platform.context, app, platform.events.append)
    assert left(platform, app).status is ReleaseStatus.SUCCEEDED
    assert [spec.process for spec in platform.engine.ran] == ["release"]
    assert platform.serving(app) == {BETTER}


def test_killed_before_the_release_command_it_runs_once_then(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    base = platform.release(app, BETTER, "web", "release")
    pending = platform.store.add_release(
        Release(
            app_id=app.id, number=0, kind=ReleaseKind.DEPLOY, created_at=1, actor="ann", description="x",
            image="sha256:third", image_ref="x", processes=base.processes, since={"web": 0, "release": 0},
        )
    )  # fmt: skip
    recover(platform.context, app, platform.events.append)
    assert platform.store.release(app.id, pending.number).status is ReleaseStatus.SUCCEEDED
    assert len(platform.engine.ran) == 1


def test_what_cannot_be_finished_is_undone(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    killed_in(platform, app, BAD, "wait_healthy")
    recover(platform.context, app, platform.events.append)
    assert left(platform, app).status is ReleaseStatus.FAILED
    assert platform.serving(app) == {GOOD}
    assert platform.running(app) == {"web v1": 1}


def test_killed_while_undoing_the_failed_release_is_only_marked(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    killed_in(platform, app, BETTER, "apply")
    platform.store.want(app.id, 1)
    recover(platform.context, app, platform.events.append)
    assert left(platform, app).status is ReleaseStatus.FAILED
    assert platform.store.app(app.id).wanted == 1


def test_the_next_change_recovers_first_what_was_left(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    killed_in(platform, app, BETTER, "apply")
    platform.release(app, "sha256:third")
    assert [release.status for release in platform.store.releases(app.id)] == [ReleaseStatus.SUCCEEDED] * 3
    assert platform.serving(app) == {"sha256:third"}


def test_an_app_that_somebody_works_on_is_left_alone(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    killed_in(platform, app, BETTER, "apply")
    with platform.context.locks.hold(app.id, "somebody", platform.events.append):
        assert not recover(platform.context, app, platform.events.append)
    assert left(platform, app).status is ReleaseStatus.PENDING


def test_progress_is_of_the_release_asked_about(platform: Parts) -> None:
    app = platform.app(web=1)
    release = platform.release(app)
    note_command(platform.context, release, BEGUN)
    other = platform.release(app, BETTER)
    assert command_progress(platform.context, other) == ""
    assert command_progress(platform.context, release) == BEGUN
