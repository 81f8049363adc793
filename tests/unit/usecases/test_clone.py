"""A clone runs what the original runs, with config, formation and addons of its own; it is whole, or not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from paas.errors import ConfigError, Conflict, Denied, DeployFailed, NotFound, PaasError
from paas.model.app import App, ReleaseKind, ReleaseStatus
from paas.model.autoscaling import Override
from paas.model.cron import CronJob
from paas.model.events import Event
from paas.model.people import Access, Actor, Grant, Membership, Team, User
from paas.model.runs import CronMark
from paas.model.scripts import Scripts, Setup
from paas.model.service import Limits
from paas.model.sleep import Sleep
from paas.requests.addons import AttachAddon, CreateAddon
from paas.requests.apps import CloneApp, DestroyApp
from paas.requests.config import ChangeConfig, ChangeDomains
from paas.usecases.addons import attach_addon, create_addon
from paas.usecases.apps import destroy_app, new_app
from paas.usecases.clone import Cloned, ClonesLeft, clone_app
from paas.usecases.config import change_config
from paas.usecases.context import Act
from paas.usecases.domains import change_domains
from paas.usecases.switch import ENDED, command_progress
from tests.unit.usecases.parts import BAD, GOOD, Parts

MEMORY = 123_000_000


@pytest.fixture
def shop(platform: Parts) -> App:
    """An app with everything that a clone could take along."""
    app = platform.app("shop", "0a0a0a0a", web=2, worker=1)
    platform.release(app, GOOD, "web", "worker", "release")
    store, context = platform.store, platform.context
    base = store.release(app.id, 1)
    limited = tuple(replace(one, limits=Limits(memory=MEMORY)) for one in base.processes)
    job = CronJob(name="bills", schedule="0 * * * *", command="bill")
    made = store.add_release(
        replace(base, processes=limited, cron=(job,), scripts={"": Scripts(postdeploy="seed")}, drain=7.0)
    )
    store.save_release(replace(made, status=ReleaseStatus.SUCCEEDED))
    change_config(context, ChangeConfig(app="shop", set={"KEY": "hunter2"}), platform.act)
    change_domains(context, ChangeDomains(app="shop", add=("www.example.com",)), platform.act)
    create_addon(context, CreateAddon(kind="postgres", app="shop"), platform.act)
    store.put_override(Override(app_id=app.id, process="web", at=1.0, actor="ann", rules=None, paused=True))
    store.put_sleep(Sleep(app_id=app.id, after=600.0, asleep=False, port=40_000))
    store.put_setup(Setup(app_id=app.id, environment="staging", done=1))
    platform.events.clear()
    return store.app(app.id)


def clone(platform: Parts, name: str = "copy", act: Act | None = None, **more: object) -> Cloned:
    request = CloneApp(app="shop", name=name, **more)  # type: ignore[arg-type]
    return clone_app(platform.context, request, act or platform.act)


def names(platform: Parts) -> list[str]:
    return [app.name for app in platform.store.apps()]


def nothing_left(platform: Parts) -> None:
    """Only the original and its own are there."""
    assert names(platform) == ["shop"]
    assert [addon.name for addon in platform.store.addons()] == ["shop-postgres"]
    assert {service.key.app_id for service in platform.engine.observe()} <= {
        "0a0a0a0a", platform.store.addon("shop-postgres").id,
    }  # fmt: skip
    assert [ref for ref in platform.builder.named if ref.startswith("paas/") and "0a0a0a0a:" not in ref] == [
        ref for ref in platform.builder.named if "/addon-" in ref
    ]
    assert len([ref for ref in platform.builder.named if "/addon-" in ref]) == 1


def test_what_runs_runs_again_with_config_formation_and_limits_and_without_a_build(platform: Parts, shop: App) -> None:
    answer = clone(platform)
    copy = platform.store.app("copy")
    release = platform.store.release(copy.id, copy.wanted)
    original = platform.store.release(shop.id, shop.wanted)
    assert (release.kind, release.status, release.image) == (ReleaseKind.CLONE, ReleaseStatus.SUCCEEDED, GOOD)
    assert release.config["KEY"].reveal() == "hunter2"
    assert release.processes == original.processes
    assert (release.drain, release.port, release.source) == (7.0, original.port, original.source)
    assert dict(answer.processes) == {"web": 2, "worker": 1}
    assert platform.running(copy) == {f"web v{copy.wanted}": 2, f"worker v{copy.wanted}": 1}
    assert platform.builder.builds == []
    assert command_progress(platform.context, release) == ENDED
    assert "hunter2" not in str(platform.events)


def test_the_clone_has_its_default_host_alone(platform: Parts, shop: App) -> None:
    answer = clone(platform)
    assert answer.url == "http://copy.localhost"
    assert platform.store.release(platform.store.app("copy").id, answer.release).domains == ()
    assert platform.store.domain_owner("www.example.com") == platform.store.app("shop")


def test_addons_are_its_own_of_the_same_kind_under_the_same_aliases(platform: Parts, shop: App) -> None:
    attach_addon(platform.context, AttachAddon(addon="shop-postgres", app="shop", alias="READONLY"), platform.act)
    answer = clone(platform)
    own, theirs = platform.store.addon("copy-postgres"), platform.store.addon("shop-postgres")
    assert answer.addons == ("copy-postgres",)
    assert (own.kind, own.version, own.owner_app) == (theirs.kind, theirs.version, platform.store.app("copy").id)
    config = platform.store.release(own.owner_app, answer.release).config
    assert {"DATABASE_URL", "READONLY_URL"} <= config.keys()
    assert all("copy-postgres" in config[key].reveal() for key in ("DATABASE_URL", "READONLY_URL"))
    assert own.secrets["password"] != theirs.secrets["password"]


def test_rules_sleep_and_environment_come_along_and_jobs_are_paused_from_the_start(platform: Parts, shop: App) -> None:
    answer = clone(platform)
    copy = platform.store.app("copy")
    assert [(one.process, one.paused) for one in platform.store.overrides(copy.id)] == [("web", True)]
    assert platform.store.sleep(copy.id) == Sleep(app_id=copy.id, after=600.0, since=platform.clock.now())
    assert platform.store.setup(copy.id).environment == "staging"
    assert answer.paused == ("bills",)
    (mark,) = platform.store.marks(copy.id)
    assert isinstance(mark, CronMark)
    assert (mark.job, mark.paused_by) == ("bills", "ann")


def test_members_are_those_who_clone_and_the_team_they_name(platform: Parts, shop: App) -> None:
    store = platform.store
    store.add_user(User(id="0zoe", name="zoe", created_at=1.0))
    store.put_grant(Grant(app_id=shop.id, role="owner", user_id="0zoe"))
    store.add_user(User(id="0bob", name="bob", created_at=1.0))
    store.add_team(Team(id="0web", name="web", created_at=1.0))
    store.put_membership(Membership(team_id="0web", user_id="0bob", role="viewer"))
    access = Access(platform="deployer", apps={shop.id: "operator"}, teams={"0web": "viewer"})
    who = Actor(name="bob", user_id="0bob", access=access)
    clone(platform, act=Act("bob", platform.events.append, "", who), team="web")
    grants = {(one.user_id or one.team_id, one.role) for one in store.grants(app_id=store.app("copy").id)}
    assert grants == {("0bob", "owner"), ("0web", "deployer")}
    made = [one for one in store.records(limit=100) if one.request == "CreateApp"]
    assert [(one.app, one.facts["source"]) for one in made] == [("copy", "shop")]


def test_without_data_postdeploy_fills_the_new_database_and_with_the_rule_of_a_first_deploy(
    platform: Parts, shop: App
) -> None:
    platform.engine.codes["postdeploy"] = 3
    answer = clone(platform)
    assert answer.postdeploy is not None
    assert answer.postdeploy.exit_code == 3
    assert "copy" in names(platform)
    assert platform.store.setup(platform.store.app("copy").id).done == 0


def test_both_apps_tell_what_happened_and_the_original_does_not_name_the_clone(platform: Parts, shop: App) -> None:
    clone(platform)
    told = {
        app: [event.message for _, event in platform.store.events(platform.store.app(app).id) if "." in event.kind]
        for app in ("shop", "copy")
    }
    assert told["shop"] == [f"v{shop.wanted} was cloned by ann"]
    assert f"is a clone of shop v{shop.wanted}" in told["copy"]


def test_the_clone_outlives_the_original(platform: Parts, shop: App) -> None:
    clone(platform)
    destroy_app(platform.context, DestroyApp(app="shop", confirm="shop", addons=False), platform.act)
    assert platform.serving(platform.store.app("copy")) == {GOOD}
    assert platform.builder.find(GOOD) is not None


# --- refused --------------------------------------------------------------------------------------------------------


def test_a_name_that_is_taken_is_a_conflict_that_says_what_to_do(platform: Parts, shop: App) -> None:
    platform.app("copy", "0c0c0c0c")
    with pytest.raises(Conflict, match="there is an app 'copy' already") as caught:
        clone(platform)
    assert "paas destroy copy" in caught.value.hint
    with pytest.raises(Conflict, match="already"):
        clone(platform, "shop")
    assert platform.store.app("copy").wanted == 0
    assert len(platform.store.addons()) == 1


@pytest.mark.parametrize("name", ["", "No", "x" * 64, "a b", "-x"])
def test_a_name_that_cannot_be_is_refused(platform: Parts, shop: App, name: str) -> None:
    with pytest.raises(PaasError):
        clone(platform, name)
    nothing_left(platform)


def test_what_does_not_run_cannot_be_cloned(platform: Parts) -> None:
    with pytest.raises(NotFound):
        clone(platform)
    app = platform.app()
    with pytest.raises(Conflict, match="nothing runs in shop"):
        clone(platform)
    platform.release(app)
    platform.builder.named.clear()
    with pytest.raises(Conflict, match="the image of shop v1 is gone"):
        clone(platform)
    assert names(platform) == ["shop"]


def test_a_release_on_its_way_is_not_what_is_cloned(platform: Parts) -> None:
    app = platform.app(web=1)
    platform.release(app)
    platform.builder.add("paas/a1b2c3d4:bad", BAD, app.id)
    platform.store.add_release(replace(platform.store.release(app.id, 1), image=BAD, status=ReleaseStatus.PENDING))
    assert clone(platform).source_release == 1
    assert platform.serving(platform.store.app("copy")) == {GOOD}


def test_data_of_an_addon_that_another_app_owns_takes_a_role_there(platform: Parts, shop: App) -> None:
    other = platform.app("other", "0c0c0c0c")
    create_addon(platform.context, CreateAddon(kind="postgres", name="theirs", app="other"), platform.act)
    attach_addon(platform.context, AttachAddon(addon="theirs", app="shop", alias="THEIRS"), platform.act)
    who = Actor(name="bob", access=Access(platform="deployer", apps={shop.id: "operator", other.id: "deployer"}))
    with pytest.raises(Denied, match="theirs is another app's"):
        clone(platform, act=Act("bob", platform.events.append, "", who), with_data=True)
    assert "copy" not in names(platform)


# --- what goes wrong on the way -------------------------------------------------------------------------------------


def test_replicas_that_never_get_well_leave_nothing(platform: Parts, shop: App) -> None:
    platform.engine.codes["release"] = 1
    with pytest.raises(PaasError, match="release command exited"):
        clone(platform)
    nothing_left(platform)


def test_an_image_that_exits_leaves_nothing(platform: Parts, shop: App) -> None:
    bad = platform.store.add_release(replace(platform.store.release(shop.id, shop.wanted), image=BAD, domains=()))
    platform.store.save_release(replace(bad, status=ReleaseStatus.SUCCEEDED))
    platform.builder.add("paas/0a0a0a0a:bad", BAD, shop.id)
    with pytest.raises(DeployFailed):
        clone(platform)
    platform.builder.remove("paas/0a0a0a0a:bad")
    nothing_left(platform)


def test_data_that_cannot_be_copied_leaves_nothing_and_no_dump(platform: Parts, shop: App) -> None:
    with pytest.raises(ConfigError, match="no postgres dump"):  # the engine in memory dumps nothing
        clone(platform, with_data=True)
    nothing_left(platform)
    assert list((platform.context.settings.home / "work").iterdir()) == []


def half(platform: Parts, source: str = "0a0a0a0a") -> App:
    """What a killed server may leave: an app with an addon, and a name of the image."""
    app = platform.app("copy", "0c0c0c0c")
    platform.store.put_setup(Setup(app_id=app.id, cloning=source))
    platform.builder.tag(GOOD, f"paas/{app.id}:good")
    create_addon(platform.context, CreateAddon(kind="postgres", app="copy"), platform.act)
    return platform.store.app(app.id)


def test_the_same_clone_again_replaces_what_was_left_half_made(platform: Parts, shop: App) -> None:
    left = half(platform)
    answer = clone(platform)
    assert platform.store.app("copy").id != left.id
    assert platform.serving(platform.store.app("copy")) == {GOOD}
    assert answer.addons == ("copy-postgres",)
    assert f"paas/{left.id}:good" not in platform.builder.named


def test_a_clone_of_another_app_does_not(platform: Parts, shop: App) -> None:
    left = half(platform, "0d0d0d0d")
    with pytest.raises(Conflict, match="already"):
        clone(platform)
    assert platform.store.app("copy") == left


def test_what_a_killed_server_left_is_taken_away_by_itself(platform: Parts, shop: App) -> None:
    half(platform)
    ClonesLeft(platform.context, platform.events.append)()
    nothing_left(platform)


def test_a_clone_is_a_half_made_one_from_its_first_moment(platform: Parts, shop: App) -> None:
    made = new_app(platform.context, "copy", source=shop)
    assert [(one.app_id, one.cloning) for one in platform.store.half_clones()] == [(made.id, shop.id)]
    ClonesLeft(platform.context, platform.events.append)()
    nothing_left(platform)


@pytest.mark.parametrize("named", ["0c0c0c0c", "copy"])
def test_one_that_is_being_made_is_left_alone(platform: Parts, shop: App, named: str) -> None:
    left = half(platform)
    with platform.context.locks.hold(f"clone {named}", "ann: clone shop", platform.events.append):
        ClonesLeft(platform.context, platform.events.append)()
    assert platform.store.app("copy") == left


def test_one_whose_release_recovery_finished_is_whole(platform: Parts, shop: App) -> None:
    clone(platform)
    copy = platform.store.app("copy")
    platform.store.put_setup(replace(platform.store.setup(copy.id), cloning=shop.id))
    ClonesLeft(platform.context, platform.events.append)()
    assert platform.store.app("copy") == copy
    assert platform.store.half_clones() == ()


def test_an_engine_that_is_away_leaves_it_for_later(platform: Parts, shop: App) -> None:
    half(platform)
    platform.engine.down = True
    ClonesLeft(platform.context, platform.events.append)()
    assert "could not be taken away yet" in platform.said("warning")[0]
    platform.engine.down = False
    ClonesLeft(platform.context, platform.events.append)()
    nothing_left(platform)


def test_somebody_who_takes_the_clone_away_meanwhile_leaves_nothing_either(platform: Parts, shop: App) -> None:
    def destroying(event: Event) -> None:
        platform.events.append(event)
        if event.kind == "done" and "start postgres" in event.message:
            destroy_app(platform.context, DestroyApp(app="copy", confirm="copy"), platform.act)

    with pytest.raises(PaasError):
        clone(platform, act=Act("ann", destroying))
    nothing_left(platform)
