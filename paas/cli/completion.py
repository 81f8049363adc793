"""`completion`: the script that makes a shell complete `paas` commands."""

from __future__ import annotations

from typing import Annotated

import typer

from paas.cli.lazy import new_app
from paas.errors import UsageError

app = new_app()

SHELLS = ("bash", "zsh", "fish")


@app.command()
def completion(shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Which shell.")]) -> None:
    """Print the completion script of a shell: `paas completion bash > /etc/bash_completion.d/paas`."""
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise UsageError(f"no completion for {shell!r}", hint=", ".join(SHELLS))
    print(get_completion_script(prog_name="paas", complete_var="_PAAS_COMPLETE", shell=shell))
