"""Flags that many commands have."""

from __future__ import annotations

from typing import Annotated

import typer

AppOption = Annotated[
    str,
    typer.Option(
        "--app", "-a", metavar="APP", help="The app; else PAAS_APP, else the app of this folder.", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.", show_default=False)]
ConfirmOption = Annotated[
    str,
    typer.Option("--confirm", metavar="NAME", help="Its name, typed here instead of asked for.", show_default=False),
]
