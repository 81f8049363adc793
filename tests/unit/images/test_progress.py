"""Lines of the Engine's answer become events, and what an error message needs."""

from __future__ import annotations

import json
from pathlib import Path

from paas.images.progress import Classic, Progress, Trace
from paas.model.events import Event

RECORDED = Path(__file__).with_name("buildkit-trace.jsonl")


def follow(progress: type[Progress], lines: list[dict[str, object]], moved: str = "") -> tuple[Progress, list[Event]]:
    events: list[Event] = []
    followed = progress(events.append)
    followed.moved = moved
    for line in lines:
        followed.feed(line)
    return followed, events


def recorded() -> list[dict[str, object]]:
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


def test_buildkit_output_is_emitted_line_by_line_with_its_stream_and_step() -> None:
    _, events = follow(Trace, recorded())
    lines = [(event.message, event.data["stream"]) for event in events if event.data["stream"] != "step"]
    assert sorted(lines) == [("héllo", "stdout"), ("no newline", "stdout"), ("oops", "stderr")]
    assert all(event.kind == "output" for event in events)
    assert {str(event.data["step"])[:9] for event in events if event.data["stream"] != "step"} == {"[3/3] RUN"}


def test_a_step_is_announced_once_and_ends_once() -> None:
    _, events = follow(Trace, recorded())
    steps = [(event.data["state"], event.message) for event in events if event.data["stream"] == "step"]
    assert [state for state, message in steps if "[2/3]" in message] in (["begun", "done"], ["cached"])
    assert [state for state, message in steps if "[3/3]" in message] == ["begun", "failed"]
    assert not [message for _, message in steps if "[internal]" in message or "exporting" in message]


def test_the_failing_step_and_its_own_last_lines_are_kept() -> None:
    progress, _ = follow(Trace, recorded())
    assert progress.step.startswith("[3/3] RUN printf")
    assert sorted(progress.output) == ["héllo", "no newline", "oops"]
    assert "exit code: 7" in progress.error
    assert progress.image == ""


def test_a_trace_that_cannot_be_read_does_not_end_the_build() -> None:
    broken = {"id": "moby.buildkit.trace", "aux": "!!!"}
    image = {"id": "moby.image.id", "aux": {"ID": "sha256:abc"}}
    progress, events = follow(Trace, [broken, {"id": "moby.buildkit.trace", "aux": "CgUKAw=="}, image])
    assert (progress.image, events) == ("sha256:abc", [])


def test_the_classic_builders_steps_read_the_same() -> None:
    lines: list[dict[str, object]] = [
        {"stream": "Step 1/3 : FROM base"},
        {"stream": "\n"},
        {"stream": " ---> abc\n"},
        {"stream": "Step 2/3 : COPY source/a source/b /x/"},
        {"stream": " ---> Using cache\n"},
        {"stream": "Step 3/3 : RUN make\n"},
        {"stream": "\x1b[31mred\x1b[0m\n 10%\r100%\n"},
        {"errorDetail": {"message": "The command '/bin/sh -c make' returned a non-zero code: 2"}, "error": "…"},
    ]
    progress, events = follow(Classic, lines, moved="source")
    assert [event.message for event in events] == [
        "Step 1/3 : FROM base",
        "Step 2/3 : COPY a b /x/",
        "Step 2/3 : COPY a b /x/ CACHED",
        "Step 3/3 : RUN make",
        "red",
        "100%",
    ]
    assert (progress.step, tuple(progress.output)) == ("Step 3/3 : RUN make", ("red", "100%"))
    assert progress.error.endswith("code: 2")
    assert not progress.cached


def test_a_build_of_nothing_but_cached_steps_is_cached() -> None:
    lines: list[dict[str, object]] = [
        {"stream": "Step 1/2 : FROM base"},
        {"stream": "Step 2/2 : RUN make\n ---> Using cache\n"},
        {"aux": {"ID": "sha256:1"}},
    ]
    progress, _ = follow(Classic, lines)
    assert progress.cached
    assert progress.image == "sha256:1"


def test_the_folder_that_only_the_tar_has_is_not_shown() -> None:
    progress = Trace(lambda event: None)
    progress.moved = "source"
    assert progress.named("[build 2/3] COPY   source/. /app") == "[build 2/3] COPY . /app"
    assert progress.named('[2/3] COPY ["source/a b", "/x"]') == '[2/3] COPY ["a b", "/x"]'
    assert progress.named("[2/3] RUN cat source/x") == "[2/3] RUN cat source/x"
    progress.feed({"error": 'failed to compute cache key: "/source/a" not found: not found'})
    assert progress.error == 'failed to compute cache key: "/a" not found: not found'


def test_a_base_made_here_is_named_without_the_registry_it_never_saw() -> None:
    progress = Trace(lambda event: None)
    assert progress.named("[stage-1 1/4] FROM registry.example/paas-base/python:3.13") == (
        "[stage-1 1/4] FROM paas-base/python:3.13"
    )
    other = "FROM registry.example/team/python:3.13"
    assert progress.named(other) == other


def test_a_step_that_holds_a_whole_file_is_cut() -> None:
    step = Trace(lambda event: None).named("[build 4/10] RUN " + "x" * 5000)
    assert step.startswith("[build 4/10] RUN xxx")
    assert step.endswith("x…")
    assert len(step) < 300
