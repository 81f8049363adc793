"""What keeps the server's threads, its memory and its limit of files from holding answers up."""

from __future__ import annotations

import gc
import resource
import sys

from paas.server.streams import many_files, quick_turns, short_collections


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


def test_it_may_open_more_files_than_shells_allow_by_themselves() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
