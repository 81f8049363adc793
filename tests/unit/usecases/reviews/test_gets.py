"""What a review app gets of its parent, and what not: config, addons, limits, seeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from paas.errors import ConfigError, Conflict, NotFound
from paas.model.app import App
from paas.model.pipeline import Place, Stage
from paas.model.service import Limits
from paas.requests.addons import AttachAddon, BackupAddon
from paas.requests.config import ChangeConfig
from paas.requests.reviews import (
    DisableReviews,
    OpenReview,
    ShowReviewPolicy,
)
from paas.usecases import addons, backups, review_policy, reviews, uploads
from paas.usecases.config import change_config
from tests.git_server import GitServer
from tests.unit.sources.test_clone import git
from tests.unit.usecases.parts import Parts
from tests.unit.usecases.reviews.lab import (
    closed,
    commit,
    config,
    database,
    opened,
    there,
)


def test_no_config_comes_along_but_what_was_named(platform: Parts, enable: Callable[..., None]) -> None:
    given = {"MODE": "live", "STRIPE": "sk_live", "PUBLIC": "yes"}
    change_config(platform.context, ChangeConfig(app="shop", set=given), platform.act)
    database(platform)
    enable(inherit=("PUBLIC", "NOT_SET"), config={"STRIPE": "sk_test"})
    opened(platform)
    found = config(platform, "shop-better")
    url = found.pop("DATABASE_URL")
    assert found == {"PUBLIC": "yes", "STRIPE": "sk_test"}
    assert url != config(platform, "shop")["DATABASE_URL"]
    assert "@shop-better-postgres:" in url
    assert "not taken along from shop: MODE" in platform.said("note")
    shown = review_policy.show_review_policy(platform.context, ShowReviewPolicy(app="shop"), platform.act)
    assert (shown.inherit, shown.config) == (("PUBLIC", "NOT_SET"), ("STRIPE",))
    assert "sk_" not in json.dumps([str(event) for event in platform.events])


def test_the_parents_database_cannot_be_named(platform: Parts, enable: Callable[..., None]) -> None:
    enable(inherit=("LATER_URL",))
    database(platform)
    with pytest.raises(Conflict, match="DATABASE_URL is bound"):
        enable(inherit=("DATABASE_URL",))
    with pytest.raises(Conflict, match="DATABASE_URL is bound"):
        enable(config={"DATABASE_URL": "postgres://x"})
    database(platform, alias="LATER")
    opened(platform)
    assert config(platform, "shop-better")["LATER_URL"] != config(platform, "shop")["LATER_URL"]


def test_addons_are_of_the_same_kinds_versions_and_aliases(platform: Parts, enable: Callable[..., None]) -> None:
    one = database(platform)
    addons.attach_addon(platform.context, AttachAddon(addon=one, app="shop", alias="REPORTS"), platform.act)
    database(platform, alias="AUDIT")
    enable()
    opened(platform)
    app = platform.store.app("shop-better")
    found = {bound.alias: bound.addon_id for bound in platform.store.attachments(app_id=app.id)}
    assert set(found) == {"AUDIT", "DATABASE", "REPORTS"}
    assert found["DATABASE"] == found["REPORTS"] != found["AUDIT"]
    assert all(platform.store.addon(addon_id).owner_app == app.id for addon_id in found.values())


def test_addons_can_be_left_to_the_source(platform: Parts, enable: Callable[..., None]) -> None:
    database(platform)
    enable(addons=False)
    opened(platform)
    assert "DATABASE_URL" not in config(platform, "shop-better")


def test_a_strangers_code_gets_neither_config_nor_data(
    platform: Parts, enable: Callable[..., None], served: GitServer
) -> None:
    change_config(platform.context, ChangeConfig(app="shop", set={"PUBLIC": "yes"}), platform.act)
    name = database(platform)
    backups.backup_addon(platform.context, BackupAddon(addon=name), platform.act)
    enable(inherit=("PUBLIC",), config={"OWN": "1"}, seed="latest")
    answer = opened(platform, "main", pull_request=7, fork=True)
    assert (answer.name, answer.fork) == ("shop-pr-7", True)
    assert set(config(platform, "shop-pr-7")) == {"DATABASE_URL"}
    review = platform.store.reviews()[0]
    assert not review.seeded
    by_number = reviews.open_review(platform.context, OpenReview(app="shop", pull_request=7), platform.act)
    assert by_number.fork, "nobody said whose it is"


def test_what_becomes_a_strangers_is_made_anew_without_config(platform: Parts, enable: Callable[..., None]) -> None:
    enable(config={"OWN": "1"})
    first = opened(platform, "better", pull_request=7)
    before = platform.store.app(first.name).id
    again = opened(platform, "better", pull_request=7, fork=True)
    assert platform.store.app(again.name).id != before
    assert platform.store.app(again.name).wanted == 1
    assert config(platform, again.name) == {}


def test_by_its_number_alone_a_pull_request_of_ones_own_is_deployed_anew_with_what_it_has(
    platform: Parts, enable: Callable[..., None], repository: Path
) -> None:
    database(platform)
    enable(config={"OWN": "1"})
    first = opened(platform, "better", pull_request=7)
    before, addon = platform.store.app(first.name).id, platform.store.addon("shop-pr-7-postgres").id
    commit = git(repository, "rev-parse", "better")
    again = opened(platform, "", pull_request=7)
    assert (again.branch, again.commit, again.fork) == ("better", commit, False)
    assert platform.store.app(again.name).id == before
    assert platform.store.addon("shop-pr-7-postgres").id == addon, "its data is still there"
    assert "OWN" in config(platform, again.name)


def test_one_whose_branch_nobody_said_is_not_taken_away_for_a_number(
    platform: Parts, enable: Callable[..., None], repository: Path
) -> None:
    enable(config={"OWN": "1"})
    first = opened(platform, "", pull_request=7, commit=git(repository, "rev-parse", "better"))
    before = platform.store.app(first.name).id
    with pytest.raises(Conflict, match="of which branch pull request 7 is") as caught:
        opened(platform, "", pull_request=7)
    assert caught.value.hint == "paas reviews open BRANCH --pr 7 -a shop"
    assert platform.store.app(first.name).id == before
    assert there(platform) == (first,)


def test_memory_cores_and_replicas_are_capped_and_hosts_and_jobs_left_to_the_parent(
    platform: Parts, enable: Callable[..., None], repository: Path
) -> None:
    said = """
domains = ["shop.example.com"]
[processes.web]
replicas = 5
memory = "2G"
[processes.worker]
replicas = 3
cpus = 0.25
[[cron]]
name = "bill"
schedule = "@daily"
command = "python bill.py"
"""
    sha = commit(repository, "large", paas_toml=said)
    enable(memory=128 << 20, cpus=0.5, replicas=2)
    opened(platform, "main", commit=sha)
    git(repository, "rm", "--quiet", "paas.toml")
    git(repository, "commit", "--quiet", "--message", "small again")
    app = platform.store.app("shop-main")
    release = platform.store.release(app.id, app.wanted)
    limits = {process.name: (process.limits.memory >> 20, process.limits.cpus) for process in release.processes}
    assert limits == {"web": (128, 0.5), "worker": (128, 0.25)}
    assert dict(app.formation) == {"web": 2, "worker": 2}
    assert (release.domains, release.cron) == ((), ())
    assert [process.autoscale for process in release.processes] == [None, None]


def test_a_strangers_code_says_nothing_of_its_limits(
    platform: Parts, enable: Callable[..., None], repository: Path
) -> None:
    said = '[processes.web]\nmemory = "64G"\ncpus = 32\npids = 30000\n'
    sha = commit(repository, "greedy", paas_toml=said)
    git(repository, "update-ref", "refs/pull/9/head", sha)
    git(repository, "rm", "--quiet", "paas.toml")
    git(repository, "commit", "--quiet", "--message", "small again")
    enable()
    answer = opened(platform, "main", pull_request=9, fork=True)
    app = platform.store.app(answer.name)
    assert platform.store.release(app.id, app.wanted).processes[0].limits == Limits()


def test_it_stands_in_the_pipeline_of_its_parent(platform: Parts, enable: Callable[..., None], parent: App) -> None:
    platform.store.put_place(Place(app_id=parent.id, pipeline="way", stage=Stage.STAGING))
    enable()
    opened(platform)
    places = {platform.store.app(place.app_id).name: place.stage for place in platform.store.places("way")}
    assert places == {"shop": Stage.STAGING, "shop-better": Stage.REVIEW}
    closed(platform)
    assert len(platform.store.places()) == 1


def test_a_seed_is_restored_once_before_the_first_deploy(platform: Parts, enable: Callable[..., None]) -> None:
    name = database(platform)
    kept = backups.backup_addon(platform.context, BackupAddon(addon=name), platform.act)
    enable(seed=kept.id)
    opened(platform)
    assert platform.store.reviews()[0].seeded
    assert platform.said("step").count("restore shop-better-postgres") == 1
    opened(platform)
    assert platform.said("step").count("restore shop-better-postgres") == 1


def test_a_dump_that_was_sent_is_kept_for_all_of_them(platform: Parts, enable: Callable[..., None]) -> None:
    database(platform)
    upload = uploads.begin(platform.context.settings)
    upload.write(b"PGDMP and more")
    enable(upload=upload.finish())
    opened(platform)
    opened(platform, "feature/login")
    assert sum(said.startswith("restore shop-") for said in platform.said("step")) == 2
    folder = platform.context.settings.home / "seeds"
    (path,) = folder.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    review_policy.disable_reviews(platform.context, DisableReviews(app="shop"), platform.act)
    assert list(folder.iterdir()) == []


def test_seeds_that_cannot_be_are_refused_when_they_are_named(platform: Parts, enable: Callable[..., None]) -> None:
    database(platform)
    for seed in ("latest", "20260101T000000Z", "../../etc/passwd"):
        with pytest.raises(NotFound, match="no backup"):
            enable(seed=seed)
    upload = uploads.begin(platform.context.settings)
    upload.write(b"not a dump")
    with pytest.raises(ConfigError, match="no dump"):
        enable(upload=upload.finish())
    assert platform.store.review_policy("a1b2c3d4") is None


def test_the_latest_backup_of_each_addon_goes_to_the_one_that_stands_for_it(
    platform: Parts, enable: Callable[..., None]
) -> None:
    made = [database(platform), database(platform, alias="AAA_REPORTS"), database(platform, kind="redis")]
    for name in (*made, made[1], made[0]):
        platform.clock.sleep(10)
        backups.backup_addon(platform.context, BackupAddon(addon=name), platform.act)
    enable(seed="latest")
    opened(platform)
    review = platform.store.app("shop-better")
    bound = {one.alias: platform.store.addon(one.addon_id).name for one in platform.store.attachments(app_id=review.id)}
    newest = {
        alias: said for alias in bound for said in platform.said("step") if said.startswith(f"seed {bound[alias]} ")
    }
    ids = {name: backups.backups_of(platform.context, name, platform.act)[0].id for name in made}
    assert newest == {
        "DATABASE": f"seed {bound['DATABASE']} with {ids[made[0]]}",
        "AAA_REPORTS": f"seed {bound['AAA_REPORTS']} with {ids[made[1]]}",
        "REDIS": f"seed {bound['REDIS']} with {ids[made[2]]}",
    }


def test_a_backup_of_the_second_database_goes_to_the_second(platform: Parts, enable: Callable[..., None]) -> None:
    database(platform)
    second = database(platform, alias="REPORTS")
    kept = backups.backup_addon(platform.context, BackupAddon(addon=second), platform.act)
    enable(seed=kept.id)
    opened(platform)
    review = platform.store.app("shop-better")
    bound = {one.alias: platform.store.addon(one.addon_id).name for one in platform.store.attachments(app_id=review.id)}
    assert [said for said in platform.said("step") if said.startswith("seed ")] == [
        f"seed {bound['REPORTS']} with {kept.id}"
    ]


def test_a_seed_without_a_database_is_told(platform: Parts, enable: Callable[..., None]) -> None:
    name = database(platform)
    backups.backup_addon(platform.context, BackupAddon(addon=name), platform.act)
    enable(seed="latest", addons=False)
    with pytest.raises(Conflict, match="shop-better has none"):
        opened(platform)
    assert there(platform)[0].status == "failed"
