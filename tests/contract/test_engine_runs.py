"""What every engine does with runs that nobody is connected to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from paas.errors import Conflict, PlatformError
from paas.model.runs import ObservedRun
from paas.model.service import Limits, ServiceSpec
from tests.contract.engine_lab import DockerLab, Lab, sh


def spec(lab: Lab, run: str, *command: str, **changes: object) -> ServiceSpec:
    return replace(lab.spec("never"), kind="oneoff", process="run", run=run, command=command, **changes)  # type: ignore[arg-type]


def until(lab: Lab, run: str, true: Callable[[ObservedRun], bool]) -> ObservedRun:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = next(one for one in lab.engine.runs() if one.id == run)
        if true(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{run} is {found}")


def test_a_run_ends_by_itself_and_stays_with_its_output_until_it_is_removed(any_lab: Lab) -> None:
    wanted = spec(any_lab, "aa11", *sh("echo one; exit 9"))
    any_lab.engine.begin_run(wanted)
    ended = until(any_lab, "aa11", lambda one: not one.running)
    assert (ended.exit_code, ended.oom, ended.app_id) == (9, False, wanted.app_id)
    assert [line.text for line in any_lab.engine.run_logs("aa11")] == ["one"]
    with pytest.raises(Conflict):
        any_lab.engine.begin_run(wanted)
    assert any_lab.engine.observe() == ()
    any_lab.engine.remove_run("aa11")
    any_lab.engine.remove_run("aa11")
    assert any_lab.engine.runs() == ()
    assert list(any_lab.engine.run_logs("aa11")) == []


def test_runs_are_listed_by_app_and_go_with_it(any_lab: Lab) -> None:
    one = spec(any_lab, "aa11", *sh("exit 9"))
    any_lab.engine.begin_run(one)
    assert [run.id for run in any_lab.engine.runs(one.app_id)] == ["aa11"]
    assert any_lab.engine.runs("no such app") == ()
    any_lab.engine.forget(one.app_id)
    assert any_lab.engine.runs() == ()


def test_stopping_a_run_that_is_not_there_does_nothing(any_lab: Lab) -> None:
    any_lab.engine.stop_run("nope", 1.0)


@pytest.mark.docker
def test_a_run_is_asked_to_end_and_then_killed(lab: DockerLab) -> None:
    lab.engine.begin_run(spec(lab, "aa11", *sh("trap 'exit 5' TERM; while :; do sleep 0.1; done")))
    lab.engine.begin_run(spec(lab, "bb22", *sh("trap '' TERM; while :; do sleep 0.1; done")))
    lab.engine.stop_run("aa11", 10.0)
    lab.engine.stop_run("bb22", 1.0)
    codes = {run.id: run.exit_code for run in lab.engine.runs()}
    assert codes == {"aa11": 5, "bb22": 137}


@pytest.mark.docker
def test_a_run_over_its_memory_says_so(lab: DockerLab) -> None:
    eats = sh("sleep 1; x=a; while :; do x=$x$x; done")
    lab.engine.begin_run(spec(lab, "aa11", *eats, limits=Limits(memory=16 << 20)))
    ended = until(lab, "aa11", lambda one: not one.running and one.oom)
    assert ended.memory == 16 << 20


@pytest.mark.docker
def test_a_command_that_is_not_in_the_image_ends_as_in_a_shell(lab: DockerLab) -> None:
    lab.engine.begin_run(spec(lab, "aa11", "no-such-command"))
    assert until(lab, "aa11", lambda one: not one.running).exit_code == 127
    assert any("no-such-command" in line.text for line in lab.engine.run_logs("aa11"))


@pytest.mark.docker
def test_a_run_whose_image_is_gone_leaves_nothing(lab: DockerLab) -> None:
    with pytest.raises(PlatformError, match="is not on this Engine"):
        lab.engine.begin_run(spec(lab, "aa11", image="sha256:" + "0" * 64))
    assert lab.engine.runs() == ()


@pytest.mark.docker
def test_followed_output_ends_with_the_run(lab: DockerLab) -> None:
    lab.engine.begin_run(spec(lab, "aa11", *sh("echo one; sleep 1; echo two")))
    assert [line.text for line in lab.engine.run_logs("aa11", follow=True)] == ["one", "two"]
