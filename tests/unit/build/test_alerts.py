"""`[alerts]` of `paas.toml`."""

from __future__ import annotations

import pytest

from paas.build.files import Files
from paas.build.manifest import load
from paas.errors import ConfigError
from paas.model.alert import Alert
from paas.model.manifest import Manifest


def manifest(text: str) -> Manifest:
    return load(Files.from_mapping({"paas.toml": text}))


def test_alerts_are_read_as_they_are_declared() -> None:
    text = """
[signals.waiting]
query = "select count(*) from jobs"
[alerts.slow]
metric = "p95"
above = "800ms"
[alerts.failing]
metric = "errors"
above = "5%"
lasts = "1m"
[alerts.down]
metric = "healthy"
process = "worker"
below = 2
lasts = 0
[alerts.queue]
metric = "waiting"
above = 1000
[alerts.any]
metric = "5xx"
above = 0
"""
    assert manifest(text).alerts == (
        Alert(name="slow", metric="p95", above=0.8),
        Alert(name="failing", metric="errors", above=0.05, lasts=60.0),
        Alert(name="down", metric="healthy", process="worker", below=2.0, lasts=0.0),
        Alert(name="queue", metric="waiting", above=1000.0),
        Alert(name="any", metric="5xx", above=0.0),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[alerts.a]\nmetric = 'p96'\nabove = 1", "there is no metric 'p96', did you mean p9"),
        ("[alerts.a]\nmetric = 'p95'", "give above, below, or both"),
        ("[alerts.a]\nabove = 1", "metric"),
        ("[alerts.a]\nmetric = 'p95'\nabove = 'soon'", "p95: expected a time above 0 and below 30 s"),
        ("[alerts.a]\nmetric = 'requests'\nabove = -1", "requests: expected a number above 0, not -1"),
        ("[alerts.a]\nmetric = 'requests'\nabove = nan", "requests: expected a number above 0, not nan"),
        ("[alerts.a]\nmetric = 'requests'\nabove = inf", "requests: expected a number above 0, not inf"),
        ("[alerts.a]\nmetric = 'errors'\nabove = 5", "errors: expected a share above 0 and up to 1"),
        ("[alerts.a]\nmetric = 'cpu'\nabove = '130%'", "cpu: expected a share above 0 and up to 1"),
        ("[alerts.a]\nmetric = 'requests'\nbelow = 0", "nothing is below 0: this would never fire"),
        ("[alerts.a]\nmetric = 'requests'\nabove = 1\nbelow = 2", "every value is beyond one of them"),
        ("[alerts.a]\nmetric = 'requests'\nabove = 1\nlasts = '2d'", "lasts"),
        ("[alerts.a]\nmetric = 'requests'\nabove = 1\nfor = '5m'", "for"),
        ("[alerts.'A b']\nmetric = 'requests'\nabove = 1", "cannot name an alert"),
        ("".join(f"[alerts.a{i}]\nmetric = 'requests'\nabove = 1\n" for i in range(21)), "20"),
    ],
)
def test_what_could_not_be_meant_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        manifest(text)
    assert words in f"{caught.value.message} {caught.value.details}"
    assert (caught.value.where or "").startswith("paas.toml: alerts")
