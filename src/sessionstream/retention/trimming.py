"""Trimming: what an archive holds is removed from the stream, in one step that says so by an event."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from sessionstream.bases import fold_until, nearest, write
from sessionstream.bases.reading import base_names
from sessionstream.errors import ConflictError, HistoryTrimmed, SessionNotFound
from sessionstream.events.codec import EncodedEvent, encode_event
from sessionstream.events.context import current_meta
from sessionstream.events.ids import event_ids
from sessionstream.events.lifecycle import SessionTrimmed
from sessionstream.events.recorded import NOWHERE, version_of
from sessionstream.lifecycle.holding import require_unheld
from sessionstream.log.encoding import KeyNumbers, Word, encode_operations
from sessionstream.log.gates import name_in_log
from sessionstream.log.history import first_offset, offset_at_version
from sessionstream.log.request import Appended
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import ORDER
from sessionstream.retention.archiving import Held
from sessionstream.retention.limits import Limit, limit_of
from sessionstream.wire.scripts import load_script

__all__ = ["Trimmed", "trim"]

_TRIM = load_script("sessionstream.log", "trim_history")
_MOST_TRIES = 50
_MOST_BASES = 500


class Trimmed(NamedTuple):
    """How far a session is trimmed.

    Attributes:
        version: of the last event that was removed, by this call or before; 0 for none.
        stopped_by: what kept it from being trimmed farther, or nothing.
    """

    version: int
    stopped_by: str = ""


class _Stand(NamedTuple):
    """What a trim rests on; the script compares all of it.

    Attributes:
        trimmed: up to where the session was trimmed before, or nothing.
        upto: the last entry to remove.
        words: of that entry.
        first: the first entry of the stream.
        limit: how far it may go.
    """

    trimmed: str
    upto: str
    words: Sequence[bytes]
    first: str
    limit: Limit


async def trim(store: Store, session_id: str, held: Held, goal: int) -> Trimmed:
    """Remove what a file of an archive holds, up to a version, as far as nothing needs it.

    Args:
        store: where the session is kept.
        session_id: the session.
        held: the file, which was compared with the stream.
        goal: the version up to which it is meant.

    Raises:
        SessionHeld: a hold stands.
        SessionNotFound: the session was removed meanwhile.
        ConflictError: others changed what it rests on, again and again.
    """
    version = 0
    for _ in range(_MOST_TRIES):
        head, _ = await store.existing_head(session_id)
        require_unheld(session_id, head)
        trimmed = head.get(b"trimmed", b"").decode()
        version = version_of(head[b"offset"].decode())
        limit = await limit_of(store, session_id, version_of(trimmed or NOWHERE))
        last = min(goal, held.segment.last)
        if limit.version is not None and limit.version < last:
            last = limit.version
        stopped_by = limit.by if last < min(goal, held.segment.last) else ""
        if last <= version_of(trimmed or NOWHERE):
            return Trimmed(version_of(trimmed or NOWHERE), stopped_by)
        stand = await _stand(store, session_id, trimmed, last, limit)
        if stand is not None:
            problem = await _keep_base(store, session_id, stand.upto)
            if problem:
                return Trimmed(version_of(trimmed or NOWHERE), problem)
            if await _remove(store, session_id, stand, held):
                return Trimmed(last, stopped_by)
    raise ConflictError(session_id, actual=version, fields=("what a trim rests on",))


async def _stand(store: Store, session_id: str, trimmed: str, last: int, limit: Limit) -> _Stand | None:
    upto = await offset_at_version(store, session_id, last)
    first = await first_offset(store, session_id)
    if upto is None or first is None:
        return None
    entries = await store.server.call("XRANGE", store.keys.events(session_id), upto, upto)
    return _Stand(trimmed, upto, entries[0][1], first, limit) if entries else None


async def _keep_base(store: Store, session_id: str, upto: str) -> str:
    """Keep what the events up to an offset have made, see that it can be read, and return what keeps from that."""
    try:
        folded = await fold_until(store, session_id, upto)
    except HistoryTrimmed:
        return "no base snapshot of these projections behind the last trim"
    if not folded.sure:
        return "events of types that this process does not know, of which others may make something"
    await store.prepare(store.keys.partition(session_id))
    if not await write(store, folded, pinned=True):
        return "its base snapshot, which could not be kept"
    kept = await nearest(store, session_id, upto)
    return "" if kept is not None and kept.offset == upto else "its base snapshot, which could not be read back"


async def _remove(store: Store, session_id: str, stand: _Stand, held: Held) -> bool:
    """Run the script; False if anything that it rests on is not as it was."""
    names = await base_names(store, session_id)
    kept = next((name for name in names if name.offset == stand.upto and name.pinned), None)
    if kept is None:
        return False
    older = [name.field() for name in names if version_of(name.offset) < version_of(stand.upto)][:_MOST_BASES]
    event = SessionTrimmed(upto=stand.upto, archive=held.segment.path.name, sha256=held.sha256)
    encoded = encode_event(event, store.settings.max_event_bytes)
    identifier, meta = event_ids(1)[0], current_meta()
    if store.encryption is not None and meta:
        encoded, meta = await store.encryption.event(session_id, identifier, encoded, meta), b""
    keys, args = _call(store, session_id, stand, encoded, meta, identifier, kept.field(), older)
    answer = await store.server.script(_TRIM, keys, args)
    match answer[0]:
        case b"done":
            store.positions.appended([Appended.at(session_id, answer[1].decode(), 1, [identifier])])
            return True
        case b"gone":
            raise SessionNotFound(session_id)
        case b"stamp":
            await store.prepare(store.keys.partition(session_id))
    return False


def _call(
    store: Store,
    session_id: str,
    stand: _Stand,
    encoded: EncodedEvent,
    meta: bytes,
    identifier: bytes,
    base: str,
    older: Sequence[str],
) -> tuple[list[str], list[Word]]:
    """Return the keys and the arguments of the script."""
    keys, partition = store.keys, store.keys.partition(session_id)
    numbers = KeyNumbers(
        [
            keys.log(partition),
            keys.feed(partition),
            keys.head(session_id),
            keys.events(session_id),
            keys.bases(session_id),
            keys.place("checkpoints", ORDER, session_id),
            keys.groups(partition),
        ]
    )
    count, operations = encode_operations(
        session_id, encoded.value, store.projections, keys, numbers, sliding=False, seal=encoded.seal
    )
    groups: list[Any] = [word for pair in stand.limit.groups.items() for word in pair]
    args: list[Word] = [
        store.stamp,
        name_in_log(session_id),
        stand.upto,
        hashlib.sha1(b"\0".join(stand.words), usedforsecurity=False).hexdigest(),
        stand.first,
        stand.trimmed,
        base,
        stand.limit.newest,
        encoded.kind.stored_as,
        identifier + encoded.data,
        meta,
        len(stand.limit.groups),
        *groups,
        len(older),
        *older,
        count,
        *operations,
    ]
    return numbers.keys, args
