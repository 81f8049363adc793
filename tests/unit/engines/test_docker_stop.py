"""Stopping a container, with an Engine that does what a test says. What real ones do is in `tests/contract`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import docker.errors
import pytest
import requests
from docker import APIClient

from paas.engines.docker_spec import stopping_name
from paas.engines.docker_stop import stop, unmark

NAME = "paas-shop-web-v1-1"


def refusal(status: int, words: str) -> docker.errors.APIError:
    answer = requests.Response()
    answer.status_code = status
    kind = docker.errors.NotFound if status == 404 else docker.errors.APIError
    return kind(words, response=answer, explanation=words)


class Engine:
    """One container; `does` are what calls raise, or do beside."""

    def __init__(self, name: str = NAME, **does: Exception | Callable[[], object]) -> None:
        self.name, self.does, self.calls = name, does, list[tuple[Any, ...]]()
        self.state = {"Running": True, "StartedAt": "2026-11-23T10:00:00Z"}

    def _do(self, call: str, *arguments: object) -> None:
        self.calls.append((call, *arguments))
        if isinstance(found := self.does.get(call), Exception):
            raise found
        if found:
            found()

    def inspect_container(self, id: str) -> dict[str, Any]:
        if isinstance(found := self.does.get("inspect"), Exception):
            raise found
        return {"Id": id, "Name": f"/{self.name}", "State": self.state, "Config": {"StopSignal": "SIGQUIT"}}

    def kill(self, id: str, signal: str = "SIGKILL") -> None:
        self._do("kill" if signal == "SIGKILL" else "signal", signal)

    def wait(self, id: str, timeout: int) -> None:
        self._do("wait", timeout)

    def stop(self, id: str, timeout: int) -> None:
        self._do("stop", timeout)

    def rename(self, id: str, name: str) -> None:
        self._do("rename")
        self.name = name


def stopped(engine: Engine, grace: float = 30.0) -> list[str]:
    """The calls it takes."""
    stop(cast("APIClient", engine), "c1", grace, "web.1 of shop")
    return [call for call, *_ in engine.calls]


def late() -> None:
    time.sleep(1.1)
    raise requests.ReadTimeout


def test_it_gets_its_own_signal_is_named_so_and_waited_for() -> None:
    engine = Engine()
    assert stopped(engine, 29.5) == ["signal", "rename", "wait"]
    assert engine.calls[0] == ("signal", "SIGQUIT")
    assert engine.calls[2] == ("wait", 30)
    assert engine.name.startswith(f"{NAME}-stopping-")


def test_one_that_does_not_end_is_killed_when_its_grace_is_over(caplog: pytest.LogCaptureFixture) -> None:
    assert stopped(Engine(wait=late), 1.0) == ["signal", "rename", "wait", "kill"]
    assert "web.1 of shop did not end within 1.0 s" in caplog.text
    assert stopped(Engine(), 0.0) == ["signal", "rename", "kill"]


def test_one_that_had_the_signal_gets_what_is_left_of_its_grace() -> None:
    engine = Engine(stopping_name(NAME, time.time() - 10))
    assert stopped(engine) == ["wait"]
    assert engine.calls[0][1] in (20, 21)
    assert stopped(Engine(stopping_name(NAME, time.time() - 40))) == ["kill"]
    ahead = Engine(stopping_name(NAME, time.time() + 3600))
    assert (stopped(ahead), ahead.calls[0][1]) == (["wait"], 30), "a clock was set back"


def test_while_the_engine_is_gone_nobody_is_killed_and_the_name_keeps_the_signal() -> None:
    for cause in (requests.ConnectionError(), requests.ReadTimeout()):
        engine = Engine(wait=cause)
        with pytest.raises(type(cause)):
            stopped(engine)
        assert [call for call, *_ in engine.calls] == ["signal", "rename", "wait"]
        engine.does.clear()
        engine.calls.clear()
        assert stopped(engine) == ["wait"]


def test_a_signal_that_could_not_be_sent_is_not_written_down() -> None:
    engine = Engine(signal=refusal(500, "no"))
    with pytest.raises(docker.errors.APIError):
        stopped(engine)
    assert engine.name == NAME


def test_what_ends_or_goes_meanwhile_is_no_error() -> None:
    assert stopped(Engine(inspect=refusal(404, "gone"))) == []
    assert stopped(Engine(signal=refusal(409, "is not running"))) == ["signal"]
    assert stopped(Engine(signal=refusal(404, "gone"))) == ["signal"]
    assert stopped(Engine(wait=refusal(404, "gone"))) == ["signal", "rename", "wait"]
    assert stopped(Engine(wait=late, kill=refusal(409, "is not running")), 1.0)[-1] == "kill"


def test_one_that_cannot_be_renamed_is_stopped_all_the_same() -> None:
    assert stopped(Engine(rename=refusal(500, "no"))) == ["signal", "rename", "wait"]


@pytest.mark.parametrize("state", ["Paused", "Restarting"])
def test_one_without_a_process_that_works_is_left_to_the_engine(state: str) -> None:
    engine = Engine()
    engine.state |= {state: True}
    assert stopped(engine) == ["stop"]
    engine = Engine(stop=refusal(409, "removal of container c1 is already in progress"))
    engine.state |= {state: True}
    assert stopped(engine) == ["stop"]


def test_one_that_does_not_run_is_left_alone() -> None:
    engine = Engine()
    engine.state["Running"] = False
    assert stopped(engine) == []


def test_before_it_is_started_again_it_gets_its_name_back() -> None:
    engine = Engine(stopping_name(NAME, 1000.0))
    unmark(cast("APIClient", engine), "c1")
    unmark(cast("APIClient", engine), "c1")
    assert (engine.name, len(engine.calls)) == (NAME, 1)
