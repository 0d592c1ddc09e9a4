"""What a store needs of encryption, which is a room of its own and wants a library that not everybody has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from sessionstream.events.codec import EncodedEvent
from sessionstream.events.encrypted import Opener, Seal
from sessionstream.log.request import Append, Appended

__all__ = ["Encryption"]


class Encryption(Protocol):
    """Encrypts what a store appends, and decrypts what it reads.

    Attributes:
        keys: the data keys, a `sessionstream.encryption.DataKeys`.
        opener: decrypts with them.
    """

    keys: Any
    opener: Opener

    def append(self, request: Append) -> asyncio.Future[Appended]:
        """Encrypt what is to be appended, and send it on in its place; the future gives what it gave."""

    async def remember(self, stored: Iterable[bytes]) -> None:
        """Look the keys up with which something is encrypted, so that decrypting it blocks nobody."""

    async def event(self, session_id: str, event_id: bytes, event: EncodedEvent, meta: bytes) -> EncodedEvent:
        """Return an event encrypted, with who did it and why; without that, if the user's key was destroyed."""

    async def seal(self, session_id: str, event_id: bytes) -> Seal:
        """Return what encrypts what is derived from an event that is stored in plain text."""

    async def delta(self, session_id: str, delta_id: bytes, data: bytes) -> bytes:
        """Return a delta encrypted."""

    def forget(self, session_id: str) -> None:
        """Forget whose a session is, since it has ended."""
