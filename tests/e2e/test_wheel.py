"""A wheel built from the sdist, installed in an empty environment, works from an unrelated folder."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


def run(*argv: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in argv], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was made from it."""
    out = tmp_path_factory.mktemp("dist")
    run(UV, "build", "-q", "--out-dir", out, ROOT, cwd=out)
    return out


def names(archive: Path) -> set[str]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return set(wheel.namelist())
    with tarfile.open(archive) as sdist:
        return {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}


def test_the_wheel_carries_the_package_its_buildpacks_and_its_templates(built: Path) -> None:
    files = names(next(built.glob("*.whl")))
    committed = run("git", "ls-files", "paas", "buildpacks", "templates", cwd=ROOT).split()
    expected = {name if name.startswith("paas/") else f"paas/{name}" for name in committed}
    missing = {name for name in expected if name not in files and (ROOT / name.removeprefix("paas/")).exists()}
    assert not missing
    extra = {name for name in files if not name.startswith(("paas/", "paasctl-"))}
    assert not extra, "nothing but the package may be importable"
    assert not {name for name in files if "__pycache__" in name or name.endswith((".pyc", ".log"))}


def test_the_sdist_carries_what_its_tests_need(built: Path) -> None:
    files = names(next(built.glob("*.tar.gz")))
    for name in ("pyproject.toml", "README.md", "LICENSE", "Procfile.example", "tests/apps/guestbook/app.py"):
        assert name in files


def test_installed_in_an_empty_environment_it_finds_them_from_anywhere(built: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(UV, "venv", "-q", "--python", sys.executable, tmp_path / "venv", cwd=elsewhere)
    python = tmp_path / "venv" / "bin" / "python"
    run(UV, "pip", "install", "-q", "--python", python, next(built.glob("*.whl")), cwd=elsewhere)
    (elsewhere / "index.html").write_text("<h1>hello</h1>")
    paas = python.with_name("paas")
    assert "static" in run(paas, "detect", elsewhere, cwd=elsewhere)
    where = run(python, "-c", "import paas.bundled as b; print(b.buildpacks()); print(b.templates())", cwd=elsewhere)
    assert all(str(tmp_path / "venv") in line for line in where.split())
