"""The generations of a projection's views: which one is in use, and which is being built beside it."""

from __future__ import annotations

from typing import NamedTuple

from sessionstream.consumers.administering import group_names
from sessionstream.consumers.removing import delete_group
from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.feed.cursor import Cursor, number_of, position_of
from sessionstream.feed.reading import newest
from sessionstream.log.store import Store
from sessionstream.projection import Projection
from sessionstream.wire.scripts import load_script

__all__ = ["Generations", "Progressed"]

_ABANDON = load_script("sessionstream.consumers", "abandon")
_GENERATE = load_script("sessionstream.consumers", "generate")
_SWITCH = load_script("sessionstream.consumers", "switch")


class Progressed(NamedTuple):
    """How far a generation is built.

    Attributes:
        done: how many sessions were read.
        total: about how many there are.
        built: whether it holds all that there was when its last partition was built, and what it was to hold at least.
    """

    done: int
    total: int
    built: bool


class Generations:
    """The generations of one projection's views; each is a group of its own, ``<name>@<version>.<number>``.

    Args:
        store: the namespace.
        projection: whose views they are.
    """

    def __init__(self, store: Store, projection: Projection) -> None:
        if not isinstance(projection, Projection):
            raise InvalidType(f"projection is a Projection, not a {type(projection).__name__}")
        self._store = store
        self._name, self._version = projection.name, projection.version
        self._family = store.keys.group(f"{projection.name}@", 0)

    def group(self, generation: str) -> str:
        """Return the name of a generation's group."""
        return f"{self._name}@{generation}"

    async def choose(self, *, anew: bool) -> tuple[str, bool]:
        """Return the generation to work on, and whether it is the one in use.

        Args:
            anew: build one even if that in use is of this version.

        Raises:
            InvalidArgument: a later version is in use.
            NamespaceMismatch: the namespace has another number of partitions or a newer format.
        """
        await self._store.check_readable()
        answer, found = await self._store.server.script(_GENERATE, [self._family], [self._version, int(anew)])
        if answer == b"newer":
            raise InvalidArgument(
                f"projection {self._name!r} is at version {int(found)} here, this process has {self._version}"
            )
        return found.decode(), answer == b"current"

    async def current(self) -> str | None:
        """Return the generation that is in use; None before the first was built."""
        found = await self._store.server.call("HGET", self._family, "current")
        return None if found is None else found.decode()

    async def newest(self) -> Cursor:
        """Return the cursor behind all that is appended."""
        return await newest(self._store)

    async def is_known(self, generation: str) -> bool:
        """Whether a generation is in use, or being built."""
        return generation.encode() in await self._store.server.call("HMGET", self._family, "current", "building")

    async def remove(self, generation: str) -> None:
        """Remove a generation that is neither in use nor being built."""
        await delete_group(self._store, self.group(generation))

    async def abandon(self, generation: str) -> None:
        """Give a generation up, if it is being built."""
        if await self._store.server.script(_ABANDON, [self._family], [generation]):
            await self.remove(generation)

    async def switch(self, generation: str) -> bool:
        """Put a generation in the place of the one in use; False if it is not the one that is being built."""
        return bool(await self._store.server.script(_SWITCH, [self._family], [generation]))

    async def progress(self, generation: str, least: Cursor) -> Progressed:
        """Return how far a generation is built.

        Args:
            generation: which one.
            least: what it is to hold: parts of it can have been built long ago.
        """
        keys, group = self._store.keys, self.group(generation)
        rows = await self._store.every_partition(
            "HMGET", lambda partition: keys.group(group, partition), "build", "done", "end"
        )
        totals = await self._store.every_partition("ZCOUNT", keys.registry, 0, "+inf")
        positions = await self._store.every_partition("HGET", keys.groups, group)
        # What is built is behind the feed until the group has come to where the feed was then.
        built = all(
            build == b"" and number_of(position_of(position)) >= max(int(end or 0), number_of(wanted))
            for (build, _, end), position, wanted in zip(rows, positions, least.positions, strict=True)
        )
        done = sum(int(done or 0) for _, done, _ in rows)
        return Progressed(done, max(done, sum(totals)), built)

    async def clear(self, keep: str) -> None:
        """Remove every generation but one, and but those that are in use and being built."""
        groups = await group_names(self._store)
        # Afterwards: a generation is known before its group is.
        known = await self._store.server.call("HMGET", self._family, "current", "building")
        kept = {self.group(keep), *(self.group(one.decode()) for one in known if one)}
        for group in groups:
            if group.startswith(f"{self._name}@") and group not in kept:
                await delete_group(self._store, group)

    async def drop(self) -> bool:
        """Remove all generations; False if there is none."""
        groups = [group for group in await group_names(self._store) if group.startswith(f"{self._name}@")]
        known = bool(await self._store.server.call("UNLINK", self._family))
        for group in groups:
            await delete_group(self._store, group)
        return known or bool(groups)
