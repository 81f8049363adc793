"""What keeps the server's threads and its memory from holding answers up."""

from __future__ import annotations

import gc
import sys

from paas.server.streams import quick_turns, short_collections


def test_threads_take_turns_within_a_millisecond() -> None:
    before = sys.getswitchinterval()
    try:
        quick_turns()
        assert sys.getswitchinterval() < 0.001
    finally:
        sys.setswitchinterval(before)


def test_what_is_there_already_is_not_looked_at_by_the_collector_again() -> None:
    assert gc.get_freeze_count() == 0
    stays = [object() for _ in range(100)]
    try:
        short_collections()
        assert gc.get_freeze_count() > 1000
        assert not any(one is stays for one in gc.get_objects())
    finally:
        gc.unfreeze()
