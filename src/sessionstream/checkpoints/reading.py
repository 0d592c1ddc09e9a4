"""Reading checkpoints, and resuming from the latest one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sessionstream.errors import CorruptEvent, InvalidArgument
from sessionstream.events.encrypted import Opener
from sessionstream.events.forked import ForkedFrom
from sessionstream.events.ids import checked_id
from sessionstream.events.lifecycle import CheckpointSaved
from sessionstream.events.recorded import NOWHERE, RecordedEvent, at_ms, moment, version_of
from sessionstream.events.stored import reading_stored
from sessionstream.events.strict_json import decode_json
from sessionstream.forks import COPIED, read_inherited
from sessionstream.lifecycle.reading import end_of, require_live, session_from
from sessionstream.log.history import Window, checked_count, parse_offset, read_history
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import ORDER, SAVED, checkpoints
from sessionstream.session import Checkpoint, Session
from sessionstream.wire.scripts import load_script

__all__ = ["Resumed", "body_of", "checkpoint_from", "get", "latest", "list_checkpoints", "resume"]

_LATEST = load_script("sessionstream.checkpoints", "latest", reads=True)


@dataclass(frozen=True)
class Resumed:
    """Where a session goes on.

    Attributes:
        session: as it is now.
        checkpoint: the latest one, or None.
        events: what happened since, the checkpoint's own event aside, oldest first; in a fork first what
            happened in its origin before it.
        offset: up to where that goes: the position to resume from next.
    """

    session: Session
    checkpoint: Checkpoint | None
    events: list[RecordedEvent]
    offset: str

    @property
    def version(self) -> int:
        """How many events the session had up to ``offset``."""
        return version_of(self.offset)


def checkpoint_from(
    session_id: str, checkpoint_id: str, kept: bytes | None, body: bytes | None, opener: Opener
) -> Checkpoint:
    """Return the checkpoint that the view and, if given, the body tell of.

    Args:
        session_id: the session.
        checkpoint_id: its id.
        kept: what the view says of it.
        body: as it is stored, or None.
        opener: what decrypts both.

    Raises:
        CorruptEvent: the body is not what was saved, or what is encrypted was changed or moved.
        CorruptRecord: the view does not read.
        KeyUnavailable: they are encrypted, and the key cannot be had.
        KeyDestroyed: they are encrypted, and the key was destroyed.
    """
    plain = None if kept is None else _decrypted(session_id, checkpoint_id, kept, opener)
    with reading_stored(f"what is known of checkpoint {checkpoint_id!r}", session_id):
        saved_at, covers, size, sha256, label = _fields_of(plain)
    try:
        data = None if body is None else decode_json(opener.body(session_id, checkpoint_id, body))
    except ValueError as error:
        raise CorruptEvent(session_id, saved_at, f"the body of checkpoint {checkpoint_id!r}: {error}") from None
    return Checkpoint(
        checkpoint_id=checkpoint_id,
        session_id=session_id,
        created_at=moment(at_ms(saved_at)),
        offset=covers,
        saved_at=saved_at,
        size=size,
        sha256=sha256,
        label=label,
        data=data,
    )


def _decrypted(session_id: str, checkpoint_id: str, kept: bytes, opener: Opener) -> bytes:
    try:
        return opener.field(session_id, checkpoints.name, SAVED, checkpoint_id.encode(), kept)
    except ValueError as error:
        saved_at = kept.partition(b" ")[0].decode(errors="replace")
        problem = f"what is known of checkpoint {checkpoint_id!r}: {error}"
        raise CorruptEvent(session_id, saved_at, problem) from None


def _fields_of(kept: bytes | None) -> tuple[str, str, int, str, str | None]:
    if kept is None:
        raise ValueError("it is missing")
    saved_at, covers, size, sha256, label = kept.decode().split(" ", 4)
    for offset in (saved_at, covers):
        parse_offset(offset)
    return saved_at, covers, int(size), sha256, decode_json(label)


async def latest(store: Store, session_id: str) -> Checkpoint | None:
    """Return the latest checkpoint; None if there is none, or the session is unknown or over."""
    head, now = await store.head(session_id)
    if not head or end_of(head, now) is not None:
        return None
    checkpoint = await _latest(store, session_id)
    if checkpoint is not None:
        own, covered = version_of(checkpoint.saved_at), version_of(checkpoint.offset)
        # Whoever has the data knows what it covers, and the checkpoint's own event if nothing came in between.
        whole = own == covered + 1 or (own == COPIED and _covers_origin(session_from(session_id, head)))
        store.positions.read(session_id, checkpoint.saved_at if whole else checkpoint.offset)
    return checkpoint


def _covers_origin(session: Session) -> bool:
    """Whether the checkpoint that a fork began with includes all that its origin had done, its own event aside."""
    forked = session.forked_from
    if forked is None or not forked.covers or forked.covers_in:
        return False
    return version_of(forked.offset) == version_of(forked.covers) + 1


async def _latest(store: Store, session_id: str) -> Checkpoint | None:
    keys = store.keys
    found = await store.server.script(
        _LATEST,
        [
            keys.place("checkpoints", ORDER, session_id),
            keys.place("checkpoints", SAVED, session_id),
            keys.bodies(session_id),
        ],
        [],
    )
    if found is None:
        return None
    return await _with_body(store, session_id, _named(session_id, found[0]), found[1], found[2])


async def _with_body(
    store: Store, session_id: str, checkpoint_id: str, kept: bytes | None, body: bytes | None
) -> Checkpoint:
    await store.remember(value for value in (kept, body) if value)
    known = checkpoint_from(session_id, checkpoint_id, kept, None, store.opener)
    if body is None or len(body) != known.size:
        problem = "is missing" if body is None else f"has {len(body):,} bytes, not {known.size:,}"
        raise CorruptEvent(session_id, known.saved_at, f"the body of checkpoint {checkpoint_id!r} {problem}")
    return checkpoint_from(session_id, checkpoint_id, kept, body, store.opener)


def _named(session_id: str, name: bytes) -> str:
    with reading_stored("the id of a checkpoint", session_id):
        return name.decode()


async def get(store: Store, session_id: str, checkpoint_id: str) -> Checkpoint | None:
    """Return one checkpoint; None if there is no such one, or the session is unknown or over."""
    checked_id(checkpoint_id, "checkpoint_id")
    if not await _is_live(store, session_id):
        return None
    kept_key, bodies = store.keys.place("checkpoints", SAVED, session_id), store.keys.bodies(session_id)
    # The record once before the body and once behind it: in between it may have been saved, or deleted.
    before, body, kept = await store.server.calls(
        [("HGET", kept_key, checkpoint_id), ("HGET", bodies, checkpoint_id), ("HGET", kept_key, checkpoint_id)]
    )
    if before is None or kept is None:
        return None
    return await _with_body(store, session_id, checkpoint_id, kept, body)


async def body_of(store: Store, session_id: str, checkpoint_id: str, saved_at: str) -> bytes | None:
    """Return the body of a checkpoint that was saved at an offset; None if that was deleted since.

    Its id may have been used again: the body that is there then is another one's.
    """
    keys = store.keys
    row = ("HGET", keys.place("checkpoints", SAVED, session_id), checkpoint_id)
    # The record once before the body and once behind it: in between it may have been saved anew.
    before, body, after = await store.server.calls([row, ("HGET", keys.bodies(session_id), checkpoint_id), row])
    others = [one for one in (before, after) if one is not None and one.split(b" ", 1)[0] != saved_at.encode()]
    return None if others else body


async def list_checkpoints(
    store: Store, session_id: str, *, limit: int | None, after: str | None, with_data: bool
) -> list[Checkpoint]:
    """Return a session's checkpoints, newest first; none if it is unknown or over.

    Raises:
        InvalidArgument: there is no checkpoint ``after``, so it is not known where to go on.
    """
    most = None if limit is None else checked_count(limit, "limit")
    if most == 0 or not await _is_live(store, session_id):
        return []
    order = store.keys.place("checkpoints", ORDER, session_id)
    start = 0
    if after is not None:
        rank = await store.server.call("ZREVRANK", order, checked_id(after, "after"))
        if rank is None:
            raise InvalidArgument(f"after: session {session_id!r} has no checkpoint {after!r}")
        start = rank + 1
    ids = await store.server.call("ZREVRANGE", order, start, -1 if most is None else start + most - 1)
    ids = [identifier for identifier in ids if identifier]
    if not ids:
        return []
    commands: list[tuple[Any, ...]] = [("HMGET", store.keys.place("checkpoints", SAVED, session_id), *ids)]
    if with_data:
        commands.append(("HMGET", store.keys.bodies(session_id), *ids))
    kept, *rest = await store.server.calls(commands)
    bodies = rest[0] if rest else [None] * len(ids)
    await store.remember(value for value in (*kept, *bodies) if value)
    return [
        checkpoint_from(session_id, _named(session_id, identifier), row, body, store.opener)
        for identifier, row, body in zip(ids, kept, bodies, strict=True)
        if row is not None
    ]


async def resume(store: Store, session_id: str) -> Resumed:
    """Return the latest checkpoint, what happened since, and the new position.

    Raises:
        SessionNotFound: there is no such session.
        SessionEnded: it is over.
        HistoryTrimmed: it is a fork, and what it would take from its origin is gone.
    """
    head, now = await store.head(session_id)
    require_live(session_id, head, now)
    checkpoint = await _latest(store, session_id)
    after = checkpoint.offset if checkpoint else NOWHERE
    own = checkpoint.saved_at if checkpoint else None
    events, position = [], after
    session = session_from(session_id, head)
    if session.forked_from is not None and after == NOWHERE:
        events = [event async for event in _before_the_fork(store, session.forked_from, checkpoint)]
    async for event in read_history(store, session_id, Window(after=after)):
        position = event.offset
        if event.offset != own:
            events.append(event)
    store.positions.read(session_id, position)
    return Resumed(session, checkpoint, events, position)


async def _before_the_fork(
    store: Store, forked: ForkedFrom, checkpoint: Checkpoint | None
) -> AsyncIterator[RecordedEvent]:
    """Yield what happened before a session was forked, but for what is covered by the checkpoint it began with."""
    began_with = checkpoint.checkpoint_id if checkpoint and version_of(checkpoint.saved_at) == COPIED else None
    whole = began_with is None or not forked.covers
    async for event in read_inherited(store, forked, whole=whole):
        data = event.known
        if whole or not (isinstance(data, CheckpointSaved) and data.checkpoint_id == began_with):
            yield event


async def _is_live(store: Store, session_id: str) -> bool:
    head, now = await store.head(session_id)
    return bool(head) and end_of(head, now) is None
