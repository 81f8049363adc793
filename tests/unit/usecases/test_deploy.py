"""Source to a running release: what is built, what is refused before a build, and what a failure leaves."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

import pytest

from paas.engines.memory import Behaviour
from paas.errors import (
    BuildFailed,
    ConfigError,
    Conflict,
    DeployFailed,
    EngineUnavailable,
    NotFound,
    NothingDetected,
    PaasError,
    PlatformError,
    UsageError,
)
from paas.model.app import ReleaseStatus
from paas.requests.config import ChangeConfig, ChangeDomains
from paas.requests.deploys import DeployApp, PlanApp, SourceRef
from paas.requests.processes import Scale, SetLimits
from paas.usecases import uploads
from paas.usecases.config import change_config, show_config
from paas.usecases.deploy import Deployed, deploy_app, plan_app
from paas.usecases.domains import change_domains
from paas.usecases.processes import scale, set_limits
from tests.unit.usecases.parts import Parts, failing_build

APP = {"requirements.txt": "", "Procfile": "web: python app.py\nworker: python w.py\n", "app.py": "print(1)\n"}


def upload(platform: Parts, files: Mapping[str, str]) -> str:
    """The files as an upload, as the client sends them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    begun = uploads.begin(platform.context.settings)
    begun.write(packed.getvalue())
    return begun.finish()


def deploy(platform: Parts, files: Mapping[str, str] = APP, app: str = "shop", **more: object) -> Deployed:
    source = SourceRef(upload=upload(platform, files))
    return deploy_app(platform.context, DeployApp(app=app, source=source, **more), platform.act)  # type: ignore[arg-type]


def builds(platform: Parts) -> list[str]:
    return [ref for ref in platform.builder.builds if not ref.startswith("paas-base/")]


def toml(text: str) -> dict[str, str]:
    return {**APP, "paas.toml": text}


def test_a_first_deploy_creates_the_app_builds_and_serves_one_web(platform: Parts) -> None:
    answer = deploy(platform)
    assert (answer.app, answer.release, answer.created, answer.cached) == ("shop", 1, True, False)
    assert answer.url == "http://shop.localhost"
    assert dict(answer.processes) == {"web": 1, "worker": 0}
    app = platform.store.app("shop")
    assert platform.running(app) == {"web v1": 1}
    assert platform.serving(app) == {answer.image}
    assert builds(platform) == [platform.store.release(app.id, 1).image_ref]
    assert platform.builder.labels[builds(platform)[0]]["paas.app"] == app.id


def test_a_schedule_whose_one_time_is_over_is_warned_of_and_one_that_holds_is_not(platform: Parts) -> None:
    table = "[[processes.web.autoscale.schedule]]\nmin = 2\n"
    over = f"{table}at = '2020-01-01T08:00'\nlasts = '1h'\n"
    since = f"{table}at = '2020-01-02T08:00'\n"
    answer = deploy(platform, toml(over + since))
    words = "schedule 2020-01-01T08:00 UTC of web has ended: it never fires again"
    assert (answer.warnings, platform.said("warning")) == ((words,), [words])
    assert dict(answer.processes)["web"] == 1
    planned = plan_app(
        platform.context, PlanApp(app="shop", source=SourceRef(upload=upload(platform, toml(over)))), platform.act
    )
    assert planned.warnings == (words,)


def test_a_buildpack_that_was_asked_for_is_said_to_count_once_unless_the_source_says_it(platform: Parts) -> None:
    def deployed(files: Mapping[str, str], **more: object) -> str:
        deploy(platform, files, **more)
        return [event.message for event in platform.events if event.message.startswith("buildpack")][-1]

    assert deployed(APP) == "buildpack python"
    once = deployed({**APP, "new": ""}, buildpack="python")
    assert once == 'buildpack python, for this deploy alone: buildpack = "python" in paas.toml keeps it'
    assert deployed(toml('buildpack = "python"'), buildpack="python") == "buildpack python"


def test_a_maximum_beyond_the_addresses_of_an_app_is_warned_of_and_deployed(platform: Parts) -> None:
    deploy(platform, toml("[processes.web.autoscale]\nmax = 30\n"))
    assert platform.said("warning") == []
    assert deploy(platform, toml("[processes.web.autoscale]\nmax = 80\n")).release == 2
    (words,) = platform.said("warning")
    assert words.startswith("web will not reach its maximum of 80")
    assert "so 30 are the most it can have" in words


def test_first_rules_of_a_process_that_runs_nothing_are_said_to_wait(platform: Parts) -> None:
    both = '[processes.web]\ncommand = "serve"\n[processes.worker]\ncommand = "work"\n'
    deploy(platform, toml(both))
    deploy(platform, toml(f"{both}[processes.worker.autoscale]\nmax = 4\n"))
    words = "worker has rules now and runs nothing: they begin with paas scale worker=1"
    assert platform.said("warning") == [words]
    deploy(platform, toml(f"{both}[processes.worker.autoscale]\nmax = 5\n"))
    assert platform.said("warning") == [words]  # who left it at 0 knows


def test_nothing_of_a_deploy_is_left_in_the_home_folder(platform: Parts) -> None:
    deploy(platform)
    home = platform.context.settings.home
    assert [path for folder in ("uploads", "work") for path in (home / folder).iterdir()] == []


def test_the_same_source_again_is_unchanged_without_a_build_or_a_release(platform: Parts) -> None:
    deploy(platform)
    answer = deploy(platform)
    assert (answer.unchanged, answer.release) == (True, 1)
    assert len(builds(platform)) == 1


def test_a_known_content_id_needs_no_upload_and_another_one_asks_for_it(platform: Parts) -> None:
    deploy(platform)
    source = platform.store.release(platform.store.app("shop").id, 1).source
    assert source is not None

    def ask(content_id: str, **more: object) -> Deployed:
        request = DeployApp(app="shop", source=SourceRef(content_id=content_id), **more)  # type: ignore[arg-type]
        return deploy_app(platform.context, request, platform.act)

    assert ask(source.id).unchanged
    assert ask("0" * 64).upload
    assert ask(source.id, force=True).upload
    assert ask(source.id, buildpack="node").upload
    change_config(platform.context, ChangeConfig(app="shop", set={"A": "1"}), platform.act)
    assert ask(source.id).unchanged
    set_limits(platform.context, SetLimits(app="shop", memory="1G"), platform.act)
    assert ask(source.id).upload


def test_an_upload_whose_content_id_runs_already_is_not_even_unpacked(platform: Parts) -> None:
    deploy(platform)
    runs = platform.store.release(platform.store.app("shop").id, 1).source
    assert runs is not None
    begun = uploads.begin(platform.context.settings)
    begun.write(b"no tar at all")
    source = SourceRef(upload=begun.finish(), content_id=runs.id)
    answer = deploy_app(platform.context, DeployApp(app="shop", source=source), platform.act)
    assert (answer.unchanged, answer.upload, answer.release) == (True, False, 1)
    assert list((platform.context.settings.home / "uploads").iterdir()) == []


def test_an_upload_with_another_content_id_is_deployed(platform: Parts) -> None:
    deploy(platform)
    source = SourceRef(upload=upload(platform, {**APP, "more.txt": "1"}), content_id="0" * 64)
    assert deploy_app(platform.context, DeployApp(app="shop", source=source), platform.act).release == 2


def test_a_content_id_of_a_new_app_asks_for_the_upload_and_a_bad_name_is_refused_before(platform: Parts) -> None:
    source = SourceRef(content_id="0" * 64)
    assert deploy_app(platform.context, DeployApp(app="new", source=source), platform.act).upload
    assert platform.store.apps() == ()
    with pytest.raises(UsageError):
        deploy_app(platform.context, DeployApp(app="Not_a_name", source=source), platform.act)
    with pytest.raises(NotFound):
        deploy_app(platform.context, DeployApp(app="new", source=source, create=False), platform.act)


def test_force_makes_a_release_of_the_same_image_and_replaces_the_replicas(platform: Parts) -> None:
    deploy(platform)
    answer = deploy(platform, force=True)
    assert (answer.release, answer.cached, answer.unchanged) == (2, True, False)
    assert platform.running(platform.store.app("shop")) == {"web v2": 1}


def test_going_back_to_an_earlier_source_uses_its_image(platform: Parts) -> None:
    deploy(platform)
    deploy(platform, {**APP, "app.py": "print(2)\n"})
    answer = deploy(platform)
    assert (answer.release, answer.cached) == (3, True)
    assert len(builds(platform)) == 2


def test_a_build_that_fails_changes_nothing(platform: Parts) -> None:
    deploy(platform)
    platform.builder.fails = failing_build()
    with pytest.raises(BuildFailed):
        deploy(platform, {**APP, "app.py": "other"})
    app = platform.store.app("shop")
    assert len(platform.store.releases(app.id)) == 1
    assert platform.running(app) == {"web v1": 1}


def test_a_deploy_that_fails_leaves_no_image_behind(platform: Parts) -> None:
    deploy(platform)
    kept = set(platform.builder.named)
    platform.engine._behaviour = lambda image: Behaviour(exits=1)  # type: ignore[method-assign]
    with pytest.raises(DeployFailed):
        deploy(platform, {**APP, "app.py": "other"})
    assert len(builds(platform)) == 2
    assert set(platform.builder.named) == kept


def test_a_disk_that_is_full_during_a_build_changes_nothing(platform: Parts) -> None:
    deploy(platform)
    platform.builder.fails = PlatformError("no space left on device")
    with pytest.raises(PlatformError):
        deploy(platform, {**APP, "app.py": "other"})
    assert platform.store.app("shop").wanted == 1


def test_an_engine_that_stops_during_a_deploy_leaves_the_old_release(platform: Parts) -> None:
    deploy(platform)

    def stop() -> None:
        platform.engine.down = True

    platform.builder.while_building = stop
    with pytest.raises(PaasError):
        deploy(platform, {**APP, "app.py": "other"})
    platform.engine.down = False
    app = platform.store.app("shop")
    assert app.wanted == 1
    assert platform.store.releases(app.id)[0].status in (ReleaseStatus.SUCCEEDED, ReleaseStatus.FAILED)
    assert platform.running(app) == {"web v1": 1}


def test_replicas_that_exit_leave_the_old_release_with_the_cause(platform: Parts) -> None:
    deploy(platform)
    kept = platform.engine._behaviour
    good = platform.store.release(platform.store.app("shop").id, 1).image
    platform.engine._behaviour = lambda image: kept(image) if image == good else Behaviour(exits=1)  # type: ignore[method-assign]
    with pytest.raises(DeployFailed):
        deploy(platform, {**APP, "app.py": "other"})
    app = platform.store.app("shop")
    assert app.wanted == 1
    assert platform.serving(app) == {good}


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"notes.txt": "x"}, NothingDetected),
        ({**APP, "Procfile": "web python\n"}, ConfigError),
        (toml("[proceses.web]\n"), ConfigError),
        (toml("addons = ['postgrs']\n"), PaasError),
        (toml("[env.MAIL_SERVER]\nrequired = true\n"), ConfigError),
        (toml("domains = ['taken.example']\n"), Conflict),
        (toml("domains = ['other.localhost']\n"), Conflict),
    ],
)
def test_what_can_be_known_before_the_build_is_refused_before_it_and_creates_nothing(
    platform: Parts, files: Mapping[str, str], error: type[PaasError]
) -> None:
    platform.app("other", "ffffffff")
    change_domains(platform.context, ChangeDomains(app="other", add=("taken.example",)), platform.act)
    with pytest.raises(error) as caught:
        deploy(platform, files)
    assert caught.value.hint
    assert builds(platform) == []
    assert [app.name for app in platform.store.apps()] == ["other"]


def test_required_config_is_listed_with_the_command_that_sets_it(platform: Parts) -> None:
    with pytest.raises(ConfigError) as caught:
        deploy(platform, toml("[env.MAIL_SERVER]\nrequired = true\n[env.MAIL_USER]\nrequired = true\n"))
    assert "MAIL_SERVER, MAIL_USER" in caught.value.message
    assert "paas config set MAIL_SERVER=… MAIL_USER=… --app shop" in caught.value.hint


def test_the_manifest_gives_formation_config_and_domains_at_the_first_deploy(platform: Parts) -> None:
    answer = deploy(
        platform,
        toml(
            "domains = ['www.example.com']\n"
            "[processes.web]\nreplicas = 2\n[processes.worker]\nreplicas = 1\n"
            "[env.GREETING]\nvalue = 'hello'\n[env.SECRET_KEY]\ngenerate = true\n"
        ),
    )
    app = platform.store.app("shop")
    from paas.requests.config import ShowConfig

    config = show_config(platform.context, ShowConfig(app="shop"), platform.act).config
    assert dict(answer.processes) == {"web": 2, "worker": 1}
    assert config["GREETING"] == "hello"
    assert len(config["SECRET_KEY"]) > 20
    assert answer.generated == ("SECRET_KEY",)
    assert platform.store.release(app.id, 1).domains == ("www.example.com",)
    assert config["SECRET_KEY"] not in str(platform.events)


def test_a_generated_secret_stays_the_same_over_deploys(platform: Parts) -> None:
    from paas.requests.config import ShowConfig

    text = "[env.SECRET_KEY]\ngenerate = true\n"
    deploy(platform, toml(text))
    first = show_config(platform.context, ShowConfig(app="shop"), platform.act).config
    answer = deploy(platform, {**toml(text), "app.py": "other"})
    assert show_config(platform.context, ShowConfig(app="shop"), platform.act).config == first
    assert answer.generated == ()


def test_a_secret_that_a_failed_first_deploy_made_up_is_that_of_the_next_try(platform: Parts) -> None:
    files = toml("[env.SECRET_KEY]\ngenerate = true\n") | {"Procfile": f"{APP['Procfile']}release: migrate\n"}
    platform.engine.codes["release"] = 1
    with pytest.raises(PaasError, match="release command"):
        deploy(platform, files)
    app = platform.store.app("shop")
    made_up = platform.store.release(app.id, 1).config["SECRET_KEY"]
    platform.engine.codes.clear()
    answer = deploy(platform, files)
    assert platform.store.release(app.id, answer.release).config["SECRET_KEY"] == made_up
    assert answer.generated == ("SECRET_KEY",)


def test_a_secret_that_was_unset_is_made_up_anew(platform: Parts) -> None:
    text = toml("[env.SECRET_KEY]\ngenerate = true\n")
    deploy(platform, text)
    app = platform.store.app("shop")
    first = platform.store.release(app.id, 1).config["SECRET_KEY"]
    change_config(platform.context, ChangeConfig(app="shop", unset=("SECRET_KEY",)), platform.act)
    answer = deploy(platform, {**text, "app.py": "other"})
    assert platform.store.release(app.id, answer.release).config["SECRET_KEY"] != first


def test_scale_and_limits_set_by_command_survive_a_deploy(platform: Parts) -> None:
    deploy(platform)
    scale(platform.context, Scale(app="shop", counts={"web": 3}), platform.act)
    set_limits(platform.context, SetLimits(app="shop", memory="1G"), platform.act)
    deploy(platform, {**APP, "app.py": "other"})
    app = platform.store.app("shop")
    web = platform.store.release(app.id, 3).process("web")
    assert web is not None
    assert web.limits.memory == 1 << 30
    assert platform.running(app) == {"web v3": 3}


def test_a_deploy_whose_build_took_longer_goes_over_a_newer_one_and_says_so(platform: Parts) -> None:
    deploy(platform)

    def meanwhile() -> None:
        platform.builder.while_building = lambda: None
        deploy(platform, {**APP, "app.py": "newer"})

    platform.builder.while_building = meanwhile
    deploy(platform, {**APP, "app.py": "older"})
    assert platform.store.app("shop").wanted == 3
    assert "v2 was deployed while this was built" in platform.said("warning")[0]


def test_an_image_is_deployed_as_it_is_under_a_name_that_keeps_it(platform: Parts) -> None:
    platform.builder.add("whoami:1", "sha256:" + "ab" * 32)
    request = DeployApp(app="shop", source=SourceRef(image="whoami:1"))
    answer = deploy_app(platform.context, request, platform.act)
    app = platform.store.app("shop")
    release = platform.store.release(app.id, 1)
    assert (release.image_ref, release.buildpack) == (f"paas/{app.id}:abababababab", "image")
    assert [process.command for process in release.processes] == [""]
    assert answer.cached
    assert deploy_app(platform.context, request, platform.act).unchanged


def test_an_image_that_cannot_be_had_or_has_no_command_is_refused(platform: Parts) -> None:
    with pytest.raises(PlatformError):
        deploy_app(platform.context, DeployApp(app="shop", source=SourceRef(image="none:1")), platform.act)
    platform.builder.add("empty:1", "sha256:" + "cd" * 32, command=())
    with pytest.raises(ConfigError, match="no command"):
        deploy_app(platform.context, DeployApp(app="shop", source=SourceRef(image="empty:1")), platform.act)


@pytest.mark.parametrize("image", ["--x", "a b", "a\nb", "$(x)", "a;b", "x" * 600])
def test_what_cannot_name_an_image_is_refused_before_the_engine_is_asked(platform: Parts, image: str) -> None:
    with pytest.raises(UsageError, match="cannot name an image"):
        deploy_app(platform.context, DeployApp(app="shop", source=SourceRef(image=image)), platform.act)
    assert platform.builder.pulls == []


def test_a_first_deploy_that_cannot_begin_leaves_no_empty_app(platform: Parts) -> None:
    with pytest.raises(PlatformError, match="cannot be pulled"):
        deploy_app(platform.context, DeployApp(app="shop", source=SourceRef(image="none:1")), platform.act)
    platform.builder.add("whoami:1", "sha256:" + "ab" * 32)
    platform.engine.down = True
    with pytest.raises(EngineUnavailable):
        deploy_app(platform.context, DeployApp(app="shop", source=SourceRef(image="whoami:1")), platform.act)
    assert platform.store.apps() == ()


@pytest.mark.parametrize("source", [SourceRef(), SourceRef(upload="ab", git="https://x/y.git")])
def test_a_source_is_exactly_one_thing(platform: Parts, source: SourceRef) -> None:
    with pytest.raises(UsageError):
        deploy_app(platform.context, DeployApp(app="shop", source=source), platform.act)


def test_a_plan_tells_the_steps_and_why_and_changes_nothing(platform: Parts) -> None:
    request = PlanApp(app="shop", source=SourceRef(upload=upload(platform, APP)))
    planned = plan_app(platform.context, request, platform.act)
    assert (planned.exists, planned.image, planned.buildpack) == (False, "(to be built)", "python")
    assert planned.steps > 0
    assert planned.reasons
    assert platform.store.apps() == ()
    assert platform.engine.calls == []
    assert builds(platform) == []


def test_a_plan_of_what_runs_has_no_steps(platform: Parts) -> None:
    deploy(platform)
    for source in (SourceRef(upload=upload(platform, APP)), None):
        planned = plan_app(platform.context, PlanApp(app="shop", source=source), platform.act)
        assert planned.steps == 0, planned.plan


def test_a_plan_lists_the_config_that_is_missing(platform: Parts) -> None:
    files = toml("[env.MAIL_SERVER]\nrequired = true\n")
    request = PlanApp(app="shop", source=SourceRef(upload=upload(platform, files)))
    assert plan_app(platform.context, request, platform.act).missing == ("MAIL_SERVER",)


def test_a_first_deploy_starts_within_the_bounds_of_its_rules_and_keeps_them(platform: Parts) -> None:
    deployed = deploy(platform, toml("[processes.web.autoscale]\nmin = 3\n"))
    assert deployed.processes["web"] == 3
    web = platform.store.releases(platform.store.app("shop").id)[0].process("web")
    assert web is not None
    assert web.autoscale is not None
    assert web.autoscale.least == 3
