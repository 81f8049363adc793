"""The page for Prometheus over TCP: who gets it, and which apps stand on it."""

from __future__ import annotations

import re

import pytest

from paas.model.custom_signal import CustomSignal
from tests.unit.permissions.world import MINE, THEIRS, World

MAIL = CustomSignal(name="mail", path="/m", prometheus="mail")


@pytest.fixture
def page(server: World) -> World:
    """Both apps declare a signal, which is dead at one and read at the other."""
    kept = server.context.readings
    kept.declare({MINE.id: [MAIL], THEIRS.id: [MAIL]})
    kept.good(MINE.id, MAIL, 4.0)
    kept.failed(THEIRS.id, MAIL, "no answer")
    return server


def apps(text: str) -> dict[str, str]:
    return dict(re.findall(r'paas_custom_signal_readable{app="(\w+)",signal="mail"} (\d)', text))


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("app:none", {}),
        ("app:viewer", {"mine": "1"}),
        ("through:viewer", {"mine": "1"}),
        ("token:viewer", {"mine": "1"}),
        ("free:viewer", {"mine": "1"}),
        ("theirs:owner", {"theirs": "0"}),
        ("platform:owner", {"mine": "1", "theirs": "0"}),
        ("server", {"mine": "1", "theirs": "0"}),
    ],
)
def test_each_token_gets_the_apps_that_it_may_see(page: World, who: str, seen: dict[str, str]) -> None:
    answer = page.get("/metrics", page.tokens[who])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert apps(answer.text) == seen
    assert f"paas_apps {len(seen)}\n" in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "token-of-the-serve"])
def test_without_a_good_token_there_is_no_page(page: World, token: str) -> None:
    answer = page.get("/metrics", token)
    assert answer.status_code == 401
    assert "paas_" not in answer.text


def test_the_page_is_not_for_a_password(page: World) -> None:
    answer = page.get("/metrics", basic=page.tokens["app:viewer"])
    assert answer.status_code == 401
