"""A process of its own that locks a session, and then does what it reads, one word a line, and answers each.

    python -m tests.locks.holder URL NAMESPACE SESSION LEASE

The words are ``acquire``, ``note``, ``lost`` and ``release``; the answer is what came of it, or the error's name.
"""

from __future__ import annotations

import asyncio
import sys

from sessionstream.errors import SessionStreamError
from sessionstream.events.runtime import NoteAdded
from sessionstream.locks import Lock, Locks
from sessionstream.log.store import Store
from sessionstream.settings import Settings
from sessionstream.wire.opening import server_for


class Holder:
    """What the process has."""

    def __init__(self, url: str, namespace: str, session_id: str, lease: str) -> None:
        self.store = Store(server_for(None, url), Settings(namespace=namespace))
        self.locks = Locks(self.store)
        self.session_id = session_id
        self.lease = float(lease)
        self.lock: Lock | None = None

    async def do(self, word: str) -> object:
        """Do one thing."""
        if word == "acquire":
            self.lock = await self.locks.acquire(self.session_id, lease=self.lease)
            return self.lock.token
        if word == "note":
            return (await self.store.append(self.session_id, [NoteAdded(text="from the holder")])).version
        assert self.lock is not None
        return self.lock.lost if word == "lost" else await self.locks.release(self.session_id, self.lock)


async def main() -> None:
    """Obey until the input ends."""
    holder = Holder(*sys.argv[1:])
    while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
        try:
            print(await holder.do(word), flush=True)
        except SessionStreamError as error:
            print(type(error).__name__, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
