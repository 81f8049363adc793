"""Failures of the Engine in words."""

from __future__ import annotations

from typing import Any

import docker.errors
import pytest
import requests

from paas.engines.docker_client import FAILURES, knock, refused, said, translated, unavailable
from paas.engines.docker_events import change, changes
from paas.engines.docker_run import not_started
from paas.engines.docker_spec import labels
from paas.errors import EngineUnavailable, PlatformError
from paas.model.secret import Secret
from paas.model.service import Change, ServiceSpec

ADDRESS = "unix:///var/run/docker.sock"


def api_error(words: str, status: int = 500) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code, response.reason = status, "reason"
    return docker.errors.APIError("failed", response=response, explanation=words)


def test_no_permission_is_told_with_the_group() -> None:
    inner = requests.exceptions.ConnectionError(("Connection aborted.", PermissionError(13, "Permission denied")))
    error = docker.errors.DockerException("Error while fetching server API version")
    error.__cause__ = inner
    inner.__context__ = PermissionError(13, "Permission denied")
    told = unavailable(error, ADDRESS)
    assert "no permission" in told.message
    assert "group docker" in told.hint


def test_no_answer_in_time_is_told_apart_from_no_answer() -> None:
    assert "too long" in unavailable(requests.exceptions.ReadTimeout("x"), ADDRESS).message
    gone = unavailable(requests.exceptions.ConnectionError("refused"), ADDRESS)
    assert "does not answer" in gone.message
    assert "DOCKER_HOST" in gone.hint


@pytest.mark.parametrize("kind", [kind for kind in FAILURES if kind is not requests.exceptions.RequestException])
def test_each_kind_of_lost_connection_means_unavailable(kind: type[Exception]) -> None:
    with pytest.raises(EngineUnavailable), translated(ADDRESS):
        raise kind("gone")


def test_a_refusal_is_the_engines_own_words_on_one_line() -> None:
    with pytest.raises(PlatformError, match="the Docker Engine refused: no such thing here"), translated(ADDRESS):
        raise api_error("no such\n thing here", 404)


def test_a_full_disk_has_a_hint() -> None:
    assert "docker system df" in refused(api_error("write /x: no space left on device")).hint


def test_values_of_secrets_are_masked_in_the_engines_words() -> None:
    secrets = (Secret("hunter22"), Secret("hunter22-longer"), Secret("1"))
    assert said(api_error("bad env K=hunter22-longer, L=hunter22, N=1"), secrets) == "bad env K=••••, L=••••, N=1"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ('OCI runtime create failed: exec: "foo": executable file not found in $PATH: unknown', 127, "foo"),
        ('exec: "/app": permission denied: unknown', 126, "/app"),
        ("standard_init_linux.go: exec user process caused: exec format error", 126, "its command"),
    ],
)
def test_a_command_that_cannot_run_is_told_as_a_shell_does(words: str, code: int, told: str) -> None:
    found = not_started(api_error(words))
    assert found is not None
    assert found.code == code
    assert found.words.startswith(told)


def test_another_refusal_to_start_is_not_the_commands_fault() -> None:
    assert not_started(api_error("no available IPv4 addresses on this network's address pools")) is None


def test_a_remote_address_is_not_knocked_at() -> None:
    knock("tcp://127.0.0.1:1")


def event(action: str, kind: str = "replica", **more: str) -> dict[str, Any]:
    spec = ServiceSpec(app_id="0123abcd", app_name="shop", process="web", release=3, image="x", kind=kind)
    return {"Action": action, "id": "c1", "Actor": {"Attributes": labels(spec, 1, "paas") | more}}


KEY = ServiceSpec(app_id="0123abcd", app_name="shop", process="web", release=3, image="x").key


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (event("die", exitCode="137"), Change("die", KEY, "c1", 137)),
        (event("start"), Change("start", KEY, "c1")),
        (event("oom"), Change("oom", KEY, "c1")),
        (event("pause"), Change("health", KEY, "c1")),
        (event("destroy"), Change("gone", KEY, "c1")),
        (event("die", kind="oneoff", exitCode="0"), None),
        (event("exec_start: sh"), None),
        (event("attach"), None),
        ({"Action": "die", "Actor": None}, None),
    ],
)
def test_events_become_changes_of_services(raw: dict[str, Any], expected: Change | None) -> None:
    assert change(raw) == expected


def test_a_death_that_follows_a_signal_by_request_was_asked_for_and_the_next_one_was_not() -> None:
    kill, die = event("kill", signal="15"), event("die", exitCode="143")
    found = list(changes([die, kill, die, event("start"), die, kill, event("start"), die]))
    assert [one.asked for one in found if one.kind == "die"] == [False, True, False, False]


def test_a_death_was_asked_for_by_somebody_whose_signal_nobody_heard_but_the_name_tells_of() -> None:
    (found,) = changes([event("die", exitCode="0", name="paas-shop-web-v3-1-stopping-1795968330")])
    assert found.asked


def test_a_change_has_the_engines_time() -> None:
    found = change(event("start") | {"timeNano": 1_764_000_000_250_000_000})
    assert found is not None
    assert found.at == pytest.approx(1_764_000_000.25, abs=1e-6)
