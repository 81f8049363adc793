"""`paas autoscale simulate`: what is printed, drawn and refused. No server."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from paas.requests.autoscale import ListAutoscale
from paas.usecases.autoscale import AppRules, RulesLine
from tests.unit.cli.conftest import Paas
from tests.unit.server.stub import Running

STEP = "time,requests/s\n0,10\n300,10\n600,200\n900,200\n1200,10\n1500,10\n"


@pytest.fixture
def trace(paas: Paas) -> Path:
    """A step, in the folder where commands run."""
    path = Path("load.csv")
    path.write_text(STEP)
    return path


def numbers(paas: Paas, *more: str) -> dict[str, object]:
    ran = paas("autoscale", "simulate", "--trace", "load.csv", "--json", *more)
    assert ran.code == 0, ran.err
    found: dict[str, object] = json.loads(ran.out)
    return found


def test_the_picture_the_table_and_the_advice_are_printed(paas: Paas, trace: Path) -> None:
    ran = paas("autoscale", "simulate", "--trace", "load.csv", "--compare")
    assert ran.code == 0
    for words in ("requests/s 200", "replicas", "p95, s", "over target", "30 m", "S OVER TARGET", "Kubernetes HPA"):
        assert words in ran.out, words
    rows = [line.split("  ")[0] for line in ran.out.partition("RULES")[2].splitlines()[1:]]
    assert rows == ["these rules", "Elastic Beanstalk", "ECS target tracking", "Heroku p95", "Kubernetes HPA"]
    assert "1 → 6: cpu" in ran.err
    assert "advice for this trace: min = 1, max = " in ran.err


def test_no_advice_is_given_where_no_number_of_replicas_helps(paas: Paas, trace: Path) -> None:
    ran = paas("autoscale", "simulate", "--trace", "load.csv", "--target-latency", "0.05")
    assert ran.code == 0
    assert "is --target-latency right?" in ran.err
    assert "advice" not in ran.err


def test_json_has_every_change_with_its_reason(paas: Paas, trace: Path) -> None:
    found = numbers(paas)
    assert (found["seconds"], found["requests"]) == (1800, 600 * 10 + 600 * 200 + 600 * 10)
    (run,) = found["runs"]  # type: ignore[misc]
    assert run["failed"] == 0
    assert run["changes"][0]["from"] == 1
    assert "wants" in run["changes"][0]["why"]
    assert found["advice"]["requests"] < 40  # type: ignore[index]


def test_rules_come_from_paas_toml_and_options_go_over_it(paas: Paas, trace: Path) -> None:
    Path("app").mkdir()
    Path("app/paas.toml").write_text("[processes.web.autoscale]\nmin = 3\nmax = 4\ntargets = { requests = 20 }\n")

    def peak(*more: str) -> object:
        return numbers(paas, "app", *more)["runs"][0]["peak"]  # type: ignore[index]

    assert peak() == 4
    assert peak("--max", "9") == 9
    assert peak("--max", "50", "--rule", "requests=10") == 20
    assert peak("--process", "worker") == 7


def test_several_sets_of_rules_are_compared_in_one_run(paas: Paas, trace: Path) -> None:
    Path("other").mkdir()
    Path("other/paas.toml").write_text("[processes.web.autoscale]\nmin = 3\nmax = 3\n")
    inline = "min=2; max=4; requests=20; in_window=60s"
    found = numbers(paas, "--max", "7", "--against", inline, "--against", "other/paas.toml", "--against", "file")
    runs = found["runs"]
    assert [one["rules"] for one in runs] == ["these rules", inline, "other/paas.toml", "file"]  # type: ignore[index, attr-defined]
    assert [one["peak"] for one in runs] == [7, 4, 3, 7]  # type: ignore[index, attr-defined]


def test_what_a_replica_can_do_is_told_with_where_that_comes_from(paas: Paas, trace: Path) -> None:
    found = numbers(paas, "--capacity", "50")["replica"]
    assert found["capacity"] == {"value": 50.0, "source": "given"}  # type: ignore[index]
    assert found["boot"] == {"value": 1.0, "source": "default"}  # type: ignore[index]
    said = paas("autoscale", "simulate", "--trace", "load.csv", "--boot", "3").err
    assert "40 requests/s (default)" in said
    assert "boot: 3 s (given)" in said


def test_svg_is_a_picture_with_a_panel_a_run(paas: Paas, trace: Path) -> None:
    assert paas("autoscale", "simulate", "--trace", "load.csv", "--compare", "--svg", "a.svg").code == 0
    root = ElementTree.fromstring(Path("a.svg").read_text())
    titles = [
        one.text or "" for one in root.iter("{http://www.w3.org/2000/svg}text") if "over target" in (one.text or "")
    ]
    assert len(titles) == 5


def test_png_is_the_same_picture_in_pixels(paas: Paas, trace: Path) -> None:
    assert paas("autoscale", "simulate", "--trace", "load.csv", "--against", "min=6", "--png", "a.png").code == 0
    with Image.open("a.png") as image:
        assert (image.format, image.size) == ("PNG", (1920, 1472))
        colours = {colour for _, colour in image.getcolors(1 << 24) or []}
    assert {(34, 119, 204), (0, 136, 51), (204, 51, 51)} <= colours  # load, latency, its target


def test_png_without_its_library_is_refused_in_words(paas: Paas, trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    ran = paas("autoscale", "simulate", "--trace", "load.csv", "--png", "a.png")
    assert ran.code == 2
    assert "--png needs Pillow" in ran.err
    assert "paasctl[plot]" in ran.err
    assert not Path("a.png").exists()


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--rule", "cpuu=0.7"], 2, "did you mean cpu?"),
        (["--rule", "cpu=0"], 2, "cpu: expected a share above 0"),
        (["--rule", "requests=nan"], 2, "expected a number above 0"),
        (["--rule", "cpu"], 2, "'cpu' is no rule"),
        (["--rule", "memory=0.5"], 2, "says nothing about memory"),
        (["--min", "5", "--max", "2"], 2, "no number lies between"),
        (["--max", "0"], 2, "no number lies between"),
        (["--latency", "31"], 2, "--latency 31: what takes longer than 30 s counts as failed"),
        (["--against", "cpu=70%; max=0"], 2, "max: input should be greater than or equal to 1"),
        (["--min", "0"], 2, "no number lies between"),
        (["--capacity", "0"], 2, "--capacity 0 makes no sense"),
        (["--capacity", "1"], 2, "serves 10 requests/s at least, not 1"),
        (["--boot", "-1"], 2, "--boot -1 makes no sense"),
        (["--target-latency", "nan"], 2, "makes no sense"),
        (["--png", "no/such/folder.png"], 2, "cannot be written"),
        (["--svg", "no/such/folder.svg"], 2, "cannot be written"),
        (["--rules", "mine"], 2, "--rules mine: there are file and server"),
        (["--against", "none.toml"], 2, "--against none.toml: there are no such rules"),
        (["--against", "min=5; max=2"], 2, "min (5) is more than max (2)"),
        (["--against", "min=2; cpuu=70%"], 2, "did you mean cpu?"),
        (["--against", "cpu=nan"], 2, "expected a share above 0"),
        (["--against", "cpu=0"], 2, "expected a share above 0"),
        (["--against", "in_window=-5s; cpu=70%"], 2, "expected a time between 0"),
        (["--against", "memory=50%"], 2, "says nothing about memory"),
        (["nowhere"], 3, "nowhere is no folder"),
    ],
)
def test_what_makes_no_sense_is_refused(paas: Paas, trace: Path, more: list[str], code: int, told: str) -> None:
    ran = paas("autoscale", "simulate", "--trace", "load.csv", *more)
    assert ran.code == code
    assert told in ran.err


WITH_A_SIGNAL = """
[signals.mail]
path = "/m"
prometheus = "mail"
[processes.web.autoscale]
max = 5
targets = { requests = 30 }
[processes.worker.autoscale]
targets = { cpu = 0.5, mail = 10 }
[processes.mover.autoscale]
step = [{ metric = "mail", upper = 5 }]
"""


@pytest.mark.parametrize(
    "more",
    [
        ["--process", "worker"],
        ["--process", "mover"],
        ["--rule", "mail=10"],
        ["--rule", "cpu=50%", "--rule", "mail=10"],
        ["--against", "min=2; mail=10"],
        ["--process", "worker", "--rule", "requests=30", "--against", "file"],
    ],
)
def test_rules_by_what_only_the_app_knows_are_refused_wherever_they_come_from(
    paas: Paas, trace: Path, more: list[str]
) -> None:
    Path("app").mkdir()
    Path("app/paas.toml").write_text(WITH_A_SIGNAL)
    ran = paas("autoscale", "simulate", "app", "--trace", "load.csv", *more)
    assert ran.code == 2
    assert "says nothing about mail, which only the app knows: rules by it cannot be simulated" in ran.err
    assert "hint: simulated are cpu, requests, in_flight, p95; the bounds with other rules: --rule cpu=80%" in ran.err
    assert not ran.out
    assert paas("autoscale", "simulate", "app", "--trace", "load.csv").code == 0, "the rules of web know nothing of it"


def test_so_are_those_that_hold_on_the_server(paas: Paas, server: Running, trace: Path) -> None:
    Path("load.csv").write_text(STEP)
    held = RulesLine(
        process="web", replicas=1, origin="set by command", least=1, most=4, scheduled="", targets={"mail": 10.0},
        steps=(), schedules=(), tolerance=0.0, out_window=0.0, in_window=120.0, warm_up=15.0, max_alarm=300.0,
        scale_in=True, paused=False, base=(1, 4),
    )  # fmt: skip
    server.door.answers[ListAutoscale] = AppRules(app="shop", processes=(held,))
    ran = paas("autoscale", "simulate", "--trace", "load.csv", "--rules", "server", "-a", "shop")
    assert ran.code == 2
    assert "says nothing about mail, which only the app knows" in ran.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0,1\n10,1\n5,1\n", "load.csv:3: the time is not after"),
        ("0,1\n10,1\n20,1\n90,1\n", "load.csv:4: 70 s are missing"),
    ],
)
def test_a_wrong_trace_is_refused_with_its_line(paas: Paas, trace: Path, text: str, told: str) -> None:
    trace.write_text(text)
    ran = paas("autoscale", "simulate", "--trace", "load.csv")
    assert ran.code == 5
    assert told in ran.err
    held = paas("autoscale", "simulate", "--trace", "load.csv", "--hold-gaps")
    assert held.code == (0 if "missing" in told else 5)


def test_schedules_need_a_trace_with_times_of_the_day(paas: Paas, trace: Path) -> None:
    Path("paas.toml").write_text('[[processes.web.autoscale.schedule]]\ncron = "0 8 * * *"\nmin = 4\n')
    for more in ((), ("--rule", "cpu=80%"), ("--against", "file")):
        ran = paas("autoscale", "simulate", "--trace", "load.csv", *more)
        assert ran.code == 2
        assert "the trace has seconds from its start" in ran.err
    trace.write_text("2026-11-23T07:50:00,10\n2026-11-23T08:00:00,10\n2026-11-23T08:10:00,10\n")
    assert numbers(paas)["runs"][0]["peak"] == 4  # type: ignore[index]


def test_a_load_that_is_beyond_any_app_is_told_instead_of_advice_that_no_file_takes(paas: Paas, trace: Path) -> None:
    trace.write_text("0,60000\n60,60000\n")
    ran = paas("autoscale", "simulate", "--trace", "load.csv")
    assert "replicas of 40 requests/s, and 100 are the most" in ran.err
    assert "advice" not in ran.err
    assert numbers(paas)["advice"]["max"] == 100  # type: ignore[index]


def test_a_trace_that_is_not_there_is_told(paas: Paas) -> None:
    ran = paas("autoscale", "simulate", "--trace", "none.csv")
    assert ran.code == 5
    assert "none.csv: cannot be read" in ran.err


def test_a_wrong_paas_toml_is_told_with_its_key(paas: Paas, trace: Path) -> None:
    Path("paas.toml").write_text("[processes.web.autoscale]\nmin = 5\nmax = 2\n")
    ran = paas("autoscale", "simulate", "--trace", "load.csv")
    assert ran.code == 5
    assert "paas.toml: processes.web.autoscale: min (5) is more than max (2)" in ran.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ((), "which rule?"),
        (("--target", "cpu"), "'cpu' is no target"),
        (("--target", "cpu=70%", "--target", "cpu=80%"), "cpu is given twice"),
        (("--step", "metric"), "'metric' is no KEY=VALUE"),
        (("--schedule", "min=1; min=2"), "'min=2' is no KEY=VALUE, or there twice"),
    ],
)
def test_rules_that_are_no_rules_are_refused_before_a_server_is_asked(
    paas: Paas, argv: tuple[str, ...], words: str
) -> None:
    ran = paas("autoscale", "set", "web", "-a", "shop", *argv)
    assert ran.code == 2
    assert words in ran.err


def test_one_of_a_trace_and_a_time_is_simulated(paas: Paas, trace: Path) -> None:
    assert "give one of --trace and --last" in paas("autoscale", "simulate").err
    assert "give one of" in paas("autoscale", "simulate", "--trace", "load.csv", "--last", "24h").err
    assert "a minute to 8 days" in paas("autoscale", "simulate", "-a", "shop", "--last", "30d").err


def test_the_picture_tells_its_colours_and_its_times(paas: Paas, trace: Path) -> None:
    assert paas("autoscale", "simulate", "--trace", "load.csv", "--svg", "a.svg", "--target-latency", "0.4").code == 0
    drawn = Path("a.svg").read_text()
    assert all(f">{word}<" in drawn for word in ("load, requests/s", "p95, s", "its target, 0.4 s", "over it"))
    assert ' text-anchor="middle">0<' in drawn
    minutes = [int(one) for one in re.findall(r'text-anchor="middle">(\d+) min<', drawn)]
    assert minutes == list(range(minutes[0], minutes[0] * (len(minutes) + 1), minutes[0]))
    assert len(minutes) >= 2
    assert 1 <= drawn.count("fill-opacity") <= 4, "a box for a stretch, not for a column; one is the legend's"
    Path("day.csv").write_text("2026-11-23T07:10:00,10\n2026-11-23T08:10:00,10\n2026-11-23T09:10:00,10\n")
    assert paas("autoscale", "simulate", "--trace", "day.csv", "--svg", "a.svg").code == 0
    assert re.findall(r'text-anchor="middle">([\d:]+)<', Path("a.svg").read_text())[:2] == ["07:30", "08:00"]
