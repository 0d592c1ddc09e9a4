"""Up to where this process knows each session: what it appended itself, or was given to read."""

from __future__ import annotations

from collections import OrderedDict

from sessionstream.events.recorded import NOWHERE, version_of
from sessionstream.log.request import Appended

__all__ = ["Positions"]

_MOST = 10_000


class Positions:
    """The offset up to which every event of a session is known here; the sessions used last are remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def known(self, session_id: str) -> str:
        """Return the offset up to which all is known, ``0-0`` where nothing is."""
        known = self._known.get(session_id)
        return NOWHERE if known is None else known[1]

    def appended(self, appended: Appended) -> None:
        """Note an append; one that follows events unknown here leaves the position before them."""
        known = self._known.get(appended.session_id)
        before = appended.version - appended.count
        if known is not None and known[0] == before:
            self._known[appended.session_id] = (appended.version, appended.offset)
            # Another thread's loop may just have dropped it; then this has put it to the end.
            self._known.move_to_end(appended.session_id)
        # Before the first event there is nothing, whatever was known of a removed session that had this id.
        elif known is None or before == 0:
            self._note(appended.session_id, appended.version, appended.offset)

    def read(self, session_id: str, offset: str) -> None:
        """Note that the events up to an offset were given to the caller."""
        known = self._known.get(session_id)
        version = version_of(offset)
        if known is not None and known[0] == version - 1:
            # The next one of a session that is being read: it is among those used last already.
            self._known[session_id] = (version, offset)
        elif known is None or known[0] < version:
            self._note(session_id, version, offset)

    def _note(self, session_id: str, version: int, offset: str) -> None:
        # Not moved to the end in its place: another thread's loop may just have dropped it.
        self._known.pop(session_id, None)
        self._known[session_id] = (version, offset)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
