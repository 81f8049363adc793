"""Every app in tests/apps: its build plan and Dockerfile, or the error it is refused with, against a golden file.

A case is added by adding a folder. `pytest --update-golden` writes the files anew; then read the diff.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from paas.build.files import Files
from paas.errors import ConfigError
from tests.unit.build.parts import dockerfile, look

TESTS = Path(__file__).parents[2]
APPS = sorted(path for path in (TESTS / "apps").iterdir() if path.is_dir())
REFUSED = {"bad-procfile-line", "bad-no-web", "bad-unknown-key", "bad-runtime-version", "bad-nothing"}
"""Apps whose files are wrong; the other bad ones build, and fail later."""


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)
def test_an_app_becomes_what_its_golden_file_says(app: Path, request: pytest.FixtureRequest) -> None:
    golden = TESTS / "golden" / "builds" / f"{app.name}.txt"
    text = described(app)
    if request.config.getoption("--update-golden"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), "run with --update-golden, and read the diff"


def test_every_golden_file_has_its_app() -> None:
    assert {path.stem for path in (TESTS / "golden" / "builds").iterdir()} == {app.name for app in APPS}


def described(app: Path) -> str:
    """The plan as JSON, then the Dockerfile; or the error with its hint and details."""
    try:
        found = look(Files.of(app))
        text = dockerfile(found)
    except ConfigError as error:
        assert app.name in REFUSED
        return "\n".join([f"{error.code}: {error.message}", f"hint: {error.hint}", *error.details]) + "\n"
    assert app.name not in REFUSED
    plan = asdict(found.plan)
    # The reasons one a line, and no Dockerfile twice.
    plan["reasons"] = [f"{one.file}:{one.line} {one.text}" for one in found.plan.reasons]
    plan["values"] = {key: value for key, value in plan["values"].items() if key != "text"}
    return f"{json.dumps(plan, indent=2, ensure_ascii=False)}\n\n{text}"
