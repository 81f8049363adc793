"""paas.toml and app.json: what they mean, and what is refused with file and key."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas.build import manifest, sizes
from paas.build.files import Files
from paas.errors import ConfigError
from paas.model.manifest import EnvVar, Manifest
from paas.model.service import HealthCheck, HealthKind

TOML = """
name = "shop"
buildpack = "python"
port = 8080
static_dir = "./public/"
spa = false
domains = ["Shop.Example.com", "shop.example.com"]
addons = ["postgres"]
[build]
command = "make assets"
dockerfile = "deploy/Dockerfile"
target = "prod"
packages = ["ffmpeg", "libxml2"]
args = { API = "https://x/?a=$b" }
[deploy]
drain = 0
timeout = "5m"
release_timeout = "1h"
[env]
GREETING = "hi"
DEBUG = false
SECRET_KEY = { generate = true }
TOKEN = { description = "from the mail" }
[processes.web]
replicas = 2
memory = "1.5G"
cpus = 0.5
pids = 64
stop_grace = "10s"
health = { path = "/healthz", interval = 2, timeout = "500ms", passes = 2, failures = 5, grace = "2m" }
[processes.worker]
command = "python w.py"
health = { command = "test -f /tmp/ok" }
[processes.socket]
health = { tcp = true }
[processes.clock]
health = { grace = 5 }
"""


def read(text: str, name: str = "paas.toml") -> Manifest:
    return manifest.load(Files.from_mapping({name: text}))


def test_every_key_of_paas_toml_reaches_the_manifest() -> None:
    found = read(TOML)
    assert (found.name, found.buildpack, found.port, found.static_dir, found.spa) == (
        "shop", "python", 8080, "public", False,
    )  # fmt: skip
    assert found.domains == ("shop.example.com",)
    assert found.addons == ("postgres",)
    assert (found.build_command, found.dockerfile, found.target) == ("make assets", "deploy/Dockerfile", "prod")
    assert found.packages == ("ffmpeg", "libxml2")
    assert found.build_args == {"API": "https://x/?a=$b"}
    assert (found.drain, found.deploy_timeout, found.release_timeout) == (0, 300, 3600)
    assert found.env == {
        "GREETING": EnvVar(value="hi"),
        "DEBUG": EnvVar(value="false"),
        "SECRET_KEY": EnvVar(generate=True),
        "TOKEN": EnvVar(description="from the mail"),
    }
    web = found.processes["web"]
    assert (web.replicas, web.memory, web.cpus, web.pids, web.stop_grace) == (2, 1536 * 1024**2, 0.5, 64, 10)
    assert web.health == HealthCheck(
        kind=HealthKind.HTTP, path="/healthz", interval=2, timeout=0.5, passes=2, failures=5, grace=120
    )
    assert found.processes["worker"].command == "python w.py"
    kinds = {name: options.health.kind for name, options in found.processes.items() if options.health}
    assert kinds == {"web": "http", "worker": "command", "socket": "tcp", "clock": "running"}


def test_times_alone_keep_the_default_check_of_web() -> None:
    health = read("[processes.web.health]\ngrace = 5").processes["web"].health
    assert health == HealthCheck(kind=HealthKind.HTTP, path="/", max_status=499, grace=5)


def test_without_files_nothing_is_said() -> None:
    assert manifest.load(Files.from_mapping({"app.py": ""})) == Manifest()


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("[proceses.web]", "paas.toml: proceses", "processes"),
        ("[processes.web]\nmemroy = 1", "paas.toml: processes.web.memroy", "memory"),
        ("[processes.web.health]\npaht = '/'", "paas.toml: processes.web.health.paht", "path"),
        ("replicas = 2", "paas.toml: replicas", "processes.NAME.replicas"),
        ("[env]\nA.valeu = '1'", "paas.toml: env.A.valeu", "value"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(text: str, where: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.where == where
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        *(f"[processes.web]\nmemory = {value}" for value in ("-1", "0", "'5M'", "1e99", "'512 apples'", "nan", "true")),
        *(f"[processes.web]\nreplicas = {value}" for value in ("-1", "1.5", "1000000", "nan", "'2'", "true")),
        *(f"[processes.web]\ncpus = {value}" for value in ("0", "-1", "1000", "nan", "inf")),
        *(f"[processes.web]\nstop_grace = {value}" for value in ("-1", "'1 day'", "nan", "99999999", "true")),
        *(f"port = {value}" for value in ("0", "65536", "22", "'80;id'", "8080.0")),
        *(
            f"[processes.web.health]\npath = '''{value}'''"
            for value in (
                "http://169.254.169.254/",
                "//evil",
                "/a b",
                "/a\nX: y",
                "/`id`",
                '/"',
                "x",
                "",
                "/a\\b",
                "/ü",
            )
        ),
        "[processes.web.health]\npath = '/'\ntcp = true",
        "[processes.web.health]\npath = '/'\ncommand = 'true'",
        "[processes.web.health]\npasses = 0",
        "[processes.web.health]\ninterval = 0",
        "[processes.'a/b']\nreplicas = 1",
        "[processes.web]\ncommand = '''a\nb'''",
        "[processes.web]\ncommand = ' '",
        "name = 'Shop'",
        "name = 'a;id'",
        "domains = ['a.com`) || Host(`b.com']",
        "domains = ['10.0.0.1']",
        "[env]\n'A B' = '1'",
        "[env]\nPORT = '1'",
        "[env]\nPAAS_APP = '1'",
        '[env]\nA = "a\\u0000b"',
        "[build]\nargs = { 'A;id' = '1' }",
        '[build]\nargs = { A = "x\\nRUN id" }',
        *(
            f"[build]\npackages = ['{value}']"
            for value in ("curl; id", "--allow-x", "-o Dpkg::x", "http://x/y.deb", "../x.deb", "", "A")
        ),
        *(f"static_dir = '{value}'" for value in ("../x", "/etc", "a b", "$HOME", "a/../../b", "*")),
        "[build]\ntarget = 'a b'",
        "buildpack = '../x'",
        "addons = ['../x']",
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_key(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert caught.value.where.startswith("paas.toml: "), caught.value


def test_every_wrong_key_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read("port = 0\n[processes.web]\nreplicas = -1\n")
    assert "port" in caught.value.where
    assert any("processes.web.replicas" in line for line in caught.value.details)


def test_a_wrong_value_under_env_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        read("[env]\nTOKEN = ['hunter2']\n")
    assert "hunter2" not in str(caught.value) + "".join(caught.value.details)


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("paas.toml", "a = 1\nb =\n", "paas.toml:2"),
        ("paas.toml", "a = 1\na = 2\n", "paas.toml:2"),
        ("paas.toml", "x = " + "[" * 5000, "paas.toml"),
        ("app.json", '{"a": 1\n"b": 2}', "app.json:2"),
        ("app.json", '{"name": "a", "name": "b"}', "app.json"),
        ("app.json", "[]", "app.json"),
        ("app.json", "[" * 100_000, "app.json"),
        ("app.json", '{"formation": {"web": {"quantity": -1}}}', "app.json: formation.web.quantity"),
        ("app.json", '{"env": {"A B": "1"}}', "app.json: env.A B"),
        ("app.json", '{"x": "' + "y" * 300_000 + '"}', "app.json"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(name: str, text: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, name)
    assert caught.value.where.startswith(where)


APP_JSON = """{
  "name": "shop", "description": "x", "keywords": ["a"], "scripts": {"postdeploy": "x"}, "surprise": 1,
  "env": {"A": "1", "S": {"generator": "secret"}, "O": {"required": false}, "R": {"description": "needed"}},
  "formation": {"web": {"quantity": 3, "size": "standard-1x"}},
  "addons": ["heroku-postgresql:mini", {"plan": "mongolab"}],
  "buildpacks": [{"url": "heroku/python"}]
}"""


def test_app_json_gives_what_is_used_and_warns_about_the_rest() -> None:
    found, warnings = manifest.read(Files.from_mapping({"app.json": APP_JSON}))
    assert (found.name, found.buildpack, found.addons) == ("shop", "python", ("postgres",))
    assert found.processes["web"].replicas == 3
    assert found.env["S"].generate
    assert not found.env["O"].required
    assert found.env["R"] == EnvVar(description="needed")
    text = "\n".join(warnings)
    for word in ("surprise", "formation.web.size", "mongolab"):
        assert word in text
    for word in ("description", "keywords"):
        assert word not in text


def test_paas_toml_wins_over_app_json_key_by_key() -> None:
    toml = "name = 'mine'\n[env]\nA = '2'\n[processes.web]\nmemory = '64M'\n"
    found = manifest.load(Files.from_mapping({"app.json": APP_JSON, "paas.toml": toml}))
    assert found.name == "mine"
    assert found.env["A"].value == "2"
    assert found.env["S"].generate
    assert (found.processes["web"].memory, found.processes["web"].replicas) == (64 * 1024**2, 3)
    assert found.addons == ("postgres",)


@settings(deadline=None)
@given(st.text(max_size=40) | st.floats() | st.integers() | st.booleans() | st.none())
def test_sizes_and_times_are_in_bounds_or_refused(value: object) -> None:
    for parse, least, most in ((sizes.memory, sizes.LEAST_MEMORY, sizes.MOST_MEMORY), (sizes.seconds, 0, 86_400)):
        try:
            found = parse(value)
        except ValueError:
            continue
        assert least <= found <= most
