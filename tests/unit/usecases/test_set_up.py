"""An app out of a git repository in one go, and again after what went wrong; the repositories are real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from paas.errors import BuildFailed, ConfigError, Conflict, Denied, EngineUnavailable, NotFound, PaasError, UsageError
from paas.model.people import Access, Actor, Grant, Team
from paas.requests.apps import CreateApp
from paas.requests.config import ChangeConfig, ShowConfig
from paas.requests.deploys import PlanApp, SetUpApp, SourceRef
from paas.usecases.apps import create_app
from paas.usecases.audit import audited
from paas.usecases.config import change_config, show_config
from paas.usecases.context import Act
from paas.usecases.deploy import Deployed, plan_app
from paas.usecases.scripts import ScriptRun
from paas.usecases.set_up import set_up_app
from tests.git_server import git_server
from tests.unit.sources.test_clone import git
from tests.unit.usecases.parts import Parts, failing_build, parts
from tests.unit.usecases.test_deploy import APP, deploy

NEEDS = {
    "env": {
        "SECRET_KEY": {"generator": "secret"},
        "MODE": {"value": "live"},
        "MAIL_URL": {"description": "where mail goes"},
        "TRACE": {"required": False},
    },
    "addons": ["heroku-postgresql:mini"],
    "formation": {"worker": {"quantity": 2}},
    "scripts": {"postdeploy": "seed"},
    "environments": {"review": {"addons": [], "env": {"MODE": "review", "MAIL_URL": {"required": False}}}},
}


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    return parts(tmp_path / "home", egress_allow="127.0.0.0/8")


class Repository:
    """One that is served by HTTP."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url

    def commit(self, files: Mapping[str, str]) -> None:
        """These files, over those there are."""
        for name, text in files.items():
            (self.folder / name).write_text(text)
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", "Change")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    folder = tmp_path / "served" / "team" / "shop"
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    with git_server(tmp_path / "served") as server:
        made = Repository(folder, server.url("team/shop"))
        made.commit({**APP, "app.json": json.dumps(NEEDS)})
        yield made


def set_up(platform: Parts, repository: Repository, act: Act | None = None, **more: object) -> Deployed:
    fields = {"app": "shop", "url": repository.url, "env": {"MAIL_URL": "smtp://hunter2@mail"}, **more}
    return set_up_app(platform.context, SetUpApp(**fields), act or platform.act)  # type: ignore[arg-type]


def config(platform: Parts) -> Mapping[str, str]:
    return show_config(platform.context, ShowConfig(app="shop"), platform.act).config


def names(platform: Parts) -> list[str]:
    return [app.name for app in platform.store.apps()]


def test_one_request_makes_the_app_what_it_requires_and_deploys_it(platform: Parts, repository: Repository) -> None:
    answer = set_up(platform, repository)
    found = config(platform)
    assert (answer.app, answer.created, answer.url) == ("shop", True, "http://shop.localhost")
    assert dict(answer.processes) == {"web": 1, "worker": 2}
    assert (found["MODE"], found["MAIL_URL"]) == ("live", "smtp://hunter2@mail")
    assert len(found["SECRET_KEY"]) > 20
    assert answer.generated == ("MODE", "SECRET_KEY")[1:]
    assert "shop-postgres" in found["DATABASE_URL"]
    assert "TRACE" not in found
    assert answer.postdeploy == ScriptRun(script="postdeploy", exit_code=0)
    assert "hunter2" not in str(platform.events)


def test_an_environment_that_is_named_counts_from_the_first_deploy(platform: Parts, repository: Repository) -> None:
    set_up(platform, repository, environment="review", env={})
    assert config(platform)["MODE"] == "review"
    assert platform.store.addons() == ()
    assert platform.store.setup(platform.store.app("shop").id).environment == "review"
    set_up(platform, repository, app="other", environment="nowhere")
    assert "no file names the environment nowhere" in platform.said("warning")[0]


def test_a_revision_is_what_follows_the_number_sign(platform: Parts, repository: Repository) -> None:
    git(repository.folder, "checkout", "--quiet", "-b", "next")
    repository.commit({"app.json": "{}"})
    git(repository.folder, "checkout", "--quiet", "main")
    assert dict(set_up(platform, repository, url=f"{repository.url}#next").processes) == {"web": 1, "worker": 0}


def test_what_is_required_and_not_given_is_listed_before_anything_is_made(
    platform: Parts, repository: Repository
) -> None:
    with pytest.raises(ConfigError, match="shop needs config that is not given: MAIL_URL") as caught:
        set_up(platform, repository, env={})
    assert "--env MAIL_URL=…" in caught.value.hint
    assert caught.value.details == ("MAIL_URL: where mail goes",)
    assert names(platform) == []


def test_a_plan_of_an_environment_says_what_is_missing_in_it(platform: Parts, repository: Repository) -> None:
    def missing(environment: str) -> tuple[str, ...]:
        source = SourceRef(git=repository.url, kind="git")
        request = PlanApp(app="shop", source=source, environment=environment)
        return plan_app(platform.context, request, platform.act).missing

    assert (missing(""), missing("review")) == (("MAIL_URL",), ())


# --- given again ----------------------------------------------------------------------------------------------------


def test_given_again_it_changes_nothing(platform: Parts, repository: Repository) -> None:
    first = set_up(platform, repository)
    before = dict(config(platform))
    again = set_up(platform, repository)
    assert (again.unchanged, again.created, again.release) == (True, False, first.release)
    assert config(platform) == before
    assert len(platform.store.addons()) == 1


def test_a_failure_says_what_is_there_and_the_same_request_goes_on(platform: Parts, repository: Repository) -> None:
    platform.builder.fails = failing_build()
    with pytest.raises(BuildFailed) as caught:
        set_up(platform, repository)
    assert caught.value.details[-1] == "there is by now: app shop, config MAIL_URL"
    assert "give the same command again" in caught.value.hint
    assert "hunter2" not in str(caught.value.as_dict())
    platform.builder.fails = None
    platform.engine.codes["release"] = 1
    repository.commit({"Procfile": "web: python app.py\nworker: python w.py\nrelease: migrate\n"})
    with pytest.raises(PaasError, match="release command") as later:
        set_up(platform, repository)
    assert later.value.details[-1] == "there is by now: app shop, addon shop-postgres, config MAIL_URL"
    platform.engine.codes.clear()
    done = set_up(platform, repository)
    assert done.postdeploy is not None
    assert platform.serving(platform.store.app("shop")) == {done.image}
    assert len(platform.store.addons()) == 1


def test_a_secret_that_was_generated_stays_when_it_is_given_again(platform: Parts, repository: Repository) -> None:
    set_up(platform, repository)
    before = config(platform)["SECRET_KEY"]
    repository.commit({"app.py": "print(2)\n"})
    set_up(platform, repository)
    assert config(platform)["SECRET_KEY"] == before


def test_an_empty_app_of_that_name_is_filled(platform: Parts, repository: Repository) -> None:
    create_app(platform.context, CreateApp(name="shop"), platform.act)
    change_config(platform.context, ChangeConfig(app="shop", set={"MAIL_URL": "mine"}), platform.act)
    assert not set_up(platform, repository, env={}).created
    assert config(platform)["MAIL_URL"] == "mine"


# --- refused --------------------------------------------------------------------------------------------------------


def test_an_app_that_was_deployed_from_elsewhere_is_left_alone(platform: Parts, repository: Repository) -> None:
    image = deploy(platform).image
    with pytest.raises(Conflict, match="there is an app 'shop' already, deployed from") as caught:
        set_up(platform, repository)
    assert "create --from URL NAME" in caught.value.hint
    assert platform.serving(platform.store.app("shop")) == {image}
    assert "MAIL_URL" not in config(platform)


@pytest.mark.parametrize(
    "url",
    ["file:///etc", "/etc", "ext::sh -c id", "--upload-pack=id", "https://host/app.git#--x", "ftp://host/a", "", "x"],
)
def test_what_is_no_address_of_a_repository_makes_nothing(platform: Parts, url: str) -> None:
    with pytest.raises(UsageError):
        set_up_app(platform.context, SetUpApp(app="shop", url=url), platform.act)
    assert names(platform) == []


def test_a_host_that_may_not_be_reached_makes_nothing(tmp_path: Path, repository: Repository) -> None:
    strict = parts(tmp_path / "strict")
    with pytest.raises(Denied):
        set_up(strict, repository)
    assert names(strict) == []


def test_a_repository_or_branch_that_is_not_there_makes_nothing(platform: Parts, repository: Repository) -> None:
    for url in (f"{repository.url}-not", f"{repository.url}#no-such-branch"):
        with pytest.raises(NotFound):
            set_up(platform, repository, url=url)
    assert names(platform) == []


@pytest.mark.parametrize(
    "more",
    [{"environment": "No"}, {"environment": "a b"}, {"env": {"PORT": "1"}}, {"env": {"A": "\0"}}, {"app": "No!"}],
)
def test_what_was_typed_wrong_makes_nothing(platform: Parts, repository: Repository, more: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        set_up(platform, repository, **more)
    assert names(platform) == []


def test_an_engine_that_is_away_leaves_no_empty_app(platform: Parts, repository: Repository) -> None:
    platform.engine.down = True
    with pytest.raises(EngineUnavailable):
        set_up(platform, repository)
    assert names(platform) == []


def test_who_may_only_deploy_does_not_change_team_or_environment_of_what_is_there(
    platform: Parts, repository: Repository
) -> None:
    create_app(platform.context, CreateApp(name="shop"), platform.act)
    app = platform.store.app("shop")
    platform.store.add_team(Team(id="0web", name="web", created_at=1.0))
    access = Access(platform="deployer", apps={app.id: "deployer"}, teams={"0web": "viewer"})
    act = Act("bob", platform.events.append, "", Actor(name="bob", user_id="0bob", access=access))
    for more in ({"team": "web"}, {"environment": "review"}):
        with pytest.raises(Denied):
            set_up(platform, repository, act, **more)
    assert platform.store.grants(app_id=app.id) == ()
    set_up(platform, repository, act)


def test_a_team_gets_its_role_on_what_is_new(platform: Parts, repository: Repository) -> None:
    platform.store.add_team(Team(id="0web", name="web", created_at=1.0))
    set_up(platform, repository, team="web")
    app = platform.store.app("shop")
    assert platform.store.grants(app_id=app.id) == (Grant(app_id=app.id, role="deployer", team_id="0web"),)
    platform.store.put_grant(Grant(app_id=app.id, role="operator", team_id="0web"))
    set_up(platform, repository, team="web")
    assert platform.store.grants(app_id=app.id)[0].role == "operator", "given again it takes nothing away"
    with pytest.raises(NotFound):
        set_up(platform, repository, app="other", team="nobody")


def test_the_audit_log_has_keys_and_neither_values_nor_the_address() -> None:
    request = SetUpApp(app="shop", url="https://me:hunter2@host/a.git", env={"KEY": "hunter2"})
    assert audited(request) == {"app": "shop", "env": ["KEY"]}
