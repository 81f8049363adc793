"""What the loop records and tells: missing signals with their cause, and a maximum that is not enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from paas.model.app import ReleaseKind
from paas.model.events import Event
from paas.model.scaling import Sample, TargetRule
from paas.requests.autoscale import ExplainAutoscale
from paas.usecases.autoscale import explain_autoscale
from paas.usecases.autoscaling import ANEW, BLIND, FIRST_WAIT, PERIOD
from paas.usecases.releases import change_release
from tests.unit.usecases.autoscaling.lab import BY_MAIL, MAIL, RULES, Lab
from tests.unit.usecases.parts import BAD, GOOD


def test_dead_metrics_hold_the_number_and_are_told_once(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 200)
    assert lab.load(None, BLIND * 3)[-1] == 5
    assert lab.kinds().count("autoscale.blind") == 1
    lab.load({"requests": 45.0}, 20)
    assert lab.kinds().count("autoscale.sighted") == 1


def looked_at_while_it_is_deployed(lab: Lab, seconds: float = 0.0) -> None:
    """A deploy, at every event of which the loop looks; the number stays meanwhile. One event takes so long."""
    before = lab.count
    seen: list[int] = []

    def look(event: Event) -> None:
        lab.platform.clock.sleep(0.0 if seen else seconds)
        lab.loop()
        seen.append(lab.count)

    change_release(
        lab.platform.context, lab.platform.store.app(lab.app.id), replace(lab.platform.act, emit=look),
        kind=ReleaseKind.DEPLOY, description="deploy", change=lambda base: base, restart=True,
    )  # fmt: skip
    assert set(seen) == {before}


def test_what_was_told_of_the_load_is_known_after_a_deploy(lab: Lab) -> None:
    lab.load({"requests": 500.0}, RULES.max_alarm + 60)
    looked_at_while_it_is_deployed(lab)
    lab.load({"requests": 500.0}, RULES.max_alarm + 60)
    assert lab.kinds().count("autoscale.maximum") == 1
    lab.load(None, BLIND * 2)
    looked_at_while_it_is_deployed(lab)
    lab.load({"requests": 45.0}, 20)
    assert (lab.kinds().count("autoscale.blind"), lab.kinds().count("autoscale.sighted")) == (1, 1)


def test_what_was_wanted_while_nobody_looked_is_no_time_at_the_maximum(lab: Lab) -> None:
    lab.load({"requests": 500.0}, 60)
    lab.signals.kept.append(Sample(lab.platform.clock.now() + RULES.max_alarm, 6, {"requests": 500.0}))
    looked_at_while_it_is_deployed(lab, RULES.max_alarm)
    lab.load({"requests": 500.0}, 60)
    assert "autoscale.maximum" not in lab.kinds()
    lab.load({"requests": 500.0}, RULES.max_alarm)
    assert lab.kinds().count("autoscale.maximum") == 1


def test_what_did_not_boot_of_one_release_is_tried_at_once_of_the_next(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.platform.engine.behaviours[GOOD] = lab.platform.engine.behaviours[BAD]
    assert lab.load({"requests": 45.0}, 2 * FIRST_WAIT)[-1] == 1
    lab.platform.engine.behaviours.pop(GOOD)
    looked_at_while_it_is_deployed(lab)
    assert lab.load({"requests": 45.0}, 2 * PERIOD)[-1] == 5


def test_a_signal_that_cannot_be_read_is_named_with_its_cause_where_the_number_is_held(tmp_path: Path) -> None:
    lab = Lab(tmp_path, BY_MAIL)
    kept = lab.platform.context.readings
    kept.declare({lab.app.id: [MAIL]})
    kept.failed(lab.app.id, MAIL, "web.1: GET /m answered 500, not 200")
    lab.load({"cpu": 0.1}, BLIND + 30)
    words = "no value of mail (web.1: GET /m answered 500, not 200)"
    assert lab.whys() == [f"{words}: the number is held"]
    (told,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.blind"]
    assert told.message == f"web has had {words} for 60 s: none of its 1 is let go"
    answer = explain_autoscale(lab.platform.context, ExplainAutoscale(app="shop"), lab.platform.act)
    assert [(one.name, one.state) for one in answer.signals] == [("mail", "dead")]
    assert answer.decisions[-1].decision.missing == ("mail",)


def test_a_signal_of_the_platform_that_is_missing_is_named_with_its_cause(lab: Lab) -> None:
    lab.load({"requests": 45.0}, 200)
    lab.platform.context.readings.unmeasured = {"requests": "Traefik does not answer"}
    assert lab.load({"cpu": 0.1}, BLIND + 30)[-1] == 5
    words = "no value of requests (Traefik does not answer)"
    assert lab.whys()[-1] == f"{words}: the number is held"
    (told,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.blind"]
    assert told.message == f"web has had {words} for 60 s: none of its 5 is let go"


def test_another_cause_of_the_same_is_recorded_after_a_while_and_not_at_every_look(tmp_path: Path) -> None:
    lab = Lab(tmp_path, BY_MAIL)
    kept = lab.platform.context.readings
    kept.declare({lab.app.id: [MAIL]})
    for number in range(24):
        kept.failed(lab.app.id, MAIL, f"web.1: GET /m answered {500 + number % 2}, not 200")
        lab.load({"cpu": 0.1}, PERIOD)
    assert "answered 501" in lab.whys()[1]
    assert len(lab.whys()) <= 24 * PERIOD / ANEW + 1


def test_a_signal_that_the_release_declares_no_more_is_named_as_that(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.deploy(BY_MAIL, signals=())
    lab.load({"cpu": 0.1}, 10)
    assert lab.whys() == ["no value of mail (release 2 declares no such signal): the number is held"]


def test_another_signal_that_goes_missing_is_another_record(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(BY_MAIL, rules=(*BY_MAIL.rules, TargetRule(metric="cpu", target=0.5))))
    lab.load({"cpu": 0.1}, 20)
    lab.load({"mail": 1.0}, 20)
    assert [one.partition("; ")[2] for one in lab.whys()] == ["no value of mail", "no value of cpu"]


def test_a_signal_of_a_process_that_is_scaled_to_0_holds_the_number_without_an_alarm(tmp_path: Path) -> None:
    lab = Lab(tmp_path, BY_MAIL)
    kept = lab.platform.context.readings
    kept.declare({lab.app.id: [MAIL]})
    kept.off(lab.app.id, MAIL, "other is scaled to 0")
    lab.load({"cpu": 0.1}, BLIND * 2)
    assert lab.whys() == ["no value of mail (other is scaled to 0): the number is held"]
    assert "autoscale.blind" not in lab.kinds()


def test_a_signal_that_nobody_is_asked_for_any_more_is_not_told_to_be_there_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path, BY_MAIL)
    kept = lab.platform.context.readings
    kept.declare({lab.app.id: [MAIL]})
    kept.failed(lab.app.id, MAIL, "other.1: GET /m answered 500, not 200")
    lab.load({"cpu": 0.1}, BLIND * 2)
    kept.off(lab.app.id, MAIL, "other is scaled to 0")
    lab.load({"cpu": 0.1}, 20)
    assert lab.kinds() == ["autoscale.blind"]
    lab.load({"mail": 1.0}, 20)
    assert lab.kinds() == ["autoscale.blind", "autoscale.sighted"]


def test_an_app_that_is_idle_is_not_blind_about_its_latency(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(RULES, rules=(TargetRule(metric="p95", target=0.3),)))
    lab.load({"requests": 20.0, "p95": 0.9}, 60)
    assert lab.count > 1
    assert lab.load({"requests": 0.0, "p95": 0.0, "in_flight": 0.0}, 8 * RULES.in_window)[-1] == 1
    assert "autoscale.blind" not in lab.kinds()


def test_an_app_that_hangs_is_not_quick(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(RULES, rules=(TargetRule(metric="p95", target=0.3),)))
    lab.load({"requests": 20.0, "p95": 0.9}, 60)
    before = lab.count
    assert lab.load({"requests": 0.0, "in_flight": 20.0}, 2 * RULES.in_window)[-1] == before > 1
    (told,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.blind"]
    assert "no value of p95 (none of the requests in flight was answered lately: they hang, or are WebSockets" in (
        told.message
    )


def test_a_router_that_does_not_count_is_no_app_that_hangs(tmp_path: Path) -> None:
    lab = Lab(tmp_path, replace(RULES, rules=(TargetRule(metric="p95", target=0.3),)))
    lab.load({"requests": 20.0, "p95": 0.9}, 60)
    lab.load({"in_flight": 20.0}, 2 * RULES.in_window)
    (told,) = [event for _, event in lab.platform.store.events(lab.app.id) if event.kind == "autoscale.blind"]
    assert "no value of p95 for 60 s" in told.message


def test_a_maximum_that_a_noisy_load_is_beyond_most_of_the_time_is_told_once(lab: Lab) -> None:
    for _ in range(20):
        lab.load({"requests": 80.0}, 40)
        lab.load({"requests": 40.0}, 20)
    assert lab.kinds().count("autoscale.maximum") == 1
    lab.load({"requests": 40.0}, 120)
    lab.load({"requests": 80.0}, 400)
    assert lab.kinds().count("autoscale.maximum") == 2, "it was enough in between"
