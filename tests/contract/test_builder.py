"""One suite for both builders of the Engine: BuildKit, and the classic one an Engine without it has."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import docker
import pytest

from paas.errors import BuildFailed, Cancelled, ConfigError, EngineUnavailable, PlatformError
from paas.images import DockerBuilder, builder
from paas.model.build import Image
from paas.model.events import Event, silent
from paas.settings import Settings, load
from tests.contract.images import REF, busybox
from tests.polling import until

pytestmark = pytest.mark.docker


class ClassicBuilder(DockerBuilder):
    """What an Engine without BuildKit leaves."""

    def buildkit(self) -> bool:
        return False


@dataclass
class Lab:
    """A builder with an instance name of its own, and everything it made to be taken away."""

    builder: DockerBuilder
    settings: Settings
    folder: Path
    label: dict[str, str] = field(default_factory=lambda: {"paas.test": uuid.uuid4().hex})
    refs: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def ref(self) -> str:
        self.refs.append(f"paas-test/built:{uuid.uuid4().hex[:12]}")
        return self.refs[-1]

    def build(self, dockerfile: str, **options: object) -> Image:
        given: dict[str, object] = {"emit": self.events.append, **options}
        given["labels"] = {**self.label, **options.get("labels", {})}  # type: ignore[dict-item]
        return self.builder.build(self.folder, dockerfile, self.ref(), **given)  # type: ignore[arg-type]

    def said(self) -> list[str]:
        return [event.message for event in self.events]


@pytest.fixture(params=[DockerBuilder, ClassicBuilder], ids=["buildkit", "classic"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    settings = replace(load(), instance=f"t-{uuid.uuid4().hex[:8]}", build_timeout=120)
    busybox(settings.docker)
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "hello.txt").write_text(uuid.uuid4().hex)
    lab = Lab(request.param(settings), settings, folder)
    yield lab
    for ref in lab.refs:
        lab.builder.remove(ref)
    api = docker.APIClient(base_url=settings.docker, version="auto")
    # The classic builder keeps what a failed build had made.
    for image in api.images(filters={"dangling": True, "label": f"paas.test={lab.label['paas.test']}"}):
        lab.builder.remove(image["Id"])
    api.close()


def files_of(lab: Lab, image: Image) -> list[str]:
    """Paths in the image, read by a container that is gone at once."""
    api = docker.APIClient(base_url=lab.settings.docker, version="auto")
    try:
        made = api.create_container(image.id, ["find", "/app"], labels={"paas.test": "1"})
        try:
            api.start(made["Id"])
            api.wait(made["Id"])
            return sorted(api.logs(made["Id"]).decode().split())
        finally:
            api.remove_container(made["Id"], force=True)
    finally:
        api.close()


def running(word: str) -> bool:
    """Whether any process of this machine has the word in its command line."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and word.encode() in (entry / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


def test_a_build_gives_an_image_with_labels_and_only_the_apps_files(lab: Lab) -> None:
    (lab.folder / "Dockerfile").write_text("FROM scratch\n")
    image = lab.build(f"FROM {REF}\nCOPY . /app\nEXPOSE 3001/udp 3000/tcp\nUSER 1000\n", labels={"a.b": "c d\n'\"${x}"})
    assert files_of(lab, image) == ["/app", "/app/Dockerfile", "/app/hello.txt"]
    assert (image.exposed, image.user, image.id[:7]) == ((3000,), "1000", "sha256:")
    api = docker.APIClient(base_url=lab.settings.docker, version="auto")
    assert api.inspect_image(image.id)["Config"]["Labels"]["a.b"] == "c d\n'\"${x}"
    api.close()


def test_nothing_changed_is_cached_and_keeps_the_id(lab: Lab) -> None:
    first = lab.build(f"FROM {REF}\nCOPY . /app\n")
    os.utime(lab.folder / "hello.txt", (1, 1))
    again = lab.build(f"FROM {REF}\nCOPY . /app\n")
    assert (first.cached, again.cached) == (False, True)
    assert again.id == first.id
    assert any(message.endswith("CACHED") for message in lab.said())


def test_changed_code_runs_no_step_before_its_copy_again(lab: Lab) -> None:
    dockerfile = f"FROM {REF}\nRUN echo {uuid.uuid4().hex} > /installed\nCOPY . /app\n"
    lab.build(dockerfile)
    lab.events.clear()
    (lab.folder / "hello.txt").write_text("changed")
    assert not lab.build(dockerfile).cached
    assert [message for message in lab.said() if "RUN" in message and message.endswith("CACHED")]


def test_output_is_live_and_split_into_lines(lab: Lab) -> None:
    seen = threading.Event()

    def emit(event: Event) -> None:
        if event.message == "first":
            seen.set()
        lab.events.append(event)

    flag = uuid.uuid4().hex
    thread = threading.Thread(
        target=lab.build, args=(f"FROM {REF}\nRUN echo first; sleep 2; echo {flag}\n",), kwargs={"emit": emit}
    )
    thread.start()
    try:
        assert seen.wait(20)
        assert flag not in lab.said()
    finally:
        thread.join()
    assert flag in lab.said()


def test_target_and_build_arguments_reach_the_build(lab: Lab) -> None:
    value = "a b\n'$(id)'\""
    dockerfile = (
        f'FROM {REF} AS first\nARG GREETING\nRUN printf "%s|" "$GREETING" > /g && cat /g && echo\nFROM nosuch/image:1\n'
    )
    lab.build(dockerfile, target="first", build_args={"GREETING": value}, no_cache=True)
    assert "a b" in lab.said()
    assert "'$(id)'\"|" in lab.said()


def test_a_build_argument_cannot_bring_its_own_interpreter(lab: Lab) -> None:
    with pytest.raises(ConfigError, match="BUILDKIT_SYNTAX is not allowed"):
        lab.build(f"FROM {REF}\n", build_args={"BUILDKIT_SYNTAX": "evil/frontend"})


def test_a_failing_step_is_named_with_its_line_code_and_last_words(lab: Lab) -> None:
    with pytest.raises(BuildFailed, match=r"^Dockerfile:4: RUN echo why && exit 3 failed: exit code 3$") as caught:
        lab.build(f"FROM {REF}\nCOPY . /app\n\nRUN echo why && \\\n  exit 3\n")
    assert caught.value.details == ("why",)


def test_a_file_that_is_missing_is_named_as_the_dockerfile_has_it(lab: Lab) -> None:
    with pytest.raises(BuildFailed, match=r"^Dockerfile:2: COPY nope\.txt /app failed: .*nope\.txt") as caught:
        lab.build(f"FROM {REF}\nCOPY nope.txt /app\n")
    assert "source/" not in caught.value.message


def test_an_instruction_that_does_not_exist_is_named_with_its_line(lab: Lab) -> None:
    with pytest.raises(BuildFailed, match=r"^Dockerfile:2: .*unknown instruction: FOO"):
        lab.build(f"FROM {REF}\nFOO bar\n")


def test_a_build_that_takes_too_long_is_ended_with_its_processes(lab: Lab) -> None:
    word = f"60{uuid.uuid4().int % 10**6}"
    lab.builder = type(lab.builder)(replace(lab.settings, build_timeout=4))
    with pytest.raises(BuildFailed, match="longer than 4 s") as caught:
        lab.build(f"FROM {REF}\nRUN echo begun; sleep {word}\n")
    assert caught.value.details == ("begun",)
    assert until(lambda: not running(f"sleep\0{word}"), 20.0)
    assert lab.build(f"FROM {REF}\nCOPY . /app\n").size


def test_whoever_follows_can_end_the_build_by_raising(lab: Lab) -> None:
    word = f"60{uuid.uuid4().int % 10**6}"

    def emit(event: Event) -> None:
        if event.message == "begun":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        lab.build(f"FROM {REF}\nRUN echo begun; sleep {word}\n", emit=emit)
    assert until(lambda: not running(f"sleep\0{word}"), 20.0)


def test_builds_run_side_by_side(lab: Lab) -> None:
    errors: list[BaseException] = []

    def one(number: int) -> None:
        try:
            image = lab.builder.build(
                None, f"FROM {REF}\nRUN echo {number} > /n\n", lab.ref(), labels=lab.label, emit=silent
            )
            assert image.id
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_images_of_an_app_are_those_with_its_label_and_this_instance(lab: Lab) -> None:
    labels = {"paas.instance": lab.settings.instance, "paas.app": "abcd1234"}
    mine = lab.build(f"FROM {REF}\nCOPY . /app\n", labels=labels)
    lab.build(f"FROM {REF}\nCOPY . /app\n", labels={**labels, "paas.instance": "another"})
    assert [(image.id, image.ref) for image in lab.builder.images("abcd1234")] == [(mine.id, lab.refs[0])]


def test_a_name_comes_goes_and_is_found(lab: Lab) -> None:
    image = lab.build(f"FROM {REF}\nCOPY . /app\n")
    other = lab.ref()
    lab.builder.tag(image.id, other)
    lab.builder.remove(lab.refs[0])
    assert lab.builder.find(lab.refs[0]) is None
    found = lab.builder.find(other)
    assert found is not None
    assert found.id == image.id
    lab.builder.remove(other)
    lab.builder.remove(other)
    assert lab.builder.find(image.id) is None


def test_a_root_filesystem_is_imported_with_changes(lab: Lab, tmp_path: Path) -> None:
    import io
    import tarfile

    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("marker"))
    chunks = iter([body.getvalue()[:700], body.getvalue()[700:]])
    image = lab.builder.load(chunks, lab.ref(), ('CMD ["/marker"]', "EXPOSE 80", "ENV A=b"))
    assert (image.command, image.exposed, image.ref) == (("/marker",), (80,), lab.refs[-1])


def test_a_full_disk_refuses_the_build_before_it_begins(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "LEAST_BYTES", 1 << 60)
    with pytest.raises(PlatformError, match=r"the disk of /\S+ is full \(\d+ MB left") as caught:
        lab.build(f"FROM {REF}\nRUN echo never\n")
    assert "docker builder prune" in caught.value.hint
    assert lab.said() == []


def test_no_inodes_left_is_a_full_disk_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "LEAST_INODES", 1.1)
    with pytest.raises(PlatformError, match="inodes left of"):
        lab.build(f"FROM {REF}\nRUN echo never\n")


def test_a_registry_that_does_not_answer_is_named(lab: Lab) -> None:
    with pytest.raises(BuildFailed, match=r"^Dockerfile:1: FROM nosuch\.invalid/image:1 failed") as caught:
        lab.build("FROM nosuch.invalid/image:1\nRUN true\n")
    assert "nosuch.invalid" in caught.value.hint
    with pytest.raises(PlatformError, match=r"nosuch\.invalid/image:1 cannot be pulled"):
        lab.builder.pull("nosuch.invalid/image:1", silent)


def test_an_engine_that_is_not_there_is_named_with_its_address(tmp_path: Path) -> None:
    gone = DockerBuilder(replace(load(), docker=f"unix://{tmp_path}/none.sock"))
    with pytest.raises(EngineUnavailable, match=r"none\.sock"):
        gone.build(None, "FROM scratch\n", "paas-test/none:1", labels={}, emit=silent)


def test_buildkit_is_found_by_trying_and_leaves_nothing() -> None:
    found = DockerBuilder(load())
    api = docker.APIClient(base_url=load().docker, version="auto")
    assert found.buildkit() is True
    left = [tag for image in api.images() for tag in image["RepoTags"] or () if tag.startswith("paas-base/probe:")]
    api.close()
    assert len(left) <= 1, "a probe of another process may be there for a moment"


def test_a_dockerfile_with_a_cache_mount_builds_on_buildkit() -> None:
    found = DockerBuilder(load())
    ref = f"paas-test/built:{uuid.uuid4().hex[:12]}"
    text = f"FROM {REF}\nRUN --mount=type=cache,target=/c,id=paas-test touch /c/x && ls /c\n"
    busybox(load().docker)
    try:
        assert found.build(None, text, ref, labels={"paas.test": "1"}, emit=silent).id
    finally:
        found.remove(ref)
