"""Sealing and verifying the sessions of a namespace, one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

from sessionstream.directory.listing import every_session_id, session_ids_of
from sessionstream.errors import IntegrityError, InvalidArgument, SessionNotFound
from sessionstream.events.arguments import checked_list, checked_path
from sessionstream.events.ids import checked_id
from sessionstream.integrity.anchors import Anchor, Anchored, read_anchor
from sessionstream.integrity.feeds import FeedWords
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.reading import Archive
from sessionstream.integrity.renewing import Renewal
from sessionstream.integrity.reporting import Finding, Kind, Verification
from sessionstream.integrity.sealing import Sealed, seal_session
from sessionstream.integrity.verifying import verify_session
from sessionstream.log.gates import session_named
from sessionstream.log.store import Store

__all__ = ["anchor_of", "seal_all", "verify_all"]

_FIELDS = 1000


def anchor_of(store: Store, keyring: Keyring, path: Path | str | None) -> Anchor | None:
    """Return what an anchor says, None where none is named; raises `InvalidAnchor`."""
    return None if path is None else read_anchor(checked_path(path, "anchor"), store.keys.namespace, keyring)


async def _every_known_session(store: Store) -> AsyncIterator[str]:
    """Yield the id of every session that the registry or the log knows: who takes one out of one of them is seen."""
    await store.check_readable()
    for partition in range(store.keys.partitions):
        known: set[str] = set()
        async for session_id in session_ids_of(store, partition):
            known.add(session_id)
            yield session_id
        for session_id in await _gates(store, partition):
            if session_id not in known:
                yield session_id


async def _gates(store: Store, partition: int) -> list[str]:
    """Return the sessions that the log of a partition knows."""
    found: list[str] = []
    cursor: bytes | str = "0"
    while True:
        cursor, words = await store.server.call("HSCAN", store.keys.log(partition), cursor, "COUNT", _FIELDS)
        names = [name.decode(errors="replace") for name in words[::2]]
        found += [session_named(name) for name in names if not name.startswith(":") or name.startswith("::")]
        if cursor in (b"0", "0"):
            return found


async def verify_all(
    store: Store,
    keyring: Keyring,
    session_ids: Iterable[str] | None = None,
    *,
    anchor: Anchor | None = None,
    archived: Archive | None = None,
) -> AsyncIterator[Verification]:
    """Verify sessions, also those that only an anchor knows.

    Args:
        store: where they are kept.
        keyring: the keys.
        session_ids: which; None is every one that the registry, the log or the anchor knows.
        anchor: what was known outside of the server.
        archived: gives a session's events that are no more in the stream, from version 1 on.

    Raises:
        SessionNotFound: a session that was named is not there, and no anchor knows it.
    """
    if session_ids is not None:
        for session_id in checked_list(session_ids, "session_ids"):
            yield await verify_session(store, keyring, session_id, anchor=anchor, archived=archived)
        return
    feeds = FeedWords(store)
    left = set(anchor.sessions) if anchor is not None else set()
    async for session_id in _every_known_session(store):
        left.discard(session_id)
        try:
            checked_id(session_id, "session_id")
        except InvalidArgument as error:
            yield Verification(session_id, 0, 0, 0, (Finding(Kind.LOG_ALTERED, str(error)),), ())
            continue
        with contextlib.suppress(SessionNotFound):  # it was removed just now
            yield await verify_session(store, keyring, session_id, anchor=anchor, archived=archived, feeds=feeds)
    for session_id in sorted(left, key=store.keys.partition):
        yield await verify_session(store, keyring, session_id, anchor=anchor, archived=archived, feeds=feeds)


async def seal_all(
    store: Store,
    keyring: Keyring,
    session_ids: Iterable[str] | None = None,
    *,
    anchor: Path | None = None,
    refused: Callable[[IntegrityError], None] | None = None,
) -> AsyncIterator[Sealed]:
    """Seal sessions, and yield how far each is sealed; write that to an anchor, if one is named.

    Args:
        store: where they are kept.
        keyring: the keys.
        session_ids: which; None is every one that is kept.
        anchor: the file, which appears, or is replaced, when all sessions are sealed. What it told before of a session
            that is not sealed any further, was not asked for, or is lost, it tells still.
        refused: called with the error of a session that is not sealed any further, or is lost, instead of raising.

    Raises:
        SessionNotFound: a session that was named is not there.
        IntegrityError: a session is not sealed any further, or the anchor tells that it was rolled back or is lost, and
            ``refused`` is not given.
        InvalidAnchor: the file is there, and is no anchor of this namespace, or was altered.
    """
    with contextlib.ExitStack() as stack:
        renewal: Renewal | None = None
        if anchor is not None:
            renewal = Renewal(store, keyring, anchor, await store.now_ms())
            stack.enter_context(renewal.writer)
        async for session_id in _each(store, session_ids):
            try:
                if renewal is not None:
                    await renewal.require_going_on(session_id)
                sealed = await seal_session(store, keyring, session_id)
            except SessionNotFound:
                if session_ids is not None:
                    raise
                continue  # it was removed just now
            except IntegrityError as error:
                _refuse(error, refused)
                if renewal is not None:
                    renewal.keep(session_id)
                continue
            if renewal is not None:
                renewal.add(session_id, Anchored(sealed.offset, sealed.version, sealed.seal))
            yield sealed
        if renewal is not None and session_ids is not None:
            renewal.keep_others()
        elif renewal is not None:
            async for lost in renewal.lost():
                _refuse(lost, refused)


def _refuse(error: IntegrityError, refused: Callable[[IntegrityError], None] | None) -> None:
    if refused is None:
        raise error
    refused(error)


async def _each(store: Store, session_ids: Iterable[str] | None) -> AsyncIterator[str]:
    if session_ids is None:
        async for session_id in every_session_id(store):
            yield session_id
    else:
        for session_id in checked_list(session_ids, "session_ids"):
            yield session_id
