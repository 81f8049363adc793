"""Review apps: what one gets and what not, what is left after every kill, and how it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from paas.engines.memory import MemoryEngine
from paas.errors import ConfigError, Conflict, Denied, NotFound, PaasError, UsageError
from paas.interfaces import Terminal
from paas.model.app import App, ReleaseKind
from paas.model.events import Event, silent
from paas.model.people import Access, Actor, Token, new_secret
from paas.model.pipeline import Place, Stage
from paas.model.reviews import DAY, Review, ReviewStatus
from paas.model.secret import Secret
from paas.model.service import Limits
from paas.requests.addons import AttachAddon, BackupAddon, CreateAddon
from paas.requests.apps import DestroyApp
from paas.requests.config import ChangeConfig
from paas.requests.deploy_hooks import AddDeployHook
from paas.requests.deploys import DeployApp, SourceRef
from paas.requests.reviews import (
    CloseReview,
    DisableReviews,
    EnableReviews,
    ExtendReview,
    ListReviews,
    OpenReview,
    ShowReview,
    ShowReviewPolicy,
)
from paas.usecases import addons, apps, backups, deploy_hooks, review_policy, reviews, uploads
from paas.usecases import repository as repositories
from paas.usecases.config import change_config
from paas.usecases.context import Act, Context, Locks
from paas.usecases.deploy import deploy_app
from paas.usecases.door import Door
from paas.usecases.logins import PREFIX, Logins
from paas.usecases.review_watch import ReviewWatch
from paas.usecases.reviews import ReviewShown
from tests.git_server import GitServer, git_server
from tests.unit.sources.test_clone import git
from tests.unit.usecases.parts import Parts, parts

ON_DISK = True


class Talking(MemoryEngine):
    """Its databases answer what they are asked about themselves, and dump something."""

    def exec(
        self,
        replica: str,
        command: Sequence[str],
        terminal: Terminal,
        env: Mapping[str, Secret] | None = None,
        *,
        timeout: float = 0.0,
    ) -> int:
        code = super().exec(replica, command, Silent(), env)
        said = " ".join(command)
        magic = b"PGDMP" if "pg_dump" in said else b"REDIS" if "--rdb" in said else b""
        terminal.write(magic + b" of " + replica.encode() if magic else b"{}")
        return code


class Silent:
    tty = interactive = False

    def read(self) -> None:
        return None

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Nothing."""


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    made = parts(tmp_path / "home", egress_allow="127.0.0.0/8")
    engine = Talking(made.clock)
    return replace(made, engine=engine, context=replace(made.context, engine=engine))


@pytest.fixture
def parent(platform: Parts) -> App:
    app = platform.app()
    platform.release(app)
    return app


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "team" / "shop"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    commit(folder, "first")
    git(folder, "branch", "better")
    git(folder, "branch", "feature/login")
    git(folder, "update-ref", "refs/pull/7/head", "HEAD")
    return folder


def commit(folder: Path, text: str, **files: str) -> str:
    (folder / "Procfile").write_text("web: python app.py\nworker: python work.py\n")
    (folder / "requirements.txt").write_text("")
    (folder / "app.py").write_text(f"print({text!r})\n")
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", text)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def served(repository: Path) -> Iterator[GitServer]:
    with git_server(repository.parent.parent) as server:
        yield server


@pytest.fixture
def enable(platform: Parts, parent: App, served: GitServer) -> Callable[..., None]:
    def enabled(**changes: Any) -> None:
        request = EnableReviews(**{"app": "shop", "source": served.url("team/shop"), **changes})
        review_policy.enable_reviews(platform.context, request, platform.act)

    return enabled


def opened(platform: Parts, branch: str = "better", **changes: Any) -> ReviewShown:
    request = OpenReview(**{"app": "shop", "branch": branch, **changes})
    return reviews.open_review(platform.context, request, platform.act)


def closed(platform: Parts, name: str = "shop-better", *, backup: bool = False) -> reviews.ReviewClosed:
    return reviews.close_review(platform.context, CloseReview(app="shop", review=name, backup=backup), platform.act)


def there(platform: Parts) -> tuple[ReviewShown, ...]:
    return reviews.list_reviews(platform.context, ListReviews(app="shop"), platform.act)


def config(platform: Parts, name: str) -> dict[str, str]:
    app = platform.store.app(name)
    return {key: value.reveal() for key, value in platform.store.release(app.id, app.wanted).config.items()}


def told(platform: Parts) -> list[str]:
    return [event.kind for _, event in platform.store.events("a1b2c3d4") if event.kind.startswith("review.")]


def database(platform: Parts, app: str = "shop", **changes: str) -> str:
    request = CreateAddon(**{"kind": "postgres", "app": app, **changes})
    return addons.create_addon(platform.context, request, platform.act).name


def test_what_keeps_one_from_being_opened_is_said_when_they_are_enabled(
    platform: Parts, parent: App, served: GitServer
) -> None:
    def enabled(**changes: Any) -> str:
        return review_policy.enable_reviews(platform.context, EnableReviews(app="shop", **changes), platform.act).lacks

    assert enabled() == "nobody said where the code of shop is"
    with pytest.raises(Conflict, match=enabled()):
        opened(platform)
    assert enabled(source=served.url("team/shop")) == ""
    hook = AddDeployHook(app="shop", provider="github", url=served.url("team/shop"))
    deploy_hooks.add_deploy_hook(platform.context, hook, platform.act)
    assert enabled() == ""


# --- opened, deployed anew, closed --------------------------------------------------------------------------------


def test_a_branch_gets_an_app_of_its_own_that_serves_it(
    platform: Parts, enable: Callable[..., None], repository: Path
) -> None:
    enable()
    answer = opened(platform)
    assert (answer.name, answer.status, answer.url) == ("shop-better", "open", "http://shop-better.localhost")
    assert answer.commit == git(repository, "rev-parse", "better")
    assert platform.running(platform.store.app("shop-better")) == {"web v1": 1}
    assert told(platform) == ["review.opened"]
    assert there(platform) == (answer,)


def test_the_same_again_is_a_deploy_of_the_same_app(
    platform: Parts, enable: Callable[..., None], repository: Path
) -> None:
    enable()
    first = opened(platform, "main", commit=git(repository, "rev-parse", "better"))
    platform.clock.sleep(3600)
    newest = commit(repository, "another")
    second = opened(platform, "main")
    assert (second.name, second.release, second.commit) == (first.name, 2, newest)
    assert second.expires_at == first.expires_at + 3600
    assert told(platform) == ["review.opened", "review.updated"]
    assert len(platform.store.apps()) == 2


def test_closed_it_is_gone_with_its_database_and_the_parents_stays(
    platform: Parts, enable: Callable[..., None]
) -> None:
    enable()
    database(platform)
    opened(platform)
    assert [one.name for one in platform.store.addons()] == ["shop-better-postgres", "shop-postgres"]
    assert closed(platform).addons == ("shop-better-postgres",)
    assert [one.name for one in platform.store.addons()] == ["shop-postgres"]
    assert [one.name for one in platform.store.apps()] == ["shop"]
    assert (there(platform), platform.store.reviews()) == ((), ())
    assert not list((platform.context.settings.home / "backups").glob("*")), "nobody asked for a dump"
    assert told(platform)[-1] == "review.closed"
    with pytest.raises(NotFound, match="no review app"):
        closed(platform)


def test_a_last_dump_is_kept_where_it_is_asked_for(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    database(platform)
    opened(platform)
    closed(platform, backup=True)
    assert [path.name.rpartition("-")[0] for path in (platform.context.settings.home / "backups").iterdir()] == [
        "shop-better-postgres"
    ]


def test_a_database_that_another_app_uses_stays_and_so_does_the_review(
    platform: Parts, enable: Callable[..., None]
) -> None:
    enable()
    database(platform)
    opened(platform)
    platform.app("blog", "b1b2b3b4")
    addons.attach_addon(platform.context, AttachAddon(addon="shop-better-postgres", app="blog"), platform.act)
    with pytest.raises(Conflict, match="in use by blog"):
        closed(platform)
    assert there(platform)[0].status == "closing"


# --- what it gets, and what not ------------------------------------------------------------------------------------


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


# --- seed ---------------------------------------------------------------------------------------------------------


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


# --- limits -------------------------------------------------------------------------------------------------------


def test_no_more_than_the_most_are_there_at_once(platform: Parts, enable: Callable[..., None]) -> None:
    enable(most=1)
    opened(platform)
    with pytest.raises(Conflict, match="1 at most") as caught:
        opened(platform, "feature/login")
    assert "paas reviews close shop-better" in caught.value.hint
    assert told(platform)[-1] == "review.limit"
    opened(platform)
    closed(platform)
    assert opened(platform, "feature/login").status == "open"


def test_without_being_enabled_there_are_none(platform: Parts, parent: App, enable: Callable[..., None]) -> None:
    with pytest.raises(Conflict, match="has no review apps"):
        opened(platform)
    enable()
    opened(platform)
    review_policy.disable_reviews(platform.context, DisableReviews(app="shop"), platform.act)
    with pytest.raises(Conflict, match="has no review apps"):
        opened(platform)
    assert len(there(platform)) == 1, "those there are stay"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"branch": ""}, UsageError),
        ({"branch": "--upload-pack=x"}, UsageError),
        ({"branch": "a..b"}, UsageError),
        ({"branch": "better", "commit": "x y"}, UsageError),
        ({"branch": "not-there"}, NotFound),
        ({"branch": "better", "hook": "nobody"}, NotFound),
    ],
)
def test_what_cannot_be_opened_is_refused(
    platform: Parts, enable: Callable[..., None], changes: dict[str, Any], error: type[PaasError]
) -> None:
    enable()
    with pytest.raises(error):
        opened(platform, **changes)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"memory": 1000}, UsageError),
        ({"inherit": ("PORT",)}, UsageError),
        ({"inherit": ("a b",)}, UsageError),
        ({"config": {"PAAS_X": "1"}}, UsageError),
        ({"inherit": ("A",), "config": {"A": "1"}}, UsageError),
        ({"source": "http://127.0.0.1:1/x.git#main"}, UsageError),
        ({"source": "http://169.254.169.254/x.git"}, Denied),
        ({"source": "ext::id"}, UsageError),
    ],
)
def test_policies_that_cannot_be_are_refused(
    platform: Parts, enable: Callable[..., None], changes: dict[str, Any], error: type[PaasError]
) -> None:
    with pytest.raises(error):
        enable(**changes)
    assert platform.store.review_policy("a1b2c3d4") is None


def test_a_review_app_has_none_itself(platform: Parts, enable: Callable[..., None], served: GitServer) -> None:
    enable()
    opened(platform)
    with pytest.raises(Conflict, match="is a review app itself"):
        enable(app="shop-better")


def test_nobody_said_where_the_code_is(platform: Parts, enable: Callable[..., None]) -> None:
    enable(source="")
    with pytest.raises(Conflict, match="nobody said where the code"):
        opened(platform)


def test_the_code_comes_from_what_was_pushed_where_nobody_said_where_else(
    platform: Parts, parent: App, enable: Callable[..., None], repository: Path
) -> None:
    """A branch, a commit of it by a part of its id; what was not pushed is told, as is a pull request by number."""
    own = repositories.prepared(platform.context.settings, parent.id)
    git(repository, "push", "--quiet", str(own), "main", "better")
    enable(source="")
    commit = git(repository, "rev-parse", "better")
    assert opened(platform).commit == commit
    first = git(repository, "rev-parse", "main")
    assert opened(platform, commit=first[:12]).commit == first
    with pytest.raises(NotFound, match="'nowhere' was not pushed to shop"):
        opened(platform, "nowhere")
    with pytest.raises(NotFound, match="pull request 7"):
        opened(platform, "", pull_request=7)
    with pytest.raises(NotFound, match="'better' was not pushed"):
        opened(platform, pull_request=7, fork=True)
    assert [one.name for one in there(platform)] == ["shop-better"]


def test_a_branch_that_moves_before_its_turn_is_opened_as_it_is_then(
    platform: Parts, parent: App, enable: Callable[..., None], repository: Path
) -> None:
    """Of two pushes the one that asks first may get its turn last."""
    own = repositories.prepared(platform.context.settings, parent.id)
    git(repository, "push", "--quiet", str(own), "main", "better")
    enable(source="")
    opened(platform)
    newest = commit(repository, "newest")
    waits = threading.Event()
    act = replace(platform.act, emit=lambda event: waits.set() if event.message.startswith("waiting: ") else None)
    answers: list[ReviewShown] = []
    request = OpenReview(app="shop", branch="better")
    late = threading.Thread(target=lambda: answers.append(reviews.open_review(platform.context, request, act)))
    with reviews.try_turn(platform.context, platform.store.reviews()[0]) as mine:
        assert mine
        late.start()
        assert waits.wait(10)
        git(repository, "push", "--quiet", str(own), "main:better")
    late.join(30)
    assert [one.commit for one in answers] == [newest]


def test_pushes_are_followed_where_no_other_repository_is_named(
    platform: Parts, parent: App, enable: Callable[..., None], repository: Path, served: GitServer
) -> None:
    own = repositories.prepared(platform.context.settings, parent.id)
    git(repository, "push", "--quiet", str(own), "main", "better")

    def followed() -> tuple[str, ...]:
        return review_policy.followed_branches(platform.context, parent)

    enable(source="")
    assert not followed(), "there are none"
    opened(platform, pull_request=7)
    assert not followed(), "a pull request is not of this repository alone"
    opened(platform)
    assert followed() == ("better",)
    enable(source=served.url("team/shop"))
    assert not followed()
    review_policy.disable_reviews(platform.context, DisableReviews(app="shop"), platform.act)
    assert followed() == ("better",), "those there are stay"
    hook = AddDeployHook(app="shop", provider="github", url=served.url("team/shop"))
    deploy_hooks.add_deploy_hook(platform.context, hook, platform.act)
    assert not followed()


def test_a_commit_of_the_parents_is_for_its_review_apps_alone(
    platform: Parts, parent: App, enable: Callable[..., None], repository: Path
) -> None:
    own = repositories.prepared(platform.context.settings, parent.id)
    git(repository, "push", "--quiet", str(own), "main", "better")
    other = platform.app("other", "0c0c0c0c", web=1)
    source = SourceRef(commit=git(repository, "rev-parse", "better"))
    with pytest.raises(NotFound, match="nothing was ever pushed"):
        deploy_app(platform.context, DeployApp(app=other.name, source=source, create=False), platform.act)


# --- who may ------------------------------------------------------------------------------------------------------


def test_opening_takes_the_role_deployer_on_the_parent_alone(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    door = Door.of(platform.context)
    request = OpenReview(app="shop", branch="better")
    viewer = Actor(name="vic", user_id="0vic", access=Access(platform="viewer", apps={"a1b2c3d4": "viewer"}))
    with pytest.raises(Denied):
        door.run(request, viewer, platform.events.append)
    bob = Actor(name="bob", user_id="0bob", access=Access(platform="viewer", apps={"a1b2c3d4": "deployer"}))
    door.run(request, bob, platform.events.append)
    made = platform.store.app("shop-better")
    assert platform.store.grants(app_id=made.id) == (), "it is its parent's"
    noted = [(one.request, one.actor, one.app) for one in platform.store.records()]
    assert ("OpenReview", "bob", "shop") in noted
    assert ("CreateApp", "bob", "shop-better") in noted


def test_a_token_for_the_parent_is_one_for_its_review_apps(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    token_id, text, digest = new_secret(PREFIX)
    token = Token(
        id=token_id, digest=digest, name="ci", kind="personal", created_by="x", created_at=1.0, role="deployer",
        apps=("a1b2c3d4",),
    )  # fmt: skip
    platform.store.add_token(token)
    logins = Logins(platform.context)
    platform.app("blog", "b1b2b3b4")
    assert logins.by_token(text).access.on_app("b1b2b3b4") == ""
    opened(platform)
    made = platform.store.app("shop-better")
    assert logins.by_token(text).access.on_app(made.id) == "deployer"
    assert logins.by_token(text).access.on_app("b1b2b3b4") == ""
    closed(platform)
    assert logins.by_token(text).access.on_app(made.id) == ""


# --- failures and kills -------------------------------------------------------------------------------------------


def test_a_deploy_that_fails_is_told_and_the_next_push_may_mend_it(
    platform: Parts, enable: Callable[..., None]
) -> None:
    enable()
    platform.builder.fails = ConfigError("no such package")
    with pytest.raises(ConfigError):
        opened(platform)
    (shown,) = there(platform)
    assert (shown.status, shown.failure, shown.release) == ("failed", "no such package", 0)
    assert told(platform) == ["review.failed"]
    platform.builder.fails = None
    assert opened(platform).status == "open"
    assert told(platform) == ["review.failed", "review.opened"]
    assert len(platform.store.apps()) == 2


class Killed(BaseException):
    """The server is gone: nothing after this happens."""


class Life:
    """Of a server that ends at one call of one of its parts, before it or right after it."""

    def __init__(self, part: str, name: str, *, after: bool) -> None:
        self.part, self.name, self.after, self.over = part, name, after, False

    def wrapped(self, platform: Parts) -> Context:
        """The platform with parts that do nothing more once it is over: no clearing up either."""
        parts = {name: Mortal(getattr(platform.context, name), name, self) for name in ("store", "engine", "builder")}
        return replace(platform.context, locks=Locks(platform.clock), **parts)  # type: ignore[arg-type]


class Mortal:
    """A part of such a server."""

    def __init__(self, real: object, part: str, life: Life) -> None:
        self.real, self.part, self.life = real, part, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.real, name)
        return partial(self.call, name, found) if callable(found) else found

    def call(self, name: str, found: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        life = self.life
        now = (life.part, life.name) == (self.part, name) and not life.over
        if life.over or (now and not life.after):
            life.over = True
            raise Killed
        answer = found(*args, **kwargs)
        if now:
            life.over = True
            raise Killed
        return answer


OPENING = [
    ("store", "put_review"), ("store", "add_app"), ("store", "put_place"), ("store", "add_release"),
    ("store", "add_addon"), ("store", "attach"), ("engine", "exec"), ("builder", "build"),
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "name"), OPENING)
def test_opening_that_was_cut_short_anywhere_is_finished_by_opening_again(
    platform: Parts, enable: Callable[..., None], part: str, name: str, *, after: bool
) -> None:
    prepare(platform)
    enable(inherit=("PUBLIC",), seed="latest")
    dying = Life(part, name, after=after).wrapped(platform)
    with pytest.raises(Killed):
        reviews.open_review(dying, OpenReview(app="shop", branch="better"), platform.act)
    assert opened(platform).status == "open"
    assert [one.name for one in platform.store.apps()] == ["shop", "shop-better"]
    app = platform.store.app("shop-better")
    mine = [one for one in platform.store.addons() if one.owner_app == app.id]
    assert len(mine) == 1
    assert set(config(platform, "shop-better")) == {"PUBLIC", "DATABASE_URL"}
    assert platform.store.reviews()[0].seeded
    closed(platform)
    assert [one.name for one in platform.store.addons()] == ["shop-postgres"]


CLOSING = [
    ("store", "put_review"), ("store", "want"), ("engine", "forget"), ("store", "detach"), ("engine", "remove_volume"),
    ("store", "delete_addon"), ("store", "delete_app"), ("store", "delete_review"),
]  # fmt: skip


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "name"), CLOSING)
def test_closing_that_was_cut_short_anywhere_is_finished_by_the_platform(
    platform: Parts, enable: Callable[..., None], part: str, name: str, *, after: bool
) -> None:
    prepare(platform)
    enable()
    opened(platform)
    dying = Life(part, name, after=after).wrapped(platform)
    with pytest.raises(Killed):
        reviews.close_review(dying, CloseReview(app="shop", review="shop-better"), platform.act)
    if (part, name, after) == ("store", "put_review", False):
        closed(platform)  # it had not even begun
    looked(ReviewWatch(platform.context))
    assert platform.store.reviews() == ()
    assert [one.name for one in platform.store.apps()] == ["shop"]
    assert [one.name for one in platform.store.addons()] == ["shop-postgres"]


def prepare(platform: Parts) -> None:
    platform.store.put_place(Place(app_id="a1b2c3d4", pipeline="way", stage=Stage.STAGING))
    change_config(platform.context, ChangeConfig(app="shop", set={"PUBLIC": "yes"}), platform.act)
    backups.backup_addon(platform.context, BackupAddon(addon=database(platform)), platform.act)


def test_one_that_was_being_closed_is_opened_as_another_app(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    opened(platform)
    before = platform.store.reviews()[0]
    platform.store.put_review(replace(before, status=ReviewStatus.CLOSING))
    opened(platform)
    assert platform.store.reviews()[0].app_id != before.app_id
    assert platform.store.app("shop-better").wanted == 1


# --- its time -----------------------------------------------------------------------------------------------------


@pytest.fixture
def watch(platform: Parts) -> Callable[[], None]:
    """One look, and the end of what it began."""
    return partial(looked, ReviewWatch(platform.context))


def looked(watch: ReviewWatch) -> None:
    watch()
    for thread in threading.enumerate():
        if thread.name.startswith("review-"):
            thread.join(30)
            assert not thread.is_alive()


def test_its_end_is_announced_and_then_comes(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    enable(ttl=5 * DAY)
    opened(platform)
    watch()
    assert told(platform) == ["review.opened"]
    platform.clock.sleep(4 * DAY + 10)
    watch()
    watch()
    assert told(platform)[1:] == ["review.expires"]
    platform.clock.sleep(DAY)
    watch()
    assert told(platform)[2:] == ["review.expired", "review.closed"]
    assert [one.name for one in platform.store.apps()] == ["shop"]
    assert ("CloseReview", "server") in [(one.request, one.actor) for one in platform.store.records()]


def test_extended_it_lives_on_and_is_announced_again(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    enable(ttl=2 * DAY)
    opened(platform)
    platform.clock.sleep(2 * DAY - 60)
    watch()
    request = ExtendReview(app="shop", review="shop-better", seconds=5 * DAY)
    until = reviews.extend_review(platform.context, request, platform.act).expires_at
    assert until == platform.clock.now() + 5 * DAY
    platform.clock.sleep(3600)
    watch()
    assert (told(platform).count("review.expires"), len(there(platform))) == (1, 1)
    platform.clock.sleep(5 * DAY - 7200)
    watch()
    assert told(platform).count("review.expires") == 2
    opened(platform)
    assert there(platform)[0].expires_at > until, "a deploy never shortens it"


def test_one_without_its_parent_goes(platform: Parts, enable: Callable[..., None], watch: Callable[[], None]) -> None:
    enable()
    opened(platform)
    apps.destroy_app(platform.context, DestroyApp(app="shop", confirm="shop"), platform.act)
    watch()
    assert (platform.store.apps(), platform.store.reviews()) == ((), ())


def test_one_that_somebody_destroyed_is_forgotten(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    enable()
    opened(platform)
    apps.destroy_app(platform.context, DestroyApp(app="shop-better", confirm="shop-better"), platform.act)
    watch()
    assert there(platform) == ()


def test_one_that_cannot_be_closed_is_told_once_and_keeps_no_other(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    database(platform)
    enable(ttl=DAY)
    opened(platform)
    opened(platform, "feature/login")
    platform.app("blog", "b1b2b3b4")
    addons.attach_addon(platform.context, AttachAddon(addon="shop-better-postgres", app="blog"), platform.act)
    platform.clock.sleep(2 * DAY)
    for _ in range(3):
        watch()
    assert [one.name for one in platform.store.reviews()] == ["shop-better"]
    assert told(platform).count("review.failed") == 1
    platform.clock.sleep(3600)
    watch()
    assert told(platform).count("review.failed") == 1
    addons.detach_addon(platform.context, addons.DetachAddon(addon="shop-better-postgres", app="blog"), platform.act)
    platform.clock.sleep(3600)
    watch()
    assert platform.store.reviews() == ()


def test_one_whose_end_takes_long_keeps_no_other_waiting(platform: Parts, enable: Callable[..., None]) -> None:
    enable(ttl=DAY)
    opened(platform)
    opened(platform, "feature/login")
    slow = platform.store.app("shop-better")
    platform.clock.sleep(2 * DAY)
    watch = ReviewWatch(platform.context)
    with platform.context.locks.hold(slow.id, "a script of it that takes long", silent):
        for _ in range(3):
            watch()
        eventually(lambda: [one.name for one in there(platform)] == ["shop-better"])
    eventually(lambda: there(platform) == ())
    assert told(platform).count("review.closed") == 2


def eventually(done: Callable[[], bool]) -> None:
    """Reviews are closed in threads of their own."""
    for _ in range(2000):
        if done():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it did not happen")


def test_one_that_is_being_worked_on_is_left_alone(
    platform: Parts, enable: Callable[..., None], watch: Callable[[], None]
) -> None:
    enable(ttl=DAY)
    opened(platform)
    platform.clock.sleep(2 * DAY)
    platform.builder.while_building = watch
    commit_now = reviews.open_review(platform.context, OpenReview(app="shop", branch="better"), platform.act)
    assert commit_now.status == "open"


def test_it_is_shown_and_found_by_name(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    opened(platform, "feature/login")
    name = there(platform)[0].name
    shown = reviews.show_review(platform.context, ShowReview(app="shop", review=name), platform.act)
    assert (shown.branch, shown.parent, shown.opened_by) == ("feature/login", "shop", "ann")
    with pytest.raises(NotFound, match="no review app 'shop'"):
        reviews.show_review(platform.context, ShowReview(app="shop", review="shop"), platform.act)


def test_what_happened_is_an_event_of_the_parent(platform: Parts, enable: Callable[..., None]) -> None:
    enable()
    opened(platform, "better", pull_request=7)
    found = [event for _, event in platform.store.events("a1b2c3d4") if event.kind == "review.opened"]
    assert found[0].app == "shop"
    assert found[0].data["pull_request"] == 7
    assert "http://shop-pr-7.localhost" in found[0].message
    assert isinstance(found[0], Event)
    closed(platform, "shop-pr-7")


def test_its_first_release_is_one_of_config(platform: Parts, enable: Callable[..., None]) -> None:
    enable(config={"A": "1"})
    opened(platform)
    app = platform.store.app("shop-better")
    kinds = [release.kind for release in platform.store.releases(app.id)]
    assert kinds == [ReleaseKind.DEPLOY, ReleaseKind.CONFIG]
    assert isinstance(platform.store.review(app.id), Review)
    assert isinstance(platform.act, Act)
