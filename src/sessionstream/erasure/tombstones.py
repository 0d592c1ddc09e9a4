"""What stands in the place of events that were erased: their offsets, and what proves that they were the sealed ones.

It is the same however often it is made, so an erasure that was cut short is made again without harm.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
from collections.abc import Sequence

import msgspec

from sessionstream.events.lifecycle import EventErased
from sessionstream.events.recorded import version_of
from sessionstream.integrity.chain import ERASED, ERASURE, Digester, Seal, seal_from
from sessionstream.integrity.keyring import Keyring
from sessionstream.log.store import Store

__all__ = ["Tombstones", "is_erased"]

_PAGE = 64
_encode = msgspec.json.Encoder().encode


def is_erased(words: Sequence[bytes]) -> bool:
    """Whether an entry stands in the place of an erased event, or tells of an erasure."""
    return bool(words) and words[0] in (ERASED, ERASURE)


class Tombstones:
    """Makes those of one session.

    Args:
        session_id: the session.
        seals: of the session, as far as they are known.
        keyring: the keys; None for none.
    """

    def __init__(self, session_id: str, seals: Sequence[Seal] = (), keyring: Keyring | None = None) -> None:
        self._session_id = session_id
        self._first: list[int] = []
        self._runs: list[tuple[int, Digester]] = []
        digesters: dict[str, Digester] = {}
        for seal in sorted(seals, key=lambda one: one.first):
            key = keyring.get(seal.key) if keyring is not None else None
            if key is not None:
                digester = digesters.setdefault(key.id, Digester(key, session_id))
                self._first.append(seal.first)
                self._runs.append((seal.version, digester))

    @classmethod
    async def of(cls, store: Store, session_id: str, keyring: Keyring | None) -> Tombstones:
        """Return what makes those of a session that is kept, with all of its seals."""
        seals: list[Seal] = []
        start = 0
        while keyring is not None:
            page = await store.server.call("LRANGE", store.keys.seals(session_id), start, start + _PAGE - 1)
            seals += [seal for kept in page if (seal := seal_from(kept)) is not None]
            start += len(page)
            if len(page) < _PAGE:
                break
        return cls(session_id, seals, keyring)

    def words(self, offset: str, words: Sequence[bytes]) -> list[bytes]:
        """Return what stands in an event's place.

        Args:
            offset: of the event.
            words: the fields and values of its entry.
        """
        digester = self._digester(version_of(offset))
        digest = "" if digester is None else base64.b64encode(digester.digest(offset, words)).decode()
        # An id that is its own, and tells nothing of the one that the event had.
        told = hashlib.sha256(f"{self._session_id} {offset} erased".encode()).digest()[:16]
        return [ERASED, base64.urlsafe_b64encode(told)[:22] + _encode(EventErased(digest=digest))]

    def _digester(self, version: int) -> Digester | None:
        at = bisect.bisect_right(self._first, version) - 1
        if at < 0 or version > self._runs[at][0]:
            return None
        return self._runs[at][1]
