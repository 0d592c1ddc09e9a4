"""Up to where this process knows each session: what it appended itself, or was given to read."""

from __future__ import annotations

from sessionstream.events.recorded import NOWHERE
from sessionstream.log.request import Appended

__all__ = ["Positions"]

_MOST = 5_000


class Positions:
    """The offset up to which every event of a session is known here; the sessions used last are remembered.

    They are kept in two halves: when the younger one is full it becomes the older one, whose sessions are forgotten
    with the next, unless they are used meanwhile. That costs an append less than to keep all of them in their order.
    """

    def __init__(self) -> None:
        self._young: dict[str, tuple[int, str]] = {}
        self._old: dict[str, tuple[int, str]] = {}

    def known(self, session_id: str) -> str:
        """Return the offset up to which all is known, ``0-0`` where nothing is."""
        known = self._young.get(session_id) or self._old.get(session_id)
        return NOWHERE if known is None else known[1]

    def appended(self, appended: Appended) -> None:
        """Note an append; one that follows events unknown here leaves the position before them."""
        session_id, version = appended.session_id, appended.version
        known, before = self._young.get(session_id), version - appended.count
        if known is not None and known[0] == before:
            self._young[session_id] = (version, appended.offset)
            return
        known = known or self._old.get(session_id)
        # Before the first event there is nothing, whatever was known of a removed session that had this id.
        if known is None or known[0] == before or before == 0:
            self._note(session_id, version, appended.offset)

    def read(self, session_id: str, offset: str) -> None:
        """Note that the events up to an offset were given to the caller."""
        known, version = self._young.get(session_id), int(offset[offset.find("-") + 1 :])
        if known is not None and known[0] == version - 1:
            self._young[session_id] = (version, offset)
            return
        known = known or self._old.get(session_id)
        if known is None or known[0] < version:
            self._note(session_id, version, offset)

    def _note(self, session_id: str, version: int, offset: str) -> None:
        if len(self._young) >= _MOST:
            # Replaced as wholes: other threads' loops note theirs at the same time.
            self._old, self._young = self._young, {}
        self._young[session_id] = (version, offset)
