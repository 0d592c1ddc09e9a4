"""Keeping the last checkpoints of a session: older ones without a label are deleted, by the event that tells of it."""

from __future__ import annotations

from sessionstream.errors import InvalidArgument, LockLost, SessionHeld, SessionNotFound
from sessionstream.events.ids import checked_id
from sessionstream.events.lifecycle import CheckpointDeleted
from sessionstream.events.recorded import version_of
from sessionstream.events.stored import reading_stored
from sessionstream.lifecycle.holding import require_unheld
from sessionstream.log.deciding import Decision, append_decided
from sessionstream.log.gates import fields_of
from sessionstream.log.history import checked_count
from sessionstream.log.store import Store
from sessionstream.projections.checkpoints import NO_LABEL, SAVED

__all__ = ["keep_last", "keep_last_quietly"]

_MOST_AT_ONCE = 500


async def keep_last(store: Store, session_id: str, last: int) -> int:
    """Delete all but the last checkpoints without a label, and return how many were deleted; those with one stay.

    Raises:
        SessionNotFound: there is no such session.
        SessionHeld: a hold stands, and something would have been deleted.
        InvalidArgument: ``last`` is not 1 or more.
    """
    checked_id(session_id, "session_id")
    if checked_count(last, "last") < 1:
        raise InvalidArgument("last is 0: clear_checkpoints deletes all")
    key = store.keys.place("checkpoints", SAVED, session_id)

    async def decide() -> Decision | None:
        head, _ = await store.existing_head(session_id)
        # One field is none of a checkpoint.
        if await store.server.call("HLEN", key) <= last + 1:
            return None
        due = _due(await store.server.call("HGETALL", key), last)[:_MOST_AT_ONCE]
        if not due:
            return None
        require_unheld(session_id, head)
        return Decision(
            [CheckpointDeleted(checkpoint_id=identifier) for identifier in due],
            version_of(head[b"offset"].decode()),
            claims=[(identifier, None) for identifier in due],
        )

    count = 0
    while (appended := await append_decided(store, session_id, decide)) is not None:
        count += appended.count
    return count


async def keep_last_quietly(store: Store, session_id: str, last: int) -> None:
    """Do the same behind a checkpoint that was saved; another one will come where it cannot be done now."""
    try:
        await keep_last(store, session_id, last)
    except (SessionHeld, SessionNotFound, LockLost):
        return


def _due(saved: dict[bytes, bytes] | list[bytes], last: int) -> list[str]:
    """Return the ids of those to delete, the oldest first."""
    unlabelled = []
    with reading_stored("what is known of a session's checkpoints"):
        for identifier, row in fields_of(saved).items():
            if identifier:
                saved_at, _, _, _, label = row.decode().split(" ", 4)
                if label == NO_LABEL:
                    unlabelled.append((version_of(saved_at), identifier.decode()))
    return [identifier for _, identifier in sorted(unlabelled)[: max(0, len(unlabelled) - last)]]
