"""Turns what a build said last into an error a person can act on (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from paas.errors import BuildFailed, PaasError, PlatformError
from paas.images.context import instructions

KEPT_LINES = 30
"""Output lines of the failing step that go into the error."""

_STEP = re.compile(r"\[(?:(?P<stage>\S+) +)?(?P<index>\d+)/\d+\] +(?P<text>.*)", re.DOTALL)
_COUNTED = re.compile(r"(RUN|COPY|ADD|WORKDIR)\b", re.IGNORECASE)
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*\S+(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)
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
    r"npm ci. can only install|lock file.s .* does not satisfy|frozen-lockfile"
    r"|lockfile .*(out of date|outdated|needs to be updated)"
    r"|lockfile at .* needs|pyproject\.toml changed significantly|poetry\.lock is not up to date"
    r"|Pipfile\.lock .* out of date|YN0028|ERR_PNPM_OUTDATED_LOCKFILE",
    re.IGNORECASE,
)
_NO_IMAGE = re.compile(
    r"pull access denied|manifest unknown|failed to resolve source metadata|not found: manifest"
    r"|repository does not exist"
    r"|error pulling image|failed to authorize|registry-1\.docker\.io",
    re.IGNORECASE,
)


def failed(dockerfile: str, step: str, message: str, output: Sequence[str]) -> PaasError:
    """The error of a build that ended with `message` in `step` (its name, empty when none began)."""
    if _NO_SPACE.search(message) or any(_NO_SPACE.search(line) for line in output[-KEPT_LINES:]):
        return disk_full("")
    where = _where(dockerfile, step, message)
    instruction = _instruction(step)
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
        hint="make the step faster, or raise PAAS_BUILD_TIMEOUT",
        details=tuple(output[-KEPT_LINES:]),
    )


def _instruction(step: str) -> str:
    match = _STEP.match(step)
    text = " ".join((match["text"] if match else step).split())
    return f"{text[:117]}…" if len(text) > 118 else text


def _reason(message: str) -> str:
    """`exit code 1` out of either builder's sentence; otherwise the sentence, without what repeats the step."""
    code = re.search(r"(?:exit code: |non-zero code: )(\d+)", message)
    if code:
        return f"exit code {code[1]}" + (" (killed: out of memory?)" if code[1] == "137" else "")
    return message.strip().rsplit("failed to solve with frontend dockerfile.v0: ", 1)[-1][:400]


def _where(dockerfile: str, step: str, message: str) -> str:
    line = re.search(r"dockerfile (?:parse error )?(?:on )?line (\d+)", message, re.IGNORECASE)
    number = int(line[1]) if line else _line(dockerfile, step)
    return f"Dockerfile:{number}: " if number else ""


def _line(dockerfile: str, step: str) -> int:
    """The line of a BuildKit step `[stage 3/7] RUN …`: the 3rd counted instruction of that stage; 0: unknown."""
    match = _STEP.match(step)
    if not match:
        return 0
    for stage, lines in _stages(dockerfile):
        if match["stage"] in (stage, None) and int(match["index"]) <= len(lines):
            return lines[int(match["index"]) - 1]
    return 0


def _stages(dockerfile: str) -> Iterator[tuple[str, list[int]]]:
    """Each stage as BuildKit names it (`stage-0` without AS), with the lines of the instructions it counts."""
    stages: list[tuple[str, list[int]]] = []
    for first, _, text in instructions(dockerfile):
        start = _FROM.match(text)
        if start:
            stages.append(((start["name"] or f"stage-{len(stages)}").lower(), [first + 1]))
        elif stages and _COUNTED.match(text):
            stages[-1][1].append(first + 1)
    return iter(stages)


def _hint(message: str, output: Sequence[str]) -> str:
    text = "\n".join([*output[-KEPT_LINES:], message])
    if _NO_NAME.search(text):
        return f"the build cannot resolve {_host(text)}: check DNS and the proxy on this machine (`paas doctor`)"
    if _NO_TRUST.search(text):
        return (
            "the build does not trust the certificate it was shown: on a company network, name its CA bundle in"
            " SSL_CERT_FILE and run `paas up` again (`paas doctor`)"
        )
    if _LOCK.search(text):
        return "the lock file does not fit the list of packages: update it with your package manager and commit it"
    if _NO_IMAGE.search(text):
        return "the image is not on this machine, and its registry does not give it: check FROM and `paas doctor`"
    if _KILLED.search(message):
        return "the step was killed, most likely for lack of memory: free some, or build with fewer parallel jobs"
    return "the lines above are the step's own last words; the running release is not touched"


def _host(text: str) -> str:
    """The host name nearest to the sentence that says it cannot be resolved."""
    for line in text.splitlines():
        if _NO_NAME.search(line):
            named = re.search(
                rf"(?:host:?|resolving|resolve|lookup|for url \(?https?://|https?://|EAI_AGAIN|host=)[ '\"(]*({_HOST})",
                line,
                re.IGNORECASE,
            )
            if named:
                return named[1]
    named = re.search(rf"https?://({_HOST})", text)
    return named[1] if named else "a host name"
