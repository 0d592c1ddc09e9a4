"""What reading on from an offset meets when events are gone."""

from __future__ import annotations

from sessionstream.errors.root import SessionStreamError

__all__ = ["HistoryTrimmed"]


class HistoryTrimmed(SessionStreamError):
    """Events that would have to be read are gone: they were trimmed, or the session was removed.

    Attributes:
        session_id: the session whose events they were.
        after: the offset behind which they lay; None is the session's beginning.
        first: the offset of the first event that is kept; None if none is.
    """

    def __init__(self, session_id: str, after: str | None = None, first: str | None = None) -> None:
        begin = "from its beginning" if after is None else f"behind {after}"
        kept = "nothing of it is kept" if first is None else f"the first one that is kept is {first}"
        super().__init__(f"events of session {session_id!r} {begin} are gone: {kept}")
        self.session_id = session_id
        self.after = after
        self.first = first
