"""What an app's files say for one environment alone, in both files, and what they may not say at all."""

from __future__ import annotations

import json

import pytest

from paas.build import manifest
from paas.build.environments import effective
from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.manifest import Manifest, ProcessOptions
from paas.model.scripts import Scripts, chosen

TOML = """
addons = ["postgres"]
[env]
MODE = "live"
MAIL = { description = "where mail goes" }
[processes.web]
replicas = 3
memory = "1G"
[scripts]
postdeploy = "seed"
predestroy = "tell"

[environments.review]
addons = []
[environments.review.env]
MODE = "review"
MAIL = { required = false }
[environments.review.processes.web]
replicas = 1
[environments.review.scripts]
postdeploy = "seed --small"
"""


def read(**files: str) -> Manifest:
    return manifest.load(Files.from_mapping({name.replace("_", "."): text for name, text in files.items()}))


def app_json(**values: object) -> str:
    return json.dumps(values)


def test_an_environment_goes_over_the_file_key_by_key() -> None:
    found = effective(read(paas_toml=TOML), "review")
    assert found.addons == ()
    assert found.env["MODE"].value == "review"
    assert (found.env["MAIL"].required, found.env["MAIL"].description) == (False, "where mail goes")
    assert found.processes["web"] == ProcessOptions(replicas=1, memory=1 << 30)


@pytest.mark.parametrize("name", ["", "production", "staging"])
def test_an_environment_that_no_file_names_is_the_file(name: str) -> None:
    found = read(paas_toml=TOML)
    assert effective(found, name) == found


def test_scripts_of_an_environment_go_over_those_for_all_one_by_one() -> None:
    scripts = read(paas_toml=TOML).scripts
    assert chosen(scripts, "review") == Scripts(postdeploy="seed --small", predestroy="tell")
    assert chosen(scripts, "production") == Scripts(postdeploy="seed", predestroy="tell")
    assert chosen({}, "review") == Scripts()


def test_app_json_has_environments_as_heroku_writes_them() -> None:
    text = app_json(
        addons=["heroku-postgresql"],
        env={"A": "1", "B": "1"},
        formation={"web": {"quantity": 2}},
        scripts={"postdeploy": "seed"},
        environments={
            "review": {
                "addons": [],
                "env": {"B": {"value": "2"}, "KEY": {"generator": "secret"}},
                "formation": {"web": {"quantity": 1}},
                "buildpacks": [{"url": "heroku/nodejs"}],
                "scripts": {"postdeploy": "seed few"},
            },
            "test": {"scripts": {"test": "make test", "test-setup": "make"}},
        },
    )
    found, warnings = manifest.read(Files.from_mapping({"app.json": text}))
    review = effective(found, "review")
    assert warnings == ()
    assert (review.addons, review.buildpack, review.processes["web"].replicas) == ((), "node", 1)
    assert {key: one.value for key, one in review.env.items()} == {"A": "1", "B": "2", "KEY": None}
    assert review.env["KEY"].generate
    assert (found.addons, found.env["B"].value) == (("postgres",), "1")
    assert chosen(found.scripts, "review").postdeploy == "seed few"


def test_what_an_environment_of_app_json_says_in_vain_is_told_with_its_place() -> None:
    text = app_json(
        environments={"review": {"surprise": 1, "addons": ["mongolab"], "formation": {"web": {"size": "x"}}}}
    )
    _, warnings = manifest.read(Files.from_mapping({"app.json": text}))
    assert sorted(warnings) == [
        "app.json: environments.review.addon mongolab is not known; not used",
        "app.json: environments.review.formation.web.size is not used",
        "app.json: environments.review.surprise is not used",
    ]


def test_herokus_pr_predestroy_is_for_review_apps_alone() -> None:
    scripts = read(app_json=app_json(scripts={"pr-predestroy": "tidy"})).scripts
    assert chosen(scripts, "review").predestroy == "tidy"
    assert chosen(scripts, "staging").predestroy == ""


def test_paas_toml_goes_over_app_json_in_an_environment_too() -> None:
    json_text = app_json(
        scripts={"postdeploy": "theirs", "predestroy": "theirs"},
        environments={"review": {"env": {"A": "theirs", "B": "theirs"}, "addons": ["postgresql"]}},
    )
    toml = "[scripts]\npostdeploy = 'ours'\n[environments.review.env]\nA = 'ours'\n"
    found = read(app_json=json_text, paas_toml=toml)
    review = effective(found, "review")
    assert (review.env["A"].value, review.env["B"].value, review.addons) == ("ours", "theirs", ("postgres",))
    assert chosen(found.scripts, "review") == Scripts(postdeploy="ours", predestroy="theirs")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[environments.review]\ndomains = ['a.example.com']", "paas.toml: environments.review.domains"),
        ("[environments.review.env]\nPORT = '1'", "paas.toml: environments.review.env.PORT"),
        ("[environments.review.scripts]\npostdeploy = 3", "paas.toml: environments.review.scripts.postdeploy"),
        ("[environments.'No Name']\naddons = []", "paas.toml: environments.No Name"),
        ("[scripts]\npostdeplo = 'x'", "paas.toml: scripts.postdeplo"),
        (
            "[environments.x.processes.release.autoscale]\nmax = 3",
            "paas.toml: environments.x.processes.release.autoscale",
        ),
    ],
)
def test_what_is_wrong_in_an_environment_is_told_with_file_and_key(text: str, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(paas_toml=text)
    assert caught.value.message.startswith(f"{place}:") or caught.value.where == place


def test_a_wrong_value_of_a_config_var_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        read(app_json=app_json(environments={"review": {"env": {"KEY": ["hunter2"]}}}))
    assert "hunter2" not in str(caught.value.message) + str(caught.value.details)


# --- nothing of the host -------------------------------------------------------------------------------------------

HOST = {
    "privileged": True,
    "volumes": ["/:/host"],
    "mounts": [{"source": "/var/run/docker.sock", "target": "/sock"}],
    "network_mode": "host",
    "devices": ["/dev/kvm"],
    "cap_add": ["SYS_ADMIN"],
    "security_opt": ["seccomp=unconfined"],
    "pid": "host",
    "ipc": "host",
    "docker-options": "--privileged",
}


def as_toml(key: str, value: object) -> str:
    return f"{json.dumps(key)} = {'true' if value is True else json.dumps('x')}\n"


@pytest.mark.parametrize(
    "table", ["", "build", "deploy", "processes.web", "processes.web.health", "environments.review", "scripts"]
)
@pytest.mark.parametrize("key", HOST)
def test_paas_toml_cannot_ask_for_anything_of_the_host(table: str, key: str) -> None:
    head = f"[{table}]\n" if table else ""
    with pytest.raises(ConfigError) as caught:
        read(paas_toml=head + as_toml(key, HOST[key]))
    place = f"{table}.{key}" if table else key
    assert caught.value.message == f"paas.toml: {place}: there is no such key"


@pytest.mark.parametrize(
    "place", [(), ("formation", "web"), ("environments", "review"), ("environments", "review", "formation", "web")]
)
@pytest.mark.parametrize("key", HOST)
def test_app_json_cannot_ask_for_anything_of_the_host(place: tuple[str, ...], key: str) -> None:
    values: object = {key: HOST[key]}
    for name in reversed(place):
        values = {name: values}
    with pytest.raises(ConfigError) as caught:
        read(app_json=json.dumps(values))
    assert caught.value.message.startswith(f"app.json: {'.'.join(place)}" if place else "app.json: ")
    assert repr(key) in caught.value.message
    assert "nothing of the host" in caught.value.message


def test_a_cron_of_app_json_cannot_either() -> None:
    job = {"command": "x", "schedule": "0 * * * *", "privileged": True}
    with pytest.raises(ConfigError, match="privileged"):
        read(app_json=json.dumps({"cron": [job]}))


def test_an_environment_that_names_a_process_without_a_command_is_told_as_its_own() -> None:
    from paas.build.detect import inspect

    files = Files.from_mapping(
        {
            "requirements.txt": "",
            "Procfile": "web: run\n",
            "paas.toml": "[environments.review.processes.mail]\nreplicas = 1\n",
        }
    )
    assert inspect(files, offers=lambda runtime: ("3.13",)).plan.processes
    with pytest.raises(ConfigError, match="mail") as caught:
        inspect(files, offers=lambda runtime: ("3.13",), environment="review")
    assert caught.value.details == ("as the environment review has it",)
