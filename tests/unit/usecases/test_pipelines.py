"""Pipelines: who is where, and what runs at one stage becomes a release at the next without a build."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from paas.errors import ConfigError, Conflict, Denied, DeployFailed, NotFound, PaasError, UsageError
from paas.model.app import Addon, App, Attachment, ProcessSpec, ReleaseKind, ReleaseStatus
from paas.model.events import silent
from paas.model.people import Access, Actor
from paas.model.pipeline import Place, Stage
from paas.model.reviews import Review
from paas.model.scaling import Autoscale, TargetRule
from paas.model.secret import Secret
from paas.model.service import Limits
from paas.model.sleep import Sleep
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
from paas.usecases.releases import Difference
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


def released(platform: Parts, app: App, **changes: Any) -> None:
    """A release that serves, which differs from the last in this."""
    changed = replace(platform.store.releases(app.id)[0], status=ReleaseStatus.PENDING, **changes)
    platform.store.save_release(replace(platform.store.add_release(changed), status=ReleaseStatus.SUCCEEDED))


def diffed(platform: Parts) -> tuple[Difference, ...]:
    (found,) = diff_pipeline(platform.context, DiffPipeline(app="tried"), platform.act)
    return found.changes


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


def test_sleep_of_each_app_stays_its_own(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.store.put_sleep(Sleep(app_id=tried.id, after=60.0, since=1.0, by_file=True))
    platform.release(tried)
    promote(platform)
    assert platform.store.sleep(live.id) is None
    assert platform.running(live) == {"web v1": 1}


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


def test_differences_are_those_that_a_promotion_makes_and_no_others(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.release(live)
    platform.release(tried)
    roomy = replace(platform.store.release(tried.id, 1).processes[0], limits=Limits(memory=123_000_000))
    ruled = replace(roomy, autoscale=Autoscale(most=7, rules=(TargetRule(metric="requests", target=20),)))
    released(platform, tried, processes=(ruled, ProcessSpec(name="worker", command="run worker")))
    before = {change.what: change for change in diffed(platform)}
    assert before["web autoscale"].after == "1 to 7, requests 20"
    assert "worker command" in before
    assert "web memory" not in before, "limits of what is there already stay"
    promote(platform)
    assert diffed(platform) == ()


def test_differences_of_config_are_left_to_the_target_after_a_promotion_too(
    platform: Parts, stages: tuple[App, App]
) -> None:
    tried, live = stages
    set_config(platform, tried, MODE="test", TRACE="1")
    set_config(platform, live, MODE="live", OWN="1")
    platform.release(tried)
    promote(platform)
    assert [(change.what, bool(change.before), bool(change.after)) for change in diffed(platform)] == [
        ("config OWN", True, False), ("config TRACE", False, True),
    ]  # fmt: skip


def test_what_is_on_its_way_is_not_promoted(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.release(tried)
    platform.store.add_release(replace(platform.store.release(tried.id, 1), status=ReleaseStatus.PENDING))
    with pytest.raises(Conflict, match="v2 of tried does not serve yet") as caught:
        promote(platform)
    assert caught.value.hint == "promote it when it does: paas operations -a tried"
    assert platform.store.releases(live.id) == ()


def test_an_image_that_goes_while_a_promotion_waits_for_its_turn_is_missed_in_words(
    platform: Parts, stages: tuple[App, App]
) -> None:
    tried, live = stages
    platform.release(live, BETTER)
    ref = platform.release(tried).image_ref
    with platform.context.locks.hold(live.id, "a deploy", silent):
        aside = Aside(lambda act: promote_app(platform.context, PromoteApp(app="tried"), act))
        assert aside.waits.wait(30)
        platform.builder.remove(ref)
    error = aside.end()
    assert isinstance(error, Conflict)
    assert error.message == "the image of tried v1 is gone"
    assert (platform.serving(live), platform.store.app("live").wanted) == ({BETTER}, 1)


def test_the_second_of_two_who_promote_the_same_finds_it_done(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.release(tried)
    with platform.context.locks.hold(live.id, "a promotion", silent):
        asides = [Aside(lambda act: promote_app(platform.context, PromoteApp(app="tried"), act)) for _ in range(2)]
        assert all(aside.waits.wait(30) for aside in asides)
    assert [aside.end() for aside in asides] == [None, None]
    assert [release.number for release in platform.store.releases(live.id)] == [1]


def test_a_promotion_that_waits_for_a_deploy_there_builds_on_what_that_left(
    platform: Parts, stages: tuple[App, App]
) -> None:
    tried, live = stages
    platform.release(live, BETTER)
    platform.release(tried)
    with platform.context.locks.hold(live.id, "a deploy", silent):
        aside = Aside(lambda act: promote_app(platform.context, PromoteApp(app="tried"), act))
        assert aside.waits.wait(30)
        released(platform, live, config={"SET": Secret("meanwhile")}, domains=("shop.example",))
    assert aside.end() is None
    last = platform.store.releases(live.id)[0]
    assert (last.number, last.image, last.domains, set(last.config)) == (3, GOOD, ("shop.example",), {"SET"})


def test_what_the_source_requires_must_be_set_at_the_target(platform: Parts, stages: tuple[App, App]) -> None:
    tried, live = stages
    platform.release(tried)
    needing = replace(platform.store.release(tried.id, 1), requires=("API_KEY",), status=ReleaseStatus.SUCCEEDED)
    needing = platform.store.add_release(needing)
    platform.store.save_release(replace(needing, status=ReleaseStatus.SUCCEEDED))
    (found,) = diff_pipeline(platform.context, DiffPipeline(app="tried"), platform.act)
    assert "requires config API_KEY" in {change.what for change in found.changes}
    with pytest.raises(ConfigError, match="live lacks config that tried v2 requires: API_KEY") as caught:
        promote(platform)
    assert caught.value.hint == "paas config set API_KEY=… --app live"
    assert platform.store.app(live.id).wanted == 0
    assert not [ref for ref in platform.builder.named if ref.startswith(f"paas/{live.id}:")]
    set_config(platform, live, API_KEY="x")
    promote(platform)
    assert platform.store.release(live.id, 2).requires == ("API_KEY",)


def test_differences_name_kind_and_version_of_addons(platform: Parts, stages: tuple[App, App]) -> None:
    for app, alias, version in (
        (stages[0], "DATABASE", "17"),
        (stages[0], "AUDIT", "17"),
        (stages[1], "DATABASE", "16"),
    ):
        addon_id = f"{app.id}-{alias}"
        platform.store.add_addon(
            Addon(
                id=addon_id,
                name=addon_id.lower(),
                kind="postgres",
                version=version,
                image="x",
                volume="v",
                created_at=1,
            )
        )
        platform.store.attach(Attachment(addon_id=addon_id, app_id=app.id, alias=alias))
    (found,) = diff_pipeline(platform.context, DiffPipeline(app="tried"), platform.act)
    addons = {change.what: (change.before, change.after) for change in found.changes if change.what.startswith("addon")}
    assert addons == {"addon DATABASE": ("postgres 16", "postgres 17"), "addon AUDIT": ("", "postgres 17")}


class Aside:
    """Something done in a thread of its own, which says when it waits for a lock."""

    def __init__(self, act: Callable[[Act], object]) -> None:
        self.waits, self.error = threading.Event(), None
        self.thread = threading.Thread(target=self.run, args=(act,))
        self.thread.start()

    def run(self, act: Callable[[Act], object]) -> None:
        try:
            act(Act("bob", lambda event: self.waits.set() if "waiting" in event.message else None))
        except PaasError as error:
            self.error: PaasError | None = error

    def end(self) -> PaasError | None:
        self.thread.join(30)
        assert not self.thread.is_alive()
        return self.error


def test_an_image_gets_its_name_at_the_target_only_in_the_targets_turn(
    platform: Parts, stages: tuple[App, App]
) -> None:
    tried, live = stages
    platform.release(tried)
    with platform.context.locks.hold(live.id, "a deploy", silent):
        aside = Aside(lambda act: promote_app(platform.context, PromoteApp(app="tried"), act))
        assert aside.waits.wait(30)
        assert not [ref for ref in platform.builder.named if ref.startswith(f"paas/{live.id}:")]
        # what a deploy that ends now would do
        images.collect(platform.context, live, silent)
    assert aside.end() is None
    assert platform.builder.find(platform.store.release(live.id, 1).image_ref) is not None


def test_two_who_make_a_pipeline_of_one_name_take_turns(platform: Parts) -> None:
    one, other = platform.app("one", "0a0a0a0a"), platform.app("other", "0b0b0b0b")
    request = AddToPipeline(app="other", pipeline="way", stage="staging", create=True)
    with pipelines.changing(platform.context, platform.act):
        aside = Aside(lambda act: pipelines.add_to_pipeline(platform.context, request, act))
        assert aside.waits.wait(30)
        platform.store.put_place(Place(app_id=one.id, pipeline="way", stage=Stage.STAGING))
    assert isinstance(aside.end(), Conflict)
    assert [place.app_id for place in platform.store.places()] == [one.id] != [other.id]


def test_a_review_app_is_neither_promoted_nor_promoted_to(platform: Parts, stages: tuple[App, App]) -> None:
    review = platform.app("tried-pr-7", "0c0c0c0c")
    platform.store.put_place(Place(app_id=review.id, pipeline="way", stage=Stage.REVIEW))
    platform.store.put_review(
        Review(
            app_id=review.id, parent_id=stages[0].id, name=review.name, key="pr/7", opened_at=1, opened_by="x",
            expires_at=9, number=7,
        )
    )  # fmt: skip
    platform.release(stages[0])
    platform.release(review)
    with pytest.raises(Conflict, match="is a review app"):
        promote(platform, "tried-pr-7")
    with pytest.raises(Conflict, match="is a review app"):
        promote_app(platform.context, PromoteApp(app="tried-pr-7", to=("live",)), platform.act)
    with pytest.raises(Conflict, match="is a review app"):
        put(platform, review, "production")
    pipelines.remove_from_pipeline(platform.context, RemoveFromPipeline(app="tried"), platform.act)
    assert [place.app_id for place in platform.store.places("way")] == [stages[1].id]


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
