"""The buildpack in docs/buildpacks.md works as it is printed there."""

from __future__ import annotations

from pathlib import Path

import pytest

from paas.build import buildpacks
from paas.errors import ConfigError
from tests.docs.markdown import ROOT, Page
from tests.unit.build.parts import dockerfile, look, web

PAGE = Page(ROOT / "docs" / "buildpacks.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documented buildpack, where the variable leads."""
    pack = tmp_path / "script"
    pack.mkdir()
    (pack / "buildpack.py").write_text(next(PAGE.blocks("python")))
    (pack / "Dockerfile.j2").write_text(next(PAGE.blocks("jinja")))
    monkeypatch.setenv(buildpacks.PATH, str(tmp_path))
    return pack


def test_the_documented_buildpack_finds_and_builds_its_app(folder: Path) -> None:
    found = look({"run.sh": "exec python3 -m http.server $PORT\n", "index.html": ""})
    assert found.plan.buildpack == "script"
    assert web(found) == "sh run.sh"
    text = dockerfile(look({"run.sh": ""}))
    assert "\nENV PYTHONUNBUFFERED=1\n" in text
    assert text.rstrip().endswith('CMD ["/bin/sh", "-c", "exec sh run.sh"]')


def test_a_template_that_is_wrong_is_named_with_its_cause(folder: Path) -> None:
    (folder / "Dockerfile.j2").write_text(
        '{% extends "frame/Dockerfile.j2" %}{% block built %}{{ nothing }}{% endblock %}'
    )
    with pytest.raises(ConfigError, match="'nothing' is undefined") as caught:
        dockerfile(look({"run.sh": ""}))
    assert caught.value.where == str(folder / "Dockerfile.j2")
