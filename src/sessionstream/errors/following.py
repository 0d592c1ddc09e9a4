"""What a reader that goes on from a position meets: positions of elsewhere, and stretches that are gone."""

from __future__ import annotations

from sessionstream.errors.arguments import InvalidArgument
from sessionstream.errors.root import SessionStreamError

__all__ = [
    "CursorMismatch",
    "FeedTrimmed",
    "FollowerTooSlow",
    "FollowingError",
    "HistoryErased",
    "HistoryTrimmed",
    "UnknownPosition",
]


class CursorMismatch(InvalidArgument):
    """A cursor belongs to another namespace, or to another number of partitions; nothing was read.

    Attributes:
        namespace: the namespace for which it was to be used.
        partitions: how many partitions that has.
    """

    def __init__(self, namespace: str, partitions: int, problem: str) -> None:
        super().__init__(f"the cursor is of no use for namespace {namespace!r}, which has {partitions}: {problem}")
        self.namespace = namespace
        self.partitions = partitions


class UnknownPosition(InvalidArgument):
    """A position lies past the end, or is of another past than the store's: a failover may have lost what it had.

    Attributes:
        position: the position that was given.
        last: where the stream ends.
    """

    def __init__(self, position: str, last: str, what: str) -> None:
        super().__init__(
            f"{position} is no position of {what}, which ends at {last}: read it from a position that it has"
        )
        self.position = position
        self.last = last


class FollowingError(SessionStreamError):
    """Going on from a position would pass over something, so it was not done."""


class FeedTrimmed(FollowingError):
    """The pointers after a position are gone from the feed, which is kept for the time that ``feed_retention`` says.

    Attributes:
        partition: whose feed.
        after: the position.
        first: the position from which on the feed is whole: that in front of the oldest pointer that is kept.
    """

    def __init__(self, partition: int, after: str, first: str) -> None:
        gone = int(first.partition("-")[2]) - int(after.partition("-")[2])
        super().__init__(
            f"{gone:,} appends of partition {partition} after {after} are gone from the feed, which is whole from "
            f"{first} on: read the sessions' own histories, then go on from there"
        )
        self.partition = partition
        self.after = after
        self.first = first


class HistoryTrimmed(FollowingError):
    """The events of a session after an offset are gone from its stream: archived, or removed with the session.

    Attributes:
        session_id: the session.
        after: the offset; ``0-0`` is the beginning.
        first: the offset of the first event that is kept; None if there is none.
    """

    def __init__(
        self, session_id: str, after: str | None = None, first: str | None = None, message: str | None = None
    ) -> None:
        after = after or "0-0"
        kept = "nothing that follows them is kept" if first is None else f"the first one that is kept is {first}"
        super().__init__(
            message or f"events of session {session_id!r} after {after} are gone; {kept}: look for them in the archive"
        )
        self.session_id = session_id
        self.after = after
        self.first = first


class HistoryErased(HistoryTrimmed):
    """The events of a session were erased: nobody has them any more."""

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id, message=f"the events of session {session_id!r} were erased")


class FollowerTooSlow(FollowingError):
    """A follower that chose ``when_full="drop"`` was further behind than its buffer holds; go on from its position.

    Attributes:
        session_id: which session it followed; None for all.
        position: the offset, or the cursor, up to which it was given everything.
        buffer: how many events it was allowed to be behind.
    """

    def __init__(self, session_id: str | None, position: str, buffer: int) -> None:
        whom = "all sessions" if session_id is None else f"session {session_id!r}"
        super().__init__(f"a follower of {whom} was more than {buffer:,} events behind: go on with after={position!r}")
        self.session_id = session_id
        self.position = position
        self.buffer = buffer
