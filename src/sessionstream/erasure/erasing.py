"""Erasing a user, from the sessions that are kept to what lies beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from sessionstream.consumers.registry import positions_of_groups
from sessionstream.erasure.archives import ArchivedLife, archived_lives, erase_life
from sessionstream.erasure.belonging import Life, belonging_to, kept_lives
from sessionstream.erasure.failures import forget_failures
from sessionstream.erasure.session import erase_session
from sessionstream.erasure.tombstones import Tombstones
from sessionstream.errors import InvalidType, SessionHeld, SessionsHeld
from sessionstream.events.ids import checked_id
from sessionstream.feed.cursor import number_of
from sessionstream.feed.reading import count_of
from sessionstream.integrity.keyring import Keyring
from sessionstream.lifecycle.enlisting import delist
from sessionstream.lifecycle.holding import standing_holds
from sessionstream.lifecycle.reading import live_session
from sessionstream.log.store import Store
from sessionstream.rebuild.folding import side_by_side
from sessionstream.retention.places import checked_folder

__all__ = ["Erased", "erase_user"]

_PAGE = 100
_NEVER = 2**53


@dataclass
class Erased:
    """What an erasure has done; of a user that is erased already it is nothing.

    Attributes:
        user_id: the user.
        sessions: how many sessions were erased, those of others among them.
        events: how many entries of their streams.
        checkpoints: how many checkpoints.
        files: how many files of archives were written anew, or removed since they were damaged.
        keys: how many data keys of the user were destroyed, where the store encrypts: nobody reads a copy either.
        forks: the sessions of other users among them, which had begun as forks of the user's.
        unreached: what it could not reach, in words.
    """

    user_id: str
    sessions: int = 0
    events: int = 0
    checkpoints: int = 0
    files: int = 0
    keys: int = 0
    forks: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)


async def erase_user(
    store: Store,
    user_id: str,
    *,
    archives: Iterable[str | os.PathLike[str]] = (),
    keep_forks: bool = False,
) -> Erased:
    """Erase all that is kept of a user's sessions, ended ones too, and of those of others that are forks of them.

    One that was cut short may be called again, and completes.

    Args:
        store: where they are kept.
        user_id: the user.
        archives: folders of archives, besides the one of the settings.
        keep_forks: leave the forks that belong to others as they are; they have copies of what their origins stood at.

    Raises:
        SessionsHeld: a hold stands on some of them; then nothing was erased, or all others, if it came meanwhile.
        ArchiveFailed: an archive could not be read, then nothing was erased; or not be written.
        KeyUnavailable: the key store did not destroy the user's keys; all else was erased.
    """
    checked_id(user_id, "user_id")
    folders = _folders(store, archives)
    await store.check_writable()
    started = await store.now_ms()
    return await _Erasing(store, user_id, keep_forks).run(folders, started)


def _folders(store: Store, archives: Iterable[str | os.PathLike[str]]) -> list[Path]:
    if isinstance(archives, str | bytes | os.PathLike):
        raise InvalidType(f"archives is a list of folders, not {archives!r}")
    own = store.settings.archive
    return list(dict.fromkeys([*([] if own is None else [own]), *(checked_folder(one) for one in archives)]))


class _Erasing:
    """One erasure."""

    def __init__(self, store: Store, user_id: str, keep_forks: bool) -> None:
        self._store = store
        self._user_id = user_id
        self._keep_forks = keep_forks
        self._keyring = Keyring.of(store.settings) if store.settings.seal_key is not None else None
        self._done = Erased(user_id)
        self._held: dict[str, Sequence[str]] = {}

    async def run(self, folders: Sequence[Path], started: int) -> Erased:
        """Erase what was there when it started, in the store, then in archives, then what lies beside.

        Args:
            folders: of archives.
            started: in milliseconds since 1970, by the server's clock.
        """
        archived = [one for folder in folders for one in await archived_lives(folder, self._store.keys.namespace)]
        kept = [life async for life in kept_lives(self._store)]
        found = belonging_to(self._user_id, [*kept, *(one.life for one in archived)])
        forks = set() if self._keep_forks else set(found.forks)
        wanted = {*found.own, *forks}
        await self._refuse_held([life for life in kept if life in wanted and life.held])
        # The deepest first: of a fork it is known whose it is for as long as its origins are there.
        lives = sorted({life for life in kept if life in wanted}, key=lambda life: -life.depth)
        for _, together in groupby(lives, key=lambda life: life.depth):
            await self._erase_each([life.session_id for life in together], {life.session_id for life in forks})
        # What is encrypted with a key that is destroyed nobody reads: then no session may be left.
        await self._erase_listed(started if self._store.encryption is None else _NEVER)
        await self._erase_archived(archived, {(life.session_id, life.created_ms) for life in wanted})
        await forget_failures(self._store)
        # The last thing: what is to be taken back of shared views is read from the events.
        if self._store.encryption is not None and not self._held:
            self._done.keys = await self._store.encryption.keys.destroy(self._user_id)
        await self._tell_unreached([life for life in found.forks if life in kept and self._keep_forks])
        if self._held:
            raise SessionsHeld(self._held, self._done.sessions)
        return self._done

    async def _refuse_held(self, lives: Sequence[Life]) -> None:
        heads, _ = await self._store.heads([life.session_id for life in lives])
        pairs = zip(lives, heads, strict=True)
        held = {life.session_id: [hold.reason for hold in standing_holds(head)] for life, head in pairs}
        if held:
            raise SessionsHeld(held, 0)

    async def _erase_each(self, session_ids: Sequence[str], forks: set[str]) -> None:
        await side_by_side(lambda session_id: self._erase(session_id, session_id in forks), session_ids)

    async def _erase(self, session_id: str, is_fork: bool) -> None:
        try:
            gone = await erase_session(self._store, self._keyring, session_id)
        except SessionHeld as error:
            self._held[session_id] = error.reasons
            return
        if gone is not None:
            self._done.sessions += 1
            self._done.events += gone.events
            self._done.checkpoints += gone.checkpoints
            if is_fork:
                self._done.forks.append(session_id)

    async def _erase_listed(self, started: int) -> None:
        """Erase what was created while all sessions were looked through, and leave nothing in the user's list."""
        store, key, last = self._store, self._store.keys.user(self._user_id), 0
        while True:
            page = await store.server.call("ZRANGE", key, last, last + _PAGE - 1, "WITHSCORES")
            entries = list(zip(page[::2], page[1::2], strict=True))
            if not entries:
                return
            ids = [member.decode() for member, _ in entries]
            heads, now = await store.heads(ids)
            for session_id, head, (_, score) in zip(ids, heads, entries, strict=True):
                session = live_session(session_id, head, now)
                is_own = session is not None and session.user_id == self._user_id
                if is_own and float(score) // 1000 <= started:
                    await self._erase(session_id, False)
                    is_own = session_id in self._held
                if is_own or float(score) // 1000 > started:
                    last += 1
                else:
                    await delist(store, self._user_id, session_id, int(float(score)) // 1000)

    async def _erase_archived(self, archived: Sequence[ArchivedLife], wanted: set[tuple[str, int]]) -> None:
        store = self._store
        heads, _ = await store.heads([one.whose.session_id for one in archived])
        for one, head in zip(archived, heads, strict=True):
            session_id, created_ms = one.whose.session_id, one.whose.created_ms
            is_kept = head.get(b"created_at") == str(created_ms).encode()
            if session_id in self._held and is_kept:
                continue
            # Also what somebody was still archiving when the session was erased.
            if (session_id, created_ms) in wanted or (is_kept and head.get(b"state") == b"erased"):
                keyring = self._keyring if is_kept else None
                tombstones = await Tombstones.of(store, session_id, keyring)
                self._done.files += await erase_life(one, tombstones)

    async def _tell_unreached(self, left: Sequence[Life]) -> None:
        """Say what is left: copies that forks have, and consumers that have not been told of the erasure yet."""
        for life in left:
            self._done.unreached.append(f"session {life.session_id!r} of user {life.user_id!r} is a fork and was kept")
        if not self._done.sessions:
            return
        behind: dict[str, None] = {}
        for partition in range(self._store.keys.partitions):
            end = await count_of(self._store, partition)
            for group, position in (await positions_of_groups(self._store, partition)).items():
                if number_of(position) < end:
                    behind[group] = None
        self._done.unreached += [f"consumer group {group!r} has not come to the erasure yet" for group in behind]
