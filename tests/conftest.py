"""What all tests share: the option that writes golden files anew."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

# The same examples each time: a commit that passed does not fail later. `make fuzz` looks for new ones.
settings.register_profile("steady", derandomize=True)
settings.register_profile("fuzz", print_blob=True)
settings.load_profile("steady")

# A job in the background of a script ignores Ctrl-C, and so would every command that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew; then read the diff")
