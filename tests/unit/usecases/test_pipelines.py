"""Pipelines: who is where, and what runs at one stage becomes a release at the next without a build."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import Conflict, Denied, DeployFailed, NotFound, UsageError
from paas.model.app import App, ReleaseKind, ReleaseStatus
from paas.model.events import silent
from paas.model.people import Access, Actor
from paas.model.service import Limits
from paas.requests.apps import DestroyApp
from paas.requests.config import ChangeConfig
from paas.requests.pipelines import (
    AddToPipeline,
    DestroyPipeline,
    DiffPipeline,
    ListPipelines,
    PromoteApp,
    RemoveFromPipeline,
    ShowPipeline,
)
from paas.usecases import images, pipelines
from paas.usecases.apps import destroy_app
from paas.usecases.config import change_config
from paas.usecases.context import Act
from paas.usecases.promote import diff_pipeline, promote_app
from paas.usecases.switch import ENDED, command_progress
from tests.unit.usecases.parts import BAD, BETTER, GOOD, Parts


def put(platform: Parts, app: App, stage: str, *, name: str = "way", create: bool = False) -> None:
    request = AddToPipeline(app=app.name, pipeline=name, stage=stage, create=create)  # type: ignore[arg-type]
    pipelines.add_to_pipeline(platform.context, request, platform.act)


@pytest.fixture
def stages(platform: Parts) -> tuple[App, App]:
    """An app at staging and one at production."""
    tried, live = platform.app("tried", "0a0a0a0a", web=1), platform.app("live", "0b0b0b0b")
    put(platform, tried, "staging", create=True)
    put(platform, live, "production")
    return tried, live


def set_config(platform: Parts, app: App, **values: str) -> None:
    change_config(platform.context, ChangeConfig(app=app.name, set=values), platform.act)


def promote(platform: Parts, *to: str) -> None:
    promote_app(platform.context, PromoteApp(app="tried", to=to), platform.act)


def test_what_runs_is_released_at_the_next_stage_with_its_own_config_and_no_build(
    platform: Parts, stages: tuple[App, App]
) -> None:
    tried, live = stages
    set_config(platform, tried, MODE="test", TRACE="1")
    set_config(platform, live, MODE="live")
    platform.release(tried, GOOD, "web", "worker")
    promote(platform)
    release = platform.store.release(live.id, 2)
    assert (release.kind, release.status, release.image) == (ReleaseKind.PROMOTE, ReleaseStatus.SUCCEEDED, GOOD)
    assert {key: secret.reveal() for key, secret in release.config.items()} == {"MODE": "live"}
    assert platform.running(live) == {"web v2": 1}
    assert platform.builder.builds == []
    assert platform.said("warning") == ["live has no TRACE, which tried has"]


def test_limits_of_the_target_stay(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.release(live)
    base = platform.store.release(live.id, 1)
    mine = Limits(memory=123_000_000)
    platform.store.add_release(replace(base, processes=(replace(base.processes[0], limits=mine),)))
    platform.store.save_release(replace(platform.store.release(live.id, 2), status=ReleaseStatus.SUCCEEDED))
    platform.release(tried, BETTER)
    promote(platform)
    assert platform.store.release(live.id, 3).processes[0].limits == mine


def test_the_release_command_runs_at_the_target(platform: Parts, stages: tuple[App, App]) -> None:
    platform.release(stages[0], GOOD, "web", "release")
    promote(platform)
    assert command_progress(platform.context, platform.store.release(stages[1].id, 1)) == ENDED
    assert platform.running(stages[1]) == {"web v1": 1}


def test_what_fails_there_leaves_what_ran(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.release(live)
    bad = platform.store.add_release(replace(platform.store.release(live.id, 1), app_id=tried.id, image=BAD))
    platform.store.save_release(replace(bad, status=ReleaseStatus.SUCCEEDED))
    platform.builder.add(f"paas/{tried.id}:bad", BAD, tried.id)
    with pytest.raises(DeployFailed):
        promote(platform)
    assert platform.serving(live) == {GOOD}
    assert platform.store.app("live").wanted == 1
    assert f"paas/{live.id}:bad" not in platform.builder.named


def test_promotions_that_cannot_be_are_refused_with_the_reason(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.app("alone", "0c0c0c0c")
    with pytest.raises(Conflict, match="nothing runs in tried"):
        promote(platform)
    platform.release(tried)
    with pytest.raises(UsageError, match="itself"):
        promote(platform, "tried")
    with pytest.raises(Conflict, match="not in the pipeline"):
        promote(platform, "alone")
    promote(platform)
    with pytest.raises(Conflict, match="already runs"):
        promote(platform)
    with pytest.raises(Conflict, match="comes after production"):
        promote_app(platform.context, PromoteApp(app="live"), platform.act)
    assert len(platform.store.releases(live.id)) == 1


def test_a_promoted_image_outlives_the_app_it_was_built_for(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.release(tried)
    promote(platform)
    ref = platform.store.release(live.id, 1).image_ref
    # The Engine lists an image under all its names for the app it is labelled with.
    platform.builder.labels[ref] = {"paas.app": tried.id}
    assert ref not in images.unneeded(platform.context, tried, others=False)
    destroy_app(platform.context, DestroyApp(app="tried", confirm="tried"), platform.act)
    assert platform.builder.find(ref) is not None


def test_differences_name_config_vars_and_never_show_values(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    set_config(platform, tried, MODE="hidden-test", TRACE="hidden")
    set_config(platform, live, MODE="hidden-live")
    platform.release(tried)
    (found,) = diff_pipeline(platform.context, DiffPipeline(app="tried"), platform.act)
    assert {"image", "config TRACE", "web command"} <= {change.what for change in found.changes}
    assert "config MODE" not in {change.what for change in found.changes}
    assert "hidden" not in repr(found)


def test_a_pipeline_is_its_apps_and_ends_with_the_last(platform: Parts, stages: tuple[App, App]) -> None:
    shown = pipelines.show_pipeline(platform.context, ShowPipeline(pipeline="way"), platform.act)
    assert [(one.app, one.stage) for one in shown.apps] == [("tried", "staging"), ("live", "production")]
    for app in stages:
        pipelines.remove_from_pipeline(platform.context, RemoveFromPipeline(app=app.name), platform.act)
    assert pipelines.list_pipelines(platform.context, ListPipelines(), platform.act) == ()


def test_names_and_places_that_are_taken_are_refused(platform: Parts, stages: tuple[App, App]) -> None:
    other = platform.app("other", "0c0c0c0c")
    with pytest.raises(Conflict, match="already"):
        put(platform, other, "staging", create=True)
    with pytest.raises(Conflict, match="is in the pipeline way"):
        put(platform, stages[0], "staging", name="else", create=True)
    with pytest.raises(NotFound):
        put(platform, other, "staging", name="absent")


@pytest.mark.parametrize("name", ["", "-a", "A", "a/b", "../a", "a\nb", "ä", "a" * 41, "$(id)"])
def test_names_that_cannot_be_are_refused(platform: Parts, name: str) -> None:
    with pytest.raises(UsageError):
        put(platform, platform.app(), "staging", name=name, create=True)


def test_what_somebody_may_not_see_of_a_pipeline_is_not_there(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.release(tried)
    mine = somebody({tried.id: "operator"})
    shown = pipelines.show_pipeline(platform.context, ShowPipeline(pipeline="way"), mine)
    assert [one.app for one in shown.apps] == ["tried"]
    with pytest.raises(Denied):
        promote_app(platform.context, PromoteApp(app="tried"), mine)
    with pytest.raises(Denied):
        pipelines.destroy_pipeline(platform.context, DestroyPipeline(pipeline="way"), mine)
    nobody = somebody({})
    with pytest.raises(NotFound):
        pipelines.show_pipeline(platform.context, ShowPipeline(pipeline="way"), nobody)
    assert pipelines.list_pipelines(platform.context, ListPipelines(), nobody) == ()
    assert platform.store.app(live.id).wanted == 0


def somebody(roles: dict[str, str]) -> Act:
    return Act("bob", silent, who=Actor(name="bob", access=Access(apps=roles)))  # type: ignore[arg-type]
