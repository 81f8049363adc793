"""`paas autoscale list` and `explain`: what is told of rules and of the signals that an app declares."""

from __future__ import annotations

from paas.model.autoscaling import Range, Recorded, Summary
from paas.model.custom_signal import Reading, Standing
from paas.model.scaling import Decision, Sample, ScheduleRule, StepRule
from paas.requests.autoscale import ExplainAutoscale, ListAutoscale, SetAutoscale
from paas.usecases.autoscale import AppRules, Explained, RulesLine, parsed
from tests.unit.cli.conftest import Paas
from tests.unit.server.stub import Running

SIGNALS = (
    Reading(name="jobs", state=Standing.OK, value=12.0, at=1.0),
    Reading(name="mail", state=Standing.DEAD, why="web.1: GET /m answered 500, not 200"),
    Reading(name="part", state=Standing.PARTIAL, value=3.5, at=1.0, why="1 of 2 replicas gave no number; web.2: x"),
    Reading(name="rest", state=Standing.OFF, why="web is scaled to 0"),
)


def test_list_shows_each_signal_with_its_value_and_its_trouble(paas: Paas, server: Running) -> None:
    server.door.answers[ListAutoscale] = AppRules(app="shop", processes=(), signals=SIGNALS)
    ran = paas("autoscale", "list", "-a", "shop")
    assert ran.code == 0, ran.err
    rows = {line.split()[0]: line.split(maxsplit=1)[1] for line in ran.out.splitlines() if line}
    assert rows["jobs"].split()[::3] == ["12", "ok"]
    assert rows["mail"].split(maxsplit=2) == ["-", "-", "dead: web.1: GET /m answered 500, not 200"]
    assert "partial: 1 of 2 replicas gave no number; web.2: x" in rows["part"]
    assert "off: web is scaled to 0" in rows["rest"]


def test_rules_set_before_the_first_deploy_are_said_to_wait_for_it(paas: Paas, server: Running) -> None:
    server.door.answers[SetAutoscale] = AppRules(app="shop", processes=())
    ran = paas("autoscale", "set", "worker", "--max", "4", "-a", "shop")
    assert (ran.code, ran.err.strip()) == (0, "kept for worker of shop: holds from the first deploy that has it")


def test_explain_ends_with_what_is_wrong_now(paas: Paas, server: Running) -> None:
    made = Decision(at=1.0, replicas=3, wanted=3, why="no value of mail: the number is held", limits=("no data",))
    kept = Recorded(app_id="a1", process="web", decision=made, samples=(Sample(1.0, 3, {"cpu": 0.5}),))
    server.door.answers[ExplainAutoscale] = Explained(app="shop", decisions=(kept,), signals=SIGNALS)
    ran = paas("autoscale", "explain", "-a", "shop")
    assert ran.code == 0, ran.err
    assert "web 3 held: no value of mail: the number is held [no data]" in ran.out
    assert ran.err.splitlines() == [
        "signal mail has no value: web.1: GET /m answered 500, not 200",
        "signal part is read in part: 1 of 2 replicas gave no number; web.2: x",
    ]


def test_explain_sums_up_the_window_of_a_scale_in(paas: Paas, server: Running) -> None:
    made = Decision(at=130.0, replicas=3, wanted=1, why="jobs 2 of 20, and 1 were enough all of the last 120 s")
    ranges = {
        "cpu": Range(lowest=0.01, highest=0.4567, average=0.2),
        "jobs": Range(lowest=0.0, highest=3.0, average=1.5),
        "disk_read": Range(lowest=0.0, highest=0.0, average=0.0),
    }
    whole = Summary(seconds=120.0, count=24, values=ranges)
    kept = Recorded(
        app_id="a1", process="web", decision=made, samples=(Sample(130.0, 3, {"jobs": 2.0}),), summary=whole
    )
    server.door.answers[ExplainAutoscale] = Explained(app="shop", decisions=(kept,), signals=())
    ran = paas("autoscale", "explain", "-a", "shop")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1] == (
        "    24 samples in 120 s  cpu 0.01 to 0.457, 0.2 on average  jobs 0 to 3, 1.5 on average; the last:"
    )
    assert ran.out.splitlines()[2].endswith("3 replicas  jobs 2")


def test_a_trigger_of_elastic_beanstalk_is_sent_as_its_fields_say(paas: Paas, server: Running) -> None:
    server.door.answers[SetAutoscale] = AppRules(app="shop", processes=())
    said = "MeasureName=CPUUtilization; UpperThreshold=62.5; LowerBreachScaleIncrement=-2; MaxSize=8"
    ran = paas("autoscale", "set", "web", "--trigger", said, "-a", "shop")
    assert ran.code == 0, ran.err
    (sent,) = [one for one, *_ in server.door.seen if isinstance(one, SetAutoscale)]
    assert sent.table == {
        "trigger": {
            "MeasureName": "CPUUtilization", "UpperThreshold": "62.5", "LowerBreachScaleIncrement": -2, "MaxSize": 8,
        }
    }  # fmt: skip
    assert parsed(sent.table).rules == (StepRule(
        metric="cpu", upper=0.625, period=300.0, breach=300.0, remove=2, cooldown=360.0,
    ),)  # fmt: skip


def test_list_writes_values_as_they_are_typed(paas: Paas, server: Running) -> None:
    line = RulesLine(
        process="web", replicas=2, origin="set by command", least=1, most=8, scheduled="",
        targets={"cpu": 0.7, "p95": 0.3, "requests": 32.0, "network_out": 12_500_000.0},
        steps=(
            StepRule(metric="p95", upper=1.5, lower=0.05, add=2),
            StepRule(metric="memory", upper=0.875),
            StepRule(metric="jobs", upper=0.25),
        ),
        schedules=(
            ScheduleRule(cron="0 8 * * mon-fri", time_zone="Europe/Berlin", least=4, lasts=36_000.0),
            ScheduleRule(at="2026-12-24T08:00", least=2, most=3),
        ),
        tolerance=0.0, out_window=0.0, in_window=120.0, warm_up=15.0, max_alarm=300.0, scale_in=True,
        paused=False, base=(1, 8),
    )  # fmt: skip
    server.door.answers[ListAutoscale] = AppRules(app="shop", processes=(line,))
    ran = paas("autoscale", "list", "-a", "shop")
    assert ran.code == 0, ran.err
    rules = (
        "cpu=70%, p95=300ms, requests=32, network_out=12500000, p95 over 1.5s: +2 under 50ms: -1, "
        "memory over 87.5%: +1, jobs over 0.25: +1, "
        "schedule 0 8 * * mon-fri Europe/Berlin: min 4 for 10 h, schedule 2026-12-24T08:00 UTC: min 2 max 3"
    )
    assert rules in ran.out
