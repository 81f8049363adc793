"""`[processes.NAME.autoscale]`: what it means, and what is refused with file and key."""

from __future__ import annotations

import pytest

from paas.build import manifest
from paas.build.files import Files
from paas.errors import ConfigError
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
        ('"TargetResponseTime"', StepRule(metric="p95", upper=600)),
        ('"NetworkOut"', StepRule(metric="network_out", upper=2)),
        ('"NetworkIn"\nUnit = "Kilobytes"', StepRule(metric="network_in", upper=2000)),
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
        ("max = 0", ".max", "greater than or equal to 1"),
        ("targets = { cpu = 0 }", ".targets", "cpu: expected a share above 0"),
        ("targets = { cpu = 70 }", ".targets", "cpu: expected a share above 0"),
        ("targets = { requests = nan }", ".targets", "requests: expected a number above 0"),
        ("targets = { requests = inf }", ".targets", "requests: expected a number above 0"),
        ("targets = { requests = -1 }", ".targets", "requests: expected a number above 0"),
        ("targets = { requests = true }", ".targets", "requests: expected a number above 0"),
        ("targets = { p95 = 'soon' }", ".targets", "p95: expected a number above 0"),
        ("targets = { cpuu = 0.7 }", ".targets", "no metric 'cpuu', did you mean cpu?"),
        ("targets = { healthy = 1 }", ".targets", "no metric 'healthy'"),
        ("targets = 3", ".targets", "expected a table"),
        ("tragets = {}", ".tragets", "there is no such key"),
        ("in_window = -1", ".in_window", "expected a time between 0"),
        ("step = [{ metric = 'cpu', upper = 0.8, cooldown = -5 }]", ".step.0.cooldown", "expected a time between 0"),
        ("step = [{ metric = 'requets', upper = 5 }]", ".step.0.metric", "did you mean requests?"),
        ("step = [{ metric = 'cpu' }]", ".step.0", "give upper, lower, or both"),
        ("step = [{ metric = 'cpu', upper = 0.2, lower = 0.5 }]", ".step.0", "lower (0.5) has to be below upper (0.2)"),
        ("schedule = [{ cron = '0 0 31 2 *', min = 2 }]", ".schedule.0", "never fires"),
        ("schedule = [{ cron = '61 * * * *', min = 2 }]", ".schedule.0", "never fires: bad minute"),
        ("schedule = [{ cron = 'often', min = 2 }]", ".schedule.0", "never fires"),
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
        ("trigger = { MeasureName = 'CPUUtilization' }", ".trigger", "give upper, lower, or both"),
        ("trigger = { MeasureName = 'CPUUtilization', Unit = 'Bytes', UpperThreshold = 5 }", ".trigger",
         "Unit Bytes does not fit CPUUtilization: Percent"),
        ("trigger = { MeasureName = 'RequestCount', UpperThreshold = 5 }", ".trigger", 'Statistic = "Sum"'),
        ("trigger = { MeasureName = 'NetworkIn', UpperThreshold = 5, Cooldown = -1 }", ".trigger.Cooldown",
         "greater than or equal to 0"),
        ("trigger = { MeasureName = 'NetworkIn', UpperThreshold = 5, MinSize = 9, MaxSize = 3 }", "",
         "min (9) is more than max (3)"),
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
