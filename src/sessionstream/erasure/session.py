"""Erasing one session: it ends, then nothing is left of it but what stands in the places of its events.

Until the one step that exchanges its stream it is an ended session like any other, and whose it is can be seen; behind
that it is erased. So whatever is cut short in between is found again, and made anew.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from sessionstream.bases import Folded, fold_until
from sessionstream.consumers.places import keys_of_session, places_in
from sessionstream.consumers.registry import positions_of_groups
from sessionstream.erasure.tombstones import Tombstones
from sessionstream.errors import (
    ConflictError,
    HistoryTrimmed,
    IntegrityError,
    SessionHeld,
    SessionNotFound,
    Unavailable,
)
from sessionstream.events.codec import EncodedEvent, encode_event
from sessionstream.events.context import current_meta
from sessionstream.events.ids import event_ids
from sessionstream.events.lifecycle import SessionErased
from sessionstream.events.recorded import NOWHERE, RecordedEvent
from sessionstream.fold import Spot, Views, fold
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.sealing import seal_session
from sessionstream.lifecycle.ending import end_now
from sessionstream.lifecycle.holding import require_unheld
from sessionstream.lifecycle.reading import ENDS, Head
from sessionstream.lifecycle.retirement import keys_beside, undoing
from sessionstream.log.encoding import KeyNumbers, Word, encode_each, encode_operations
from sessionstream.log.gates import name_in_log
from sessionstream.log.history import read_entries
from sessionstream.log.store import Store
from sessionstream.projections import BUILT_IN
from sessionstream.projections.checkpoints import SAVED
from sessionstream.wire.scripts import load_script

__all__ = ["Gone", "erase_session", "seal_quietly"]

_ERASE = load_script("sessionstream.log", "erase")
_STAGE = load_script("sessionstream.erasure", "stage")
_MOST_TRIES = 50
_SAVED = Spot("checkpoints", SAVED)
_CHUNK = 250
_KEPT_MS = 3_600_000


class Gone(NamedTuple):
    """What was erased of a session.

    Attributes:
        events: how many entries of its stream.
        checkpoints: how many.
    """

    events: int
    checkpoints: int


class _Staged(NamedTuple):
    """What is to take the place of a stream.

    Attributes:
        key: where it is.
        last: the offset of its last entry; empty for none.
        entries: how many it has.
    """

    key: str
    last: str
    entries: int


async def erase_session(store: Store, keyring: Keyring | None, session_id: str) -> Gone | None:
    """Erase a session, and return what was erased; None if there is none, or it is erased already.

    Args:
        store: where it is kept.
        keyring: the keys of seals; None for none.
        session_id: the session, ended or not.

    Raises:
        SessionHeld: a hold stands.
        ConflictError: others changed it, again and again.
    """
    for _ in range(_MOST_TRIES):
        head, now = await store.head(session_id)
        if not head or head.get(b"state") == b"erased":
            return None
        await end_now(store, session_id, head, now)
        # What is not sealed cannot be told, later, from what somebody else has put there.
        await seal_quietly(store, keyring, session_id)
        head, _ = await store.head(session_id)
        if head.get(b"state") not in ENDS:
            continue
        folded = await _folded(store, session_id, head)
        begins = head.get(b"trimmed", NOWHERE.encode()).decode()
        staged = await _stage(store, session_id, begins, await Tombstones.of(store, session_id, keyring))
        if staged is not None and await _exchange(store, session_id, head, staged, folded.views):
            await seal_quietly(store, keyring, session_id)
            saved = folded.views.hashes.get(_SAVED, {})
            return Gone(staged.entries, len(saved))
    raise ConflictError(session_id, fields=("what its erasure rests on",))


async def seal_quietly(store: Store, keyring: Keyring | None, session_id: str) -> None:
    """Seal a session as far as that can be done: what is wrong with it, verifying tells, and keeps no erasure back."""
    if keyring is not None:
        with contextlib.suppress(IntegrityError, SessionNotFound, Unavailable):
            await seal_session(store, keyring, session_id)


async def _folded(store: Store, session_id: str, head: Head) -> Folded:
    """Return what the session's events make, of a trimmed one as far as that is still known."""
    try:
        return await fold_until(store, session_id)
    except HistoryTrimmed:
        folded = Folded(session_id, store.projections, opener=store.opener)
        async for page in read_entries(store, session_id, head.get(b"trimmed", NOWHERE.encode()).decode()):
            folded.take(page)
        return folded


async def _stage(store: Store, session_id: str, begins: str, tombstones: Tombstones) -> _Staged | None:
    """Put what is to take the stream's place beside it; None if what was put there has run out meanwhile."""
    keys = store.keys
    run = os.urandom(8).hex()
    beside = keys.restoring(run, keys.events(session_id), keys.partition(session_id))
    last, count = "", 0
    try:
        async for page in read_entries(store, session_id, begins):
            for start in range(0, len(page), _CHUNK):
                args: list[Word] = [_KEPT_MS, last, b"event.erased"]
                for identifier, words in page[start : start + _CHUNK]:
                    offset = identifier.decode()
                    args += (offset, tombstones.words(offset, words or ())[1])
                    last, count = offset, count + 1
                if not await store.server.script(_STAGE, [beside], args):
                    return None
    except SessionNotFound:
        return None
    return _Staged(beside, last, count)


async def _exchange(store: Store, session_id: str, head: Head, staged: _Staged, views: Views) -> bool:
    """Run the script; False if anything that it rests on is not as it was."""
    event = SessionErased(
        agent_id=head.get(b"agent_id", b"").decode(),
        created_ms=int(head.get(b"created_at", 0)),
        ended_ms=int(head.get(b"ended_at", 0)),
        events=staged.entries,
        trimmed=head.get(b"trimmed", b"").decode(),
    )
    keys, args = await _call(
        store, session_id, head, staged, views, encode_event(event, store.settings.max_event_bytes)
    )
    answer = await store.server.script(_ERASE, keys, args)
    match answer[0]:
        case b"done":
            return True
        case b"stamp":
            await store.prepare(store.keys.partition(session_id))
        case b"held":
            now_held, _ = await store.head(session_id)
            require_unheld(session_id, now_held)
            raise SessionHeld(session_id)
    await store.server.call("UNLINK", staged.key)
    return False


async def _call(
    store: Store, session_id: str, head: Head, staged: _Staged, views: Views, encoded: EncodedEvent
) -> tuple[list[str], list[Word]]:
    """Return the keys and the arguments of the script."""
    keys, partition = store.keys, store.keys.partition(session_id)
    first = [keys.log(partition), keys.feed(partition), keys.head(session_id), keys.events(session_id), staged.key]
    gone = list(dict.fromkeys([*keys_beside(store, session_id, views), *await _keys_of_groups(store, session_id)]))
    numbers = KeyNumbers([*first, *gone])
    count, operations = 0, list[Word]()
    for owner, undone in undoing(views).items():
        more, added = encode_each(owner, session_id, undone, keys, numbers)
        count, operations = count + more, operations + added
    more, added = encode_operations(session_id, encoded.value, store.projections, keys, numbers, sliding=False)
    entry: list[Any] = [encoded.kind.stored_as, event_ids(1)[0] + encoded.data]
    after = fold(session_id, [RecordedEvent(session_id, "0-1", entry)], store.projections)
    args: list[Word] = [
        store.stamp,
        name_in_log(session_id),
        head[b"offset"],
        staged.last,
        *entry,
        current_meta(),
        len(gone),
        len(after.head),
        *after.head,
        count + more,
        *operations,
        *added,
        *_left_empty(store, numbers, views),
    ]
    return numbers.keys, args


def _left_empty(store: Store, numbers: KeyNumbers, views: Views) -> list[Word]:
    """Return what may be empty now of the views that sessions share, and that the user's own projections keep."""
    found: list[Word] = []
    own = {projection.name for projection in store.projections if projection not in BUILT_IN}
    for spot, members in views.sets.items():
        if spot.projection in own and spot.place.kind == "index" and members:
            found += (numbers[store.keys.place(spot.projection, spot.place, views.session_id)], "")
    for spot, fields in views.hashes.items():
        if spot.projection in own and spot.place.kind == "counters":
            number = numbers[store.keys.place(spot.projection, spot.place, views.session_id)]
            found += [word for name in fields for word in (number, name)]
    return found


async def _keys_of_groups(store: Store, session_id: str) -> list[str]:
    """Return the keys of what consumer groups keep of a session."""
    partition, found = store.keys.partition(session_id), list[str]()
    for group in await positions_of_groups(store, partition):
        fields = await store.server.call("HKEYS", store.keys.group(group, partition))
        found += keys_of_session(store.keys, group, session_id, places_in(fields))
    return found
