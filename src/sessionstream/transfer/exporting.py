"""Exporting as lines: conversations that an import takes, every event as it is stored, or CloudEvents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

from sessionstream.errors import HistoryTrimmed, InvalidType, SessionNotFound
from sessionstream.log.history import Window
from sessionstream.log.store import Store
from sessionstream.session import Session
from sessionstream.transfer.choosing import Choice, chosen_sessions, kept_session
from sessionstream.transfer.histories import first_are_gone
from sessionstream.transfer.shapes import SHAPES

__all__ = ["Sessions", "export_cloudevents", "export_events", "export_messages"]

Sessions = Iterable[str] | AsyncIterator[str] | None
_EVERYTHING = Window()


def export_messages(
    store: Store,
    session_ids: Sessions = None,
    *,
    with_ids: bool = False,
    missing: Callable[[str], None] | None = None,
    trimmed: Callable[[HistoryTrimmed], None] | None = None,
) -> AsyncIterator[bytes]:
    """Yield one JSON line for each session: its metadata, and its ``messages`` as they stand, retracted ones left out.

    Args:
        store: where they are kept.
        session_ids: which; None is every session that is not over, in the order of creation.
        with_ids: whether a line also says ``session_id``, ``user_id`` and ``agent_id``.
        missing: called with the id of a session that is not there, instead of raising.
        trimmed: called where messages of a session are gone, or of the one that it was forked from, instead of raising;
            that session is left out.

    Raises:
        SessionNotFound: a session that was named is not there.
        HistoryTrimmed: messages of a session are gone.
    """
    return _lines("messages", store, session_ids, _EVERYTHING, missing, trimmed, with_ids=with_ids)


def export_events(
    store: Store,
    session_ids: Sessions = None,
    *,
    window: Window = _EVERYTHING,
    missing: Callable[[str], None] | None = None,
    trimmed: Callable[[HistoryTrimmed], None] | None = None,
) -> AsyncIterator[bytes]:
    """Yield one JSON line for each event, session by session, with everything that is stored.

    See `sessionstream.transfer.event_lines.event_record`. The line of an event that saves a checkpoint has its
    ``body``, null where that is not kept any more; a session's last line says so (``last``).

    Args:
        store: where they are kept.
        session_ids: which; None is every session that is not over, in the order of creation.
        window: which of their events.
        missing: called with the id of a session that is not there, instead of raising.
        trimmed: called where a session's first events are asked for and gone, instead of raising; the others are given.

    Raises:
        SessionNotFound: a session that was named is not there.
        HistoryTrimmed: a session's first events are asked for and gone.
    """
    return _lines("events", store, session_ids, window, missing, trimmed)


def export_cloudevents(
    store: Store,
    session_ids: Sessions = None,
    *,
    window: Window = _EVERYTHING,
    missing: Callable[[str], None] | None = None,
    trimmed: Callable[[HistoryTrimmed], None] | None = None,
) -> AsyncIterator[bytes]:
    """Yield one CloudEvent a line for each event, session by session; the arguments are those of `export_events`.

    See `sessionstream.transfer.cloudevents.cloudevent`.
    """
    return _lines("cloudevents", store, session_ids, window, missing, trimmed)


async def _lines(
    shape: str,
    store: Store,
    session_ids: Sessions,
    window: Window,
    missing: Callable[[str], None] | None,
    trimmed: Callable[[HistoryTrimmed], None] | None = None,
    *,
    with_ids: bool = False,
) -> AsyncIterator[bytes]:
    absent = _absent(session_ids, missing)
    async for session in _sessions(store, session_ids, absent):
        lacking = None if shape == "messages" else first_are_gone(session, window)
        if lacking is not None:
            if trimmed is None:
                raise lacking
            trimmed(lacking)
        try:
            async for item in SHAPES[shape](store, session, window, with_ids):
                yield item.value
        except SessionNotFound:  # it was removed just now
            absent(session.session_id)
        except HistoryTrimmed as error:
            if shape != "messages" or trimmed is None:
                raise
            trimmed(error)


def _absent(session_ids: Sessions, missing: Callable[[str], None] | None) -> Callable[[str], None]:
    """Return what to do about a session that is not there: only one that the caller named is missed."""

    def refuse(session_id: str) -> None:
        if session_ids is not None:
            raise SessionNotFound(session_id)

    return missing or refuse


async def _sessions(store: Store, session_ids: Sessions, absent: Callable[[str], None]) -> AsyncIterator[Session]:
    if isinstance(session_ids, str | bytes):
        raise InvalidType(f"session_ids is a list of ids, not {session_ids!r}")
    if session_ids is None:
        async for kept in chosen_sessions(store, Choice()):
            yield kept.session
        return
    async for session_id in _each(session_ids):
        found = await kept_session(store, session_id)
        if found is None:
            absent(session_id)
        else:
            yield found.session


async def _each(session_ids: Iterable[str] | AsyncIterator[str]) -> AsyncIterator[str]:
    if isinstance(session_ids, AsyncIterator):
        async for session_id in session_ids:
            yield session_id
    else:
        for session_id in session_ids:
            yield session_id
