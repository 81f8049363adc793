"""Readers of our output that go away: what was begun goes on, and nothing is said of it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from paas.errors import Cancelled
from paas.interfaces import Terminal
from paas.model.events import Emit, Event
from paas.model.people import Actor
from paas.requests.base import Request
from paas.requests.processes import Scale
from tests.unit.cli.test_commands import CHANGED, SERVES
from tests.unit.server.stub import Running


def endless(request: Request, actor: Actor, emit: Emit, terminal: Terminal) -> int:
    """A command that prints until nobody takes it."""
    with suppress(Cancelled):
        while True:
            terminal.write(b"yes\n" * 10_000)
    return 1


@pytest.mark.parametrize(
    ("command", "first", "code"),
    [
        ("logs -a shop -n 100000", "web.1 | line 0", 0),
        ("logs -a shop -n 100000 2>&1", "web.1 | line 0", 0),
        ("run -a shop --timeout 9 -- yes 2>&1", "yes", 0),
        ("scale web=1 -a shop 2>&1", "    line 0", 0),
        ("rollback -a shop 2>&1", "    line 0", 4),
        ("info -a nowhere 2>&1", "", 3),
        ("no-such-command 2>&1", "", 2),
    ],
)
def test_the_exit_code_is_the_commands_also_when_nobody_reads_on(
    server: Running, tmp_path: Path, command: str, first: str, code: int
) -> None:
    server.operations.events = [Event(kind="output", message=f"line {number}", at=1.0) for number in range(20_000)]
    server.operations.answers = {Scale: [{**CHANGED, "processes": {}, "warnings": [], **SERVES}]}
    server.door.session = endless  # type: ignore[method-assign]
    environ = {"PATH": "/usr/bin:/bin", "PAAS_HOME": str(server.settings.home)}
    reader = "head -1" if first else "true"
    script = f"{{ {sys.executable} -m paas {command}; echo $? > {tmp_path}/code; }} | {reader}"
    done = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith(first)
    assert "nothing to go back to" not in done.stdout
    assert (done.stderr, (tmp_path / "code").read_text().strip()) == ("", str(code))
