"""How far a session may be trimmed: not past its oldest checkpoint, and not past the slowest consumer group."""

from __future__ import annotations

from typing import NamedTuple

from sessionstream.consumers.parking import read_parked
from sessionstream.consumers.registry import positions_of_groups
from sessionstream.errors import FeedTrimmed, UnknownPosition
from sessionstream.events.encrypted import mark_in
from sessionstream.events.recorded import version_of
from sessionstream.events.stored import reading_stored
from sessionstream.events.strict_json import decode_json
from sessionstream.feed.cursor import number_of
from sessionstream.feed.reading import read_pointers
from sessionstream.log.feed import Pointer
from sessionstream.log.gates import fields_of
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import ORDER, SAVED

__all__ = ["Limit", "limit_of"]

_MOST_POINTERS = 200_000


class Limit(NamedTuple):
    """How far a session may be trimmed, and what that rests on.

    Attributes:
        version: up to and with this one; None is no limit.
        by: what sets the limit, or nothing.
        newest: the score of the newest checkpoint, as the server writes it; empty if there never was one.
        groups: for each consumer group the number of its position.
    """

    version: int | None
    by: str
    newest: bytes
    groups: dict[str, int]


async def limit_of(store: Store, session_id: str, trimmed: int = 0) -> Limit:
    """Return how far a session may be trimmed.

    Args:
        store: where it is kept.
        session_id: the session.
        trimmed: up to which version it is trimmed. A checkpoint that covers less can be resumed from no more, and keeps
            nothing.
    """
    # The newest one first: a checkpoint that is saved in between is then seen as a change.
    newest, saved = await store.server.calls(
        [
            ("ZREVRANGE", store.keys.place("checkpoints", ORDER, session_id), 0, 0, "WITHSCORES"),
            ("HGETALL", store.keys.place("checkpoints", SAVED, session_id)),
        ]
    )
    with reading_stored("what is known of the checkpoints", session_id):
        saved_ones = [_of_checkpoint(name.decode(), row.decode()) for name, row in fields_of(saved).items() if name]
    checkpoints = [one for one in saved_ones if one[0] >= trimmed]
    positions = await positions_of_groups(store, store.keys.partition(session_id))
    groups = [await _of_group(store, session_id, name, position) for name, position in positions.items()]
    version, by = min((one for one in (*checkpoints, *groups) if one is not None), default=(None, ""))
    numbers = {name: number_of(position) for name, position in positions.items()}
    return Limit(version, by, newest[1] if newest else b"", numbers)


def _of_checkpoint(checkpoint_id: str, row: str) -> tuple[int, str]:
    _, covers, _, _, label = row.split(" ", 4)
    named = "labelled" if mark_in(label.encode()) >= 0 else decode_json(label)
    return version_of(covers), f"checkpoint {checkpoint_id}" + ("" if named is None else f" ({named})")


async def _of_group(store: Store, session_id: str, group: str, position: str) -> tuple[int, str] | None:
    """Return the version in front of the first event that a group has not handled, or None if it has handled all."""
    partition, by = store.keys.partition(session_id), f"consumer group {group}"
    behind, looked_at = position, 0
    found: int | None = None
    while found is None:
        try:
            pointers = await read_pointers(store, partition, behind)
        except (FeedTrimmed, UnknownPosition):
            # It may lack anything: what it has not been told of cannot be known any more.
            return 0, f"{by}, which lies behind what the feed keeps"
        found = _first_told(pointers, session_id)
        looked_at += len(pointers)
        if not pointers:
            break
        if looked_at > _MOST_POINTERS:
            return 0, f"{by}, which is more than {_MOST_POINTERS:,} appends behind"
        behind = pointers[-1].position
    parked = await _parked(store, session_id, group, partition)
    versions = [version for version in (found, parked) if version is not None]
    return (min(versions), by) if versions else None


def _first_told(pointers: list[Pointer], session_id: str) -> int | None:
    for pointer in pointers:
        if pointer.session_id == session_id and pointer.events:
            return version_of(pointer.offset) - pointer.events
    return None


async def _parked(store: Store, session_id: str, group: str, partition: int) -> int | None:
    """Return the version in front of the first event of a session that a group has parked, or None."""
    fields = await read_parked(store, group, partition)
    offsets = [offset for (whose, offset) in fields.single if whose == session_id]
    if session_id in fields.waiting:
        offsets.append(fields.waiting[session_id].offset)
    return min((version_of(offset) - 1 for offset in offsets), default=None)
