"""Pure: what replicas and databases answered → the number of a signal that an app declares.

Answers are an app's: they may be anything. Whatever is no finite number is an error in words, never a value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from paas.model.custom_signal import Combine, CustomSignal

LARGEST = 1 << 20
"""Bytes of an answer that are read; one that is larger is refused."""
LONGEST = 100
"""Digits of a number that a query answers; those of a double are some 20."""
SERIES = 1000
"""Lines of one metric that are looked at: more of them are no number to go by."""
LINE = 2048
"""Characters of one of them: the parser's time grows with the square of that, ten seconds for a line of `LARGEST`."""
LINES = 1 << 16
"""Characters of all of them: some 30 ms of the parser's, whatever they are. Every replica has it at every reading."""


def value_of(signal: CustomSignal, answer: bytes) -> float:
    """The number in one replica's answer. Raises ValueError saying what is wrong with it."""
    if len(answer) > LARGEST:
        raise ValueError(f"the answer is larger than {LARGEST >> 20} MiB")
    try:
        text = answer.decode()
    except UnicodeDecodeError:
        raise ValueError("the answer is not UTF-8") from None
    return of_prometheus(text, signal.prometheus) if signal.prometheus else of_json(text, signal.json)


def of_prometheus(text: str, series: str) -> float:
    """The sum of all series of that name which have these labels (and perhaps others). Raises ValueError."""
    from prometheus_client.parser import text_string_to_metric_families

    name, _, labels = series.partition("{")
    lines = lines_of(text, name)
    try:
        wanted = _labels(labels)
        families = list(text_string_to_metric_families("\n".join(lines) + "\n"))
    except Exception as error:  # whatever the parser makes of what it did not expect
        raise ValueError(f"{name} cannot be read: it is not in Prometheus' text format") from error
    found = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and wanted.items() <= sample.labels.items()
    ]
    if not found:
        raise ValueError(f"there is no {series}")
    return finite(sum(found), series)


def lines_of(text: str, name: str) -> list[str]:
    """The lines of one metric: nothing else of the text can do harm. Raises ValueError for more than is worth it."""
    lines = re.findall(r"^[ \t]*" + re.escape(name) + r"(?:\{|[^\S\n]).*", text, re.MULTILINE)
    if len(lines) > SERIES:
        raise ValueError(f"there are more than {SERIES} series of {name}")
    if any(len(line) > LINE for line in lines):
        raise ValueError(f"a line of {name} is longer than {LINE} characters")
    if sum(map(len, lines)) > LINES:
        raise ValueError(f"the lines of {name} are longer than {LINES} characters together")
    return lines


def _labels(text: str) -> dict[str, str]:
    pairs = re.findall(r'(\w+)\s*=\s*"((?:\\.|[^"\\\n])*)"', text)
    escapes = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
    return {key: re.sub(r"\\.", lambda found: escapes.get(found[0], found[0]), value) for key, value in pairs}


def of_json(text: str, pointer: str) -> float:
    """The number that a JSON pointer leads to. Raises ValueError."""
    try:
        at: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("the answer is not JSON") from None
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, dict) and key in at:
            at = at[key]
        elif isinstance(at, list) and re.fullmatch("0|[1-9][0-9]{0,8}", key) and int(key) < len(at):
            at = at[int(key)]
        else:
            raise ValueError(f"there is no {pointer}")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise ValueError(f"{pointer} is no number")  # noqa: TRY004  (an answer, not an argument)
    return finite(at, pointer)


def of_query(output: bytes) -> float:
    """The one number that a query answered. Raises ValueError."""
    rows = output.decode("utf-8", "replace").strip().splitlines()
    if len(rows) != 1:
        raise ValueError(f"the query answered {len(rows)} rows, not one" if rows else "the query answered nothing")
    # What is longer may have been cut on its way, which would be another number.
    if len(rows[0]) > LONGEST or not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", rows[0]):
        raise ValueError("the query did not answer one number")
    return finite(float(rows[0]), "what the query answered")


def finite(value: float, what: str) -> float:
    """The value as one that can be calculated with. Raises ValueError."""
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise ValueError(f"{what} is not a finite number")
    return found


def combined(values: Sequence[float], how: Combine, asked: int) -> float | None:
    """What the numbers of replicas come to, where `asked` were asked. None: fewer than half answered.

    Who did not answer counts for as much as the others on average: left out of a sum, the load would look smaller than
    it is, just when a replica is too busy to answer.
    """
    if not values or 2 * len(values) < asked:
        return None
    if how is Combine.MAXIMUM:
        return max(values)
    mean = finite(sum(values), "the sum of all replicas") / len(values)
    return mean if how is Combine.AVERAGE else finite(mean * asked, "the sum of all replicas")
