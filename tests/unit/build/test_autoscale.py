"""`[processes.NAME.autoscale]`: what it means, and what is refused with file and key."""

from __future__ import annotations

import pytest

from paas.build import manifest
from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.app import ProcessSpec
from paas.model.scaling import DEFAULT, Autoscale, ScheduleRule, Statistic, StepRule, TargetRule

WHOLE = """
[processes.web.autoscale]
min = 2
max = 20
targets = { cpu = "70%", requests = 30, p95 = "400ms" }
tolerance = 0.1
out_window = "10s"
in_window = "5m"
warm_up = 20
scale_in = false
paused = true

[[processes.web.autoscale.step]]
metric = "memory"
upper = "90%"
lower = 0.3
statistic = "maximum"
period = "30s"
evaluations = 3
breach = "2m"
add = 2
remove = 3
cooldown = 0

[[processes.web.autoscale.schedule]]
cron = "0 8 * * mon-fri"
time_zone = "Europe/Berlin"
min = 4
lasts = "10h"

[[processes.web.autoscale.schedule]]
at = "2026-12-24T08:00"
max = 30
"""

TRIGGER = """
[processes.web.autoscale.trigger]
MeasureName = "CPUUtilization"
Statistic = "Average"
Unit = "Percent"
UpperThreshold = "60"
LowerThreshold = 20
Period = 5
EvaluationPeriods = 2
BreachDuration = 5
UpperBreachScaleIncrement = 2
LowerBreachScaleIncrement = -1
MinSize = 2
MaxSize = 4
Cooldown = 360
"""


def rules(text: str) -> Autoscale:
    found = manifest.load(Files.from_mapping({"paas.toml": text})).processes["web"].autoscale
    assert found is not None
    return found


def test_every_key_reaches_the_rules() -> None:
    assert rules(WHOLE) == Autoscale(
        least=2, most=20, tolerance=0.1, out_window=10, in_window=300, warm_up=20, scale_in=False, paused=True,
        rules=(
            TargetRule(metric="cpu", target=0.7), TargetRule(metric="requests", target=30),
            TargetRule(metric="p95", target=0.4),
            StepRule(metric="memory", upper=0.9, lower=0.3, statistic=Statistic.MAXIMUM, period=30, evaluations=3,
                     breach=120, add=2, remove=3, cooldown=0),
        ),
        schedules=(
            ScheduleRule(cron="0 8 * * mon-fri", time_zone="Europe/Berlin", least=4, lasts=36_000),
            ScheduleRule(at="2026-12-24T08:00", most=30),
        ),
    )  # fmt: skip


def test_an_empty_table_keeps_cpu_near_its_default() -> None:
    assert rules("[processes.web.autoscale]") == Autoscale(rules=(DEFAULT,))
    assert rules("[processes.web.autoscale]\nmin = 15").most == 15


def test_a_trigger_is_taken_in_the_words_of_elastic_beanstalk() -> None:
    found = rules(TRIGGER)
    assert (found.least, found.most) == (2, 4)
    assert found.rules == (
        StepRule(metric="cpu", upper=0.6, lower=0.2, period=300, evaluations=2, breach=300, add=2, cooldown=360),
    )


@pytest.mark.parametrize(
    ("measure", "rule"),
    [
        ('"Latency"\nUnit = "Milliseconds"', StepRule(metric="p95", upper=0.6)),
        ('"TargetResponseTime"\nUnit = "Microseconds"', StepRule(metric="p95", upper=0.0006)),
        ('"NetworkOut"', StepRule(metric="network_out", upper=2)),
        ('"NetworkIn"\nUnit = "Kilobytes"', StepRule(metric="network_in", upper=2000)),
        ('"NetworkIn"\nUnit = "Bits"', StepRule(metric="network_in", upper=0.25)),
        ('"UnHealthyHostCount"', StepRule(metric="unhealthy", upper=600)),
        ('"RequestCount"\nStatistic = "Sum"', StepRule(metric="requests", upper=600, statistic=Statistic.SUM)),
        ('"UnhealthyHostCount"\nStatistic = "Minimum"',
         StepRule(metric="unhealthy", upper=600, statistic=Statistic.MINIMUM)),
    ],
)  # fmt: skip
def test_measures_and_units_become_ours(measure: str, rule: StepRule) -> None:
    (found,) = rules(f"[processes.web.autoscale.trigger]\nUpperThreshold = 600\nMeasureName = {measure}").rules
    assert isinstance(found, StepRule)
    assert (found.metric, found.upper, found.statistic) == (rule.metric, pytest.approx(rule.upper), rule.statistic)


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        ("min = 5\nmax = 2", "", "min (5) is more than max (2)"),
        ("min = 0", ".min", "with [sleep] an app that nobody asks for runs nothing"),
        ("max = 0", ".max", "greater than or equal to 1"),
        ("targets = { cpu = 0 }", ".targets", "cpu: expected a share above 0"),
        ("targets = { cpu = 70 }", ".targets", "cpu: expected a share above 0"),
        ("targets = { requests = nan }", ".targets", "requests: expected a number above 0"),
        ("targets = { requests = inf }", ".targets", "requests: expected a number above 0"),
        ("targets = { requests = -1 }", ".targets", "requests: expected a number above 0"),
        ("targets = { requests = true }", ".targets", "requests: expected a number above 0"),
        ("targets = { p95 = 'soon' }", ".targets", "p95: expected a time above 0 and below 30 s"),
        ("targets = { p95 = 300 }", ".targets", "the longest that is measured, such as 300ms, not 300"),
        ("step = [{ metric = 'p99', upper = '1m' }]", ".step.0", "below 30 s"),
        ("targets = { cpuu = 0.7 }", ".targets", "no metric 'cpuu', did you mean cpu?"),
        ("targets = { latency = '300ms' }", ".targets", "no metric 'latency', did you mean p95?"),
        ("targets = { rps = 30 }", ".targets", "no metric 'rps', did you mean requests?"),
        ("targets = { healthy = 1 }", ".targets", "healthy cannot be kept near a value"),
        ("targets = 3", ".targets", "expected a table"),
        ("tragets = {}", ".tragets", "there is no such key"),
        ("in_window = -1", ".in_window", "expected a time between 0 and 86400 seconds, such as 30 or 5m"),
        ("schedule = [{ cron = '0 8 * * *', min = 2, lasts = 5 }]", ".schedule.0.lasts", "seconds, such as 60 or 5m"),
        ("step = [{ metric = 'cpu', upper = 0.8, cooldown = -5 }]", ".step.0.cooldown", "expected a time between 0"),
        ("step = [{ metric = 'requets', upper = 5 }]", ".step.0.metric", "did you mean requests?"),
        ("step = [{ metric = 'cpu', upper = false }]", ".step.0.upper", "expected a number, not false"),
        ("step = [{ metric = 'cpu', upper = 0.5, lower = 0 }]", ".step.0", "cpu is never below 0"),
        ("step = [{ metric = 'cpu', upper = 0.5, statistic = 'sum' }]", ".step.0", "nothing that adds up"),
        ("step = [{ metric = 'p95', upper = 0.5, statistic = 'sum' }]", ".step.0", "nothing that adds up"),
        ("step = [{ metric = 'cpu', upper = 0.5, period = '1h', evaluations = 25 }]", ".step.0",
         "25 hours are looked at: a step looks back 24"),
        ("step = [{ metric = 'cpu', upper = 0.5, period = 45, evaluations = 100 }]", ".step.0",
         "periods of 45 s are looked at for 50 minutes at most, not 75"),
        ("step = [{ metric = 'cpu' }]", ".step.0", "give upper, lower, or both"),
        ("step = [{ metric = 'cpu', upper = 0.2, lower = 0.5 }]", ".step.0", "lower (0.5) has to be below upper (0.2)"),
        ("schedule = [{ cron = '0 0 31 2 *', min = 2 }]", ".schedule.0", "never fires"),
        ("schedule = [{ cron = '61 * * * *', min = 2 }]", ".schedule.0", "never fires: bad minute"),
        ("schedule = [{ cron = 'often', min = 2 }]", ".schedule.0", "minute hour day month"),
        ("schedule = [{ cron = '* * * * * *', min = 2 }]", ".schedule.0", "expected minute hour day month weekday"),
        ("schedule = [{ at = 2026-01-01T08:00:00Z, min = 2 }]", ".schedule.0", "stands in time_zone"),
        ("schedule = [{ min = 2 }]", ".schedule.0", "give one of cron and at"),
        ("schedule = [{ cron = '0 8 * * *' }]", ".schedule.0", "give min, max, or both"),
        ("schedule = [{ at = 'noon', min = 2 }]", ".schedule.0", "'noon' is no time"),
        ("schedule = [{ at = '2026-01-01T08:00Z', min = 2 }]", ".schedule.0", "stands in time_zone"),
        ("schedule = [{ cron = '0 8 * * *', time_zone = 'Mars', min = 2 }]", ".schedule.0", "'Mars' is no time zone"),
        ("schedule = [{ cron = '0 8 * * *', time_zone = '../x', min = 2 }]", ".schedule.0", "is no time zone"),
        ("schedule = [{ cron = '0 8 * * *', min = 5, max = 4 }]", ".schedule.0", "min (5) is more than max (4)"),
        ("schedule = [{ cron = '0 8 * * *', min = 2 }, { cron = '0 */4 * * *', min = 3 }]", "",
         "both fire at 2024-01-01 08:00"),
        ("schedule = [{ cron = '0 8 * * *', min = 2 }, { at = '2027-05-03T08:00', max = 3 }]", "",
         "both fire at 2027-05-03 08:00"),
        ("trigger = { MeasureName = 'CPUUtilisation' }", ".trigger", "did you mean CPUUtilization?"),
        ("trigger = { MeasureName = 'CPUUtilization' }", ".trigger", "give UpperThreshold, LowerThreshold, or both"),
        ("trigger = { MeasureName = 'CPUUtilization', Unit = 'Bytes', UpperThreshold = 5 }", ".trigger",
         "Unit Bytes does not fit CPUUtilization: Percent"),
        ("trigger = { MeasureName = 'CPUUtilization', UpperThreshold = 150 }", ".trigger", "100 Percent at most"),
        ("trigger = { MeasureName = 'Latency', UpperThreshold = 500 }", ".trigger",
         "500 s: latencies are measured up to"),
        ("trigger = { MeasureName = 'Latency', Statistic = 'Sum', UpperThreshold = 1 }", ".trigger", "adds up"),
        ("trigger = { MeasureName = 'NetworkIn', UpperThreshold = 1, Period = 60, EvaluationPeriods = 100 }",
         ".trigger", "100 hours are looked at"),
        ("trigger = { MeasureName = 'RequestCount', UpperThreshold = 5 }", ".trigger", 'Statistic = "Sum"'),
        ("trigger = { MeasureName = 'NetworkIn', UpperThreshold = 5, Cooldown = -1 }", ".trigger.Cooldown",
         "greater than or equal to 0"),
        ("trigger = { MeasureName = 'NetworkIn', UpperThreshold = 5, MinSize = 9, MaxSize = 3 }", "",
         "min (9) is more than max (3)"),
        ("min = 2\ntrigger = { MeasureName = 'NetworkIn', UpperThreshold = 5, MinSize = 3 }", "",
         "min is 2 and MinSize is 3: give one of them"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused_with_file_and_key(text: str, where: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(f"[processes.web.autoscale]\n{text}\n")
    assert caught.value.where == f"paas.toml: processes.web.autoscale{where}"
    assert caught.value.exit_code == 5
    assert told in caught.value.message


def test_schedules_at_the_same_moment_with_the_same_bounds_do_not_fight() -> None:
    daily, mondays, later = (
        "cron = '0 8 * * *', min = 2",
        "cron = '0 8 * * mon', min = 2",
        "cron = '0 9 * * *', max = 4",
    )
    text = f"[processes.web.autoscale]\nschedule = [{{ {daily} }}, {{ {mondays} }}, {{ {later} }}]\n"
    assert len(rules(text).schedules) == 3


def test_a_release_command_is_not_scaled() -> None:
    with pytest.raises(ConfigError, match="release runs once and is not scaled"):
        manifest.load(Files.from_mapping({"paas.toml": "[processes.release.autoscale]"}))


@pytest.mark.parametrize("metric", ["requests", "in_flight", "p95"])
def test_what_only_web_has_is_refused_for_others_as_nothing_would_ever_come_of_it(metric: str) -> None:
    for place in ("", "environments.review."):
        for rule in (f"targets = {{ {metric} = 2 }}", f"step = [{{ metric = '{metric}', upper = 2 }}]"):
            with pytest.raises(ConfigError, match=f"{metric} is measured of web alone") as caught:
                manifest.load(Files.from_mapping({"paas.toml": f"[{place}processes.worker.autoscale]\n{rule}\n"}))
            assert caught.value.where == f"paas.toml: {place}processes.worker.autoscale"


def test_a_step_may_look_at_a_whole_day_and_for_any_unhealthy_replica() -> None:
    for rule in ("metric = 'cpu', upper = 0.5, period = '1h', evaluations = 24", "metric = 'unhealthy', upper = '0'"):
        (found,) = rules(f"[processes.web.autoscale]\nstep = [{{ {rule} }}]").rules
        assert isinstance(found, StepRule)


def test_a_time_need_not_be_in_quotes() -> None:
    (found,) = rules("[processes.web.autoscale]\nschedule = [{ at = 2026-12-24T08:00:00, min = 2 }]").schedules
    assert found.at == "2026-12-24T08:00:00"


@pytest.mark.parametrize(
    ("name", "scaled", "said", "expected"),
    [
        ("web", False, None, 1), ("worker", False, None, 0), ("worker", True, None, 2), ("web", True, None, 2),
        ("worker", True, 0, 0), ("worker", True, 1, 2), ("worker", True, 9, 5), ("worker", False, 3, 3),
    ],
)  # fmt: skip
def test_a_process_with_rules_starts_at_their_minimum(name: str, scaled: bool, said: int | None, expected: int) -> None:
    rules = Autoscale(least=2, most=5) if scaled else None
    assert ProcessSpec(name=name, autoscale=rules).start(said) == expected
