"""How often a replica that is waited for is asked."""

from __future__ import annotations

from paas.engines.docker_wait import COMMAND_PAUSE, YOUNG, YOUNG_PAUSE, _pause
from paas.engines.probe import Answer
from paas.model.service import HealthCheck, HealthKind

REFUSED = Answer(good=False, detail="nobody listens", refused=True)
NOT_READY = Answer(good=False, detail="503")
WEB = HealthCheck(kind=HealthKind.HTTP, boot_interval=0.05)


def test_a_port_that_nobody_listens_on_yet_is_tried_often_at_first() -> None:
    assert _pause(WEB, REFUSED, 0.1) == YOUNG_PAUSE
    assert _pause(WEB, REFUSED, YOUNG) == WEB.boot_interval


def test_an_app_that_answers_is_asked_at_its_own_interval_from_the_start() -> None:
    assert _pause(WEB, NOT_READY, 0.1) == WEB.boot_interval


def test_a_command_is_never_run_often() -> None:
    check = HealthCheck(kind=HealthKind.COMMAND, command="true", boot_interval=0.05)
    assert _pause(check, REFUSED, 0.1) == COMMAND_PAUSE
