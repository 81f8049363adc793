"""The way in: spelling, parsing, and the one place where the command line meets errors."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer
from typer.exceptions import TyperException

from paas.cli.commands import spelled
from paas.cli.lazy import LazyGroup, new_app
from paas.cli.output import complain, escaped, talk, unheard
from paas.errors import NotFound, PaasError

app = new_app(cls=LazyGroup, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


def _version(asked: bool) -> None:
    if asked:
        import paas

        print(f"paas {paas.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    context: Annotated[
        str, typer.Option("--context", metavar="NAME", help="The server to talk to; see paas contexts.")
    ] = "",
) -> None:
    """Deploy apps to your own machines."""
    if context:
        os.environ["PAAS_CONTEXT"] = context
        os.environ.pop("PAAS_HOST", None)  # what is said for one command wins


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Nothing is raised but what is a bug of ours."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # looking for plugins costs every start 16 ms
    if "_PAAS_COMPLETE" in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
    code = 0
    try:
        code = _code_of(spelled(arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has had enough
        unheard(sys.stdout)
    return code


def _code_of(arguments: list[str]) -> int:
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="paas", standalone_mode=False)
    except PaasError as error:
        return _failed(error, arguments)
    except typer.Abort:
        talk("aborted")
        return 130
    except KeyboardInterrupt:
        return 130
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Typer makes an error of it
            raise ended.__context__ from None
        raise
    except Exception as error:
        if isinstance(error, TyperException):  # the command line is wrong
            return _misused(error)
        if _interrupted(error):
            return 130
        _bug()
        raise
    return code if isinstance(code, int) else 0


def _failed(error: PaasError, arguments: list[str]) -> int:
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" in own:
        talk(json.dumps({"error": error.as_dict()}))
    else:
        complain(error)
        if isinstance(error, NotFound) and error.message.startswith("no app ") and not _names_app(own):
            talk("hint: name the app with --app, or set PAAS_APP")
    return error.exit_code


def _names_app(arguments: list[str]) -> bool:
    """Whether the person said which app; else its name came from the folder, and is news to them."""
    return bool(os.environ.get("PAAS_APP")) or any(one.startswith(("-a", "--app")) for one in arguments)


def _misused(error: TyperException) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        talk(message)
        return 2
    talk(f"error: {escaped(message[:1].lower() + message[1:])}")
    talk(f"hint: {context.command_path if context else 'paas'} --help")
    return error.exit_code


def _interrupted(error: BaseException | None) -> bool:
    """Whether a Ctrl-C is behind it: Python wraps the one that comes while a class is made, as imports do."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _bug() -> None:
    import paas

    talk(f"this is a bug in paas {paas.__version__}: please report it with the lines below\n")
