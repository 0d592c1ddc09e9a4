"""Holds what workers were told against what the servers have, and names each thing that is not as it was promised."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tests.fault.runner.calls import Call, calls_of
from tests.fault.runner.journal import Record
from tests.fault.runner.readers import readers
from tests.fault.runner.state import Entry, State
from tests.fault.runner.tally import Happened, loser_of
from tests.fault.runner.views import views
from tests.fault.runner.violations import Violation

__all__ = ["Checked", "check"]

_MOST_OF_A_KIND = 20


class Place(NamedTuple):
    """Where an event lies."""

    session: str
    entry: Entry


@dataclass
class Checked:
    """What came of a check.

    Attributes:
        calls: all that were made.
        lost: those that were acknowledged and are not there.
        violations: what is not as it was promised; losses are not among them.
    """

    calls: list[Call]
    lost: list[Call]
    violations: list[Violation]


def check(workers: Sequence[Sequence[Record]], state: State, fatal: Sequence[Happened] = ()) -> Checked:
    """Return what is not as it was promised.

    Args:
        workers: what each of them has noted, and what the runner itself did.
        state: what the servers have.
        fatal: faults that may have cost what was acknowledged shortly before, and with it what rests on that; whatever
            else is gone is a violation.
    """
    may_lose = bool(fatal)
    calls = calls_of(workers)
    places = defaultdict[str, list[Place]](list)
    for session_id, stream in state.streams.items():
        for entry in stream:
            places[entry.text].append(Place(session_id, entry))
    lost = [call for call in calls if call.told == "acknowledged" and any(text not in places for text in call.texts)]
    _note_when(lost, calls, places)
    found = [
        *_streams(state),
        *_events(calls, places),
        *_answers(calls, places, workers, strict=not may_lose),
        *_expected(calls, places),
        *_locks(calls, places, workers, strict=not may_lose),
        *_reads(workers, strict=not may_lose),
        *_errors(workers),
        *views(state),
        *readers(workers, state, strict=not may_lose),
    ]
    found += [
        Violation("lost", f"{call.id} was acknowledged, and is not in {call.session}")
        for call in lost
        if loser_of(call, fatal) is None
    ]
    return Checked(calls, lost, list(_few_of_each(found)))


def _note_when(lost: Iterable[Call], calls: Iterable[Call], places: dict[str, list[Place]]) -> None:
    """Note of each lost call when it was gone: what came to its session later, and is there, came after that."""
    kept = defaultdict[str, list[Call]](list)
    for call in calls:
        # What is elsewhere than was told was lost too, and appended again when its key was used once more.
        if call.offsets and any(place.entry.offset == call.offsets[0] for place in places.get(call.texts[0], ())):
            kept[call.session].append(call)
    for call in lost:
        later = (one.told_at for one in kept[call.session] if one.asked_at > call.told_at)
        call.gone_by = min(later, default=math.inf)


def _streams(state: State) -> Iterator[Violation]:
    """Versions are 1, 2, 3 …, and no offset is earlier than the one before."""
    for session_id, stream in state.streams.items():
        versions = [entry.version for entry in stream]
        if versions != list(range(1, len(stream) + 1)):
            yield Violation("gap", f"the versions of {session_id} are {versions[:5]} … {versions[-5:]}")
        times = [int(entry.offset.partition("-")[0]) for entry in stream]
        if times != sorted(times):
            yield Violation("order", f"the offsets of {session_id} do not grow")


def _events(calls: Iterable[Call], places: dict[str, list[Place]]) -> Iterator[Violation]:
    """Each event was sent by somebody, to that session, and is there once; none was refused."""
    sent = {text: call for call in calls for text in call.texts}
    for text, where in places.items():
        call = sent.get(text)
        if call is None:
            yield Violation("unsent", f"{text!r} at {where[0].entry.offset} of {where[0].session} was sent by nobody")
            continue
        if len(where) > 1:
            offsets = [place.entry.offset for place in where]
            yield Violation("twice", f"{text} of {call.session} is at {offsets}; it was {call.told}")
        if any(place.session != call.session for place in where):
            yield Violation("astray", f"{text} was sent to {call.session} and is in {where[0].session}")
        if call.told == "refused":
            yield Violation("refused", f"{text} was refused ({call.error}: {call.says}), and is in {call.session}")
    for call in calls:
        there = [places[text][0].entry.version for text in call.texts if text in places]
        if there and len(there) != len(call.texts):
            yield Violation("torn", f"of the {len(call.texts)} events of {call.id} there are {len(there)}")
        elif any(second != first + 1 for first, second in pairwise(there)):
            yield Violation("torn", f"the events of {call.id} are no neighbours: {there}")


def _answers(
    calls: Iterable[Call], places: dict[str, list[Place]], workers: Iterable[Iterable[Record]], *, strict: bool
) -> Iterator[Violation]:
    """What was told is so: the offsets, and the same ones for whoever asks again, unless the first were lost since."""
    by_id = {call.id: call for call in calls}
    again = [record for records in workers for record in records if record["kind"] == "again"]
    told_last = {call.id: call.offsets for call in calls}
    if not strict:
        told_last |= {record["id"]: record["offsets"] for record in again}
    for call in by_id.values():
        for text, offset in zip(call.texts, told_last[call.id], strict=False):
            if text in places and offset not in [place.entry.offset for place in places[text]]:
                is_at = places[text][0].entry.offset
                yield Violation("moved", f"{text} of {call.session} was told to be at {offset}, and is at {is_at}")
    for record in again if strict else ():
        first = by_id[record["id"]]
        if first.offsets != record["offsets"]:
            told = f"{first.offsets}, and then {record['offsets']}"
            yield Violation("not idempotent", f"{first.id} was told to be at {told}")


def _expected(calls: Iterable[Call], places: dict[str, list[Place]]) -> Iterator[Violation]:
    """An append that expected a version came right behind it; so no two that expected the same one succeeded."""
    succeeded = Counter[tuple[str, int]]()
    for call in calls:
        if call.expected is None or not call.texts or call.texts[0] not in places:
            continue
        succeeded[call.session, call.expected] += 1
        version = places[call.texts[0]][0].entry.version
        if version != call.expected + 1:
            yield Violation("unexpected", f"{call.id} expected version {call.expected}, and is version {version}")
    for (session_id, expected), count in succeeded.items():
        if count > 1:
            yield Violation("unexpected", f"{count} appends to {session_id} succeeded that expected version {expected}")


def _locks(
    calls: Iterable[Call], places: dict[str, list[Place]], workers: Iterable[Iterable[Record]], *, strict: bool
) -> Iterator[Violation]:
    """No two holders had the same token, and what holders wrote lies in the order of their tokens."""
    tokens = Counter(
        (record["session"], record["token"]) for records in workers for record in records if record["kind"] == "locked"
    )
    for (session_id, token), count in tokens.items():
        if count > 1 and strict:
            yield Violation("lock", f"{count} holders had the lock of {session_id} with the token {token}")
    written = defaultdict[str, list[tuple[int, int]]](list)
    for call in calls:
        if call.token and call.texts[0] in places:
            written[call.session].append((places[call.texts[0]][0].entry.version, call.token))
    for session_id, pairs in written.items():
        in_order = [token for _, token in sorted(pairs)]
        if in_order != sorted(in_order) and strict:
            yield Violation("fence", f"in {session_id} a holder wrote behind its successor: {in_order}")


def _reads(workers: Iterable[Iterable[Record]], *, strict: bool) -> Iterator[Violation]:
    """Who knew of a version has not read an earlier one since."""
    for record in (record for records in workers for record in records if record["kind"] == "read"):
        if record["version"] < record["known"] and strict:
            at = f"version {record['version']} of {record['session']} was read, {record['known']} was known"
            yield Violation("read back in time", at)


def _errors(workers: Iterable[Iterable[Record]]) -> Iterator[Violation]:
    """No error but the library's own came out."""
    for record in (record for records in workers for record in records if record["kind"] == "foreign"):
        yield Violation("foreign error", record["error"])


def _few_of_each(found: Iterable[Violation]) -> Iterator[Violation]:
    """Yield at most so many of a kind: what is broken may be so a thousand times."""
    seen = Counter[str]()
    for violation in found:
        seen[violation.kind] += 1
        if seen[violation.kind] <= _MOST_OF_A_KIND:
            yield violation
    for kind, count in seen.items():
        if count > _MOST_OF_A_KIND:
            yield Violation(kind, f"and {count - _MOST_OF_A_KIND} more")
