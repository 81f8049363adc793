"""Turns what a build said last into an error a person can act on (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from paas.errors import BuildFailed, PaasError, PlatformError
from paas.images.context import instructions

KEPT_LINES = 30
"""Output lines of the failing step that go into the error."""

_STEP = re.compile(r"\[(?:(?P<stage>\S+) +)?(?P<index>\d+)/\d+\] +(?P<text>.*)")
_CLASSIC = re.compile(r"Step (?P<index>\d+)/\d+ : (?P<text>.*)")
_METADATA = re.compile(r"\[internal\] load metadata for (?P<image>\S+)")
_WRAPPED = re.compile(r"^(failed to solve( with frontend \S+)?: |failed to create LLB definition: )+")
_COUNTED = re.compile(r"(RUN|COPY|ADD|WORKDIR)\b", re.IGNORECASE)
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+"
_NO_SPACE = re.compile(r"no space left on device|ENOSPC|disk quota exceeded", re.IGNORECASE)
_KILLED = re.compile(r"exit code: 137|returned a non-zero code: 137")
_NO_NAME = re.compile(
    r"could not resolve host|temporary failure in name resolution|temporary failure resolving|name or service not known"
    r"|getaddrinfo|EAI_AGAIN|no such host|dns error|failed to lookup address|could not resolve '",
    re.IGNORECASE,
)
_NO_TRUST = re.compile(
    r"certificate verify failed|self[- ]signed certificate|unable to get local issuer|UnknownIssuer"
    r"|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT|certificate signed by unknown authority"
    r"|server certificate verification failed|invalid peer certificate",
    re.IGNORECASE,
)
_LOCK = re.compile(
    r"npm ci. can only install|lock file.s .* does not satisfy|was run with .--frozen-lockfile"
    r"|lockfile .*(out of date|outdated|needs to be updated)"
    r"|lockfile at .* needs|pyproject\.toml changed significantly|poetry\.lock is not up to date"
    r"|Pipfile\.lock .* out of date|YN0028|ERR_PNPM_OUTDATED_LOCKFILE",
    re.IGNORECASE,
)
_NO_SOLUTION = re.compile(
    r"ResolutionImpossible|No solution found when resolving|version solving failed|ERESOLVE|ResolutionFailure"
)
_NO_PACKAGE = re.compile(
    r"No matching distribution found for ([^\s;]+)|Because (\S+) was not found in the package registry"
    r"|npm (?:ERR!|error) 404 +'?([^\s']+)'? is not in this registry"
)
_NO_WHEEL = re.compile(r"Failed building wheel for (\S+)|Failed to build `([^`=]+)(?:==[^`]*)?`")
_NO_IMAGE = re.compile(
    r"pull access denied|manifest unknown|failed to resolve source metadata|not found: manifest"
    r"|repository does not exist"
    r"|error pulling image|failed to authorize|Get \"https?://[^\"/]+/v2/",
    re.IGNORECASE,
)


def failed(dockerfile: str, step: str, message: str, output: Sequence[str], name: str = "Dockerfile") -> PaasError:
    """The error of a build that ended with `message` in `step` (empty when none began); `name` is the file's."""
    if _NO_SPACE.search(message) or any(_NO_SPACE.search(line) for line in output[-KEPT_LINES:]):
        return disk_full("")
    number = _line(dockerfile, step, message)
    where = f"{name}:{number}: " if number else ""
    instruction = _instruction(step, dockerfile)
    text = f"{instruction} failed" if instruction else "the build failed"
    reason = _reason(message)
    return BuildFailed(
        f"{where}{text}{f': {reason}' if reason else ''}",
        hint=_hint(message, output),
        details=tuple(output[-KEPT_LINES:]),
    )


def disk_full(disk: str, left: str = "") -> PlatformError:
    """The error for a disk without room; `disk` is a path, empty for wherever the Engine keeps its images."""
    name = f"the disk of {disk}" if disk else "the disk that holds the Engine's images"
    return PlatformError(
        f"{name} is full{f' ({left})' if left else ''}",
        hint="free some space, e.g. `docker builder prune` and `docker image prune`, then deploy again;"
        " running apps are not touched",
    )


def timed_out(step: str, seconds: float, output: Sequence[str]) -> BuildFailed:
    """The error of a build that was ended because it took too long."""
    instruction = _instruction(step)
    return BuildFailed(
        f"the build took longer than {seconds:.0f} s and was ended{f' in {instruction}' if instruction else ''}",
        hint=_known("\n".join(output[-KEPT_LINES:])) or "make the step faster, or raise PAAS_BUILD_TIMEOUT",
        details=tuple(output[-KEPT_LINES:]),
    )


def _instruction(step: str, dockerfile: str = "") -> str:
    if missing := _METADATA.match(step):
        written = (image for _, image, _ in _froms(dockerfile) if _is(missing["image"], image))
        return f"FROM {next(written, missing['image'])}"
    match = _STEP.match(step) or _CLASSIC.match(step)
    text = match["text"] if match else ""
    return f"{text[:117]}…" if len(text) > 118 else text


def _reason(message: str) -> str:
    """`exit code 1` out of either builder's sentence; otherwise the sentence, without what repeats the step."""
    code = re.search(r"(?:exit code: |non-zero code: )(\d+)", message)
    if code:
        return f"exit code {code[1]}" + (" (killed: out of memory?)" if code[1] == "137" else "")
    return re.sub(
        r"^(failed to solve\S*( with frontend \S+)?: |failed to create LLB definition: )+", "", message.strip()
    )[:400]


def _line(dockerfile: str, step: str, message: str) -> int:
    """The line of the Dockerfile that failed; 0: not known."""
    said = re.search(r"dockerfile (?:parse error )?(?:on )?line (\d+)", message, re.IGNORECASE)
    if said:
        return int(said[1])
    if missing := _METADATA.match(step):
        return next((n for n, image, _ in _froms(dockerfile) if _is(missing["image"], image)), 0)
    if classic := _CLASSIC.match(step):
        every = [first + 1 for first, _, _ in instructions(dockerfile)]
        return every[int(classic["index"]) - 1] if int(classic["index"]) <= len(every) else 0
    match = _STEP.match(step)
    lines = _stages(dockerfile).get(match["stage"] or "", []) if match else []
    return lines[int(match["index"]) - 1] if match and int(match["index"]) <= len(lines) else 0


def _stages(dockerfile: str) -> dict[str, list[int]]:
    """Stage → lines of the instructions that BuildKit counts in it; a lone stage without a name is called ``.

    FROM counts where it names an image: what starts from nothing or from another stage has no such step.
    """
    stages: dict[str, list[int]] = {}
    current: list[int] = []
    for first, _, text in instructions(dockerfile):
        start = _FROM.match(text)
        if start:
            counted = start["image"] != "scratch" and start["image"].lower() not in stages
            current = [first + 1] if counted else []
            stages[(start["name"] or f"stage-{len(stages)}").lower()] = current
        elif _COUNTED.match(text):
            current.append(first + 1)
    if len(stages) == 1:
        stages[""] = current
    return stages


def _is(full: str, written: str) -> bool:
    """Whether the image that the Engine names in full (registry, folder, tag) is the one written in a FROM."""
    full, written = full.split("@", maxsplit=1)[0], written.split("@", maxsplit=1)[0]
    tagged = written if ":" in written.rpartition("/")[2] else f"{written}:latest"
    return any(full == name or full.endswith(f"/{name}") for name in (written, tagged))


def _froms(dockerfile: str) -> Iterator[tuple[int, str, str]]:
    for first, _, text in instructions(dockerfile):
        if start := _FROM.match(text):
            yield first + 1, start["image"], start["name"] or ""


def _hint(message: str, output: Sequence[str]) -> str:
    # The last lines are nearest to the cause; where they say nothing known, the step may have said it before.
    known = _known("\n".join([*output[-KEPT_LINES:], message])) or _known("\n".join(output))
    if known:
        return known
    if _KILLED.search(message):
        return "the step was killed, most likely for lack of memory: free some, or build with fewer parallel jobs"
    return "what the step said last is shown with this message; a running release is not touched"


def _known(text: str) -> str:
    """What to do about a cause that is recognised; empty when none is."""
    if _NO_NAME.search(text):
        return f"the build cannot resolve {_host(text)}: check DNS and the proxy on this machine (`paas doctor`)"
    if _NO_TRUST.search(text):
        return (
            "the build does not trust the certificate it was shown: on a company network, name its CA bundle in"
            " SSL_CERT_FILE and run `paas up` again (`paas doctor`)"
        )
    if _LOCK.search(text):
        return "the lock file does not fit the list of packages: update it with your package manager and commit it"
    if wheel := _NO_WHEEL.search(text):
        return (
            f"{next(filter(None, wheel.groups()))} has no ready-made wheel for this Python and does not build: ask for"
            " a newer version of it, or for an older Python (.python-version; `paas detect` says which one is used)"
        )
    if missing := _NO_PACKAGE.search(text):
        return (
            f"{next(filter(None, missing.groups()))} is not to be had: is its name spelt right, and is there this"
            " version of it, for this version of the runtime (`paas detect`)?"
        )
    if _NO_SOLUTION.search(text):
        return (
            "two packages ask for versions of a third that do not go together (the lines before say which): let one of"
            " them be newer or older, and try it with your package manager first"
        )
    if _NO_IMAGE.search(text):
        return "the image is not on this machine, and its registry does not give it: check FROM and `paas doctor`"
    return ""


def _host(text: str) -> str:
    """The host name nearest to the sentence that says it cannot be resolved."""
    for line in text.splitlines():
        if _NO_NAME.search(line):
            named = re.search(
                r"(?:host:?|resolving|resolve|lookup|for url \(?https?://|https?://|EAI_AGAIN|ENOTFOUND|host=)"
                rf"[ '\"(]*({_HOST})",
                line,
                re.IGNORECASE,
            )
            if named:
                return named[1]
    named = re.search(rf"https?://({_HOST})", text)
    return named[1] if named else "a host name"
