"""Parts are found by entry point, and given what they ask for."""

from __future__ import annotations

import pytest

from paas.bootstrap import often, part
from paas.clock import FakeClock
from paas.engines.memory import MemoryEngine
from paas.errors import ConfigError
from paas.routers.memory import MemoryRouter
from paas.settings import Settings


def test_a_part_gets_what_its_parameters_name_and_nothing_else() -> None:
    given = {"settings": Settings(), "clock": FakeClock(), "builder": object()}
    assert isinstance(part("paas.engines", "memory", **given), MemoryEngine)
    assert isinstance(part("paas.routers", "memory", **given), MemoryRouter)


def test_an_unknown_part_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        part("paas.engines", "swarm")
    assert "docker, memory" in caught.value.hint


@pytest.mark.parametrize(("tick", "seconds"), [(5.0, 60.0), (1.0, 12.0), (0.0, 12.0), (30.0, 60.0)])
def test_a_quicker_tick_makes_slow_loops_quicker_and_a_slower_one_leaves_them(tick: float, seconds: float) -> None:
    assert often(Settings(tick=tick), 60.0) == seconds
