"""From inspections to replicas and service versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from paas.engines.docker_observe import Facts, exit_words, facts, nanoseconds, replica, seconds, services, size, unix
from paas.engines.docker_spec import labels
from paas.model.service import HealthCheck, HealthKind, Limits, ServiceSpec, State

SPEC = ServiceSpec(
    app_id="0123abcd",
    app_name="shop",
    process="web",
    release=3,
    image="sha256:feed",
    port=8000,
    limits=Limits(memory=512 << 20),
    health=HealthCheck(kind=HealthKind.TCP),
    networks=("paas-0123abcd",),
)
NEVER = "0001-01-01T00:00:00Z"
STARTED, ENDED = "2026-11-23T10:00:00.5Z", "2026-11-23T10:00:01.25Z"


def inspected(spec: ServiceSpec = SPEC, index: int = 1, restarts: int = 0, **state: Any) -> dict[str, Any]:
    networks = {name: {"IPAddress": f"10.213.0.{index + 1}"} for name in spec.networks}
    return {
        "Id": f"c{spec.release}{index}",
        "RestartCount": restarts,
        "Config": {"Image": spec.image, "Labels": labels(spec, index, "paas")},
        "NetworkSettings": {"Networks": networks},
        "State": {"Status": "running", "Pid": 42, "StartedAt": STARTED, "FinishedAt": NEVER, "ExitCode": 0} | state,
    }


def read(**state: Any) -> Facts:
    found = facts(inspected(**state), "paas")
    assert found is not None
    return found


def test_a_running_container_is_read() -> None:
    found = read()
    one = replica(found, (State.HEALTHY, ""))
    assert (one.index, one.state, one.address) == (1, State.HEALTHY, "10.213.0.2:8000")
    assert one.started_at == unix(STARTED)
    assert one.exit_code is None
    assert found.name == "web.1"
    assert not one.ending


def test_one_that_was_sent_its_stop_signal_is_ending_while_it_runs() -> None:
    raw = inspected() | {"Name": "/paas-shop-web-v1-1-stopping-1795968330"}
    found = facts(raw, "paas")
    assert found is not None
    assert replica(found, (State.HEALTHY, "")).ending
    found = facts(raw | {"State": raw["State"] | {"Status": "exited", "FinishedAt": ENDED}}, "paas")
    assert found is not None
    assert not replica(found, None).ending


@pytest.mark.parametrize(
    ("state", "expected", "detail"),
    [
        ({"Status": "created", "StartedAt": NEVER}, State.STOPPED, "was never started"),
        (
            {"Status": "exited", "ExitCode": 1, "FinishedAt": ENDED},
            State.STOPPED,
            "exited with code 1",
        ),
        (
            {"Status": "restarting", "ExitCode": 137, "FinishedAt": ENDED, "restarts": 4},
            State.CRASHED,
            "was ended by SIGKILL; the Engine starts it again (restart 4)",
        ),
        (
            {"Status": "restarting", "ExitCode": 137, "FinishedAt": ENDED, "OOMKilled": True, "restarts": 1},
            State.CRASHED,
            "was killed over its memory limit of 512M; the Engine starts it again (restart 1)",
        ),
        ({"Status": "paused", "Paused": True}, State.UNHEALTHY, "is paused"),
        ({"Status": "removing"}, State.STOPPED, "is being removed"),
        ({"Status": "dead", "ExitCode": 0, "FinishedAt": ENDED}, State.STOPPED, "exited with code 0"),
    ],
)
def test_what_does_not_run_says_why(state: dict[str, Any], expected: State, detail: str) -> None:
    one = replica(read(**state), None)
    assert (one.state, one.detail) == (expected, detail)


def test_the_exit_code_of_an_earlier_run_is_not_taken_for_a_new_one() -> None:
    found = read(StartedAt="2026-11-23T10:00:02Z", FinishedAt=ENDED, ExitCode=0, restarts=1)
    assert found.exit_code is None
    assert found.restarts == 1


def test_containers_of_other_instances_and_other_things_are_none() -> None:
    assert facts(inspected(), "other") is None
    assert facts({"Id": "x", "Config": {"Labels": None}, "State": {}}, "paas") is None


def test_replicas_are_gathered_by_version_and_sorted() -> None:
    older = replace(SPEC, release=2)
    pairs = []
    for spec, index in ((SPEC, 2), (older, 1), (SPEC, 1)):
        found = facts(inspected(spec, index), "paas")
        assert found is not None
        pairs.append((found, replica(found, (State.HEALTHY, ""))))
    first, second = services(pairs)
    assert (first.key, second.key) == (older.key, SPEC.key)
    assert [one.index for one in second.replicas] == [1, 2]
    assert second.fingerprint == SPEC.fingerprint
    assert (second.app_name, second.image, second.kind) == ("shop", "sha256:feed", "replica")


def test_the_fingerprint_follows_the_networks_it_is_really_in() -> None:
    addon = replace(SPEC, kind="addon", networks=("paas-aaaaaaaa", "paas-bbbbbbbb"))
    data = inspected(replace(addon, networks=("paas-aaaaaaaa",)))
    data["NetworkSettings"]["Networks"]["paas-bbbbbbbb"] = {"IPAddress": "10.213.0.70"}
    found = facts(data, "paas")
    assert found is not None
    (service,) = services([(found, replica(found, (State.HEALTHY, "")))])
    assert service.fingerprint == addon.fingerprint


def test_replicas_that_differ_have_no_specs_fingerprint() -> None:
    pairs = []
    for index, spec in ((1, SPEC), (2, replace(SPEC, port=9000))):
        found = facts(inspected(spec, index), "paas")
        assert found is not None
        pairs.append((found, replica(found, (State.HEALTHY, ""))))
    assert services(pairs)[0].fingerprint not in {SPEC.fingerprint, replace(SPEC, port=9000).fingerprint}


@pytest.mark.parametrize(
    ("code", "oom", "memory", "words"),
    [
        (0, False, 0, "exited with code 0"),
        (126, False, 0, "exited with code 126: its command cannot be executed"),
        (127, False, 0, "exited with code 127: its command was not found"),
        (143, False, 0, "was ended by SIGTERM"),
        (139, False, 0, "was ended by SIGSEGV"),
        (255, False, 0, "exited with code 255"),
        (137, True, 1536 << 20, "was killed over its memory limit of 1.5G"),
        (137, True, 0, "was killed: out of memory"),
        (None, False, 0, "exited"),
    ],
)
def test_ends_are_said_in_words(code: int | None, oom: bool, memory: int, words: str) -> None:
    assert exit_words(code, oom, memory) == words


def test_times_sizes_and_durations() -> None:
    assert unix(NEVER) == unix("") == unix(None) == 0.0
    assert nanoseconds("1970-01-01T00:00:01.000000002Z") == 10**9 + 2
    assert nanoseconds("1970-01-01T00:00:01Z") == 10**9
    assert [size(n) for n in (512 << 20, 1000, 100 << 10)] == ["512M", "1000", "100K"]
    assert [seconds(n) for n in (0.34, 9.95, 30.0)] == ["0.3 s", "9.9 s", "30 s"]
