"""Which buildpack an app gets, what its processes are, and how that is explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paas.build import buildpacks, explain
from paas.build.detect import inspect
from paas.build.files import Files
from paas.errors import ConfigError, NothingDetected
from paas.model.build import Process
from tests.unit.build.parts import dockerfile, look, offers, web

PY = "def app(environ, start_response): pass\n"


@pytest.mark.parametrize(
    ("files", "buildpack"),
    [
        ({"Dockerfile": "FROM x", "app.py": PY, "package.json": "{}"}, "dockerfile"),
        ({"app.py": PY}, "python"),
        ({"app.py": PY, "package.json": '{"main": "a.js"}', "a.js": ""}, "python"),
        ({"app.py": PY, "package.json": "{}", "Procfile": "web: node a.js"}, "node"),
        ({"app.py": PY, "package.json": "{}", "Procfile": "web: NODE_ENV=x exec node a.js"}, "node"),
        ({"package.json": '{"main": "a.js"}', "a.js": "", "index.html": ""}, "node"),
        ({"index.html": "", "Procfile": "web: node a.js", "a.js": ""}, "node"),
        ({"index.html": ""}, "static"),
        ({"public/index.html": ""}, "static"),
        ({"app.py": PY, "paas.toml": "buildpack = 'static'", "index.html": ""}, "static"),
        ({"app.py": PY, "app.json": '{"buildpacks": [{"url": "heroku/python"}]}', "package.json": "{}"}, "python"),
        ({"app.py": PY, "docker/Prod": "FROM x", "paas.toml": "build.dockerfile = 'docker/Prod'"}, "dockerfile"),
    ],
)
def test_the_buildpack_follows_the_documented_order(files: dict[str, str], buildpack: str) -> None:
    assert look(files).plan.buildpack == buildpack


def test_a_buildpack_named_by_the_caller_wins_over_everything() -> None:
    files = {"Dockerfile": "FROM x", "app.py": PY, "paas.toml": "buildpack = 'dockerfile'"}
    assert look(files, buildpack="python").plan.buildpack == "python"


def test_an_unknown_buildpack_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        look({"app.py": PY}, buildpack="ruby")
    assert "dockerfile, python, node, static" in caught.value.hint


def test_what_nobody_knows_lists_what_was_looked_for() -> None:
    with pytest.raises(NothingDetected) as caught:
        look({"notes.txt": ""})
    text = "\n".join(caught.value.details)
    for word in ("requirements.txt", "package.json", "index.html", "Dockerfile", "notes.txt"):
        assert word in text
    with pytest.raises(NothingDetected, match="no app found"):
        look({})


def test_processes_come_from_paas_toml_over_the_procfile_over_the_buildpack() -> None:
    files = {"app.py": PY, "Procfile": "worker: python w.py\nrelease: python r.py\n"}
    toml = "[processes.worker]\ncommand = 'python other.py'\n[processes.clock]\ncommand = 'python c.py'\n"
    found = look({**files, "paas.toml": toml})
    assert [process.name for process in found.plan.processes] == ["web", "worker", "release", "clock"]
    assert Process("worker", "python other.py") in found.plan.processes
    assert web(found).startswith("gunicorn")


def test_a_procfile_without_web_is_refused_when_the_buildpack_finds_none() -> None:
    with pytest.raises(ConfigError) as caught:
        look({"w.py": "", "Procfile": "worker: python w.py\n"})
    assert caught.value.where == "Procfile"
    assert "web: COMMAND" in caught.value.hint


def test_options_of_a_process_without_a_command_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        look({"app.py": PY, "paas.toml": "[processes.wroker]\nreplicas = 2"})
    assert caught.value.where == "paas.toml: processes.wroker"


def test_build_args_reach_build_stages_only_and_target_is_for_dockerfiles() -> None:
    toml = "[build]\ntarget = 'x'\ncommand = 'make'\nargs = { A = 'b' }\n"
    found = look({"app.py": PY, "paas.toml": toml})
    build, _, final = dockerfile(found).partition("\nFROM paas-base/python:3.13\n")
    assert 'ENV A="b"' in build
    assert "ENV A" not in final
    assert (found.manifest.target, found.manifest.build_args) == ("", {})
    assert any("build.target" in warning for warning in found.plan.warnings)


def test_packages_are_installed_for_building_and_for_running() -> None:
    text = dockerfile(look({"app.py": PY, "paas.toml": "build.packages = ['ffmpeg']"}))
    assert text.count(" ffmpeg") == 2
    assert "AS system" in text


# --- dockerfile, static --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("FROM x\nEXPOSE 3001/udp 3000/tcp\n", 3000),
        ("FROM x\n", 0),
        ("FROM x AS a\nEXPOSE 1\nFROM y\nEXPOSE 8080\n", 8080),
        ("ARG P=1\nFROM x\nENV P=8081\nEXPOSE $P\n", 8081),
        ("FROM x\nEXPOSE ${P:-8082}/tcp\n", 8082),
        ("FROM x\nEXPOSE \\\n  # comment\n  8083\n", 8083),
        ("FROM x\nRUN <<EOF\nEXPOSE 1\nEOF\nEXPOSE 8084\n", 8084),
        ("FROM x\nEXPOSE 99999 abc\n", 0),
        ("# syntax=docker/dockerfile:1\nfrom x as y\nexpose 8085\n", 8085),
    ],
)
def test_an_own_dockerfile_is_used_as_it_is_and_says_its_port(text: str, port: int) -> None:
    found = look({"Dockerfile": text})
    assert (found.plan.port, found.plan.dockerfile, dockerfile(found)) == (port, "Dockerfile", text)
    assert found.plan.processes == (Process("web", ""),)


@pytest.mark.parametrize(
    ("text", "toml", "where"),
    [
        ("# escape=`\n# syntax=evil.example/frontend\nFROM x\n", "", "Dockerfile:2"),
        ("#syntax = docker/dockerfile-evil:1\nFROM x", "", "Dockerfile:1"),
        ("# nothing\n", "", "Dockerfile"),
        ("FROM x AS a\n", "build.target = 'b'", "paas.toml: build.target"),
        ("FROM x\n", "build.dockerfile = 'gone'", "paas.toml: build.dockerfile"),
    ],
)
def test_an_own_dockerfile_that_is_not_allowed_is_refused(text: str, toml: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        look({"Dockerfile": text, "paas.toml": toml})
    assert caught.value.where == where


def test_a_static_site_serves_its_folder_and_not_its_configuration() -> None:
    text = dockerfile(look({"index.html": "", "Procfile": "clock: sleep 1\n", "paas.toml": "spa = true"}))
    assert 'RUN ["rm", "-rf", "/app/Procfile", "/app/paas.toml"]' in text
    assert "exec serve-files --spa" in text
    text = dockerfile(look({"public/index.html": "", "README.md": ""}))
    assert 'COPY --chown=1000:1000 ["public/", "/app/"]' in text
    with pytest.raises(ConfigError, match="no folder nowhere"):
        look({"index.html": "", "paas.toml": "static_dir = 'nowhere'"})


# --- explain, other people's buildpacks ----------------------------------------------------------------------------


def test_the_explanation_names_buildpack_version_command_file_and_line() -> None:
    found = look({"app.py": "\n" + PY, ".python-version": "3.11", "index.html": ""})
    text = explain.text(found, full=True)
    for words in ("python 3.11", ".python-version", "app.py:2", "plain WSGI app", "→ python", "found index.html"):
        assert words in text
    assert "looked for" not in explain.text(found)
    data = json.loads(json.dumps(explain.data(found)))
    assert data["buildpack"] == "python"
    assert data["runtimes"]["run"]["source"] == ".python-version"
    assert data["processes"]["web"].startswith("gunicorn")


OWN = """
from paas.build import versions
from paas.model.build import BuildPlan, Process, Reason
from . import other

ORDER = 5
LOOKED_FOR = ("app.own",)
COMMANDS = frozenset()

def detect(files, options):
    return (Reason("app.own", "is ours"),) if files.has("app.own") else ()

def plan(files, options):
    values = {"ignored": (), "packages": (), "build_args": (), "commands": (), "source": "context"}
    runtimes = {"run": versions.any_of("python", options.offers("python"))}
    return BuildPlan("own", runtimes, (Process("web", other.COMMAND),), (), values)
"""


def test_a_buildpack_in_a_folder_of_ones_own_is_found_and_asked_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "buildpack.py").write_text(OWN)
    (tmp_path / "own" / "other.py").write_text("COMMAND = 'own serve'\n")
    (tmp_path / "own" / "Dockerfile.j2").write_text('{% extends "frame/Dockerfile.j2" %}\n')
    monkeypatch.setenv(buildpacks.PATH, str(tmp_path))
    found = inspect(Files.from_mapping({"app.own": "", "app.py": PY}), offers=offers)
    assert found.plan.buildpack == "own"
    assert 'CMD ["/bin/sh", "-c", "exec own serve"]' in dockerfile(found)


def test_a_folder_that_is_no_buildpack_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        buildpacks.load(str(tmp_path / "gone"))
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "buildpack.py").write_text("ORDER = 1\n")
    with pytest.raises(ConfigError, match=r"buildpack\.py: is no buildpack"):
        buildpacks.load(str(tmp_path))
