"""Reading a session's stream: in pages, forward and backward, by offset, version, time and type."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sessionstream.errors import HistoryTrimmed, InvalidArgument, InvalidType, SessionNotFound
from sessionstream.events.base import name_of
from sessionstream.events.ids import checked_id
from sessionstream.events.recorded import NOWHERE, RecordedEvent
from sessionstream.log.positions import Positions, Reading
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = [
    "Window",
    "checked_count",
    "checked_time",
    "offset_at_version",
    "parse_offset",
    "read_entries",
    "read_history",
    "trimmed_to",
    "type_names",
]

_LOCATE = load_script("sessionstream.log", "locate", reads=True)
_PAGE = 1000
_LAST = 2**64 - 1
_LARGEST_COUNT = 2**53 - 1


class _Bound(NamedTuple):
    """A stream id as two numbers, which compare as the server compares them."""

    ms: int
    version: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.version}"

    def next(self) -> _Bound:
        return _Bound(self.ms, self.version + 1) if self.version < _LAST else _Bound(self.ms + 1, 0)

    def previous(self) -> _Bound:
        return _Bound(self.ms, self.version - 1) if self.version else _Bound(self.ms - 1, _LAST)


_START, _END = _Bound(0, 0), _Bound(_LAST, _LAST)


class Window(NamedTuple):
    """Which events of a session are asked for; see `read_history`."""

    after: str | None = None
    before: str | None = None
    from_version: int | None = None
    to_version: int | None = None
    since: datetime | None = None
    until: datetime | None = None


async def read_history(
    store: Store,
    session_id: str,
    window: Window = Window(),  # noqa: B008 - it is immutable
    types: Iterable[str | type] | None = None,
    limit: int | None = None,
    *,
    backward: bool = False,
    positions: Positions | None = None,
) -> AsyncIterator[RecordedEvent]:
    """Yield a session's events, read in pages of 1,000.

    Args:
        store: where the session is kept.
        session_id: the session, ended or not.
        window: bounds, which all have to be met: ``after`` and ``before`` are offsets and exclude them, versions and
            aware datetimes include them.
        types: only events of these types, by name or by class.
        limit: at most so many.
        backward: newest first.
        positions: where to note what is given.

    Raises:
        SessionNotFound: nothing is kept of such a session.
        HistoryTrimmed: events that are asked for were trimmed; backward it is raised behind those that are kept.
        InvalidArgument: an argument is malformed.
    """
    checked_id(session_id, "session_id")
    wanted = None if types is None else type_names(types)
    left = _LAST if limit is None else checked_count(limit, "limit")
    await store.check_readable()
    low, high = await _bounds(store, session_id, window)
    if not left or low > high:
        return
    pages = _pages(store, session_id, low, high, backward, ahead=left > _PAGE)
    async with contextlib.aclosing(pages):
        with positions.reading(session_id) if positions else contextlib.nullcontext(Reading()) as reading:
            async for page in pages:
                if store.encryption is not None:
                    await store.remember_keys_of(page)
                opener = store.opener
                events = [RecordedEvent(session_id, at.decode(), fields or (), opener) for at, fields in page]
                # What the events do not hold need not be kept while they are looked at.
                page.clear()
                if wanted is not None:
                    events = [event for event in events if event.type in wanted]
                for event in events[:left]:
                    reading.last = event
                    yield event
                left -= min(left, len(events))
                if not left:
                    return


async def read_entries(
    store: Store, session_id: str, after: str, until: str | None = None
) -> AsyncGenerator[list[Any], None]:
    """Yield a session's entries as the server gives them, in pages of 1,000, oldest first.

    Args:
        store: where the session is kept.
        session_id: the session.
        after: only behind this offset; ``0-0`` is the beginning.
        until: up to and with this offset; None is the end.

    Raises:
        SessionNotFound: nothing is kept of such a session.
    """
    low = _Bound(*parse_offset(after)).next()
    high = _END if until is None else _Bound(*parse_offset(until))
    if low > high:
        return
    async with contextlib.aclosing(_pages(store, session_id, low, high, False, ahead=True)) as pages:
        async for page in pages:
            if store.encryption is not None:
                await store.remember_keys_of(page)
            yield page


def type_names(types: object) -> set[str]:
    """Return the names of event types, given by name or by class; raises `InvalidType` for what is no list."""
    if isinstance(types, str | bytes | type) or not isinstance(types, Iterable):
        raise InvalidType(f"types is a list of event types, not {types!r}")
    return {kind if isinstance(kind, str) else name_of(kind) for kind in types}


async def _pages(
    store: Store, session_id: str, low: _Bound, high: _Bound, backward: bool, *, ahead: bool
) -> AsyncGenerator[list[Any], None]:
    """Yield pages of entries; the next one is asked for while the caller works on the one before it, if ``ahead``."""
    asked: asyncio.Task[list[Any]] | None = None
    page = await _page(store, session_id, low, high, backward)
    if not page and not await store.server.call("EXISTS", store.keys.head(session_id)):
        raise SessionNotFound(session_id)
    lowest = low
    try:
        while page:
            first, last = (_Bound(*parse_offset(page[place][0].decode())) for place in (0, -1))
            if not backward and first.version not in (1, low.version):
                await _require_kept(store, session_id, low)
            low, high = (low, last.previous()) if backward else (last.next(), high)
            # A page that was asked for ahead may lack what came while the caller worked on the one before it.
            more = low <= high and (len(page) == _PAGE or asked is not None)
            asked = None
            if ahead and more and len(page) == _PAGE:
                asked = asyncio.create_task(_page(store, session_id, low, high, backward))
            yield page
            lowest = last
            if not more:
                break
            page = await (asked or _page(store, session_id, low, high, backward))
            if not page and asked is not None:
                page = await _page(store, session_id, low, high, backward)
    finally:
        if asked is not None:
            asked.cancel()
    # Where nothing more is given, the rest of what was asked for may be gone.
    if (backward and lowest.version not in (1, low.version)) or not page:
        await _require_kept(store, session_id, low)


async def _require_kept(store: Store, session_id: str, low: _Bound) -> None:
    """Raise `HistoryTrimmed` if what lies from a bound on was trimmed; a hole that nobody has trimmed is none of it."""
    trimmed = await trimmed_to(store, session_id)
    if trimmed is not None and low <= parse_offset(trimmed):
        after = None if low.version < 2 else str(low.previous())
        raise HistoryTrimmed(session_id, after, await first_offset(store, session_id))


async def trimmed_to(store: Store, session_id: str) -> str | None:
    """Return the offset of the last event that was trimmed from a session's stream, or None."""
    found = await store.server.call("HGET", store.keys.head(session_id), "trimmed")
    return None if found is None else str(found.decode())


async def _page(store: Store, session_id: str, low: _Bound, high: _Bound, backward: bool) -> list[Any]:
    key = store.keys.events(session_id)
    if backward:
        page = await store.server.call("XREVRANGE", key, str(high), str(low), "COUNT", _PAGE)
    else:
        page = await store.server.call("XRANGE", key, str(low), str(high), "COUNT", _PAGE)
    return list(page)


async def _bounds(store: Store, session_id: str, window: Window) -> tuple[_Bound, _Bound]:
    low, high = _START, _END
    if window.after is not None:
        low = max(low, _Bound(*parse_offset(window.after)).next())
    if window.before is not None:
        high = min(high, _Bound(*parse_offset(window.before)).previous())
    if window.since is not None:
        low = max(low, _Bound(checked_time(window.since, "since"), 0))
    if window.until is not None:
        high = min(high, _Bound(checked_time(window.until, "until"), _LAST))
    if window.from_version is not None and checked_count(window.from_version, "from_version") > 1:
        found = await offset_at_version(store, session_id, window.from_version)
        if found is not None:
            low = max(low, _Bound(*parse_offset(found)))
        elif window.from_version > (await _last_trimmed(store, session_id)).version:
            low = _END
    if window.to_version is not None:
        if checked_count(window.to_version, "to_version") == 0:
            return _END, _START
        found = await offset_at_version(store, session_id, window.to_version)
        if found is not None:
            high = min(high, _Bound(*parse_offset(found)))
        elif window.to_version <= (trimmed := await _last_trimmed(store, session_id)).version:
            high = min(high, trimmed)
    return low, high


async def _last_trimmed(store: Store, session_id: str) -> _Bound:
    return _Bound(*parse_offset(await trimmed_to(store, session_id) or NOWHERE))


async def offset_at_version(store: Store, session_id: str, version: int) -> str | None:
    """Return the offset of a version, or None if the session has none such; found by bisection on the server."""
    found = await store.server.script(_LOCATE, [store.keys.events(session_id)], [version])
    return None if found is None else str(found.decode())


async def first_offset(store: Store, session_id: str) -> str | None:
    """Return the offset of the first event that is kept of a session, or None."""
    found = await store.server.call("XRANGE", store.keys.events(session_id), "-", "+", "COUNT", 1)
    return found[0][0].decode() if found else None


def parse_offset(offset: object) -> tuple[int, int]:
    """Return the milliseconds and the version of an offset.

    Raises:
        InvalidArgument: it is no ``<milliseconds>-<version>``.
    """
    if not isinstance(offset, str):
        raise InvalidType(f"an offset is a string, not a {type(offset).__name__}")
    ms, dash, version = offset.partition("-")
    if not (dash and _is_number(ms) and _is_number(version)):
        raise InvalidArgument(f"{offset!r} is no offset: <milliseconds>-<version>")
    return int(ms), int(version)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= _LAST


def checked_count(value: object, name: str) -> int:
    """Return a number from 0 as given; raises `InvalidArgument` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidType(f"{name} is an int, not a {type(value).__name__}")
    if value < 0:
        raise InvalidArgument(f"{name} is {value}, not 0 or more")
    if value > _LARGEST_COUNT:
        raise InvalidArgument(f"{name} is beyond 2**53 - 1, which is as far as the server's scripts count")
    return value


def checked_time(value: object, name: str) -> int:
    """Return the milliseconds since 1970 of an aware datetime; raises `InvalidArgument` for a naive one."""
    if not isinstance(value, datetime):
        raise InvalidType(f"{name} is a datetime, not a {type(value).__name__}")
    if value.tzinfo is None or value.utcoffset() is None:
        raise InvalidArgument(f"{name} is a naive datetime: give it a time zone, such as datetime.now(UTC)")
    return max(0, int(value.timestamp() * 1000))
