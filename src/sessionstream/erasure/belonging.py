"""Which sessions are a user's, and which began as forks of these: a fork has a copy of what its origin stood at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import msgspec

from sessionstream.events.forked import ForkedFrom
from sessionstream.events.recorded import at_ms
from sessionstream.log.members import pages_of
from sessionstream.log.store import Store

__all__ = ["Belonging", "Life", "belonging_to", "kept_lives"]

_FIELDS = (b"user_id", b"created_at", b"forked_from", b"held")
_decode_fork = msgspec.json.Decoder(ForkedFrom).decode


class Life(NamedTuple):
    """One life of a session, in the store or in an archive.

    Attributes:
        session_id: the session.
        created_ms: when it was created.
        user_id: whose it is; empty if that is not known any more.
        forked_from: where it comes from, if it is a fork.
        held: whether a hold stands.
    """

    session_id: str
    created_ms: int
    user_id: str
    forked_from: ForkedFrom | None = None
    held: bool = False

    @property
    def depth(self) -> int:
        """How many forks lead to it."""
        return self.forked_from.depth if self.forked_from is not None else 0


class Belonging(NamedTuple):
    """What belongs to a user.

    Attributes:
        own: the user's sessions.
        forks: those of others that began as forks of these, or of such forks.
    """

    own: list[Life]
    forks: list[Life]


async def kept_lives(store: Store) -> AsyncIterator[Life]:
    """Yield every session that is kept, ended ones too: no list of a user has those that have ended."""
    for partition in range(store.keys.partitions):
        async for page in pages_of(store, store.keys.registry(partition), "0"):
            commands = [("HMGET", store.keys.head(session_id), *_FIELDS) for session_id in page]
            for session_id, fields in zip(page, await store.server.calls(commands), strict=True):
                user_id, created, forked, held = fields
                origin = None if forked is None else _decode_fork(forked)
                yield Life(session_id, int(created or 0), (user_id or b"").decode(), origin, held is not None)


def belonging_to(user_id: str, lives: Iterable[Life]) -> Belonging:
    """Return what belongs to a user.

    Args:
        user_id: the user.
        lives: all that are known; one may be there twice.
    """
    all_of: dict[str, set[int]] = defaultdict(set)
    known = list(lives)
    for life in known:
        all_of[life.session_id].add(life.created_ms)
    chosen: set[tuple[str, int]] = set()
    found = Belonging([], [])
    # An origin is less deep than its forks.
    for life in sorted(known, key=lambda one: one.depth):
        origin = life.forked_from
        if life.user_id == user_id:
            found.own.append(life)
        elif origin is not None and (origin.session_id, _life_at(all_of[origin.session_id], origin.offset)) in chosen:
            found.forks.append(life)
        else:
            continue
        chosen.add((life.session_id, life.created_ms))
    return found


def _life_at(created: Iterable[int], offset: str) -> int | None:
    """Return when the life of a session was created that an offset is of: its id may have been used again."""
    return max((ms for ms in created if ms <= at_ms(offset)), default=None)
