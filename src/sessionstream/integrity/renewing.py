"""An anchor that takes the place of an earlier one: what that one tells against a session is not forgotten over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from sessionstream.errors import HistoryAltered
from sessionstream.integrity.anchors import Anchor, Anchored, anchor_writer, read_anchor
from sessionstream.integrity.chain import Seal, seal_from
from sessionstream.integrity.feeds import FeedWords
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.reporting import Kind
from sessionstream.integrity.verifying import verify_session
from sessionstream.log.store import Store

__all__ = ["Renewal"]

_AGAINST = (Kind.ROLLED_BACK, Kind.SEAL_REMOVED)
_SEALS = 64


class Renewal:
    """Knows the anchor that a file holds, and takes the lines of the one that is to replace it.

    Args:
        store: where the sessions are kept.
        keyring: the keys.
        path: the file, which need not be there.
        at: the server's milliseconds.

    Raises:
        InvalidAnchor: the file is there, and is no anchor of this namespace, or was altered.
    """

    def __init__(self, store: Store, keyring: Keyring, path: Path, at: int) -> None:
        self._store = store
        self._keyring = keyring
        # It refuses what is no file, which reading might wait for.
        self.writer = anchor_writer(path, store.keys.namespace, keyring, at)
        self._known = read_anchor(path, store.keys.namespace, keyring) if path.exists() else Anchor(at, {})
        self._left = dict(self._known.sessions)

    async def require_going_on(self, session_id: str) -> None:
        """Raise `HistoryAltered` if a session's seals do not go on from what the earlier anchor tells of it."""
        before = self._left.get(session_id)
        if before is None or await self._has_seal(session_id, before):
            return
        found = await verify_session(self._store, self._keyring, session_id, anchor=self._known)
        if any(one.kind in _AGAINST for one in found.findings):
            problem = f"up to version {before.version} the earlier anchor tells of other seals"
            raise HistoryAltered(session_id, before.offset, problem)

    def add(self, session_id: str, sealed: Anchored) -> None:
        """Write the line of a session."""
        self._left.pop(session_id, None)
        self.writer.write({"session_id": session_id, **sealed._asdict()})

    def keep(self, session_id: str) -> None:
        """Write what the earlier anchor tells of a session, if it knows it."""
        before = self._left.get(session_id)
        if before is not None:
            self.add(session_id, before)

    def keep_others(self) -> None:
        """Write what the earlier anchor tells of the sessions that were not asked for."""
        for session_id in list(self._left):
            self.keep(session_id)

    async def lost(self) -> AsyncIterator[HistoryAltered]:
        """Write what the earlier anchor tells of sessions that are not there, unless they were retired.

        Yields:
            The error of each session that is lost.
        """
        feeds = FeedWords(self._store)
        for session_id in sorted(self._left, key=self._store.keys.partition):
            found = await verify_session(self._store, self._keyring, session_id, anchor=self._known, feeds=feeds)
            if found.retired:
                continue
            before = self._left[session_id]
            self.keep(session_id)
            if found.findings:
                yield HistoryAltered(session_id, before.offset, "the earlier anchor knows it, and it is not there")

    async def _has_seal(self, session_id: str, before: Anchored) -> bool:
        end = 0
        while True:
            key = self._store.keys.seals(session_id)
            page = await self._store.server.call("LRANGE", key, -end - _SEALS, -end - 1)
            for seal in _latest_first(page):
                if seal.version <= before.version:
                    return seal.seal == before.seal
            if len(page) < _SEALS:
                return False
            end += _SEALS


def _latest_first(page: list[bytes]) -> Iterator[Seal]:
    yield from (seal for kept in reversed(page) if (seal := seal_from(kept)) is not None)
