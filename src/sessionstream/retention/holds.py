"""Placing, releasing and listing holds; each is an event, so it has an offset, a time, and who did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sessionstream.errors import InvalidArgument, InvalidType, SessionNotFound
from sessionstream.events.ids import checked_id, new_hold_id
from sessionstream.events.lifecycle import HoldPlaced, HoldReleased
from sessionstream.events.recorded import RecordedEvent, at_ms, moment, version_of
from sessionstream.events.strict_json import encode_json
from sessionstream.lifecycle.holding import Standing, standing_holds
from sessionstream.log.deciding import Decision, append_decided
from sessionstream.log.members import pages_of
from sessionstream.log.store import Store
from sessionstream.projections.retention import HELD

__all__ = ["Hold", "hold", "holds_of", "holds_of_all", "release"]

_LONGEST_REASON = 1_000


@dataclass(frozen=True)
class Hold:
    """A hold that stands.

    Attributes:
        session_id: the session.
        hold_id: its id.
        reason: why.
        actor: who placed it, if that was said.
        at: when; an aware UTC datetime.
        offset: of the event that placed it.
    """

    session_id: str
    hold_id: str
    reason: str
    actor: str | None
    at: datetime
    offset: str


async def hold(store: Store, session_id: str, reason: str, hold_id: str | None) -> str:
    """Place a hold and return its id; see `Retention.hold`."""
    _check_reason(reason)
    reason = store.redactor.value(reason, "session.held.reason")
    if hold_id is None:
        # The id is new, so nothing that anybody else does can matter to it.
        identifier = new_hold_id()
        await store.append(session_id, [HoldPlaced(hold_id=identifier, reason=reason)])
        return identifier
    identifier = checked_id(hold_id, "hold_id")

    async def decide() -> Decision | None:
        head, _ = await store.existing_head(session_id)
        for standing in standing_holds(head):
            if standing.hold_id == identifier and standing.reason != reason:
                raise InvalidArgument(f"hold_id: {identifier!r} of session {session_id!r} stands for another reason")
            if standing.hold_id == identifier:
                return None
        return Decision([HoldPlaced(hold_id=identifier, reason=reason)], version_of(head[b"offset"].decode()))

    await append_decided(store, session_id, decide)
    return identifier


def _check_reason(reason: object) -> None:
    if not isinstance(reason, str):
        raise InvalidType(f"reason is a string, not a {type(reason).__name__}")
    encode_json(reason, "reason")
    if not reason.strip() or len(reason) > _LONGEST_REASON:
        raise InvalidArgument(f"reason has {len(reason):,} characters: 1 to {_LONGEST_REASON:,}, not only blanks")


async def release(store: Store, session_id: str, hold_id: str) -> bool:
    """Release a hold; False if no such hold stands."""
    checked_id(hold_id, "hold_id")

    async def decide() -> Decision | None:
        head, _ = await store.existing_head(session_id)
        left = [standing for standing in standing_holds(head) if standing.hold_id != hold_id]
        if len(left) == len(standing_holds(head)):
            return None
        event = HoldReleased(hold_id=hold_id, standing=len(left))
        return Decision([event], version_of(head[b"offset"].decode()))

    return await append_decided(store, session_id, decide) is not None


async def holds_of(store: Store, session_id: str) -> list[Hold]:
    """Return the holds that stand on a session, the oldest first.

    Raises:
        SessionNotFound: there is no such session.
    """
    head, _ = await store.head(session_id)
    if not head:
        raise SessionNotFound(session_id)
    return await _with_actors(store, [(session_id, standing) for standing in standing_holds(head)])


async def holds_of_all(store: Store) -> list[Hold]:
    """Return all holds that stand in the namespace, the oldest first."""
    await store.check_readable()
    found: list[Hold] = []
    for partition in range(store.keys.partitions):
        async for page in pages_of(store, store.keys.partition_place("retention", HELD, partition), "0"):
            heads, _ = await store.heads(page)
            found += await _with_actors(store, _standing(page, heads))
    return sorted(found, key=lambda one: (one.at, one.session_id))


def _standing(session_ids: Sequence[str], heads: Sequence[Mapping[bytes, bytes]]) -> list[tuple[str, Standing]]:
    pairs = zip(session_ids, heads, strict=True)
    return [(session_id, standing) for session_id, head in pairs for standing in standing_holds(head)]


async def _with_actors(store: Store, standing: Sequence[tuple[str, Standing]]) -> list[Hold]:
    """Return the holds; who placed one is told by its event, which stays in the stream while the hold stands."""
    reads = [("XRANGE", store.keys.events(session_id), one.offset, one.offset) for session_id, one in standing]
    entries = await store.server.calls(reads) if reads else []
    await store.remember_keys_of(entry for found in entries for entry in found)
    holds = []
    for (session_id, one), found in zip(standing, entries, strict=True):
        actor = RecordedEvent(session_id, one.offset, found[0][1] or (), store.opener).actor if found else None
        holds.append(Hold(session_id, one.hold_id, one.reason, actor, moment(at_ms(one.offset)), one.offset))
    return holds
