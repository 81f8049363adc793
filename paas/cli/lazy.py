"""Typer groups that import a command's module only when that command is used, and groups with a default command."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from paas.cli.commands import COMMANDS, SECTIONS, Command


def new_app(**options: Any) -> typer.Typer:
    """A Typer as all of them are here: no rich help (it would cost every start), no own traceback."""
    options = {"cls": Group, **options}
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False, **options)


def load(name: str, command: Command) -> Any:
    """The command itself; its module is imported now."""
    app = importlib.import_module(f"paas.cli.{command.module}").app
    if command.group:
        found: Any = typer.main.get_group(app)
        found.name, found.help = name, command.help
        return found
    return typer.main.get_group(app).commands[name]


class LazyGroup(TyperGroup):
    """The root: help and completion see names and one line each, resolving imports the one command."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All commands in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stub that carries the help."""
        known = COMMANDS.get(cmd_name)
        if known is None:
            return None
        if known.group:
            return TyperGroup(name=cmd_name, help=known.help, commands={})
        return TyperCommand(cmd_name, help=known.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command."""
        name = args[0] if args else ""
        if name in COMMANDS:
            return name, load(name, COMMANDS[name]), args[1:]
        if not name.startswith("-"):
            close = get_close_matches(name, COMMANDS, n=3)
            ctx.fail(f"there is no command {name!r}" + (f"; did you mean {' or '.join(close)}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands in their sections."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(10), command.help) for name, command in section.items()])


class Group(TyperGroup):
    """Commands that share a noun; its help has each one's whole first sentence."""

    default = "list"

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands, and which one is meant where none is said."""
        rows = [(name, _sentence(one.help)) for name, one in self.commands.items() if not one.hidden]
        meant = {self.default: " (the default)"}
        with formatter.section("Commands"):
            formatter.write_dl([(name, text + meant.get(name, "")) for name, text in rows])


class ListByDefault(Group):
    """`paas config` is `paas config list`; options may stand before the command (`paas config -a shop get KEY`)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command first."""
        if not ctx.resilient_parsing and "--help" not in args[:1]:
            args = self._ordered(args)
        return super().parse_args(ctx, args)

    def _ordered(self, args: list[str]) -> list[str]:
        at = 0
        while at < len(args) and args[at].startswith("-") and args[at] != "--":
            at += 2 if args[at] in ("-a", "--app") else 1
        if at < len(args) and args[at] in self.commands:
            return [args[at], *args[:at], *args[at + 1 :]]
        first = args[0] if args else ""
        return [self.default, *args] if not first or first.startswith("-") else args


class ShowByDefault(ListByDefault):
    """`paas sleep` is `paas sleep show`."""

    default = "show"


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split()).partition(". ")[0].rstrip(".")
