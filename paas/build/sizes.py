"""Sizes and durations as people write them: `512M`, `1.5G`, `30s`, `5m`. Nothing but parsing."""

from __future__ import annotations

import math
import re

LEAST_MEMORY = 16 * 1024 * 1024
MOST_MEMORY = 1024**4
"""Bounds of a memory limit: below the first nothing starts, above the second it is a typing error."""

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([KMGT]?)(i?B?)", re.IGNORECASE)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def memory(value: object) -> int:
    """Bytes of `512M`, `1G`, `1.5GiB` (all powers of 1024). Raises ValueError with the rule in words."""
    text = str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError("expected a size such as 512M or 1G")
    size = int(float(match[1]) * 1024 ** " KMGT".index(match[2].upper() or " "))
    if not LEAST_MEMORY <= size <= MOST_MEMORY:
        raise ValueError("expected a size between 16M and 1T")
    return size


def seconds(value: object, least: float = 0.0, most: float = 86_400.0) -> float:
    """Seconds of `30`, `1.5`, `30s`, `500ms`, `5m`, `1h`. Raises ValueError with the rule in words."""
    rule = f"expected a time between {least:g} and {most:g} seconds, such as {max(least, 30):g} or 5m"
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(rule)  # noqa: TRY004  (pydantic turns ValueError into words)
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if isinstance(value, str) and not match:
        raise ValueError(rule)
    found = float(match[1]) * _SECONDS[match[2] or "s"] if match else float(value)
    if not math.isfinite(found) or not least <= found <= most:
        raise ValueError(rule)
    return found
