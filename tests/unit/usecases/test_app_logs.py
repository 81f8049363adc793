"""Which lines of an app are asked for, and what is refused because there is no such thing."""

from __future__ import annotations

import pytest

from paas.errors import NotFound, UsageError
from paas.requests.processes import ReadLogs
from paas.usecases.logs import read_logs
from tests.unit.usecases.parts import Parts


def test_a_replica_that_is_not_there_is_named_with_those_that_are(platform: Parts) -> None:
    platform.release(platform.app(web=2))
    read_logs(platform.context, ReadLogs(app="shop", process="web", replica=2), platform.act)
    with pytest.raises(NotFound, match=r"no replica web\.3") as caught:
        read_logs(platform.context, ReadLogs(app="shop", process="web", replica=3), platform.act)
    assert "web.1, web.2" in caught.value.hint


def test_a_process_that_is_not_there_is_named_with_those_that_are(platform: Parts) -> None:
    platform.release(platform.app(web=1))
    with pytest.raises(UsageError, match="no process 'wbe'") as caught:
        read_logs(platform.context, ReadLogs(app="shop", process="wbe"), platform.act)
    assert "web" in caught.value.hint
