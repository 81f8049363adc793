"""What README and docs name exists: commands and their options, variables, files, headings, exit codes, keys."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer

from paas import bundled
from paas.build import manifest
from paas.build.files import Files
from paas.cli import reference
from paas.cli.commands import spelled
from paas.cli.entry import app
from paas.settings import Settings
from tests.docs.markdown import ROOT, Page, anchor, pages
from tests.docs.spoken import wrong

PAGES = pages()
WRITTEN = [page for page in PAGES if page.path.parent != reference.FOLDER]
VARIABLE = re.compile(r"\bPAAS_[A-Z][A-Z_]*[A-Z]\b")
EXIT = re.compile(r"[Ee]xits? (?:with|codes?)(?: code)? (\d+)")
TESTS_ONLY = {"PAAS_TEST_WORKERS"}
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
written = pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)


# --- commands ------------------------------------------------------------------------------------------------------


def commands(page: Page) -> Iterator[str]:
    """The lines of console and shell blocks that call paas."""
    for block in page.blocks("console", "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if found := re.match(r"(?:\$ )?(paas\b.*)", line):
                yield found[1]


def parse(line: str) -> None:
    """Raise what the command line would raise. Nothing runs."""
    words = shlex.split(line.replace("…", "x"), comments=True)
    end = next((i for i, word in enumerate(words) if word in ("|", "&&", "||", ";", ">", "<", "2>&1")), len(words))
    arguments = spelled(words[1:end])
    root = typer.main.get_command(app)
    context = root.context_class(root, info_name="paas")
    assert arguments, "paas alone does nothing"
    if arguments[0] in ("--help", "-h", "--version"):
        return
    name, command, rest = root.resolve_command(context, arguments)
    _parse(command, name, rest, context)


def _parse(command: Any, name: str, arguments: list[str], parent: Any) -> None:
    if "--help" in arguments:
        return
    context = command.make_context(name, list(arguments), parent=parent)
    if hasattr(command, "commands"):
        name, sub, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        _parse(sub, name, rest, context)


@written
def test_every_command_shown_is_one_that_can_be_typed(page: Page) -> None:
    wrong = {}
    for line in commands(page):
        try:
            parse(line)
        except Exception as error:
            wrong[line] = str(error)
    assert wrong == {}


@pytest.mark.parametrize(
    "line", ["paas deploi", "paas scale", "paas logs --flow", "paas config sett A=1 -x", "paas db"]
)
def test_a_command_that_cannot_be_typed_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r"."):
        parse(line)


@written
def test_commands_in_the_text_exist(page: Page) -> None:
    assert [what for text in re.findall(r"`(paas [^`]+)`", page.prose) if (what := wrong(text))] == []


@written
def test_examples_stand_in_blocks_that_are_checked(page: Page) -> None:
    assert re.findall(r"^ {4,}(?:\$ )?paas .*$", page.prose, re.MULTILINE) == []


# --- names ---------------------------------------------------------------------------------------------------------


@by_name
def test_every_variable_named_is_a_setting_or_a_listed_one(page: Page) -> None:
    known = {str(one.metadata["env"]) for one in fields(Settings)} | set(reference.OUTSIDE) | set(reference.INSIDE)
    assert set(VARIABLE.findall(page.text)) - known - TESTS_ONLY == set()


@by_name
def test_the_socket_named_is_the_servers(page: Page) -> None:
    named = set(re.findall(r"/var/lib/paas/[\w.-]+\.sock\b", page.text))
    assert named <= {str(Settings(home=Path("/var/lib/paas")).socket)}


@by_name
def test_every_exit_code_named_exists(page: Page) -> None:
    known = set(re.findall(r"^\| (\d+) \|", reference.pages()["exit-codes.md"], re.MULTILINE))
    assert {code for code in EXIT.findall(page.prose) if code not in known} == set()


@by_name
def test_every_link_leads_somewhere(page: Page) -> None:
    for link in page.links():
        path, _, heading = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), f"{page.name}: {link}: no such file"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leaves the project"
        if heading:
            assert heading in Page(target).anchors(), f"{page.name}: {link}: no such heading"


@by_name
def test_every_file_of_the_project_named_exists(page: Page) -> None:
    named = re.findall(r"`((?:paas|tests|docs|templates|buildpacks|scripts|benchmarks)/[\w./-]+)`", page.prose)
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_every_room_of_the_architecture_exists() -> None:
    rows = re.findall(r"^\| ((?:`[\w/.]+` ?)+)\|", Page(ROOT / "docs" / "architecture.md").text, re.MULTILINE)
    rooms = {room for row in rows for room in re.findall(r"`([^`]+)`", row)}
    assert len(rooms) > 25
    assert {room for room in rooms if not (ROOT / "paas" / room).exists()} == set()


def test_anchors_are_made_as_on_the_web() -> None:
    assert anchor("One `paas deploy`") == "one-paas-deploy"
    assert anchor("Limits, restarts & more") == "limits-restarts--more"


@written
def test_every_toml_example_is_read_by_the_real_parser(page: Page) -> None:
    settings = {one.name for one in fields(Settings)}
    for block in page.blocks("toml"):
        values = tomllib.loads(block)
        if block.startswith("# paas.conf.toml"):
            assert set(values) <= settings
        else:
            manifest.load(Files.from_mapping({"paas.toml": block}))


# --- completeness --------------------------------------------------------------------------------------------------


def test_the_index_names_every_page() -> None:
    index = Page(ROOT / "docs" / "README.md")
    linked = {(index.path.parent / link.partition("#")[0]).resolve() for link in index.links()}
    listed = {page.path for page in PAGES if page.path.is_relative_to(index.path.parent)}
    below = {path for path in listed if path.parent.name == "decisions" and path.name != "README.md"}
    assert listed - below - {index.path} - linked == set()


def test_every_metric_for_prometheus_is_listed() -> None:
    source = (ROOT / "paas" / "plan" / "exposition.py").read_text()
    exported = set(re.findall(r'"(paas_\w+)"', source))
    assert len(exported) > 10
    assert exported == set(re.findall(r"`(paas_\w+)`", (ROOT / "docs" / "metrics.md").read_text()))


def test_the_decisions_index_names_every_decision() -> None:
    index = Page(ROOT / "docs" / "decisions" / "README.md")
    found = {path.name for path in index.path.parent.glob("*.md")} - {"README.md"}
    assert found == set(index.links())


@pytest.mark.parametrize(
    ("folder", "page"), [(bundled.buildpacks(), "buildpacks.md"), (bundled.templates() / "addons", "addons.md")]
)
def test_every_buildpack_and_addon_is_described(folder: Any, page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    names = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert names, f"nothing in {folder}"
    assert {name for name in names if name not in text} == set()


def test_every_dependency_says_why_it_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["server"]]
    names = {re.split(r"[\[<>=;~ ]", one)[0] for one in asked}
    text = (ROOT / "docs" / "dependencies.md").read_text()
    assert {name for name in names if not re.search(rf"^\|.*\b{name}\b", text, re.MULTILINE)} == set()


def test_the_readme_stays_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 260
