"""The Dockerfile: its shape, and that no value of an app or a machine ever becomes a line or a word of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

import jinja2
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from paas.build import dockerfile as module
from paas.build import quoting
from paas.build.buildpacks import load, named
from paas.build.dockerfile import BuildFacts, render
from paas.build.quoting import Quoted
from paas.errors import ConfigError
from paas.model import shell
from tests.unit.build.parts import FACTS, bases, dockerfile, look

PY = "def app(environ, start_response): pass\n"
NODE = {"package.json": '{"main": "a.js", "scripts": {"build": "x"}}', "a.js": "", "package-lock.json": "{}"}
HOSTILE = st.text(
    alphabet=st.one_of(st.sampled_from("\n\r\t\0\"'\\$`{}%#<> ;&|=[]ab\u2028\x85"), st.characters(codec="utf-8")),
    max_size=60,
)
many = settings(deadline=None, max_examples=100)


def lines(text: str) -> list[str]:
    """The instructions as Docker's parser sees them: split at line feeds alone, continued lines joined."""
    joined = re.sub(r"\\[ \t]*\n", "", text)
    return [line for line in joined.split("\n") if line.strip() and not line.lstrip().startswith("#")]


def keywords(text: str) -> list[str]:
    return [line.split(" ", 1)[0] for line in lines(text)]


def env_values(text: str) -> dict[str, str]:
    """Values of `ENV KEY="…"` lines, unquoted as Docker does, without expansion: an unescaped `$` fails."""
    found = {}
    for line in lines(text):
        match = re.fullmatch(r'ENV (\w+)="((?:[^"\\$]|\\.)*)"', line, re.DOTALL)
        if match:
            found[match[1]] = re.sub(r"\\(.)", r"\1", match[2], flags=re.DOTALL)
    return found


def command(text: str) -> list[str]:
    (line,) = [line for line in lines(text) if line.startswith("CMD ")]
    found = json.loads(line.removeprefix("CMD "))
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("files", [{"app.py": PY, "requirements.txt": ""}, NODE])
@many
@given(value=HOSTILE)
def test_a_value_of_the_build_environment_is_a_value_or_refused(files: Mapping[str, str], value: str) -> None:
    plan = look(files).plan
    usual = render(plan, bases(plan), replace(FACTS, build_env={"HTTP_PROXY": "x"}))
    try:
        text = render(plan, bases(plan), replace(FACTS, build_env={"HTTP_PROXY": value}))
    except ConfigError:
        return
    assert keywords(text) == keywords(usual)
    assert env_values(text)["HTTP_PROXY"] == value


@many
@given(value=HOSTILE)
def test_a_build_argument_is_a_value_or_refused(value: str) -> None:
    found = look({"app.py": PY, "paas.toml": "[build]\ncommand = 'make'\n"})
    plan = replace(found.plan, values={**found.plan.values, "build_args": (("ARG1", value),)})
    usual = replace(found.plan, values={**found.plan.values, "build_args": (("ARG1", "x"),)})
    try:
        text = render(plan, bases(plan), FACTS)
    except ConfigError:
        return
    assert keywords(text) == keywords(render(usual, bases(usual), FACTS))
    assert env_values(text)["ARG1"] == value


@many
@given(value=HOSTILE)
def test_a_command_of_the_procfile_runs_as_it_was_given_or_is_refused(value: str) -> None:
    usual = dockerfile(look({"app.py": PY, "Procfile": "web: x\n"}))
    try:
        found = look({"app.py": PY, "Procfile": f"web: {value}\n"})
        text = dockerfile(found)
    except ConfigError:
        return
    assume(found.plan.buildpack == "python")  # `npx` is a command that makes it an app of another kind
    assert keywords(text) == keywords(usual)
    assert command(text) == list(shell.argv(value.strip()))


@many
@given(value=HOSTILE)
def test_a_build_command_runs_as_it_was_given_or_is_refused(value: str) -> None:
    found = look({"app.py": PY, "paas.toml": "[build]\ncommand = 'make'\n"})
    plan = replace(found.plan, values={**found.plan.values, "commands": (value,)})
    try:
        text = render(plan, bases(plan), FACTS)
    except ConfigError:
        return
    assert keywords(text) == keywords(dockerfile(found))
    assert any(line.startswith("RUN [") and json.loads(line[4:])[-1] == value for line in lines(text))


@many
@given(name=HOSTILE)
def test_a_name_a_path_a_reference_or_a_version_is_one_word_or_refused(name: str) -> None:
    for check in (quoting.name, quoting.path, quoting.ref):
        try:
            assert re.fullmatch(r"[A-Za-z0-9_@.+/:-]+", check(name))
        except ConfigError:
            continue


@many
@given(files=st.dictionaries(st.sampled_from(["requirements.txt", "package.json", "paas.toml", "app.json", "Procfile",
    ".python-version", "runtime.txt", "pyproject.toml", "Pipfile", "manage.py", "app.py", "Dockerfile", "index.html",
    "uv.lock", "package-lock.json"]), HOSTILE, min_size=1))  # fmt: skip
def test_any_files_give_a_dockerfile_or_a_config_error(files: Mapping[str, str]) -> None:
    try:
        text = dockerfile(look(files))
    except ConfigError:
        return
    assert "Dockerfile" in files or keywords(text)[-1] == "CMD"


@pytest.mark.parametrize("value", ["a\nRUN id", "a\rb", "a\0b", "a\ud800", "x" * 100_000])
def test_what_one_line_cannot_hold_is_refused_by_name(value: str) -> None:
    with pytest.raises(ConfigError, match="the value of KEY"):
        quoting.value(value, "KEY")


def test_a_template_that_prints_without_a_filter_is_an_error() -> None:
    environment = module._environment(named("python", load("")).folder)
    with pytest.raises(TypeError, match="without a quoting filter"):
        environment.from_string("ENV A={{ x }}").render(x="y")
    with pytest.raises(TypeError, match="without a quoting filter"):
        environment.from_string("ENV A={{ x | ref ~ y }}").render(x="a", y="\nRUN id")
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ gone }}").render()
    assert environment.from_string("{{ x | ref }}").render(x="a:1") == "a:1"
    assert environment.from_string("{{ x }}").render(x=Quoted("{{ 7*7 }}")) == "{{ 7*7 }}"


# --- the shape -----------------------------------------------------------------------------------------------------

FULL = BuildFacts(
    cache_mounts=True,
    ca_image="paas-base/ca:123",
    build_env={"HTTPS_PROXY": "http://u:p@proxy:1", "PIP_INDEX_URL": "https://index/x"},
    cache_id="0a1b2c3d",
)
APPS: list[Mapping[str, str]] = [
    {"app.py": PY, "requirements.txt": "flask\n", "paas.toml": "build.command = 'make'"},
    NODE,
    {"package.json": '{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "7"}}'},
    {"index.html": "", "Procfile": "clock: x\n"},
]


@pytest.mark.parametrize("files", APPS)
def test_the_last_stage_only_copies_and_knows_no_ca_proxy_index_or_cache(files: Mapping[str, str]) -> None:
    text = dockerfile(look(files), FULL)
    build, final = text.rsplit("\nFROM ", 1)
    assert {line.split(" ", 1)[0] for line in lines(final)[1:]} <= {"COPY", "ENV", "WORKDIR", "USER", "CMD"}
    for word in ("ca.pem", "proxy", "index/x", "cache", "SSL_CERT_FILE"):
        assert word not in final.lower(), word
    assert "COPY --from=paas-base/ca:123 /ca.pem /run/paas-ca.pem" in build
    assert "USER app\n" in final


@pytest.mark.parametrize("files", APPS)
def test_the_classic_builder_gets_no_mounts_and_both_get_no_frontend_and_no_heredocs(files: Mapping[str, str]) -> None:
    classic = dockerfile(look(files), replace(FULL, cache_mounts=False))
    modern = dockerfile(look(files), FULL)
    assert "--mount" not in classic
    assert re.sub(r"--mount=\S+ ", "", modern) == classic
    for text in (classic, modern):
        assert "syntax=" not in text
        assert "<<" not in text


def test_caches_of_two_apps_are_apart() -> None:
    found = look(APPS[0])
    assert "id=paas-0a1b2c3d-" in dockerfile(found, FULL)
    assert "id=paas-ffffffff-" in dockerfile(found, replace(FULL, cache_id="ffffffff"))
