"""The command line: flags → a request → streamed events → printed. Knows `client.py`, nothing of the server's inside.

Nothing here imports a third-party library but typer at module level: `paas --help` has to be quick.
"""


def main() -> None:
    """The `paas` command."""
    import sys

    from paas.cli.entry import run

    sys.exit(run(sys.argv[1:]))
