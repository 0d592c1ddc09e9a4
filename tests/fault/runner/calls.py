"""The calls of all workers: what each asked for, and what it was told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.fault.runner.journal import Record

__all__ = ["ANSWERS", "Call", "calls_of"]

ANSWERS = ("acknowledged", "refused", "unknown", "foreign")


@dataclass
class Call:
    """One call that writes.

    Attributes:
        id: its own.
        session: the session.
        texts: of its events, in their order.
        asked_at: when it was made.
        told: what its answer was, one of `ANSWERS`; unknown where its process was killed before.
        told_at: when; 0.0 where nothing was told.
        expected: the version that it expected, if it did.
        key: its idempotency key, if it has one.
        token: of the lock that was held, or 0.
        name: of the metadata that it set, if it did.
        offsets: of its events, where that was told.
        version: the version that was told.
        error: which error it was.
        says: its words.
        gone_by: until when it was lost, if it was.
    """

    id: str
    session: str
    texts: list[str]
    asked_at: float
    told: str = "unknown"
    told_at: float = 0.0
    expected: int | None = None
    key: str = ""
    token: int = 0
    name: str = ""
    offsets: list[str] = field(default_factory=list)
    version: int = 0
    error: str = ""
    says: str = ""
    gone_by: float = math.inf


def calls_of(workers: Iterable[Sequence[Record]]) -> list[Call]:
    """Return the calls that the workers have noted, in the order in which each made them."""
    calls: dict[str, Call] = {}
    for record in (record for records in workers for record in records):
        if record["kind"] == "asked":
            options = {name: record[name] for name in ("expected", "key", "token", "name") if record.get(name)}
            one = Call(record["id"], record["session"], record["texts"], record["at"], **options)
            calls[record["id"]] = one
        elif record["kind"] in ANSWERS and record["id"]:
            one = calls[record["id"]]
            one.told, one.told_at = record["kind"], record["at"]
            one.offsets, one.version = record.get("offsets", []), record.get("version", 0)
            one.error, one.says = record.get("error", ""), record.get("says", "")
    return list(calls.values())
