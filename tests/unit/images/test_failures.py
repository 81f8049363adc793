"""What a build said last becomes an error with a file, a line, a cause and something to do."""

from __future__ import annotations

import pytest

from paas.errors import BuildFailed, PlatformError
from paas.images.failures import KEPT_LINES, failed, timed_out

DOCKERFILE = """\
# syntax
FROM nosuch/image:1 AS build
WORKDIR /app
RUN echo one && \\
    echo two
FROM build AS more
COPY a /a
FROM scratch
COPY b /b
"""


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("[build 2/3] WORKDIR /app", 3),
        ("[build 3/3] RUN echo one && echo two", 4),
        ("[more 1/1] COPY a /a", 7),
        ("[stage-2 1/1] COPY b /b", 9),
        ("[internal] load metadata for registry.example/nosuch/image:1", 2),
        ("Step 3/7 : RUN echo one && echo two", 4),
        ("Step 7/7 : COPY b /b", 9),
    ],
)
def test_the_line_of_the_failing_instruction_is_named(step: str, line: int) -> None:
    error = failed(DOCKERFILE, step, "exit code: 1", ())
    assert isinstance(error, BuildFailed)
    assert error.message.startswith(f"Dockerfile:{line}: ")


@pytest.mark.parametrize(
    "step", ["[other 9/9] RUN x", "[build 99/99] RUN x", "", "exporting to image", "Step 99/99 : RUN x"]
)
def test_a_step_that_is_not_in_the_file_is_named_without_a_line(step: str) -> None:
    assert not failed(DOCKERFILE, step, "exit code: 1", ()).message.startswith("Dockerfile")


@pytest.mark.parametrize("start", ["FROM x", "FROM x AS named"])
def test_a_lone_stage_has_steps_without_its_name(start: str) -> None:
    assert failed(f"{start}\nRUN a\nRUN b\n", "[3/3] RUN b", "exit code: 4", ()).message == (
        "Dockerfile:3: RUN b failed: exit code 4"
    )


def test_a_syntax_error_names_its_line_and_the_apps_own_file() -> None:
    message = "failed to create LLB definition: dockerfile parse error line 2: unknown instruction: FOO"
    error = failed("FROM x\nFOO\n", "", message, (), "docker/Dockerfile.web")
    assert error.message.startswith("docker/Dockerfile.web:2: ")
    assert error.message.endswith("unknown instruction: FOO")


def test_the_last_lines_come_along_and_not_more() -> None:
    lines = tuple(f"line {number}" for number in range(100))
    assert failed(DOCKERFILE, "[build 3/3] RUN x", "exit code: 1", lines).details == lines[-KEPT_LINES:]


@pytest.mark.parametrize("written", ["redis", "redis:latest", "registry.example/library/redis"])
def test_an_image_that_is_missing_is_named_as_it_is_written(written: str) -> None:
    step = "[internal] load metadata for registry.example/library/redis:latest"
    error = failed(f"# one line\nFROM {written}\n", step, "not found", ())
    assert error.message.startswith(f"Dockerfile:2: FROM {written} failed")


def test_a_very_long_instruction_is_cut() -> None:
    assert len(failed("", f"[1/2] RUN {'x' * 5000}", "exit code: 1", ()).message) < 200


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("curl: (6) Could not resolve host: pypi.example.org", "pypi.example.org"),
        (
            "npm error request to https://registry.example.com/x failed, reason: getaddrinfo ENOTFOUND",
            "registry.example.com",
        ),
        ("error: dns error: failed to lookup address for https://files.example.net/a", "files.example.net"),
        ("Temporary failure resolving 'deb.example.org'", "deb.example.org"),
        ("dial tcp: lookup registry.example on 10.0.0.1:53: no such host", "registry.example"),
        ("SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "SSL_CERT_FILE"),
        ("npm error code SELF_SIGNED_CERT_IN_CHAIN", "SSL_CERT_FILE"),
        ("invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        (
            "npm error `npm ci` can only install packages when your package.json and package-lock.json are in sync",
            "lock file",
        ),
        ("error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.", "lock file"),
        ("ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with frozen-lockfile", "lock file"),
        ("error Your lockfile needs to be updated, but yarn was run with `--frozen-lockfile`.", "lock file"),
        ("ERROR: Failed building wheel for psycopg2-binary", "psycopg2-binary has no ready-made wheel"),
        ("error: Failed to build `httptools==0.6.1`", "httptools has no ready-made wheel"),
        ("pyproject.toml changed significantly since poetry.lock was last generated.", "lock file"),
        ("pull access denied for x, repository does not exist", "FROM"),
        ("ERROR: ResolutionImpossible: for help visit https://pip.example.org/topics", "do not go together"),
        ("  × No solution found when resolving dependencies:", "do not go together"),
        ("Because shop depends on flask (>3) and x (1), version solving failed.", "do not go together"),
        ("npm error code ERESOLVE", "do not go together"),
        ("ERROR: No matching distribution found for flaskk==9.9", "flaskk==9.9 is not to be had"),
        ("  Because flaskk was not found in the package registry and you require it", "flaskk is not to be had"),
        ("npm error 404  'exprss@^5.0.0' is not in this registry.", "exprss@^5.0.0 is not to be had"),
    ],
)
def test_known_causes_have_a_hint_and_the_tools_own_words_stay(line: str, hint: str) -> None:
    error = failed(DOCKERFILE, "[build 3/3] RUN x", "exit code: 1", ("before", line, "after"))
    assert hint in error.hint
    assert line in error.details


def test_a_killed_step_says_what_probably_killed_it() -> None:
    error = failed(DOCKERFILE, "[build 3/3] RUN x", "executor failed running [/bin/sh -c x]: exit code: 137", ())
    assert "memory" in error.message + error.hint


@pytest.mark.parametrize("output", [(), ("OSError: [Errno 28] No space left on device",)])
def test_a_full_disk_is_the_platforms_fault_and_names_what_frees_it(output: tuple[str, ...]) -> None:
    message = "exit code: 1" if output else "write /var/lib/docker/x: no space left on device"
    error = failed(DOCKERFILE, "[build 3/3] RUN x", message, output)
    assert isinstance(error, PlatformError)
    assert "docker builder prune" in error.hint


def test_running_out_of_time_names_the_step_and_the_setting() -> None:
    error = timed_out("[build 3/3] RUN sleep inf", 5, ("said",))
    assert error.message == "the build took longer than 5 s and was ended in RUN sleep inf"
    assert "PAAS_BUILD_TIMEOUT" in error.hint
    assert error.details == ("said",)


def test_a_cause_said_long_before_the_last_lines_is_found() -> None:
    output = ("request to example.org failed, reason: getaddrinfo ENOTFOUND example.org", *["gyp ERR! stack"] * 80)
    error = failed(DOCKERFILE, "[build 3/3] RUN yarn install --frozen-lockfile", "exit code: 1", output)
    assert "cannot resolve example.org" in error.hint


def test_an_option_of_the_command_is_no_cause() -> None:
    message = 'process "/bin/sh -c yarn install --frozen-lockfile" did not complete successfully: exit code: 1'
    error = failed(DOCKERFILE, "[build 3/3] RUN yarn install --frozen-lockfile", message, ("boom",))
    assert "lock file" not in error.hint
