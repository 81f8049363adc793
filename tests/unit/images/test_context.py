"""The tar that a build is made from: the app's files untouched, the Dockerfile beside them."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas.errors import ConfigError
from paas.images import context


def packed(folder: Path | None, dockerfile: str) -> tuple[context.Packed, dict[str, tarfile.TarInfo], dict[str, bytes]]:
    out = io.BytesIO()
    sent = context.write(folder, dockerfile, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        members = {member.name: member for member in tar}
        bodies = {name: tar.extractfile(member).read() for name, member in members.items() if member.isreg()}  # type: ignore[union-attr]
    return sent, members, bodies


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    (folder / "sub").mkdir(parents=True)
    (folder / "app.py").write_text("print(1)\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o4711)
    (folder / "sub" / "link").symlink_to("../app.py")
    (folder / "sub" / "ünï\ncode").write_text("x")
    return folder


def test_the_apps_files_stand_in_a_folder_of_their_own_and_the_dockerfile_first(app: Path) -> None:
    (app / "Dockerfile").write_text("FROM theirs\n")
    sent, members, bodies = packed(app, "FROM ours\nCOPY . /app\n")
    assert sent == context.Packed("Dockerfile", moved=True)
    assert next(iter(members)) == "Dockerfile"
    assert bodies["Dockerfile"] == b"FROM ours\nCOPY source/. /app\n"
    assert bodies["source/Dockerfile"] == b"FROM theirs\n"
    assert members["source/sub/link"].linkname == "../app.py"
    assert bodies["source/sub/ünï\ncode"] == b"x"


def test_a_dockerfile_of_the_app_is_used_where_it_lies_and_nothing_is_rewritten(app: Path) -> None:
    text = "FROM theirs\nCOPY . /app\n"
    (app / "sub" / "Web.dockerfile").write_text(text)
    sent, members, bodies = packed(app, text)
    assert sent == context.Packed("sub/Web.dockerfile", moved=False)
    assert bodies["sub/Web.dockerfile"] == text.encode()
    assert "app.py" in members
    assert not [name for name in members if name.startswith("source")]


def test_owners_and_modes_are_the_same_on_every_machine(app: Path) -> None:
    _, members, _ = packed(app, "FROM x\n")
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}
    assert members["source/run.sh"].mode == 0o755
    assert members["source/app.py"].mode == 0o644
    assert members["source/sub"].mode == 0o755


def test_the_same_folder_gives_the_same_bytes(app: Path) -> None:
    first, second = io.BytesIO(), io.BytesIO()
    context.write(app, "FROM x\n", first)
    context.write(app, "FROM x\n", second)
    assert first.getvalue() == second.getvalue()


def test_the_first_header_is_one_the_engine_takes_for_a_tar(app: Path) -> None:
    out = io.BytesIO()
    context.write(app, "FROM x\n", out)
    assert out.getvalue()[257:262] == b"ustar"
    assert out.getvalue()[:10] == b"Dockerfile"


def test_pipes_and_sockets_do_not_travel(app: Path) -> None:
    os.mkfifo(app / "pipe")
    _, members, _ = packed(app, "FROM x\n")
    assert "source/pipe" not in members


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("COPY . .", "COPY source/. ."),
        ("copy a b c/", "copy source/a source/b c/"),
        ("COPY /etc/x /y", "COPY source/etc/x /y"),
        ("COPY --chown=app:app --chmod=755 a /b", "COPY --chown=app:app --chmod=755 source/a /b"),
        ("COPY --from=build /a /b", "COPY --from=build /a /b"),
        ('COPY ["a b", "/c"]', 'COPY ["source/a b", "/c"]'),
        ("ADD https://example.com/x /x", "ADD https://example.com/x /x"),
        ("ADD requirements*.txt /x/", "ADD source/requirements*.txt /x/"),
        ("RUN cp COPY . .", "RUN cp COPY . ."),
        ("# COPY . .", "# COPY . ."),
    ],
)
def test_only_sources_that_mean_the_context_are_moved(line: str, expected: str) -> None:
    assert context.prefixed(f"FROM x\n{line}\n") == f"FROM x\n{expected}\n"


def test_continued_lines_are_joined_and_the_numbers_of_later_lines_stay() -> None:
    text = "FROM x\nCOPY a \\\n  # why\n  b \\\n  /c/\nRUN echo \\\n  COPY . .\n"
    moved = context.prefixed(text).split("\n")
    assert moved[1] == "COPY source/a source/b /c/"
    assert moved[2:5] == ["", "", ""]
    assert moved[5:] == ["RUN echo \\", "  COPY . .", ""]


@given(st.text(alphabet="RUN COPY\\#\n .=ab", max_size=80))
def test_rewriting_never_changes_the_number_of_lines(text: str) -> None:
    assert context.prefixed(text).count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "name", ["docker/dockerfile:1", "registry.example/docker/dockerfile:1.7-labs", "docker/dockerfile"]
)
def test_the_usual_syntax_line_is_taken_out_and_the_lines_keep_their_numbers(name: str) -> None:
    text = f"# syntax={name}\n# escape=`\nFROM x\n"
    lines = context.without_syntax(text).split("\n")
    assert lines == ["# escape=`", "#", "FROM x", ""]


@pytest.mark.parametrize(
    "line", ["# syntax=evil/frontend", "#syntax = evil.example/x:1", "# escape=`\n# SYNTAX=a/b", "\ufeff# syntax=a/b"]
)
def test_any_other_interpreter_of_the_dockerfile_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=r"Dockerfile:\d: syntax=.* is not allowed"):
        context.without_syntax(f"{line}\nFROM x\n")


def test_a_syntax_comment_further_down_is_a_comment() -> None:
    text = "FROM x\n# syntax=evil/frontend\nRUN true\n"
    assert context.without_syntax(text) == text
