"""What a command imports: help and completion nothing but typer, commands what they use."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from paas.cli.commands import COMMANDS
from paas.cli.lazy import load

HEAVY = ("docker", "git", "jinja2", "pydantic", "yaml", "rich", "httpx2", "sqlalchemy", "fastapi", "cryptography",
         "websockets", "dotenv", "uvicorn", "alembic", "paas.client", "paas.requests", "paas.usecases")  # fmt: skip


def imported(*argv: str, env: dict[str, str] | None = None) -> set[str]:
    """The modules that `paas argv` has imported when it ends."""
    code = f"""
import sys
sys.argv = ["paas", *{list(argv)!r}]
import atexit
from paas.cli import main
try:
    main()
except SystemExit:
    pass
print("MODULES", *sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", **(env or {})},
    )
    line = next(line for line in done.stderr.splitlines() if line.startswith("MODULES"))
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["--version"],
        [],
        ["ps", "--help"],
        ["deploy", "--help"],
        ["config", "set", "--help"],
        ["nonsense"],
        ["completion", "bash"],
    ],
)
def test_help_imports_no_heavy_module(argv: list[str]) -> None:
    assert not imported(*argv) & set(HEAVY)


def test_completion_imports_no_heavy_module() -> None:
    env = {"_PAAS_COMPLETE": "complete_bash", "COMP_WORDS": "paas config s", "COMP_CWORD": "2"}
    assert not imported(env=env) & set(HEAVY)


def test_the_roots_help_imports_no_command() -> None:
    modules = imported("--help")
    assert not [name for name in modules if name == "paas.cli.deploy"]


def test_a_command_imports_no_library_that_only_the_server_needs(tmp_path: Path) -> None:
    modules = imported("status", env={"PAAS_HOME": str(tmp_path)})
    assert "paas.client" in modules
    assert not modules & {"docker", "git", "jinja2", "pydantic", "sqlalchemy", "fastapi", "cryptography", "rich",
                          "yaml", "httpx2", "httpx", "requests", "websockets", "uvicorn", "alembic"}  # fmt: skip


@pytest.mark.parametrize("argv", [["apps"], ["ps", "-a", "x"], ["config", "-a", "x"], ["releases", "-a", "x"]])
def test_a_command_that_asks_the_server_imports_no_library_for_it(tmp_path: Path, argv: list[str]) -> None:
    modules = imported(*argv, env={"PAAS_HOME": str(tmp_path), "PAAS_HOST": "http://127.0.0.1:1", "PAAS_TOKEN": "x"})
    assert "paas.client" in modules
    assert not modules & {"docker", "git", "jinja2", "pydantic", "sqlalchemy", "fastapi", "cryptography",
                          "yaml", "httpx2", "httpx", "requests", "websockets", "uvicorn", "alembic"}  # fmt: skip


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_table_exists_and_is_documented(name: str) -> None:
    command = load(name, COMMANDS[name])
    assert command.help
    assert COMMANDS[name].help.endswith(".")
    for one in getattr(command, "commands", {}).values():
        assert one.help, one.name


@pytest.mark.parametrize(("module", "code"), [("typer", -signal.SIGINT), ("paas.cli.ps", 130)])
def test_ctrl_c_while_modules_load_ends_it_without_a_traceback(module: str, code: int, tmp_path: Path) -> None:
    script = f"""
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
sys.argv = ["paas", "ps", "-a", "shop"]
from paas.cli import main
main()
"""
    argv = [sys.executable, "-c", script]
    environ = {"PATH": "/usr/bin:/bin", "PAAS_HOME": str(tmp_path)}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == code, done
    assert done.stderr == ""
