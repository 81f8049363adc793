"""When a replica that fails its checks is started again."""

from __future__ import annotations

import pytest

from paas.model.scaling import Sample
from paas.model.service import Replica, State
from paas.plan.liveness import (
    EXCUSED,
    LONGEST,
    LONGEST_EXCUSED,
    PATIENCE,
    SHARED,
    WELL_AGAIN,
    Liveness,
    gets_on,
)


def one(state: State, id: str = "r1") -> Replica:
    return Replica(id=id, index=1, state=state)


WELL, ILL = one(State.HEALTHY), one(State.UNHEALTHY)


def test_a_replica_is_started_again_when_it_stays_unhealthy_and_not_before() -> None:
    liveness = Liveness().seen([WELL], 0).seen([ILL], 5)
    assert liveness.due([ILL], 5 + PATIENCE - 1) is None
    assert liveness.due([ILL], 5 + PATIENCE) == ILL


def test_one_that_was_well_in_between_has_its_patience_again() -> None:
    liveness = Liveness().seen([ILL], 0).seen([WELL], 5).seen([ILL], 6)
    assert liveness.due([ILL], 6 + PATIENCE - 1) is None


def test_pauses_double_until_they_are_long() -> None:
    liveness, now, pauses = Liveness(), 0.0, []
    for _ in range(10):
        liveness = liveness.seen([WELL], now).seen([ILL], now)
        begun = now
        while liveness.due([ILL], now) is None:
            now += 1
        pauses.append(now - begun)
        liveness = liveness.started("r1", now)
    assert pauses[:3] == [PATIENCE, 2 * PATIENCE, 4 * PATIENCE]
    assert pauses[-1] == LONGEST


def test_a_long_health_makes_earlier_starts_forgotten() -> None:
    liveness = Liveness().seen([ILL], 0).started("r1", 20).seen([WELL], 21)
    liveness = liveness.seen([WELL], 21 + WELL_AGAIN).seen([ILL], 1000)
    assert liveness.due([ILL], 1000 + PATIENCE) == ILL


def test_only_the_one_that_is_ill_for_longest_is_due() -> None:
    other = one(State.UNHEALTHY, "r2")
    liveness = Liveness().seen([WELL, other], 0).seen([ILL, other], 5)
    assert liveness.due([ILL, other], 100) == other


def test_replicas_that_are_gone_are_forgotten() -> None:
    assert Liveness().seen([ILL], 0).seen([], 1).records == {}


def test_one_that_got_on_has_its_patience_from_then_on() -> None:
    liveness = Liveness().seen([ILL], 0)
    for now in range(5, 100, 5):
        liveness = liveness.seen([ILL], now).got_on(["r1", "gone"], now)
        assert liveness.due([ILL], now) is None
    assert liveness.ill_for("r1", 95) == 95
    assert liveness.seen([ILL], 100).due([ILL], 95 + PATIENCE) == ILL


def test_getting_on_excuses_failing_checks_for_a_while_that_doubles() -> None:
    liveness, now, pauses = Liveness(), 0.0, []
    for _ in range(5):
        liveness = liveness.seen([WELL], now).seen([ILL], now)
        begun = now
        while liveness.due([ILL], now) is None:
            now += 5
            liveness = liveness.seen([ILL], now).got_on(["r1"], now)
        pauses.append(now - begun)
        liveness = liveness.started("r1", now)
    assert pauses == [EXCUSED, 2 * EXCUSED, 4 * EXCUSED, LONGEST_EXCUSED, LONGEST_EXCUSED]


def test_a_check_that_passes_in_between_begins_the_excuse_anew() -> None:
    liveness = Liveness().seen([ILL], 0).got_on(["r1"], EXCUSED - 2).seen([WELL], EXCUSED - 1)
    liveness = liveness.seen([ILL], EXCUSED).got_on(["r1"], 2 * EXCUSED - 1)
    assert liveness.due([ILL], 2 * EXCUSED - 1) is None
    assert liveness.due([ILL], 2 * EXCUSED) == ILL


ASKED = Replica(id="r1", index=1, state=State.UNHEALTHY, address="10.0.0.1:80")


@pytest.mark.parametrize(
    ("flying", "answers", "led_to", "ill_for", "expected"),
    [
        ([900, 950, 990], {"2xx": 40.0}, ["10.0.0.1:80"], 3600, True),
        ([900, 950, 990], {"5xx": 40.0}, ["10.0.0.1:80"], 30, False),
        ([900, 950, 990], {"4xx": 40.0}, ["10.0.0.1:80"], 30, False),  # clients that have given up
        ([2, 1, 0], {"2xx": 40.0}, ["10.0.0.1:80"], 30, False),
        ([9, 9, 9], {"2xx": 40.0}, ["10.0.0.1:80", "10.0.0.2:80"], SHARED - 1, True),
        ([9, 9, 9], {"2xx": 40.0}, ["10.0.0.1:80", "10.0.0.2:80"], SHARED, False),
        ([800, 990, 790], {"2xx": 99.0}, ["10.0.0.2:80"], 3600, True),
        ([990, 990, 989], {"2xx": 99.0}, ["10.0.0.2:80"], 30, False),  # others answer, this one hangs
        ([7, 8, 7], {"2xx": 99.0}, ["10.0.0.2:80"], 30, False),  # the check comes and goes
        ([9, 0, 1], {"2xx": 99.0}, ["10.0.0.1:80"], 30, False),
        ([9, 8, 7], {"2xx": 99.0}, ["10.0.0.2:80"], 30, True),
        ([], {"2xx": 40.0}, ["10.0.0.1:80"], 30, False),
    ],
)
def test_who_gets_on_is_told_from_who_hangs(
    flying: list[float], answers: dict[str, float], led_to: list[str], ill_for: float, expected: bool
) -> None:
    own = [Sample(5.0 * at, 1, {"in_flight": count}) for at, count in enumerate(flying)]
    assert gets_on(ASKED, own, [Sample(0.0, 1, answers)], led_to, ill_for) is expected
