"""What is read of the sessions, held against a fold of their events that has nothing of the library's in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.fault.runner.state import Entry, State
from tests.fault.runner.violations import Violation

__all__ = ["views"]


def views(state: State) -> Iterator[Violation]:
    """Every view equals the fold of the events, by the library's account and by another one; no key lacks an owner."""
    for session_id, stream in state.streams.items():
        for detail in _differences(stream, state, session_id):
            yield Violation("view", f"{session_id}: {detail}")
    for session_id, findings in state.findings.items():
        for finding in findings:
            yield Violation("verify", f"{session_id}: {finding}")
    yield from _lists(state)
    yield from _feed(state)
    for stray in state.strays:
        yield Violation("ownerless key", stray)


def _differences(stream: list[Entry], state: State, session_id: str) -> Iterator[str]:
    session = state.sessions[session_id]
    if not stream:
        yield "it is registered, and has no event"
        return
    if session is None:
        yield "it has events, and cannot be read"
        return
    folded = _fold(stream)
    seen = {
        "version": session.version,
        "metadata": session.metadata,
        "checkpoint": state.checkpoints[session_id],
        "user": session.user_id,
        "created": round(session.created_at.timestamp() * 1000),
    }
    for name, value in folded.items():
        if seen[name] != value:
            yield f"{name} is {seen[name]!r}, the events make it {value!r}"


def _fold(stream: list[Entry]) -> dict[str, Any]:
    first = stream[0]
    metadata: dict[str, Any] = dict(first.data.get("metadata") or {})
    checkpoint = None
    for entry in stream[1:]:
        if entry.type == "session.metadata_updated":
            metadata |= entry.data.get("set", {})
        if entry.type == "checkpoint.saved":
            checkpoint = entry.text
    return {
        "version": stream[-1].version,
        "metadata": metadata,
        "checkpoint": checkpoint,
        "user": first.data.get("user_id"),
        "created": int(first.offset.partition("-")[0]),
    }


def _lists(state: State) -> Iterator[Violation]:
    owners = {session_id: stream[0].data.get("user_id") for session_id, stream in state.streams.items() if stream}
    for user, listed in state.listed.items():
        owned = {session_id for session_id, owner in owners.items() if owner == user}
        if listed != owned:
            missing, more = sorted(owned - listed)[:3], sorted(listed - owned)[:3]
            yield Violation("list", f"{user} lacks {missing}, and has {more} besides")
    if state.counted != (len(owners), len(owners)):
        yield Violation("count", f"(active, all) is {state.counted}, there are {len(owners)}")


def _feed(state: State) -> Iterator[Violation]:
    """Positions have no gap, and each event is told of once, those of a session in their order."""
    told = Counter[str]()
    for partition, pointers in enumerate(state.feed):
        numbers = [pointer.number for pointer in pointers]
        if numbers != list(range(1, len(pointers) + 1)):
            yield Violation("feed", f"the positions of partition {partition} are {numbers[:3]} … {numbers[-3:]}")
        for pointer in pointers:
            told[pointer.session_id] += pointer.events
            stream = state.streams.get(pointer.session_id, [])
            at = told[pointer.session_id]
            if not 0 < at <= len(stream) or stream[at - 1].offset != pointer.offset:
                yield Violation("feed", f"it tells of {pointer.offset} in {pointer.session_id} as of version {at}")
    for session_id, stream in state.streams.items():
        if told[session_id] != len(stream):
            yield Violation("feed", f"it tells of {told[session_id]} events of {session_id}, there are {len(stream)}")
