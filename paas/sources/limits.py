"""What a git process may use. Few bytes of git can stand for very many: files that are deltas of deltas, folders that
hold the same folder ten times, ten deep. Its limits are the kernel's, set before git begins, and all it starts has
them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from paas.errors import PlatformError

MEMORY = 1 << 30
"""Bytes that one process may allocate."""

SECONDS = 600
"""Of CPU time, for one that only reads."""


def limited(command: Sequence[str], *, seconds: int = 0, file: int = 0) -> list[str]:
    """The git command with limits: MEMORY, and where they are given `seconds` of CPU time and `file` bytes of each file
    that is written. Raises PlatformError when there is no git.

    A shell sets them: what is set from here after the start would come too late for what git starts at once.
    """
    if not shutil.which(command[0]):
        raise PlatformError("git is not installed", hint="apt-get install -y git")
    # sh counts kB, and 512 bytes; it refuses to raise what is lower already. No core: the limit of time ends in one. A
    # file that grows too large is an error that git tells, not a signal.
    limits = [("-c", 0), ("-d", MEMORY // 1024), *([("-t", seconds)] if seconds else [])]
    limits += [("-f", -(-file // 512))] if file else []
    text = "".join(f"ulimit {option} {value} 2>/dev/null || :; " for option, value in limits)
    return ["/bin/sh", "-c", f"""trap '' XFSZ; {text}exec "$@\"""", "git", *command]
