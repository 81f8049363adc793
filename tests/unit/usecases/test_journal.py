"""The events of an operation: kept in order, followed while they happen and afterwards, whatever the disk does."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from paas.errors import NotFound
from paas.model.events import Event
from paas.model.secret import Secret
from paas.usecases import journal as journal_module
from paas.usecases.journal import Journals

END = Event(kind="result", at=9.0, data={"answer": {"release": 1}})


def note(text: str) -> Event:
    return Event(kind="note", message=text, at=1.0)


def test_events_are_read_back_in_order_after_the_end(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    journal = journals.open("aa")
    for text in ("one", "two"):
        journal.append(note(text))
    journal.append(END)
    journals.close("aa")
    assert list(journals.follow("aa")) == [note("one"), note("two"), END]


def test_who_follows_gets_what_was_and_what_comes_until_the_end(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    journal = journals.open("aa")
    journal.append(note("before"))
    got: list[Event] = []
    first = threading.Event()

    def follow() -> None:
        for event in journals.follow("aa"):
            got.append(event)
            first.set()

    followers = [threading.Thread(target=follow) for _ in range(3)]
    for follower in followers:
        follower.start()
    assert first.wait(10)
    journal.append(note("after"))
    journal.append(END)
    for follower in followers:
        follower.join(10)
        assert not follower.is_alive()
    assert sorted(event.message for event in got) == [
        "",
        "",
        "",
        "after",
        "after",
        "after",
        "before",
        "before",
        "before",
    ]


def test_nothing_is_taken_after_the_last_event(tmp_path: Path) -> None:
    journal = Journals(tmp_path).open("aa")
    journal.append(END)
    journal.append(note("late"))
    assert list(journal.follow()) == [END]


def test_a_line_that_a_kill_cut_off_is_left_out_and_the_end_is_written_behind_it(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    journal = journals.open("aa")
    journal.append(note("whole"))
    journal.close()
    with (tmp_path / "aa.ndjson").open("ab") as file:
        file.write(b'{"kind": "note", "mess')
    restarted = Journals(tmp_path)
    error = Event(kind="error", message="stopped", at=2.0)
    restarted.end("aa", error)
    restarted.end("aa", error)
    assert list(restarted.follow("aa")) == [note("whole"), error]


def test_a_full_disk_keeps_the_events_in_memory_and_followers_still_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = Journals(tmp_path)
    journal = journals.open("aa")
    journal.append(note("kept"))

    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    assert journal._file is not None
    journal._file.close()
    journal._file = Full()  # type: ignore[assignment]
    journal.append(note("lost on disk"))
    journal.append(END)
    assert list(journal.follow()) == [note("kept"), note("lost on disk"), END]


def test_output_beyond_the_cap_is_left_out_with_one_note_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MOST_OUTPUT", 100)
    journal = Journals(tmp_path).open("aa")
    for _ in range(30):
        journal.append(Event(kind="output", message="x" * 10, at=1.0))
    journal.append(END)
    events = list(journal.follow())
    assert [event.kind for event in events] == ["output"] * 10 + ["note", "result"]


def test_a_secret_in_an_event_is_masked(tmp_path: Path) -> None:
    journal = Journals(tmp_path).open("aa")
    journal.append(Event(kind="note", at=1.0, data={"value": Secret("s3cret")}))
    journal.close()
    assert "s3cret" not in (tmp_path / "aa.ndjson").read_text()
    assert "\\u2022" in (tmp_path / "aa.ndjson").read_text()


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "none", "a/b", "zz"])
def test_an_operation_that_is_not_kept_is_not_found_and_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        Journals(tmp_path).follow(name)


def test_old_journals_are_collected_and_running_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "KEPT", 0)
    journals = Journals(tmp_path)
    journals.open("aa").append(END)
    journals.close("aa")
    journals.open("bb").append(note("still running"))
    journals.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["bb.ndjson"]
    journals.close("bb")
