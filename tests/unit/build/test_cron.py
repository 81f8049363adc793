"""`[[cron]]` and `cron` of app.json: what they mean, and what is refused with file, line and key."""

from __future__ import annotations

import pytest

from paas.build import manifest
from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.cron import CronJob, Missed, Overlap

GOOD = '[[cron]]\nname = "a"\nschedule = "0 0 * * *"\ncommand = "true"\n'


def loaded(text: str) -> tuple[CronJob, ...]:
    return manifest.load(Files.from_mapping({"paas.toml": text})).cron


def test_every_key_of_a_job_is_read() -> None:
    text = """
[[cron]]
name = "report"
schedule = "30  6 * * mon-fri"
command = "python report.py | mail"
zone = "Europe/Berlin"
overlap = "replace"
missed = "run"
time_limit = "10m"
retries = 2
env = { MODE = "daily" }
memory = "256M"
cpus = 0.5

[[cron]]
name = "tidy"
schedule = "@Daily"
process = "tidy"
"""
    assert loaded(text) == (
        CronJob(
            name="report", schedule="30 6 * * mon-fri", command="python report.py | mail", zone="Europe/Berlin",
            overlap=Overlap.REPLACE, missed=Missed.RUN, time_limit=600, retries=2, env={"MODE": "daily"},
            memory=256 << 20, cpus=0.5,
        ),
        CronJob(name="tidy", schedule="0 0 * * *", process="tidy"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        ('schedule = "0 0 30 2 *"', "paas.toml:3: cron.0.schedule", "never fires"),
        ('schedule = "0 0 31 4,6 *"', "paas.toml:3: cron.0.schedule", "never fires"),
        ('schedule = "0 0 0 * * *"', "paas.toml:3: cron.0.schedule", "6 fields, expected five"),
        ('schedule = "0 0 * *"', "paas.toml:3: cron.0.schedule", "4 fields"),
        ('schedule = "61 * * * *"', "paas.toml:3: cron.0.schedule", "never fires"),
        ('schedule = "*/0 * * * *"', "paas.toml:3: cron.0.schedule", "never fires"),
        ('schedule = "@reboot"', "paas.toml:3: cron.0.schedule", "@reboot"),
        ('schedule = ""', "paas.toml:3: cron.0.schedule", "0 fields"),
        ("schedule = 5", "paas.toml:3: cron.0.schedule", "string"),
        ('zone = "Mars/Olympus"', "paas.toml:5: cron.0.zone", "no time zone"),
        ('zone = "../../etc/passwd"', "paas.toml:5: cron.0.zone", "no time zone"),
        ('name = "Not A Name"', "paas.toml:2: cron.0.name", "lower-case"),
        ('process = "web"', "paas.toml:2: cron.0", "one of command and process"),
        ('overlap = "allow"', "paas.toml:5: cron.0.overlap", "skip"),
        ('time_limit = "0s"', "paas.toml:5: cron.0.time_limit", "between 1"),
        ("retries = 11", "paas.toml:5: cron.0.retries", "10"),
        ("retries = true", "paas.toml:5: cron.0.retries", "integer"),
        ('memory = "1K"', "paas.toml:5: cron.0.memory", "16M"),
        ("cpus = nan", "paas.toml:5: cron.0.cpus", ""),
        ('env = { "A B" = "x" }', "paas.toml:5: cron.0.env", ""),
        ('comand = "x"', "paas.toml:5: cron.0.comand", "no such key"),
    ],
)
def test_a_wrong_job_is_refused_with_its_line_and_key(change: str, place: str, words: str) -> None:
    key = change.partition(" =")[0]
    lines = GOOD.splitlines()
    kept = [change if line.startswith(f"{key} =") else line for line in lines]
    with pytest.raises(ConfigError) as caught:
        loaded("\n".join(kept if kept != lines else [*lines, change]))
    assert caught.value.where.startswith(place)
    assert words in caught.value.message


def test_the_second_job_of_two_is_the_one_that_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(GOOD + "\n" + GOOD.replace('"a"', '"b"').replace("0 0 * * *", "nonsense"))
    assert caught.value.where == "paas.toml:8: cron.1.schedule"


def test_two_jobs_of_one_name_and_too_many_jobs_are_refused() -> None:
    with pytest.raises(ConfigError, match="two jobs are called 'a'"):
        loaded(GOOD + GOOD)
    with pytest.raises(ConfigError, match="cron"):
        loaded("".join(GOOD.replace('"a"', f'"a{number}"') for number in range(51)))


def test_the_jobs_of_app_json_are_named_after_their_commands() -> None:
    text = """{"cron": [{"schedule": "@hourly", "command": "python tidy.py"},
        {"schedule": "0 5 * * *", "command": "python tidy.py", "concurrency_policy": "allow", "maintenance": true}]}"""
    found, warnings = manifest.read(Files.from_mapping({"app.json": text}))
    assert [(job.name, job.schedule, job.overlap.value) for job in found.cron] == [
        ("python-tidy-py", "0 * * * *", "skip"),
        ("python-tidy-py-1", "0 5 * * *", "queue"),
    ]
    assert any("maintenance is not used" in warning for warning in warnings)
    assert any("queue" in warning for warning in warnings)


def test_a_wrong_job_of_app_json_is_refused_with_its_key() -> None:
    with pytest.raises(ConfigError) as caught:
        manifest.load(Files.from_mapping({"app.json": '{"cron": [{"schedule": "0 0 30 2 *", "command": "x"}]}'}))
    assert caught.value.where == "app.json: cron.0.schedule"
