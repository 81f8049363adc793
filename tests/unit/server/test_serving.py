"""How the server ends."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.unit.server.stub import eventually, running


@pytest.mark.parametrize("turn", range(4))
def test_who_comes_as_it_is_told_to_stop_does_not_hold_it_up(
    turn: int, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One in a few would be waited for until the grace is over: it was accepted when all had been told."""
    home = folder / f"stops{turn}"
    home.mkdir()
    came: list[socket.socket] = []
    with ExitStack() as opened:

        def arrive(path: Path) -> None:
            while True:
                one = opened.enter_context(socket.socket(socket.AF_UNIX))
                try:
                    one.connect(str(path))
                except OSError:
                    return  # nobody listens any more
                came.append(one)
                time.sleep(0.001)

        with running(home) as server:
            thread = threading.Thread(target=arrive, args=(server.settings.socket,))
            thread.start()
            eventually(lambda: len(came) > 20)
        thread.join(10)
        assert not thread.is_alive()
    assert "graceful shutdown exceeded" not in caplog.text
