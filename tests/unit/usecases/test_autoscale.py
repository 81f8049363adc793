"""Rules set by command: over those of paas.toml, checked as they are there, shown with where they come from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from paas.errors import UsageError
from paas.interfaces import NoSignals
from paas.model.app import App, ProcessSpec, Release, ReleaseKind
from paas.model.scaling import DEFAULT, Autoscale, Sample, StepRule, TargetRule
from paas.requests.autoscale import ListAutoscale, PauseAutoscale, RecordedLoad, SetAutoscale, UnsetAutoscale
from paas.usecases.autoscale import (
    RulesLine,
    list_autoscale,
    pause_autoscale,
    recorded_load,
    rules_of,
    set_autoscale,
    unset_autoscale,
)
from paas.usecases.releases import change_release
from tests.unit.usecases.parts import GOOD, HTTP, Parts, parts

FILE = Autoscale(least=2, most=5, rules=(TargetRule(metric="cpu", target=0.7),), in_window=300.0)


@pytest.fixture
def platform(tmp_path: Path) -> Parts:
    made = parts(tmp_path)
    app = made.app(web=2)
    made.builder.add("paas/shop:1", GOOD, app.id)

    def change(base: Release) -> Release:
        processes = (
            ProcessSpec(name="web", command="run web", health=HTTP, autoscale=FILE),
            ProcessSpec(name="worker", command="work", health=HTTP),
        )
        return replace(base, image=GOOD, image_ref="paas/shop:1", processes=processes)

    change_release(made.context, app, made.act, kind=ReleaseKind.DEPLOY, description="deploy", change=change)
    return made


def shop(platform: Parts) -> App:
    return platform.store.app("shop")


def rules(platform: Parts, process: str = "web") -> Autoscale | None:
    app = shop(platform)
    return rules_of(platform.context, app, platform.store.release(app.id, app.wanted)).get(process)


def given(platform: Parts, process: str = "web", **table: Any) -> RulesLine:
    answer = set_autoscale(platform.context, SetAutoscale(app="shop", process=process, table=table), platform.act)
    return next(line for line in answer.processes if line.process == process)


def test_what_is_set_goes_over_paas_toml_and_what_is_not_said_stays(platform: Parts) -> None:
    line = given(platform, max=8, targets={"requests": 40})
    assert (line.origin, line.actor, line.least, line.most, line.targets) == (
        "set by command", "ann", 2, 8, {"requests": 40.0},
    )  # fmt: skip
    assert rules(platform) == replace(FILE, most=8, rules=(TargetRule(metric="requests", target=40.0),))


def test_a_maximum_that_the_addresses_never_allow_is_kept_with_a_warning(platform: Parts) -> None:
    def said(**table: Any) -> tuple[str, ...]:
        return set_autoscale(platform.context, SetAutoscale(app="shop", table=table), platform.act).warnings

    assert said(max=30) == ()
    (words,) = said(max=31)
    assert words.startswith(
        "web will not reach its maximum of 31: the network of an app has addresses for 61 containers"
    )
    assert words.endswith("so 30 are the most it can have")
    (words,) = said(max=5, schedule=[{"cron": "0 8 * * *", "max": 40}])
    assert "maximum of 40" in words
    platform.engine.down = True
    assert said(max=100) == ()
    assert (rules(platform) or FILE).most == 100


def test_unset_brings_back_those_of_paas_toml(platform: Parts) -> None:
    given(platform, max=8)
    (line,) = unset_autoscale(platform.context, UnsetAutoscale(app="shop"), platform.act).processes
    assert (line.origin, line.most) == ("paas.toml", 5)
    assert rules(platform) == FILE


def test_a_process_without_rules_gets_them_and_follows_cpu(platform: Parts) -> None:
    assert rules(platform, "worker") is None
    line = given(platform, "worker", min=1, max=3)
    assert (line.least, line.most, line.targets, line.pooled) == (1, 3, {"cpu": DEFAULT.target}, True)
    assert given(platform, "worker", targets={"cpu": "70%"}).pooled is False
    unset_autoscale(platform.context, UnsetAutoscale(app="shop", process="worker"), platform.act)
    assert rules(platform, "worker") is None


def test_steps_and_triggers_of_elastic_beanstalk_are_taken(platform: Parts) -> None:
    given(platform, step=[{"metric": "p95", "upper": "800ms", "add": 2}])
    assert rules(platform) == replace(FILE, rules=(*FILE.rules, StepRule(metric="p95", upper=0.8, add=2)))
    given(platform, targets={}, trigger={"MeasureName": "CPUUtilization", "UpperThreshold": 70, "MaxSize": 9})
    found = rules(platform)
    assert found is not None
    assert found.most == 9
    (rule,) = found.rules
    assert isinstance(rule, StepRule)
    assert rule.upper == pytest.approx(0.7)


def test_a_pause_holds_over_rules_of_the_file_and_of_the_command_and_ends(platform: Parts) -> None:
    (line,) = pause_autoscale(platform.context, PauseAutoscale(app="shop"), platform.act).processes
    assert (line.paused, line.origin) == (True, "paas.toml")
    assert given(platform, max=7).paused
    (line,) = pause_autoscale(platform.context, PauseAutoscale(app="shop", paused=False), platform.act).processes
    assert (line.paused, line.most, line.origin) == (False, 7, "set by command")


def test_scale_in_is_switched_off_and_on(platform: Parts) -> None:
    assert not given(platform, scale_in=False).scale_in
    assert given(platform, scale_in=True).scale_in


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"min": 6, "max": 4}, r"min \(6\) is more than max \(4\)"),
        ({"min": 9}, r"min \(9\) is more than max \(5\)"),
        ({"targets": {"cpu": 0}}, "cpu: expected a share above 0"),
        ({"targets": {"cpu": "NaN"}}, "cpu: expected a share above 0"),
        ({"targets": {"request": 4}}, "no metric 'request', did you mean requests"),
        ({"step": [{"metric": "pp95", "upper": 1}]}, "no metric 'pp95', did you mean p95"),
        ({"step": [{"metric": "p95", "upper": 1, "cooldown": -5}]}, "cooldown"),
        ({"step": [{"metric": "p95"}]}, "give upper, lower, or both"),
        ({"schedule": [{"cron": "0 8 31 2 *", "min": 2}]}, "never fires"),
        ({"schedule": [{"cron": "0 8 * * *", "time_zone": "Mars/Base", "min": 2}]}, "Mars/Base"),
        (
            {"schedule": [{"cron": "0 8 * * *", "min": 2}, {"cron": "0 8 * * mon", "min": 3}]},
            "both fire at .* with different bounds",
        ),
        ({"in_window": -1}, "in_window"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"maximum": 4}, "there is no such key"),
    ],
)
def test_what_makes_no_sense_is_refused_as_in_paas_toml_and_changes_nothing(
    platform: Parts, table: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        given(platform, **table)
    assert refused.value.exit_code == 2
    assert rules(platform) == FILE
    assert platform.store.overrides() == ()


def test_a_process_that_there_is_not_is_refused_with_those_there_are(platform: Parts) -> None:
    with pytest.raises(UsageError, match="no process 'wbe'") as refused:
        given(platform, "wbe", max=3)
    assert refused.value.hint == "it has: web, worker"
    with pytest.raises(UsageError, match="not scaled by rules"):
        pause_autoscale(platform.context, PauseAutoscale(app="shop", process="worker"), platform.act)


def test_an_app_that_was_never_deployed_keeps_what_is_set_for_later(tmp_path: Path) -> None:
    made = parts(tmp_path)
    made.app()
    set_autoscale(made.context, SetAutoscale(app="shop", table={"max": 4}), made.act)
    assert [one.process for one in made.store.overrides()] == ["web"]
    assert list_autoscale(made.context, ListAutoscale(app="shop"), made.act).processes == ()


def test_what_was_recorded_is_answered_for_a_simulation(platform: Parts) -> None:
    class Fed(NoSignals):
        def history(self, app_id: str, process: str, since: float, until: float, points: int = 0) -> tuple[Sample, ...]:
            return (Sample(since, 1, {"requests": 3.0}), Sample(until, points, {"requests": 4.0}))

    context = replace(platform.context, signals=Fed())
    now = platform.clock.now()
    found = recorded_load(context, RecordedLoad(app="shop", seconds=600, points=50), platform.act).samples
    assert [(one.at, one.replicas) for one in found] == [(now - 600, 1), (now, 50)]


def test_what_never_has_an_effect_is_refused(platform: Parts) -> None:
    with pytest.raises(UsageError, match="p95 is measured of web alone"):
        given(platform, "worker", targets={"p95": 0.3})
    now = datetime.fromtimestamp(platform.clock.now(), UTC)
    for hours in (2, 5):
        ended = {"at": (now - timedelta(hours=hours)).isoformat()[:16], "lasts": "1h", "min": 3}
        with pytest.raises(UsageError, match="has ended: it never fires again"):
            given(platform, schedule=[ended])
    assert given(platform, schedule=[{**ended, "lasts": "6h"}]).schedules
