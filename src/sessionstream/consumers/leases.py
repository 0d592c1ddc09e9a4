"""The leases of a group's partitions, and the heartbeats of its members, as the scripts keep them."""

from __future__ import annotations

import math
from typing import NamedTuple

from sessionstream.errors import GroupNotFound, MemberExists
from sessionstream.events.stored import reading_stored
from sessionstream.feed.cursor import position_of
from sessionstream.log.encoding import Word
from sessionstream.log.store import Store
from sessionstream.wire.scripts import load_script

__all__ = ["Lease", "Leases"]

_ACQUIRE = load_script("sessionstream.consumers", "acquire")
_BEAT = load_script("sessionstream.consumers", "beat")
_LEAVE = load_script("sessionstream.consumers", "leave")
_RELEASE = load_script("sessionstream.consumers", "release")
_RENEW = load_script("sessionstream.consumers", "renew")


class Lease(NamedTuple):
    """A partition that was given to a member.

    Attributes:
        partition: which one.
        token: grows with every holder, and with nothing else.
        position: up to which the group has come there.
        asked: how often something was asked of the holder.
        build: the run of what is built there before the feed is read, or nothing.
    """

    partition: int
    token: int
    position: str
    asked: int
    build: str


class Leases:
    """What one member asks for.

    Args:
        store: the namespace.
        group: the group's name.
        member: its name in the group.
        holder: what tells it from any other process that ever had the name.
        seconds: for which a lease runs.
    """

    def __init__(self, store: Store, group: str, member: str, holder: str, seconds: float) -> None:
        self._store = store
        self._server = store.server
        self._group = group
        self._member = member
        self._holder = holder
        self._ms = math.ceil(seconds * 1000)

    def _keys(self, partition: int) -> list[str]:
        return [self._store.keys.groups(partition), self._store.keys.group(self._group, partition)]

    async def beat(self) -> list[str]:
        """Say that the member lives, and return the names of all that do.

        Raises:
            MemberExists: another process lives under this name.
            GroupNotFound: the group was deleted.
        """
        answer, *members = await self._server.script(
            _BEAT, self._keys(0), [self._group, self._holder, self._member, self._ms]
        )
        if answer == b"taken":
            raise MemberExists(self._group, self._member)
        if answer == b"unknown":
            raise GroupNotFound(self._group)
        with reading_stored(f"the members of group {self._group!r}"):
            return sorted(name.decode() for name in members)

    async def leave(self) -> None:
        """Say that the member is gone."""
        await self._server.script(_LEAVE, self._keys(0)[1:], [self._holder, self._member])

    async def acquire(self, partition: int) -> Lease | None:
        """Return the lease of a partition, or None while somebody else's runs.

        Raises:
            GroupNotFound: the group was deleted.
        """
        args: list[Word] = [self._group, self._holder, self._member, self._ms]
        answer, *rest = await self._server.script(_ACQUIRE, self._keys(partition), args)
        if answer == b"unknown":
            raise GroupNotFound(self._group)
        if answer == b"held":
            return None
        token, position, asked, build = rest
        with reading_stored(f"what is known of group {self._group!r}"):
            return Lease(partition, int(token), position_of(position), int(asked), build.decode())

    async def renew(self, lease: Lease) -> int | None:
        """Let a lease begin anew; return how often something was asked of its holder, or None if it was lost."""
        keys = self._keys(lease.partition)[1:]
        asked = await self._server.script(_RENEW, keys, [self._holder, lease.token, self._ms])
        with reading_stored(f"what is known of group {self._group!r}"):
            return None if asked is None else int(asked)

    async def release(self, lease: Lease) -> None:
        """Give a partition back; one that was lost already stays with whoever has it."""
        await self._server.script(_RELEASE, self._keys(lease.partition)[1:], [self._holder, lease.token])
