"""Loops: called again and again, whatever a call does, until they are stopped."""

from __future__ import annotations

import logging
import threading

import pytest

from paas.errors import PlatformError
from paas.loops import Loop, Loops

WAIT = 10.0


class Step:
    def __init__(self, *failures: Exception) -> None:
        self.failures, self.calls, self.done = list(failures), 0, threading.Event()

    def __call__(self) -> None:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        self.done.set()


def test_a_step_that_fails_is_called_again_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "paas.loops")
    step = Step(PlatformError("no disk"), PlatformError("no disk"), ValueError("a bug"), ValueError("a bug"))
    loops = Loops([Loop("sweep", 0.001, step)])
    loops.start()
    assert step.done.wait(WAIT)
    loops.stop()
    assert [record.getMessage() for record in caplog.records] == ["sweep: no disk", "sweep failed"]


def test_one_that_hangs_keeps_no_other_from_going_on_and_stop_waits_for_no_step_for_ever() -> None:
    free, other = threading.Event(), Step()
    loops = Loops([Loop("stuck", 1, lambda: bool(free.wait(WAIT)) and None), Loop("other", 0.001, other)])
    loops.start()
    assert other.done.wait(WAIT)
    loops.stop(0.01)
    free.set()


def test_nothing_is_called_after_stop() -> None:
    step = Step()
    loops = Loops([Loop("sweep", 0.001, step)])
    loops.start()
    assert step.done.wait(WAIT)
    loops.stop()
    calls = step.calls
    threading.Event().wait(0.05)
    assert step.calls == calls


def test_one_that_waits_for_news_is_called_at_once_when_there_is_some_and_stops_at_once() -> None:
    news, called = threading.Event(), threading.Semaphore(0)
    loops = Loops([Loop("autoscale", 1000.0, called.release, news)])
    loops.start()
    assert called.acquire(timeout=WAIT), "the first time at once"
    for _ in range(3):
        assert not called.acquire(blocking=False)
        news.set()
        assert called.acquire(timeout=WAIT)
    loops.stop(WAIT)
    assert not any(thread.is_alive() for thread in loops._threads)
    assert not called.acquire(blocking=False)


def test_one_that_waits_for_news_is_called_without_any_after_its_period() -> None:
    step = Step(PlatformError("no disk"))
    loops = Loops([Loop("autoscale", 0.001, step, threading.Event())])
    loops.start()
    assert step.done.wait(WAIT)
    loops.stop()
