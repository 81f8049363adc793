"""What a release looks like: the manifest counts, then what was set by command, then the default."""

from __future__ import annotations

import pytest

from paas.errors import UsageError
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.build import BuildPlan, Process
from paas.model.manifest import EnvVar, Manifest, ProcessOptions
from paas.model.reviews import Cap
from paas.model.secret import Secret
from paas.model.service import HealthCheck, HealthKind, Limits
from paas.usecases import shape
from paas.usecases.shape import Shape

EMPTY = Release(app_id="a", number=0, kind=ReleaseKind.CONFIG, created_at=0, actor="", description="")
APP = App(id="a", name="shop", created_at=0)


def plan(*processes: Process, port: int = 0) -> BuildPlan:
    return BuildPlan(buildpack="python", runtimes={}, processes=processes, reasons=(), port=port)


WEB, WORKER, RELEASE = Process("web", "serve"), Process("worker", "work"), Process("release", "migrate")


def test_web_is_asked_by_http_and_must_answer_below_500_others_must_stay_up() -> None:
    web, worker = shape.processes(Shape(plan=plan(WEB, WORKER)), EMPTY)
    assert (web.health.kind, web.health.path, web.health.max_status) == (HealthKind.HTTP, "/", 499)
    assert worker.health.kind is HealthKind.RUNNING


def test_a_source_without_any_process_gets_a_web_that_is_the_images_own_command() -> None:
    assert [(process.name, process.command) for process in shape.processes(Shape(plan=plan()), EMPTY)] == [("web", "")]


def test_the_manifest_says_limits_and_health() -> None:
    health = HealthCheck(kind=HealthKind.HTTP, path="/up")
    manifest = Manifest(processes={"web": ProcessOptions(memory=1 << 28, health=health, stop_grace=5)})
    (web,) = shape.processes(Shape(plan=plan(WEB), manifest=manifest), EMPTY)
    assert web == ProcessSpec(name="web", command="serve", limits=Limits(memory=1 << 28), health=health, stop_grace=5.0)


def test_limits_set_by_command_survive_a_deploy_unless_the_manifest_says_otherwise() -> None:
    base = Release(
        app_id="a", number=3, kind=ReleaseKind.LIMITS, created_at=0, actor="", description="",
        processes=(ProcessSpec(name="web", limits=Limits(memory=1 << 30, cpus=2, pids=64)),),
    )  # fmt: skip
    manifest = Manifest(processes={"web": ProcessOptions(cpus=0.5)})
    (web,) = shape.processes(Shape(plan=plan(WEB), manifest=manifest), base)
    assert web.limits == Limits(memory=1 << 30, cpus=0.5, pids=64)


def test_a_first_deploy_starts_one_web_and_what_the_manifest_says_and_never_the_release_command() -> None:
    manifest = Manifest(processes={"worker": ProcessOptions(replicas=2)})
    source = Shape(plan=plan(WEB, WORKER, RELEASE, Process("other", "x")), manifest=manifest)
    wanted = shape.processes(source, EMPTY)
    assert shape.formation(source, APP, wanted, first=True) == {"web": 1, "worker": 2, "other": 0}


def test_what_was_scaled_by_command_stays_and_a_new_process_starts_as_the_manifest_says() -> None:
    manifest = Manifest(processes={"web": ProcessOptions(replicas=2), "worker": ProcessOptions(replicas=3)})
    source = Shape(plan=plan(WEB, WORKER), manifest=manifest)
    scaled = App(id="a", name="shop", created_at=0, formation={"web": 5})
    wanted = shape.processes(source, EMPTY)
    assert shape.formation(source, scaled, wanted, first=False) == {"web": 5, "worker": 3}


@pytest.mark.parametrize(
    ("said", "planned", "exposed", "port"),
    [
        (9000, 5000, (80,), 9000),
        (0, 5000, (80,), 5000),
        (0, 0, (80,), 80),
        (0, 0, (80, 443), 8000),
        (0, 0, (), 8000),
    ],
)
def test_the_port_is_what_is_said_then_the_only_exposed_one_then_8000(
    said: int, planned: int, exposed: tuple[int, ...], port: int
) -> None:
    assert shape.port(Shape(plan=plan(port=planned), manifest=Manifest(port=said)), exposed) == port


def test_config_gets_defaults_and_generated_secrets_only_for_what_is_not_set() -> None:
    manifest = Manifest(
        env={
            "SET": EnvVar(value="default"),
            "DEFAULTED": EnvVar(value="default"),
            "KEY": EnvVar(generate=True),
            "ASKED": EnvVar(description="the mail server"),
            "OPTIONAL": EnvVar(required=False),
        }
    )
    base = Release(
        app_id="a", number=1, kind=ReleaseKind.CONFIG, created_at=0, actor="", description="",
        config={"SET": Secret("mine")},
    )  # fmt: skip
    found = shape.config(manifest, base, generate=lambda: "made")
    assert {key: value.reveal() for key, value in found.items()} == {
        "SET": "mine",
        "DEFAULTED": "default",
        "KEY": "made",
    }
    assert shape.missing(manifest, base) == {"ASKED": "the mail server"}


@pytest.mark.parametrize("key", ["PORT", "PAAS_APP", "a b", "1A"])
def test_a_default_for_a_key_outside_the_grammar_is_refused(key: str) -> None:
    with pytest.raises(UsageError):
        shape.config(Manifest(env={key: EnvVar(value="x")}), EMPTY)


def test_two_generated_secrets_differ() -> None:
    manifest = Manifest(env={"A": EnvVar(generate=True), "B": EnvVar(generate=True)})
    found = shape.config(manifest, EMPTY)
    assert found["A"] != found["B"]
    assert len(found["A"].reveal()) >= 32


def test_timeouts_are_the_manifests_or_the_defaults_never_the_last_releases() -> None:
    base = Release(
        app_id="a", number=1, kind=ReleaseKind.DEPLOY, created_at=0, actor="", description="", drain=1.0,
        deploy_timeout=2.0,
    )  # fmt: skip
    timed = shape.timed(base, Manifest(deploy_timeout=15.0))
    assert (timed.drain, timed.deploy_timeout, timed.release_timeout) == (30.0, 15.0, 900.0)


def test_domains_of_the_manifest_join_those_there_are_in_punycode() -> None:
    base = Release(
        app_id="a", number=1, kind=ReleaseKind.DOMAINS, created_at=0, actor="", description="", domains=("a.example",)
    )
    assert shape.domains(Manifest(domains=("A.example", "bücher.example")), base) == (
        "a.example",
        "xn--bcher-kva.example",
    )


@pytest.mark.parametrize(
    ("said", "cap", "fork", "got"),
    [
        (ProcessOptions(memory=8 << 30, cpus=16, pids=0), Cap(), True, Limits()),
        (ProcessOptions(memory=0, cpus=0, pids=100_000), Cap(), True, Limits()),
        (ProcessOptions(), Cap(), True, Limits()),
        (ProcessOptions(memory=64 << 20, cpus=0.25, pids=50), Cap(), True, Limits(memory=64 << 20, cpus=0.25, pids=50)),
        (
            ProcessOptions(memory=8 << 30, cpus=16, pids=0),
            Cap(memory=1 << 30, cpus=2),
            True,
            Limits(memory=1 << 30, cpus=2),
        ),
        (
            ProcessOptions(memory=8 << 30, cpus=16, pids=0),
            Cap(memory=1 << 30, cpus=2),
            False,
            Limits(memory=1 << 30, cpus=2, pids=0),
        ),
        (ProcessOptions(memory=8 << 30, cpus=16, pids=0), Cap(), False, Limits(memory=8 << 30, cpus=16, pids=0)),
    ],
)
def test_a_strangers_review_app_is_bounded_also_where_no_cap_was_named(
    said: ProcessOptions, cap: Cap, fork: bool, got: Limits
) -> None:
    wanted = Shape(plan=plan(WEB), manifest=Manifest(processes={"web": said}))
    (web,) = shape.processes(shape.reviewed(wanted, cap, fork=fork), EMPTY)
    assert web.limits == got
