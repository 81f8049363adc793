"""`postdeploy` once after the first deploy that serves, `predestroy` before it goes, and which environment counts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from paas.errors import NotFound, ScriptFailed, UsageError
from paas.model.app import App
from paas.model.pipeline import Place, Stage
from paas.model.scripts import Scripts, Setup
from paas.requests.apps import DestroyApp, SetEnvironment
from paas.requests.pipelines import AddToPipeline, PromoteApp
from paas.usecases import pipelines, scripts
from paas.usecases.apps import destroy_app, set_environment
from paas.usecases.promote import promote_app
from tests.unit.usecases.parts import BETTER, GOOD, Parts
from tests.unit.usecases.test_deploy import APP, deploy

SEED = {**APP, "app.json": json.dumps({"scripts": {"postdeploy": "seed it", "predestroy": "say goodbye"}})}


@pytest.fixture
def codes(platform: Parts) -> dict[str, int]:
    """Exit codes by script; what is not there exits 0."""
    return platform.engine.codes


def ran(platform: Parts, script: str) -> list[str]:
    """The commands that ran as this script."""
    return [" ".join(spec.command) for spec in platform.engine.ran if spec.process == script]


def kept(platform: Parts, kind: str) -> list[str]:
    return [event.message for _, event in platform.store.events() if event.kind == kind]


def test_postdeploy_runs_once_in_a_container_of_the_new_image(platform: Parts, codes: dict[str, int]) -> None:
    answer = deploy(platform, SEED)
    spec = next(spec for spec in platform.engine.ran if spec.process == "postdeploy")
    app = platform.store.app("shop")
    assert (spec.kind, spec.image, spec.release) == ("oneoff", answer.image, 1)
    assert "seed it" in spec.command[-1]
    assert spec.networks == (f"paas-{app.id}",)
    assert answer.postdeploy == scripts.ScriptRun(script="postdeploy", exit_code=0)
    assert deploy(platform, {**SEED, "app.py": "other"}).postdeploy is None
    assert len(ran(platform, "postdeploy")) == 1
    assert kept(platform, "postdeploy.succeeded") == ["postdeploy of v1 is done"]


def test_a_postdeploy_that_fails_leaves_the_deploy_and_runs_again_until_it_does_not(
    platform: Parts, codes: dict[str, int]
) -> None:
    codes["postdeploy"] = 3
    answer = deploy(platform, SEED)
    assert answer.postdeploy is not None
    assert (answer.release, answer.postdeploy.exit_code) == (1, 3)
    assert platform.serving(platform.store.app("shop")) == {answer.image}
    assert kept(platform, "postdeploy.failed") == [
        "postdeploy exited with code 3; v1 serves; it runs again with the next deploy"
    ]
    codes["postdeploy"] = 0
    again = deploy(platform, SEED)
    assert (again.unchanged, again.postdeploy) == (True, scripts.ScriptRun(script="postdeploy", exit_code=0))
    assert deploy(platform, SEED).postdeploy is None
    assert len(ran(platform, "postdeploy")) == 2


def test_a_postdeploy_that_cannot_start_is_one_that_failed(platform: Parts, codes: dict[str, int]) -> None:
    deploy(platform)
    app = platform.store.app("shop")
    platform.store.put_setup(Setup(app_id=app.id))
    release = platform.store.release(app.id, 1)
    platform.store.want(app.id, 0)
    platform.store.add_release(replace(release, scripts={"": Scripts(postdeploy="seed")}))
    platform.engine.down = True
    answer = scripts.postdeploy(platform.context, app, platform.act)
    assert answer is not None
    assert answer.exit_code is None
    assert answer.failure.startswith("postdeploy did not start: ")


def test_an_app_without_one_at_its_first_deploy_has_it_behind_it(platform: Parts, codes: dict[str, int]) -> None:
    deploy(platform)
    assert deploy(platform, SEED).postdeploy is None
    assert ran(platform, "postdeploy") == []


def test_a_first_deploy_that_fails_leaves_postdeploy_to_the_next(platform: Parts, codes: dict[str, int]) -> None:
    files = {**SEED, "Procfile": "web: python app.py\nrelease: migrate\n"}
    codes["release"] = 1
    with pytest.raises(Exception, match="release command exited"):
        deploy(platform, files)
    assert ran(platform, "postdeploy") == []
    del codes["release"]
    assert deploy(platform, files).postdeploy is not None


def test_promotion_counts_as_a_first_deploy_with_the_scripts_of_the_targets_stage(
    platform: Parts, codes: dict[str, int]
) -> None:
    tried, live = platform.app("tried", "0a0a0a0a", web=1), platform.app("live", "0b0b0b0b")
    for app, stage in ((tried, "staging"), (live, "production")):
        request = AddToPipeline(app=app.name, pipeline="way", stage=stage, create=app is tried)  # type: ignore[arg-type]
        pipelines.add_to_pipeline(platform.context, request, platform.act)
    text = {
        "scripts": {"postdeploy": "seed"},
        "environments": {"staging": {"scripts": {"postdeploy": "seed with tests"}}},
    }
    deploy(platform, {**APP, "app.json": json.dumps(text)}, app="tried")
    (promoted,) = promote_app(platform.context, PromoteApp(app="tried"), platform.act)
    assert promoted.postdeploy is not None
    first, second = ran(platform, "postdeploy")
    assert first.endswith("seed with tests")
    assert second.endswith("seed")


# --- predestroy ----------------------------------------------------------------------------------------------------


def destroy(platform: Parts, *, force: bool = False) -> None:
    destroy_app(platform.context, DestroyApp(app="shop", confirm="shop", force=force), platform.act)


def test_predestroy_runs_before_the_app_goes(platform: Parts, codes: dict[str, int]) -> None:
    deploy(platform, SEED)
    destroy(platform)
    assert len(ran(platform, "predestroy")) == 1
    with pytest.raises(NotFound):
        platform.store.app("shop")


def test_a_predestroy_that_fails_keeps_the_app_as_it_is_unless_forced(platform: Parts, codes: dict[str, int]) -> None:
    image = deploy(platform, SEED).image
    codes["predestroy"] = 2
    with pytest.raises(ScriptFailed, match="predestroy exited with code 2") as caught:
        destroy(platform)
    assert "--force" in caught.value.hint
    assert platform.serving(platform.store.app("shop")) == {image}
    destroy(platform, force=True)
    assert platform.store.apps() == ()
    assert "predestroy exited with code 2; shop is destroyed all the same" in platform.said("predestroy.failed")


def test_there_is_nothing_to_run_before_a_first_deploy_or_without_a_script(
    platform: Parts, codes: dict[str, int]
) -> None:
    app = platform.app()
    platform.release(app, GOOD)
    destroy(platform)
    platform.app()
    destroy(platform)
    assert ran(platform, "predestroy") == []


# --- environments --------------------------------------------------------------------------------------------------

REVIEWED = {
    **APP,
    "paas.toml": "[env]\nMODE = 'live'\nKEY = {generate = true}\n"
    "[environments.review.env]\nMODE = 'review'\n[environments.review.processes.worker]\nreplicas = 1\n",
}


def config(platform: Parts, app: App) -> dict[str, str]:
    release = platform.store.release(app.id, platform.store.app(app.id).wanted)
    return {key: value.reveal() for key, value in release.config.items()}


def test_the_stage_of_a_pipeline_is_the_environment_that_counts(platform: Parts) -> None:
    app = platform.app()
    platform.store.put_place(Place(app_id=app.id, pipeline="way", stage=Stage.REVIEW))
    assert scripts.environment_of(platform.context, app) == "review"
    answer = deploy(platform, REVIEWED)
    found = config(platform, app)
    assert (found["MODE"], dict(answer.processes)) == ("review", {"web": 1, "worker": 1})
    assert len(found["KEY"]) > 20


def test_an_app_that_is_there_is_given_another_environment_and_its_stages_back(platform: Parts) -> None:
    app = platform.app()
    platform.store.put_setup(Setup(app_id=app.id, done=3))
    platform.store.put_place(Place(app_id=app.id, pipeline="way", stage=Stage.STAGING))

    def said(name: str) -> tuple[str, bool]:
        answer = set_environment(platform.context, SetEnvironment(app="shop", environment=name), platform.act)
        return answer.environment, answer.changed

    assert said("load-test") == ("load-test", True)
    assert said("load-test") == ("load-test", False)
    assert platform.store.setup(app.id) == Setup(app_id=app.id, environment="load-test", done=3)
    assert said("") == ("staging", True)
    with pytest.raises(UsageError, match="cannot name an environment"):
        said("Not This")
    assert scripts.environment_of(platform.context, app) == "staging"


def test_an_environment_that_is_set_while_postdeploy_runs_is_kept(platform: Parts) -> None:
    class Meanwhile(dict[str, int]):
        def get(self, process: str, default: int | None = None) -> Any:
            if process == "postdeploy":
                set_environment(platform.context, SetEnvironment(app="shop", environment="elsewhere"), platform.act)
            return default

    platform.engine.codes = Meanwhile()
    deploy(platform, SEED)
    app = platform.store.app("shop")
    assert platform.store.setup(app.id) == Setup(app_id=app.id, environment="elsewhere", done=1)


def test_an_environment_that_was_chosen_counts_before_the_stage(platform: Parts) -> None:
    app = platform.app()
    platform.store.put_place(Place(app_id=app.id, pipeline="way", stage=Stage.REVIEW))
    platform.store.put_setup(Setup(app_id=app.id, environment="elsewhere"))
    deploy(platform, REVIEWED)
    assert config(platform, app)["MODE"] == "live"


def test_an_app_of_no_pipeline_has_what_stands_outside(platform: Parts) -> None:
    deploy(platform, REVIEWED)
    assert config(platform, platform.store.app("shop"))["MODE"] == "live"
    assert scripts.environment_of(platform.context, None) == ""


def test_a_release_that_changes_only_its_scripts_says_so(platform: Parts) -> None:
    from paas.usecases.releases import differences

    app = platform.app()
    before = platform.release(app, BETTER)
    after = replace(before, scripts={"review": Scripts(postdeploy="seed")})
    assert [(one.what, one.after) for one in differences(before, after)] == [("review postdeploy", "seed")]
