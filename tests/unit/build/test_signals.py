"""`[signals]` of `paas.toml`, and rules that name them."""

from __future__ import annotations

import pytest

from paas.build.files import Files
from paas.build.manifest import load
from paas.errors import ConfigError
from paas.model.custom_signal import Combine, CustomSignal
from paas.model.manifest import Manifest
from paas.model.scaling import StepRule, TargetRule

GOOD = """
[signals.waiting]
path = "/metrics"
prometheus = 'jobs_waiting{queue="mail"}'
combine = "average"
period = "30s"
[signals.jobs]
query = "select count(*) from jobs"
addon = "DATABASE"
[signals.depth]
path = "/stats.json"
json = "/queues/0/depth"
process = "worker"
port = 9100
"""


def manifest(text: str) -> Manifest:
    return load(Files.from_mapping({"paas.toml": text}))


def test_signals_are_read_as_they_are_declared() -> None:
    assert manifest(GOOD).signals == (
        CustomSignal(name="waiting", path="/metrics", prometheus='jobs_waiting{queue="mail"}', period=30.0,
                     combine=Combine.AVERAGE),
        CustomSignal(name="jobs", query="select count(*) from jobs", addon="DATABASE"),
        CustomSignal(name="depth", path="/stats.json", json="/queues/0/depth", process="worker", port=9100),
    )  # fmt: skip


def test_rules_of_any_process_follow_them() -> None:
    rules = (
        manifest(
            GOOD + "[processes.worker.autoscale]\ntargets = { jobs = 20 }\n"
            "[[processes.worker.autoscale.step]]\nmetric = 'waiting'\nupper = 50\n"
        )
        .processes["worker"]
        .autoscale
    )
    assert rules.rules == (TargetRule(metric="jobs", target=20), StepRule(metric="waiting", upper=50))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[processes.web.autoscale]\ntargets = { job = 20 }", "there is no metric 'job', did you mean jobs?"),
        ("[[processes.web.autoscale.step]]\nmetric = 'wating'\nupper = 1", "did you mean waiting?"),
        ("[processes.web.autoscale]\ntargets = { jobs = 0 }", "jobs: expected a number above 0"),
        ("[processes.web.autoscale]\ntargets = { jobs = nan }", "jobs: expected a number above 0"),
        ("[signals.x]\n", "give either a path"),
        ("[signals.x]\npath = '/m'\n", "prometheus or json"),
        ("[signals.x]\npath = '/m'\njson = '/a'\nprometheus = 'a'\n", "prometheus or json"),
        ("[signals.x]\npath = '/m'\njson = '/a'\nquery = 'select 1'\n", "give either a path"),
        ("[signals.x]\npath = 'http://169.254.169.254/latest'\njson = '/a'\n", "never of another host"),
        ("[signals.x]\npath = '//evil.example.com/m'\njson = '/a'\n", "never of another host"),
        ("[signals.x]\npath = '@evil.example.com/m'\njson = '/a'\n", "never of another host"),
        ("[signals.x]\npath = '/m HTTP/1.1'\njson = '/a'\n", "without spaces"),
        ('[signals.x]\npath = "/m\\r\\nHost: x"\njson = "/a"\n', "without spaces"),
        ("[signals.x]\npath = '/m'\njson = 'a'\n", "JSON pointer"),
        ("[signals.x]\npath = '/m'\nprometheus = 'a b'\n", "name of a series"),
        ("[signals.x]\npath = '/m'\nprometheus = 'a{b=c}'\n", "name of a series"),
        ("[signals.x]\npath = '/m'\njson = '/a'\nprocess = 'worker'\n", "at which port"),
        ("[signals.x]\nquery = 'delete from jobs'\n", "reads one number"),
        ("[signals.x]\nquery = '\\! id'\n", "reads one number"),
        ("[signals.x]\nquery = 'DEL jobs'\n", "of Redis: LLEN jobs"),
        ("[signals.x]\nquery = 'LLEN \"my jobs\"'\n", "without quotes"),
        ("[signals.x]\nquery = 'select 1; commit; delete from jobs'\n", "one statement"),
        ("[signals.x]\nquery = 'select 1;;'\n", "one statement"),
        ("[signals.x]\nquery = 'select 1'\nport = 80\n", "takes no"),
        ("[signals.x]\nquery = 'select 1'\nperiod = '1s'\n", "period"),
        ("[signals.cpu]\nquery = 'select 1'\n", "the platform's own"),
        ("[signals.jobs_max]\nquery = 'select 1'\n", "the platform's own"),
        ("[signals.Jobs]\nquery = 'select 1'\n", "cannot name a signal"),
        ("[signals.x]\nurl = 'http://10.0.0.1'\n", "there is no such key"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        manifest(GOOD + text)
    said = str(caught.value) + caught.value.message
    assert words in said
    assert caught.value.where.startswith("paas.toml: ")


def test_sleep_has_a_time_of_a_minute_or_more() -> None:
    assert manifest('[sleep]\nafter = "30m"').sleep_after == 1800
    assert manifest("").sleep_after is None
    for text in ("[sleep]", "[sleep]\nafter = 5", "[sleep]\nafter = 'never'", "[sleep]\nafter = '8d'"):
        with pytest.raises(ConfigError) as caught:
            manifest(text)
        assert caught.value.where == "paas.toml: sleep.after"


def test_there_are_ten_of_them_at_most() -> None:
    text = "".join(f"[signals.s{number}]\nquery = 'select 1'\n" for number in range(11))
    with pytest.raises(ConfigError, match="10"):
        manifest(text)


def test_a_statement_may_end_as_people_write_it() -> None:
    (signal,) = manifest("[signals.x]\nquery = 'select 1;'\n").signals
    assert signal.query == "select 1;"


def test_a_pointer_of_slashes_is_refused_at_once() -> None:
    """Two ways to read each slash would be 2^400 ways to read them all."""
    with pytest.raises(ConfigError, match="JSON pointer"):
        manifest("[signals.x]\npath = '/m'\njson = \"" + "/" * 400 + '~"\n')
