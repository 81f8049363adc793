"""What docs/autoscaling.md says of published load traces works as it is printed: samples in their formats, by hand."""

from __future__ import annotations

import subprocess
import textwrap
from pathlib import Path

from paas.cli.trace_file import load
from tests.docs.markdown import ROOT

PAGE = (ROOT / "docs" / "autoscaling.md").read_text()

NASA = """\
one.example - - [01/Jul/1995:00:00:01 -0400] "GET /history/ HTTP/1.0" 200 6245
two.example - - [01/Jul/1995:00:00:06 -0400] "GET /shuttle/countdown/ HTTP/1.0" 200 3985
two.example - - [01/Jul/1995:00:00:12 -0400] "GET /images/a.gif HTTP/1.0" 304 0
"""
HOURS = {
    "projectviews-20260101-010000": "de - 400000 0\nen - 7200000 0\nen.m - 9 0\n",
    "projectviews-20260101-020000": "de - 400000 0\nen - 3600000 0\nen.m - 9 0\n",
}
WIKIBENCH = """\
929840884 1190146243.303 http://en.example.org/wiki/One -
929840885 1190146243.325 http://en.example.org/wiki/Two -
929840886 1190146245.290 http://en.example.org/wiki/Three save
"""


def ran(recipe: str, folder: Path) -> None:
    """The shell block that begins like this, run in the folder."""
    (block,) = (part.partition("```")[0] for part in PAGE.split("```sh\n") if part.strip().startswith(recipe))
    subprocess.run(["sh", "-eu", "-c", textwrap.dedent(block)], cwd=folder, check=True)


def test_the_log_of_nasa_is_a_trace_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "NASA_access_log_Jul95").write_text(NASA)
    found = load(tmp_path / "NASA_access_log_Jul95", hold=False)
    assert (list(found.rates), found.times[0]) == ([0.2, 0.1], 804571200.0)


def test_the_hourly_counts_of_wikipedia_become_a_trace(tmp_path: Path) -> None:
    for name, text in HOURS.items():
        (tmp_path / name).write_text(text)
    ran("awk 'BEGIN", tmp_path)
    found = load(tmp_path / "wikipedia.csv", hold=False)
    assert (list(found.rates), found.end - found.times[0]) == ([2000.0, 1000.0], 7200.0)


def test_the_requests_of_wikibench_become_a_trace(tmp_path: Path) -> None:
    (tmp_path / "wiki.trace").write_text(WIKIBENCH)
    ran("awk '{ n[int", tmp_path)
    found = load(tmp_path / "wiki.csv", hold=False)
    assert (found.times[0], list(found.rates)) == (1190146243.0, [2.0, 0.0, 1.0])
