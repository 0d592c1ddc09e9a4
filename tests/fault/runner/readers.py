"""What followers and members of the group were given, held against the streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tests.fault.runner.journal import Record
from tests.fault.runner.state import State
from tests.fault.runner.violations import Violation

__all__ = ["missed_by_follower", "readers"]

_AWAY = ("Unavailable", "OutcomeUnknown", "ServerLoading")


def readers(workers: Iterable[Sequence[Record]], state: State, *, strict: bool) -> Iterator[Violation]:
    """A follower was given each event, once and in order; the group handled each, and counted it once.

    Args:
        workers: what each has noted.
        state: what the servers have.
        strict: whether nothing may have been given that is not there in the end.
    """
    handled: list[Record] = []
    takes_part = False
    for records in workers:
        takes_part = takes_part or any(record["kind"] in ("joined", "member") for record in records)
        handled += [record for record in records if record["kind"] == "handled"]
        for record in records if strict else ():
            if record["kind"] == "member" and record["error"] not in _AWAY:
                yield Violation("member", f"{record['error']}: {record['says']}")
        if any(record["kind"] == "follows" for record in records):
            yield from _follower(records, state, strict=strict)
    if takes_part:
        yield from _group(handled, state)


def missed_by_follower(records: Iterable[Record], state: State) -> list[str]:
    """Return the events that a follower was not given, each by its session and offset."""
    given = {(record["session"], record["offset"]) for record in records if record["kind"] == "given"}
    return [
        f"{session_id} {entry.offset}"
        for session_id, stream in state.streams.items()
        for entry in stream
        if (session_id, entry.offset) not in given
    ]


def _follower(records: Sequence[Record], state: State, *, strict: bool) -> Iterator[Violation]:
    for missed in missed_by_follower(records, state):
        yield Violation("follower missed", missed)
    if not strict:
        return
    there = {(session_id, entry.offset) for session_id, stream in state.streams.items() for entry in stream}
    last: dict[str, int] = {}
    for record in records:
        if record["kind"] == "follower" and record["error"] not in _AWAY:
            yield Violation("follower", f"{record['error']}: {record['says']}")
        if record["kind"] == "follows":
            last.clear()
        if record["kind"] != "given":
            continue
        session_id, version = record["session"], int(record["offset"].partition("-")[2])
        if (session_id, record["offset"]) not in there:
            yield Violation("follower", f"it was given {record['offset']} of {session_id}, which is not there")
        if version != last.get(session_id, version - 1) + 1:
            yield Violation("follower", f"it was given {record['offset']} behind version {last[session_id]}")
        last[session_id] = version
    yield from _given_twice(records)


def _given_twice(records: Iterable[Record]) -> Iterator[Violation]:
    """Going on from a cursor gives again the events of an append of which only some were given, and no others."""
    passed, begun = set[tuple[str, str]](), set[tuple[str, str]]()
    cursor = None
    for record in records:
        if record["kind"] == "follows":
            begun.clear()
        if record["kind"] != "given":
            continue
        place = (record["session"], record["offset"])
        if place in passed:
            yield Violation("follower", f"it was given {record['offset']} of {record['session']} twice")
        begun.add(place)
        if record["cursor"] != cursor:
            cursor = record["cursor"]
            passed |= begun
            begun.clear()


def _group(handled: Iterable[Record], state: State) -> Iterator[Violation]:
    for problem in state.group:
        yield Violation("group", problem)
    first: dict[tuple[str, str], float] = {}
    for record in handled:
        place = (record["session"], record["offset"])
        first[place] = min(record["at"], first.get(place, record["at"]))
    for session_id, stream in state.streams.items():
        count = state.handled.get(session_id, 0)
        if count != len(stream):
            yield Violation("group", f"it has counted {count} events of {session_id}, there are {len(stream)}")
        times = [first.get((session_id, entry.offset), 0.0) for entry in stream]
        for entry, time in zip(stream, times, strict=True):
            if not time:
                yield Violation("group", f"nobody was given {entry.offset} of {session_id}")
        if all(times) and times != sorted(times):
            yield Violation("group", f"the events of {session_id} were not given in their order")
