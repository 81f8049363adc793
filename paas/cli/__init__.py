"""The command line: flags → a request → streamed events → printed. Knows `client.py`, nothing of the server's inside.

Nothing here imports a third-party library but typer at module level: `paas --help` has to be quick.
"""


def main() -> None:
    """The `paas` command."""
    import gc
    import signal
    import sys

    # Imports allocate much and free nothing; looking for rubbish meanwhile is a tenth of the start.
    gc.set_threshold(20_000)
    # Ctrl-C while modules load, or after the last line is printed, simply ends the process; between the two it is an
    # exception, so that what has begun is tidied up and told. A script's background job ignores it from the start, and
    # goes on doing so.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, before)
    from paas.cli.entry import run

    signal.signal(signal.SIGINT, before)
    try:
        code = run(sys.argv[1:])
    finally:
        if before != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)
