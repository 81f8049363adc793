"""What the python buildpack makes of an app's files."""

from __future__ import annotations

import pytest

from paas.errors import ConfigError
from tests.unit.build.parts import dockerfile, look, web

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


def target(files: dict[str, str]) -> str:
    """The server and the `module:attribute` that web was found to be."""
    words = web(look({"requirements.txt": "", **files})).split()
    return f"{words[0]} {words[-1]}"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"app.py": FLASK}, "gunicorn app:app"),
        ({"app.py": "import flask\nserver = flask.Flask(__name__)\n"}, "gunicorn app:server"),
        ({"main.py": "from fastapi import FastAPI as F\nthe_api: F = F()\n"}, "uvicorn main:the_api"),
        ({"main.py": "from starlette.applications import Starlette\napp = Starlette()\n"}, "uvicorn main:app"),
        ({"pkg/__init__.py": FLASK}, "gunicorn pkg:app"),
        ({"shop/web.py": FLASK, "tests/app.py": FLASK}, "gunicorn shop.web:app"),
        ({"src/shop/main.py": "from fastapi import FastAPI\napi = FastAPI()\n"}, "uvicorn shop.main:api"),
        ({"app.py": "import flask\ndef make_app(x=1):\n    return flask.Flask('x')\n"}, "gunicorn 'app:make_app()'"),
        ({"app.py": "import fastapi\ndef create_app():\n    return fastapi.FastAPI()\n"}, "uvicorn app:create_app"),
        ({"app.py": "import flask\ndef create_app():\n    return flask.Flask('x')\n",
          "wsgi.py": "from app import create_app\napp = create_app()\n"}, "gunicorn wsgi:app"),
        ({"app/main.py": "from fastapi import FastAPI\ndef assembled():\n    return FastAPI()\napp = assembled()\n"},
         "uvicorn app.main:app"),
        ({"wsgi.py": "from pkg.server import app as application\n"}, "gunicorn wsgi:application"),
        ({"hello.py": "def hello(environ, start_response):\n    return []\n"}, "gunicorn hello:hello"),
        ({"hello.py": "async def app(scope, receive, send):\n    pass\n"}, "uvicorn hello:app"),
        ({"zzz.py": FLASK, "app.py": FLASK, "a/app.py": FLASK}, "gunicorn app:app"),
        ({"bad.py": "def (:\n", "py2.py": "print 'x'\n", "app.py": FLASK}, "gunicorn app:app"),
        ({"main.py": "import os\nlisten(os.environ['PORT'])\n"}, "python main.py"),
    ],
)  # fmt: skip
def test_the_app_is_found_without_a_procfile(files: dict[str, str], found: str) -> None:
    assert target(files) == found


def test_what_only_looks_like_an_app_is_none() -> None:
    for text in ("class Flask: pass\napp = Flask()\n", "def run(a, b):\n    pass\n", "'''app = Flask()'''\n"):
        with pytest.raises(ConfigError, match="start its web process"):
            look({"app.py": text})


def test_a_server_the_app_does_not_depend_on_is_added_and_said() -> None:
    found = look({"app.py": FLASK, "requirements.txt": "flask==3\n"})
    assert found.plan.values["servers"] == ("gunicorn",)
    assert any("the build installs it" in reason.text for reason in found.plan.reasons)
    assert "uv pip install gunicorn\n" in dockerfile(found)
    for line in ("gunicorn==23", "Gunicorn >= 20 ; python_version > '3'", "gunicorn[setproctitle]"):
        assert look({"app.py": FLASK, "requirements.txt": f"flask\n{line}\n"}).plan.values["servers"] == ()
    api = {"main.py": "from fastapi import FastAPI\napp = FastAPI()\n", "requirements.txt": "fastapi[standard]\n"}
    assert look(api).plan.values["servers"] == ()


def test_a_command_of_the_apps_own_is_not_second_guessed() -> None:
    found = look({"app.py": FLASK, "requirements.txt": "flask\n", "Procfile": "web: gunicorn app:app\n"})
    assert web(found) == "gunicorn app:app"
    assert found.plan.values["servers"] == ()
    assert any("no dependency file names gunicorn" in warning for warning in found.plan.warnings)


@pytest.mark.parametrize(
    ("files", "installer", "copied"),
    [
        ({"uv.lock": "", "pyproject.toml": "[project]\nname='x'"}, "uv", ("pyproject.toml", "uv.lock")),
        ({"poetry.lock": "", "pyproject.toml": "[tool.poetry]\nname='x'"}, "poetry", ("pyproject.toml", "poetry.lock")),
        ({"Pipfile": "", "Pipfile.lock": "{}"}, "pipenv", ("Pipfile", "Pipfile.lock")),
        ({"requirements.txt": "-r req/base.txt\n", "req/base.txt": "-c ../limits.txt\n", "limits.txt": ""},
         "requirements", ("requirements.txt", "req/base.txt", "limits.txt")),
        ({"pyproject.toml": "[project]\nname='x'"}, "pyproject", ("pyproject.toml",)),
        ({"Pipfile": ""}, "pipenv", ("Pipfile",)),
        ({"pyproject.toml": "[tool.poetry]\nname='x'"}, "poetry", ("pyproject.toml",)),
        ({"pyproject.toml": "[tool.ruff]", "requirements.txt": ""}, "requirements", ("requirements.txt",)),
        ({"setup.py": ""}, "setup", ()),
        ({}, "", ()),
    ],
)  # fmt: skip
def test_the_installer_follows_the_files(files: dict[str, str], installer: str, copied: tuple[str, ...]) -> None:
    found = look({"app.py": FLASK, **files})
    assert (found.plan.values["installer"], found.plan.values["install_files"]) == (installer, copied)


def test_lock_files_are_copied_and_installed_before_the_source() -> None:
    text = dockerfile(look({"app.py": FLASK, "requirements.txt": "flask\n"}))
    assert text.index("requirements.txt") < text.index("uv pip install -r") < text.index('COPY --chown=1000:1000 ["./"')


@pytest.mark.parametrize("line", ["-e .", "./libs/x", ".", "../x", "--editable=./y", ".[extra]"])
def test_a_local_requirement_copies_the_source_first(line: str) -> None:
    found = look({"app.py": FLASK, "requirements.txt": f"flask\n{line}\n"})
    assert found.plan.values["source_first"]
    text = dockerfile(found)
    assert text.index('COPY ["./", "/app/"]') < text.index("uv pip install -r")


def test_of_several_lock_files_the_documented_one_counts_and_a_warning_says_so() -> None:
    found = look({"app.py": FLASK, "requirements.txt": "", "poetry.lock": "", "pyproject.toml": "[tool.poetry]"})
    assert found.plan.values["installer"] == "poetry"
    assert any("poetry.lock counts" in warning for warning in found.plan.warnings)


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("pyproject.toml", "a = 1\nb =\n", "pyproject.toml:2"),
        ("uv.lock", "a =\nb = 1\n", "uv.lock:1"),
        ("Pipfile.lock", "{,", "Pipfile.lock"),
        ("poetry.lock", "", "poetry.lock"),
    ],
)
def test_a_broken_or_lonely_lock_file_is_refused_with_its_name(name: str, text: str, where: str) -> None:
    files = {"app.py": FLASK, name: text}
    if name == "Pipfile.lock":
        files["Pipfile"] = ""
    with pytest.raises(ConfigError) as caught:
        look(files)
    assert caught.value.where.startswith(where)


@pytest.mark.parametrize(
    ("files", "version", "source"),
    [
        ({"runtime.txt": "python-3.11.4\n"}, "3.11", "runtime.txt"),
        ({".python-version": "3.11"}, "3.11", ".python-version"),
        ({"pyproject.toml": "[project]\nname='x'\nrequires-python='<3.13'"},
         "3.11", "pyproject.toml: project.requires-python"),
        ({"Pipfile": "[requires]\npython_version='3.11'"}, "3.11", "Pipfile: requires.python_version"),
        ({}, "3.13", ""),
    ],
)  # fmt: skip
def test_the_python_version_is_read_from_the_file_that_says_it(
    files: dict[str, str], version: str, source: str
) -> None:
    runtime = look({"app.py": FLASK, **files}).plan.runtimes["run"]
    assert (runtime.version, runtime.source) == (version, source)


def test_files_that_disagree_about_the_version_are_told() -> None:
    files = {"app.py": FLASK, ".python-version": "3.11", "runtime.txt": "python-3.13"}
    found = look(files)
    assert found.plan.runtimes["run"].version == "3.13"
    assert any("runtime.txt" in warning and ".python-version" in warning for warning in found.plan.warnings)


MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site1.settings')\n"


def test_django_is_served_by_what_its_settings_name_and_collects_static_files() -> None:
    files = {
        "manage.py": MANAGE,
        "requirements.txt": "django\ngunicorn\nwhitenoise\n",
        "site1/settings/__init__.py": "from .base import *\nSTATIC_ROOT = 'collected'\n",
        "site1/settings/base.py": "import os\nSECRET_KEY = os.environ['SECRET_KEY']\n"
        "WSGI_APPLICATION = 'site1.wsgi.app'\n",
        "site1/wsgi.py": "",
    }
    found = look(files)
    assert web(found).endswith("site1.wsgi:app")
    assert found.plan.values["commands"] == ("SECRET_KEY=build-only python manage.py collectstatic --noinput",)
    files["site1/settings/__init__.py"] += "import os\nDB = os.environ['DATABASE_URL']\nK = os.environ['A;id']\n"
    commands = look(files).plan.values["commands"]
    assert commands == (
        "SECRET_KEY=build-only DATABASE_URL=sqlite:////tmp/build-only.sqlite3 python manage.py collectstatic --noinput",
    )


@pytest.mark.parametrize(
    "manage",
    [
        "name = 'site1.hosted' if 'HOSTED' in os.environ else 'site1.settings'\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', name)\n",
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'site1.settings'\n",
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', os.getenv('SETTINGS', 'site1.settings'))\n",
    ],
    ids=["a choice", "assigned", "a default"],
)
def test_the_settings_are_found_however_manage_py_names_them(manage: str) -> None:
    settings = "WSGI_APPLICATION = 'site1.web.app'\n"
    files = {
        "manage.py": f"import os\n{manage}",
        "site1/settings.py": settings,
        "site1/hosted.py": "",
        "site1/web.py": "",
    }
    assert web(look(files)).endswith("site1.web:app")


def test_django_without_static_root_collects_nothing() -> None:
    files = {"manage.py": MANAGE, "site1/settings.py": "DEBUG = False\n", "site1/wsgi.py": "application = 1\n"}
    found = look(files)
    assert web(found).endswith("site1.wsgi:application")
    assert found.plan.values["commands"] == ()


def test_a_virtual_environment_in_the_source_is_left_out_with_a_warning() -> None:
    found = look({"app.py": FLASK, "venv/lib/flask.py": FLASK})
    assert found.plan.values["ignored"] == ("venv",)
    assert any("venv/ is part of the source" in warning for warning in found.plan.warnings)
    text = dockerfile(found)
    assert 'RUN ["rm", "-rf", "/app/venv"]' in text
    assert "COPY --from=source --chown=1000:1000 /app/ /app/" in text
    assert 'COPY --chown=1000:1000 ["./"' not in text
