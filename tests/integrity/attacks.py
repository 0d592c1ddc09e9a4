"""What somebody can do to a session who may send the server any command, and has no key."""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio import Redis

from sessionstream.log.gates import name_in_log
from sessionstream.log.keys import Keys

Entry = tuple[bytes, dict[bytes, bytes]]
Change = Callable[[list[Entry]], list[Entry]]


class Attacker:
    """Alters one session, with a plain client."""

    def __init__(self, client: Redis, keys: Keys, session_id: str) -> None:
        self.client = client
        self.keys = keys
        self.session_id = session_id
        self.events = keys.events(session_id)
        self.seals = keys.seals(session_id)
        self.log = keys.log(keys.partition(session_id))
        self.feed = keys.feed(keys.partition(session_id))

    async def entries(self, session_id: str | None = None) -> list[Entry]:
        """The session's stream, or another one's."""
        return await self.client.xrange(self.events if session_id is None else self.keys.events(session_id))

    async def offset(self, version: int) -> str:
        """The offset of a version."""
        return (await self.entries())[version - 1][0].decode()

    async def remove(self, *versions: int) -> None:
        """Delete entries from the stream."""
        await self.client.xdel(self.events, *[await self.offset(version) for version in versions])

    async def rewrite(self, change: Change) -> None:
        """Delete the stream, and write it again with other entries."""
        entries = change(await self.entries())
        await self.client.delete(self.events)
        for offset, fields in entries:
            await self.client.xadd(self.events, fields, id=offset)

    async def edit(self, version: int, change: Callable[[dict[bytes, bytes]], dict[bytes, bytes]]) -> None:
        """Write the stream again with one entry changed."""

        def edited(entries: list[Entry]) -> list[Entry]:
            offset, fields = entries[version - 1]
            return [*entries[: version - 1], (offset, change(dict(fields))), *entries[version:]]

        await self.rewrite(edited)

    async def move_gate(self, offset: str) -> None:
        """Let the log tell of another last event."""
        name = name_in_log(self.session_id)
        gate = await self.client.hget(self.log, name)
        await self.client.hset(self.log, name, offset.encode() + gate[gate.index(b" ") :])

    async def dump(self) -> dict[str, bytes]:
        """All keys of the session, as DUMP gives them."""
        found = {}
        async for key in self.client.scan_iter(match=f"{self.keys.namespace}:*:{self.session_id}", count=1000):
            found[key.decode()] = await self.client.dump(key)
        return found

    async def restore(self, dumped: dict[str, bytes]) -> None:
        """Put all keys of the session back as they were, and remove those that came since."""
        for key in await self.dump():
            await self.client.delete(key)
        for key, value in dumped.items():
            await self.client.restore(key, 0, value)


def renumbered(entries: list[Entry]) -> list[Entry]:
    """The entries under the versions 1, 2, 3 …, each with its own time."""
    return [
        (b"%b-%d" % (offset.partition(b"-")[0], version), fields) for version, (offset, fields) in enumerate(entries, 1)
    ]
