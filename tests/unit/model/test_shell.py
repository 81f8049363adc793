"""A shell that starts an app steps aside where it can, and changes nothing where it cannot."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas.model import shell


@pytest.mark.parametrize(
    ("command", "becomes"),
    [
        ("gunicorn app:app", "exec gunicorn app:app"),
        ("cd src && gunicorn -w $(nproc) app", "cd src && exec gunicorn -w $(nproc) app"),
        ('A=1 B="x y" python app.py', 'A=1 B="x y" exec python app.py'),
        ("python m.py; node s.js", "python m.py; exec node s.js"),
        ("test -f x || python y.py", "test -f x || exec python y.py"),
        ("node s.js > /tmp/x 2>&1", "exec node s.js > /tmp/x 2>&1"),
        ("python -c 'a; b && c'", "exec python -c 'a; b && c'"),
        ('x "$(a && b)" y', 'exec x "$(a && b)" y'),
        ('x "a;b" \\; y', 'exec x "a;b" \\; y'),
    ],
)
def test_the_last_program_of_a_list_takes_the_shells_place(command: str, becomes: str) -> None:
    assert shell.stepping_aside(command) == becomes
    assert shell.argv(command) == ("/bin/sh", "-c", becomes)


@pytest.mark.parametrize(
    "command",
    ["a | b", "a & b", "a &", "(a)", "{ a; b; }", "for i in 1; do x; done", "if a; then b; fi", "exec x", "cd x", "A=1",
     "a; exit 5", "a # b", "cat <<E", "a `b`", "a &&", "! a", "", "a && b | c", "f() { a; }", "x 'unbalanced"],
)  # fmt: skip
def test_what_is_more_than_a_list_of_programs_is_left_as_it_is(command: str) -> None:
    assert shell.stepping_aside(command) == command


WORDS = st.sampled_from(
    ["echo", "a", "'b c'", '"d;e"', "$X", "$(echo f)", '"$(echo g)"', "\\;", "X=1", "2>&1", "#", "x#y"]
)
JOINED = st.sampled_from([" && ", " || ", "; ", " | ", " & "])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(WORDS, min_size=1, max_size=4), JOINED), min_size=1, max_size=3))
def test_stepping_aside_changes_neither_output_nor_exit_code(parts: list[tuple[list[str], str]]) -> None:
    command = "".join(f"echo {' '.join(words)}{joined}" for words, joined in parts) + "test -n x"
    before, after = (run(text) for text in (command, shell.stepping_aside(command)))
    assert before == after


def run(command: str) -> tuple[int, list[str]]:
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=10)
    # Background jobs write in any order.
    return done.returncode, sorted(done.stdout.splitlines())
