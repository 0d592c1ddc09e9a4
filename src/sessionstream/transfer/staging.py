"""A session restored beside its place, where nobody sees it, and then put there in one step.

What is beside is gone by itself an hour after the last of it was written: a process that dies leaves nothing for long.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence

from sessionstream.errors import SessionStreamError
from sessionstream.fold import Views
from sessionstream.log.encoding import KeyNumbers, Word, encode_each
from sessionstream.log.gates import name_in_log
from sessionstream.log.store import Store
from sessionstream.projection import Add, Increment, Operation
from sessionstream.transfer.event_lines import EventLine
from sessionstream.wire.scripts import load_script

__all__ = ["MOST_BYTES", "MOST_EVENTS", "Staging"]

MOST_EVENTS = 250
"""So many entries at the most are staged by one script call, which takes the server a millisecond or two."""
MOST_BYTES = 512 * 1024
"""So many bytes of entries at the most, but for an entry that is larger by itself."""

_ENTRIES = load_script("sessionstream.transfer", "stage_entries")
_VIEW = load_script("sessionstream.transfer", "stage_view")
_RESTORE = load_script("sessionstream.log", "restore")
_KEPT_MS = 3_600_000
_MOST_WORDS = 1_000
_POINTER = 10_000  # no pointer of the feed tells of more than an append can hold
_OWN = ("view", "ranking")


class Staging:
    """What is beside one session's place.

    Args:
        store: where the session shall be.
        session_id: the session.
    """

    def __init__(self, store: Store, session_id: str) -> None:
        keys = store.keys
        self._store = store
        self._session_id = session_id
        self._partition = keys.partition(session_id)
        self._run = os.urandom(8).hex()
        self._pairs: dict[str, str] = {}
        self._stream = self._beside(keys.events(session_id))
        self._head = self._beside(keys.head(session_id))
        self._offsets: list[str] = []
        self._last = ""

    def _beside(self, key: str) -> str:
        """Return under which key something is restored, noting that it belongs to the session."""
        beside = self._store.keys.restoring(self._run, key, self._partition)
        self._pairs[beside] = key
        return beside

    async def add(self, lines: Sequence[EventLine]) -> bool:
        """Stage the next events; False if what was staged before them is not there any more.

        Args:
            lines: at most 250 events of at most 512 KiB together, or one that is larger.
        """
        words: list[Word] = [_KEPT_MS, lines[0].event.version, len(lines)]
        for line in lines:
            words += (line.event.offset, len(line.event.words), *line.event.words)
            if line.event.version % _POINTER == 0:
                self._offsets.append(line.event.offset)
        self._last = lines[-1].event.offset
        bodies = self._store.keys.restoring(self._run, self._store.keys.bodies(self._session_id), self._partition)
        return bool(await self._store.server.script(_ENTRIES, [self._stream, bodies], words))

    async def add_body(self, checkpoint_id: str, body: bytes) -> None:
        """Stage the body of a checkpoint."""
        key = self._beside(self._store.keys.bodies(self._session_id))
        await self._stage(key, "hash", ["", "", checkpoint_id, body])

    async def drop_body(self, checkpoint_id: str) -> None:
        """Forget the staged body of a checkpoint that was deleted later."""
        await self._store.server.call("HDEL", self._beside(self._store.keys.bodies(self._session_id)), checkpoint_id)

    async def add_views(self, views: Views) -> None:
        """Stage the views that are the session's own."""
        head: list[Word] = ["offset", self._last]
        await self._stage_pages(self._head, "hash", head, views.head.items())
        keys = self._store.keys
        for spot, fields in views.hashes.items():
            if spot.place.kind in _OWN:
                key = self._beside(keys.place(spot.projection, spot.place, self._session_id))
                await self._stage_pages(key, "hash", ["", ""], fields.items())
        for spot, members in views.sets.items():
            if spot.place.kind in _OWN:
                key = self._beside(keys.place(spot.projection, spot.place, self._session_id))
                scored = ((repr(score), member) for member, score in members.items())
                await self._stage_pages(key, "set", ["-inf", ""], scored)

    async def _stage_pages(self, key: str, kind: str, first: list[Word], pairs: Iterable[tuple[Word, Word]]) -> None:
        words = first
        for pair in pairs:
            if len(words) + 2 > _MOST_WORDS:
                await self._stage(key, kind, words)
                words = []
            words += pair
        if words:
            await self._stage(key, kind, words)

    async def _stage(self, key: str, kind: str, words: list[Word]) -> None:
        await self._store.server.script(_VIEW, [key], [_KEPT_MS, kind, *words])

    async def put_in_place(self, views: Views) -> str | int:
        """Make of what is beside the session, in one step.

        Args:
            views: what its events make.

        Returns:
            ``done``, or why not: see ``restore.lua``.
        """
        while True:
            answer = await self._restore(views)
            if answer != b"stamp":
                return answer if isinstance(answer, int) else answer.decode()
            await self._store.prepare(self._partition)

    async def _restore(self, views: Views) -> bytes | int:
        keys, session_id = self._store.keys, self._session_id
        numbers = KeyNumbers([keys.log(self._partition), keys.feed(self._partition)])
        numbers.keys += [key for pair in self._pairs.items() for key in pair]
        registry: list[Word] = [
            "add",
            3,
            numbers[keys.registry(self._partition)],
            b"=" + views.head[b"created_at"],
            session_id,
        ]
        count, words = 1, registry
        for owner, operations in _shared(views).items():
            more, added = encode_each(owner, session_id, operations, keys, numbers)
            count, words = count + more, words + added
        pointers = self._pointers()
        stands: list[Word] = [
            self._store.stamp,
            name_in_log(session_id),
            self._last,
            len(self._pairs),
            len(pointers),
            *pointers,
        ]
        answer: bytes | int = await self._store.server.script(_RESTORE, numbers.keys, [*stands, count, *words])
        return answer

    def _pointers(self) -> list[str]:
        """Return what the feed is told: the offset behind every so many events, and how many those are."""
        last = int(self._last.partition("-")[2])
        told = [f"{offset} {_POINTER}" for offset in self._offsets]
        rest = last - len(told) * _POINTER
        return [*told, f"{self._last} {rest}"] if rest else told

    async def drop(self) -> None:
        """Remove what is beside now, instead of in an hour."""
        with contextlib.suppress(SessionStreamError):
            await self._store.server.call("UNLINK", *self._pairs)


def _shared(views: Views) -> dict[str, list[Operation]]:
    """Return for each projection what puts into the shared views what a session's events have made of them."""
    made: dict[str, list[Operation]] = {}
    for spot, members in views.sets.items():
        if spot.place.kind == "index" and members:
            (score,) = members.values()
            made.setdefault(spot.projection, []).append(Add(spot.place, score))
    for spot, fields in views.hashes.items():
        if spot.place.kind == "counters":
            made.setdefault(spot.projection, []).extend(
                Increment(spot.place, field.decode(), int(value)) for field, value in fields.items()
            )
    return made
