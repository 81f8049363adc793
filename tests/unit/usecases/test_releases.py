"""Every change is a release; one that fails is undone and the one before goes on serving."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.engines.memory import Behaviour
from paas.errors import Conflict, DeployFailed, EngineUnavailable, NotFound, ReleaseFailed
from paas.model.app import ReleaseKind, ReleaseStatus
from paas.model.secret import Secret
from paas.requests.config import ChangeConfig
from paas.requests.deploys import ListReleases, Rollback, ShowRelease
from paas.usecases.config import change_config
from paas.usecases.releases import change_release, list_releases, rollback, show_release
from tests.unit.usecases.parts import BAD, BETTER, GOOD, Parts


def test_a_release_serves_and_is_wanted(platform: Parts) -> None:
    app = platform.app(web=2)
    release = platform.release(app)
    assert (release.number, release.status) == (1, ReleaseStatus.SUCCEEDED)
    assert platform.store.app("shop").wanted == 1
    assert platform.running(app) == {"web v1": 2}
    assert platform.serving(app) == {GOOD}


def test_a_failed_release_is_marked_with_its_cause_and_the_one_before_serves(platform: Parts) -> None:
    app = platform.app(web=2)
    platform.release(app)
    with pytest.raises(DeployFailed) as caught:
        platform.release(app, BAD)
    assert "KeyError: DATABASE_URL" in caught.value.details[-1]
    failed = platform.store.release(app.id, 2)
    assert (failed.status, failed.failure) == (ReleaseStatus.FAILED, caught.value.message)
    told = [event.message for _, event in platform.store.events(app.id) if event.data.get("status") == "failed"]
    assert told == [f"v2 failed: {caught.value.message}; v1 stays"]
    assert platform.store.app("shop").wanted == 1
    assert platform.running(app) == {"web v1": 2}
    assert platform.serving(app) == {GOOD}


def test_a_first_release_that_fails_leaves_nothing_running(platform: Parts) -> None:
    app = platform.app(web=1)
    with pytest.raises(DeployFailed):
        platform.release(app, BAD)
    assert platform.store.app("shop").wanted == 0
    assert platform.running(app) == {}
    assert platform.serving(app) == set()


def test_what_the_change_refuses_changes_nothing(platform: Parts) -> None:
    app = platform.app()
    platform.release(app)

    def refuse(base: object) -> object:
        raise Conflict("no")

    with pytest.raises(Conflict):
        change_release(
            platform.context, app, platform.act, kind=ReleaseKind.CONFIG, description="x",
            change=refuse,  # type: ignore[arg-type]
        )  # fmt: skip
    assert len(platform.store.releases(app.id)) == 1
    assert platform.context.locks.holder(app.id) == ""


def test_an_engine_that_goes_away_fails_the_release_and_the_one_before_stays_wanted(platform: Parts) -> None:
    app = platform.app()
    platform.release(app)
    platform.engine.down = True
    with pytest.raises(EngineUnavailable):
        platform.release(app, BETTER)
    platform.engine.down = False
    assert platform.store.app("shop").wanted == 1
    assert platform.store.release(app.id, 2).status is ReleaseStatus.FAILED
    assert platform.serving(app) == {GOOD}
    assert "failed too" in platform.said("warning")[0]


def test_a_release_that_changes_nothing_of_a_process_restarts_nothing(platform: Parts) -> None:
    app = platform.app(web=1, worker=1)
    platform.release(app, GOOD, "web", "worker")
    before = platform.engine.observe(app.id)
    release = change_release(
        platform.context, app, platform.act, kind=ReleaseKind.DOMAINS, description="domain",
        change=lambda base: replace(base, domains=("a.example",)),
    )  # fmt: skip
    assert release.since == {"web": 1, "worker": 1}
    assert platform.engine.observe(app.id) == before
    assert platform.router.observe()[0].hosts == ("shop.localhost", "a.example")


def test_only_the_process_whose_spec_changed_gets_the_new_number(platform: Parts) -> None:
    app = platform.app(web=1, worker=1)
    platform.release(app, GOOD, "web", "worker")
    release = change_release(
        platform.context, app, platform.act, kind=ReleaseKind.LIMITS, description="limits",
        change=lambda base: replace(
            base, processes=tuple(replace(p, stop_grace=1.0) if p.name == "worker" else p for p in base.processes)
        ),
    )  # fmt: skip
    assert release.since == {"web": 1, "worker": 2}
    assert platform.running(app) == {"web v1": 1, "worker v2": 1}


def test_a_release_command_runs_once_before_the_switch(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app, GOOD, "web", "release", release_command=True)
    assert [spec.process for spec in platform.engine.ran] == ["release"]
    assert platform.engine.calls.index("run release") < platform.engine.calls.index("apply web v1 × 1")


def test_a_release_command_that_fails_stops_the_deploy_before_anything_starts(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    platform.engine.behaviours[BETTER] = Behaviour(once=4, says=("migration broke",))
    platform.engine.calls.clear()
    with pytest.raises(ReleaseFailed) as caught:
        platform.release(app, BETTER, "web", "release", release_command=True)
    assert "migration broke" in caught.value.details
    assert platform.engine.calls == ["run release"]
    assert platform.serving(app) == {GOOD}


def test_a_rollback_brings_back_image_config_and_processes_without_a_build(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    change_config(platform.context, ChangeConfig(app="shop", set={"A": "1"}), platform.act)
    platform.release(app, BETTER)
    answer = rollback(platform.context, Rollback(app="shop", number=1), platform.act)
    assert answer.release == 4
    release = platform.store.release(app.id, 4)
    assert (release.image, release.config, release.kind) == (GOOD, {}, ReleaseKind.ROLLBACK)
    assert platform.serving(app) == {GOOD}
    assert platform.builder.builds == []


def test_a_rollback_without_a_number_goes_to_the_last_good_release_before(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    with pytest.raises(DeployFailed):
        platform.release(app, BAD)
    platform.release(app, BETTER)
    rollback(platform.context, Rollback(app="shop"), platform.act)
    assert platform.serving(app) == {GOOD}


def test_a_rollback_to_what_runs_is_no_release(platform: Parts) -> None:
    platform.release(platform.app())
    answer = rollback(platform.context, Rollback(app="shop", number=1), platform.act)
    assert (answer.changed, answer.release) == (False, 1)


def test_a_rollback_whose_image_is_gone_is_refused_with_what_is_possible(platform: Parts) -> None:
    app = platform.app()
    platform.release(app)
    platform.release(app, BETTER)
    platform.release(app, "sha256:third")
    platform.builder.remove(f"paas/{app.id}:good")
    with pytest.raises(Conflict) as caught:
        rollback(platform.context, Rollback(app="shop", number=1), platform.act)
    assert "v2" in caught.value.hint
    assert "v1" not in caught.value.hint
    assert "deploy its source anew" in caught.value.hint


def test_a_rollback_to_a_failed_release_is_refused(platform: Parts) -> None:
    app = platform.app()
    platform.release(app)
    with pytest.raises(DeployFailed):
        platform.release(app, BAD)
    with pytest.raises(Conflict, match="never served"):
        rollback(platform.context, Rollback(app="shop", number=2), platform.act)


def test_a_rollback_without_an_earlier_release_is_refused(platform: Parts) -> None:
    platform.release(platform.app())
    with pytest.raises(NotFound):
        rollback(platform.context, Rollback(app="shop"), platform.act)


def test_a_rollback_whose_domain_is_anothers_now_is_refused_and_changes_nothing(platform: Parts) -> None:
    app, other = platform.app(), platform.app("other", "ffffffff")
    for owner, hosts in ((app, ("a.example",)), (app, ()), (other, ("a.example",))):
        change_release(
            platform.context, owner, platform.act, kind=ReleaseKind.DOMAINS, description="domains",
            change=lambda base, hosts=hosts: replace(base, image=GOOD, image_ref="x", domains=hosts),  # type: ignore[misc]
        )  # fmt: skip
    platform.builder.add("x", GOOD)
    with pytest.raises(Conflict, match="belongs to other"):
        rollback(platform.context, Rollback(app="shop", number=1), platform.act)
    assert platform.store.app("shop").wanted == 2


def test_the_list_says_which_is_current_and_why_one_failed(platform: Parts) -> None:
    app = platform.app()
    platform.release(app)
    with pytest.raises(DeployFailed):
        platform.release(app, BAD)
    lines = list_releases(platform.context, ListReleases(app="shop"), platform.act)
    assert [(line.number, line.status, line.current) for line in lines] == [
        (2, "failed", False),
        (1, "succeeded", True),
    ]
    assert "exited with code 3" in lines[0].failure
    assert lines[1].actor == "ann"


def test_the_difference_names_what_changed_and_masks_config_values(platform: Parts) -> None:
    app = platform.app()
    platform.release(app)
    change_release(
        platform.context, app, platform.act, kind=ReleaseKind.CONFIG, description="x",
        change=lambda base: replace(base, config={"KEY": Secret("s3cret")}, domains=("a.example",), image=BETTER),
    )  # fmt: skip
    shown = show_release(platform.context, ShowRelease(app="shop", number=2, diff=True), platform.act)
    found = {line.what: (line.before, line.after) for line in shown.diff}
    assert found == {"config KEY": ("", "••••"), "domain a.example": ("", "yes"), "image": (GOOD, BETTER)}
    assert "s3cret" not in str(shown)
