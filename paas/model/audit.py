"""Words of the audit log: records that hold on to each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One act in the audit log. `serial` counts up from 1 without gaps; `outcome` is allowed or denied.

    `facts` are names and numbers of the request, never a value. `digest` covers everything of this record and the
    digest of the one before: a changed, removed or inserted record breaks the chain from there on.
    """

    serial: int
    at: float
    actor: str
    user_id: str
    via: str
    request: str
    app: str
    app_id: str
    outcome: str
    facts: Mapping[str, object] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a look through the log found. `broken` is the serial of the first record that does not fit, 0: none.

    `head` is `serial:digest` of the last good record: kept elsewhere, it proves later that nothing before it changed.
    """

    records: int
    head: str
    broken: int = 0
    cause: str = ""


def digest_after(record: Record, before: str) -> str:
    """The digest of a record that follows the one with digest `before` (empty: it is the first)."""
    values = {key: value for key, value in asdict(record).items() if key != "digest"}
    text = json.dumps([before, values], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def verified(records: Iterable[Record], last_serial: int, known_head: str = "") -> Verdict:
    """Look through all records, oldest first. `last_serial` is the highest number that was ever given, `known_head` a
    head that was written down earlier."""
    before, seen, heads = "", 0, {""}
    for record in records:
        if record.serial != seen + 1:
            return Verdict(records=seen, head=_head(seen, before), broken=seen + 1, cause="a record is missing")
        if record.digest != digest_after(record, before):
            return Verdict(records=seen, head=_head(seen, before), broken=record.serial, cause="a record was changed")
        before, seen = record.digest, record.serial
        if _head(seen, before) == known_head:
            heads.add(known_head)
    if seen != last_serial:
        return Verdict(records=seen, head=_head(seen, before), broken=seen + 1, cause="the end of the log is missing")
    if known_head not in heads:
        cause = "the head that was given is not in this log: all of it was written anew"
        return Verdict(records=seen, head=_head(seen, before), broken=1, cause=cause)
    return Verdict(records=seen, head=_head(seen, before))


def _head(serial: int, digest: str) -> str:
    return f"{serial}:{digest}"
