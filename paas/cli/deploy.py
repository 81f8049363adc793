"""`deploy` and `plan`: what is to be deployed is packed here, and sent only when the server has not got it yet."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paas.cli.connection import connected, follow
from paas.cli.lazy import new_app
from paas.cli.options import AppOption, JsonOption
from paas.cli.output import put, put_json, say, size
from paas.cli.progress import told
from paas.cli.target import app_of, sanitised
from paas.errors import UsageError

if TYPE_CHECKING:
    from paas.client import Client
    from paas.requests.deploys import SourceRef
    from paas.sources import LocalSource

app = new_app()

SMALL = 1 << 20
"""Bytes of a source up to which it is sent at once: asking first whether the server has it would take longer."""

TargetArgument = Annotated[
    str, typer.Argument(metavar="[DIR|URL#REF|ARCHIVE]", help="What to deploy; else this folder.")
]
ImageOption = Annotated[str, typer.Option("--image", metavar="REF", help="An image that is there or can be pulled.")]
RefOption = Annotated[str, typer.Option("--ref", metavar="REV", help="Another git revision than HEAD.")]
WorktreeOption = Annotated[bool, typer.Option("--worktree", help="The files as they are, uncommitted ones too.")]
BuildpackOption = Annotated[
    str, typer.Option("--buildpack", metavar="NAME", help="Take this buildpack instead of the one that fits.")
]


@app.command()
def deploy(
    *,
    target: TargetArgument = "",
    app: AppOption = "",
    image: ImageOption = "",
    ref: RefOption = "",
    worktree: WorktreeOption = False,
    buildpack: BuildpackOption = "",
    message: Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="What this release is for.")] = "",
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Build everything anew.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make a release even if nothing changed.")] = False,
    create: Annotated[bool, typer.Option(help="Make the app if it does not exist.")] = True,
    detach: Annotated[bool, typer.Option("--detach", "--no-wait", help="Leave it to the server at once.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Deploy a folder, git URL, archive or image.

    In a git repository what is committed is deployed. The version before serves until the new one is healthy, and goes
    on if it never is. Ctrl-C leaves the deploy to the server.
    """
    from paas.requests.deploys import DeployApp

    wanted = _Wanted(target, image, ref, worktree)
    name = app_of(app, wanted.folder) if app or not wanted.name else wanted.name

    def request(source: SourceRef) -> DeployApp:
        return DeployApp(
            app=name, source=source, create=create, buildpack=buildpack, message=message, no_cache=no_cache, force=force
        )

    local = wanted.open()
    with connected() as client:
        if local is None:
            answer = follow(client, request(wanted.remote()), quiet=as_json, detach=detach)
        else:
            answer = _same(client, request(_known(local)), ask=local.size > SMALL and not (force or no_cache))
            if answer is None:
                source = _sent(client, local)
                answer = follow(client, request(source), quiet=as_json, detach=detach)
    if as_json:
        put_json(answer)
    else:
        ended(answer, name)
    check_script(answer.get("postdeploy"))


@app.command()
def plan(
    *,
    target: TargetArgument = "",
    app: AppOption = "",
    image: ImageOption = "",
    ref: RefOption = "",
    worktree: WorktreeOption = False,
    buildpack: BuildpackOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show what a deploy would do, and why. Builds, writes and changes nothing."""
    from paas.requests.deploys import PlanApp

    wanted = _Wanted(target, image, ref, worktree)
    name = app_of(app, wanted.folder) if app or not wanted.name else wanted.name
    local = wanted.open()
    with connected() as client:
        source = wanted.remote() if local is None else _sent(client, local)
        answer = client.ask(PlanApp(app=name, source=source, buildpack=buildpack))
    if as_json:
        put_json(answer)
        return
    told(answer["warnings"])
    for reason in answer["reasons"]:
        line = f":{reason['line']}" if reason["line"] else ""
        place = f"{reason['file']}{line}: " if reason["file"] else ""
        say(f"  {place}{reason['text']}")
    put(answer["plan"].rstrip("\n") or "nothing to do")
    if answer["missing"]:
        say(f"warning: config that is not set: {', '.join(answer['missing'])}")


class _Wanted:
    """What the arguments name: something here, or something the server fetches itself. Raises UsageError."""

    def __init__(self, target: str, image: str, ref: str, worktree: bool) -> None:
        from paas.sources import is_git_url

        if image and (target or ref or worktree):
            raise UsageError("--image is deployed as it is", hint="give either an image or a source")
        self.image, self.ref, self.worktree = image, ref, worktree
        # What looks like an option or an address is never a path: the server refuses it by its grammar.
        self.url = target if is_git_url(target) or target.startswith("-") else ""
        self.path = Path(target or ".")
        if self.url and worktree:
            raise UsageError("a git URL has no work tree", hint="name a revision: URL#ref")

    @property
    def folder(self) -> Path | None:
        """Where the app's name may be written down."""
        return None if self.url or self.image else self.path

    @property
    def name(self) -> str:
        """The name an archive, a URL or an image suggests; empty for a folder, which says it itself."""
        if os.environ.get("PAAS_APP"):
            return ""
        if self.image:
            return sanitised(self.image.rpartition("/")[2].partition("@")[0].partition(":")[0])
        if self.url:
            return sanitised(self.url.partition("#")[0].rstrip("/").rpartition("/")[2].removesuffix(".git"))
        if self.path.is_file():
            return sanitised(self.path.name.partition(".")[0])
        return ""

    def open(self) -> LocalSource | None:
        """The source, when it lies here; its warnings are told."""
        if self.url or self.image:
            return None
        from paas.cli.contexts import chosen
        from paas.sources import open_local

        here = chosen()
        # A server elsewhere has limits of its own, and is asked before anything is sent.
        limit, most = (sys.maxsize, sys.maxsize) if here.server else (here.upload_limit, here.upload_files)
        found = open_local(self.path, ref=self.ref, worktree=self.worktree, limit=limit, most=most)
        told(list(found.warnings))
        return found

    def remote(self) -> SourceRef:
        """The source that the server fetches."""
        from paas.requests.deploys import SourceRef

        if self.image:
            return SourceRef(image=self.image, kind="image")
        url = f"{self.url}#{self.ref}" if self.ref and "#" not in self.url else self.url
        return SourceRef(git=url, kind="git")


def _known(local: LocalSource) -> SourceRef:
    """The source by its content id alone: the server says whether that is what runs."""
    from paas.requests.deploys import SourceRef

    return SourceRef(
        content_id=local.content_id,
        kind=local.kind,  # type: ignore[arg-type]
        version=local.version,
        origin=local.origin,
        message=local.message,
    )


def _same(client: Client, request: Any, *, ask: bool) -> Any:
    """The answer when exactly this runs already, else None."""
    if not ask:
        return None
    answer = follow(client, request, quiet=True)
    return None if answer["upload"] else answer


def _sent(client: Client, local: LocalSource) -> SourceRef:
    from dataclasses import replace

    from paas.cli.sent import sent

    say(f"- sending {local.origin}: {local.files} files, {size(local.size)}")
    sizes = {"unpacked": local.size, "files": local.files}
    with sent() as told:
        return replace(_known(local), upload=client.upload(local.write_tar, told, announced=sizes))


def check_script(ran: dict[str, Any] | None) -> None:
    """Raise ScriptFailed for a `postdeploy` that failed: what was deployed serves, but not all of it is done."""
    from paas.errors import ScriptFailed

    if ran and ran["failure"]:
        raise ScriptFailed(ran["failure"], hint="mend it and deploy: it runs again until it exits 0")


def ended(answer: dict[str, Any], name: str) -> None:
    """What became of it, and what can be done next. The address is the data."""
    if "operation" in answer:
        say(f"the server goes on with it: paas watch {answer['operation']}")
        put(answer["operation"])
        return
    if answer["generated"]:
        say(f"  generated: {', '.join(answer['generated'])}")
    counts = " ".join(f"{process}={count}" for process, count in answer["processes"].items())
    does = "serves" if any(answer["processes"].values()) else "is deployed, with no replica running"
    how = f"{does} already: nothing changed" if answer["unchanged"] else f"{does} ({answer['seconds']:.1f} s)"
    say(f"{answer['app']} v{answer['release']} {how}  {answer['buildpack']}  {counts}".rstrip())
    put(answer["url"])
    say(f"next: paas logs -f -a {name}; paas ps -a {name}; paas config set KEY=value -a {name}")
