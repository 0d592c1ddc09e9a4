"""What hangs on `SessionManager.consumers`: every method delegates to the module that does it."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from typing import Unpack

from sessionstream.consumers import administering
from sessionstream.consumers.consumer import Consumer, Handler, OpenConsumers
from sessionstream.consumers.generations import Generations
from sessionstream.consumers.options import JoinOptions, options_from
from sessionstream.consumers.parking import Parked
from sessionstream.consumers.projected import Projected
from sessionstream.consumers.projecting import Projector
from sessionstream.consumers.registry import checked_name
from sessionstream.consumers.removing import delete_group
from sessionstream.consumers.status import GroupStatus, status_of
from sessionstream.consumers.views import GroupViews
from sessionstream.errors import InvalidType
from sessionstream.events.arguments import checked_flag, checked_function, checked_seconds
from sessionstream.feed.cursor import Cursor
from sessionstream.feed.hub import Hub
from sessionstream.feed.reading import newest, oldest
from sessionstream.log.store import Store
from sessionstream.projection import Projection

__all__ = ["Consumers"]


class Consumers:
    """The consumers' door.

    Args:
        store: the namespace.
        hub: tells of what is appended.
        open_ones: where members are noted for the time of their blocks.
    """

    def __init__(self, store: Store, hub: Hub, open_ones: OpenConsumers) -> None:
        self._store = store
        self._hub = hub
        self._open_ones = open_ones

    def join(
        self,
        group: str,
        handler: Handler | None = None,
        *,
        member: str | None = None,
        after: str | Cursor = "beginning",
        **options: Unpack[JoinOptions],
    ) -> Consumer:
        """Join a consumer group for an ``async with`` block, making the group if it is new.

        With a handler its calls begin with the block; ``await consumer.run()`` waits in it. Without one, iterate:
        ``async for item in consumer:``, and in that ``async with item:``, which acknowledges the event when it is left
        without an exception.

        Args:
            group: its name: 1 to 64 of ``A-Z a-z 0-9 . _ -``.
            handler: a coroutine function that is given each `Item`, inside its ``async with``.
            member: this member's name, which no other living member may have; by default one of this process.
            after: where a new group begins: ``beginning`` of what the feed keeps, ``now``, or a cursor.
            options: of `sessionstream.consumers.options.options_from`, such as ``types``, ``attempts``, ``on_parked``.

        Raises:
            InvalidArgument: an argument is malformed.
            CursorMismatch: the cursor is of another namespace.
            MemberExists: entering the block; another process lives under that name in the group.
        """
        checked_name(group, "group")
        if handler is not None and not callable(handler):
            raise InvalidType(f"handler is a coroutine function, not a {type(handler).__name__}")
        name = _own_name() if member is None else checked_name(member, "member")
        chosen, positions = options_from(**options), self._beginnings(after)
        return Consumer(self._store, self._hub, group, name, positions, chosen, handler, self._open_ones)

    def _beginnings(self, after: str | Cursor) -> list[str]:
        if after in ("beginning", "now"):
            return [str(after)] * self._store.keys.partitions
        return list(Cursor.parse(after, self._store.keys).positions)

    def project(
        self,
        projection: Projection,
        *,
        member: str | None = None,
        progress: Callable[[int, int], object] | None = None,
        anew: bool = False,
        lease: float = 15.0,
        concurrency: int = 16,
    ) -> Projector:
        """Keep a projection's views up to date for an ``async with`` block, beside the appends, from the feed.

        Its views are built from the sessions' own streams first, by all processes that run this, beside those of the
        version that is in use; then they are switched to in one step, and the old ones removed. The block may be left
        at any moment. Read them by `projected`.

        Args:
            projection: yours, which the manager was not given: it runs no projection inside its appends that is
                run here.
            member: see `join`.
            progress: called with how many sessions are built, and about how many there are.
            anew: build the views anew, even if they are of this version.
            lease: see `join`.
            concurrency: see `join`.

        Raises:
            InvalidArgument: an argument is malformed; entering the block, a later version is in use.
        """
        name = _own_name() if member is None else checked_name(member, "member")
        checked_function(progress, "progress")
        checked_flag(anew, "anew")
        options = options_from(lease=lease, concurrency=concurrency)

        def join(group: str, handler: Handler) -> Consumer:
            positions = ["now"] * self._store.keys.partitions
            return Consumer(
                self._store, self._hub, group, name, positions, options, handler, self._open_ones, projection
            )

        return Projector(Generations(self._store, projection), projection, join, progress, anew=anew)

    def projected(self, projection: Projection) -> Projected:
        """Return what reads the views that `project` keeps: ``counters``, ``fields``, ``index``, ``wait_until``."""
        return Projected(self._store, self._hub, projection)

    async def rebuild(self, projection: Projection, *, progress: Callable[[int, int], object] | None = None) -> None:
        """Build a projection's views anew beside those in use, then switch; cancelled, the old ones stay as they are.

        Args:
            projection: see `project`.
            progress: called with how many sessions are built, and about how many there are.
        """
        async with self.project(projection, progress=progress, anew=True) as projector:
            await projector.in_use()

    async def drop(self, projection: Projection) -> bool:
        """Remove all that is kept for a projection that is run from the feed; False if that is nothing."""
        return await Generations(self._store, projection).drop()

    def view(self, group: str) -> GroupViews:
        """Return what reads the views that the members of a group change with `Item.apply`."""
        name = checked_name(group, "group")

        async def find() -> str:
            return name

        return GroupViews(self._store, find)

    async def groups(self) -> list[str]:
        """Return the names of all groups, sorted."""
        return await administering.group_names(self._store)

    async def status(self, group: str, *, stalled_after: float = 60.0) -> GroupStatus:
        """Return where a group stands, how far it is behind, in events and in seconds, who its members are, its health.

        Args:
            group: its name.
            stalled_after: seconds without progress, while there is something to do, after which it is ``stalled``.

        Raises:
            GroupNotFound: there is no such group.
        """
        seconds = checked_seconds(stalled_after, "stalled_after")
        return await status_of(self._store, checked_name(group, "group", known=True), seconds)

    async def parked(self, group: str) -> list[Parked]:
        """Return the events that a group could not handle; raises `GroupNotFound`."""
        return await administering.parked_events(self._store, checked_name(group, "group", known=True))

    async def replay(self, group: str, *, session_id: str | None = None, offset: str | None = None) -> int:
        """Let parked events be handled once more, with the later ones of a session that waits behind them.

        The members of the group do it; those that join later do too. What fails again is parked again.

        Args:
            group: its name.
            session_id: only what is parked of this session.
            offset: only the event at this offset.

        Returns:
            Of how many that was asked.

        Raises:
            GroupNotFound: there is no such group.
        """
        name = checked_name(group, "group", known=True)
        return await administering.ask(self._store, name, "replay", session_id, offset)

    async def discard(self, group: str, *, session_id: str | None = None, offset: str | None = None) -> int:
        """Let go of parked events, which are never handled then; a session that waits goes on behind its own.

        The arguments are those of `replay`, and the members of the group do it as they do that.
        """
        name = checked_name(group, "group", known=True)
        return await administering.ask(self._store, name, "discard", session_id, offset)

    async def reset(self, group: str, to: str | Cursor) -> None:
        """Move a group, while its members live: what they are handling is not acknowledged.

        What is parked stays parked. Views that the group keeps are not turned back.

        Args:
            group: its name.
            to: ``beginning`` of what the feed keeps, ``now``, or a cursor.

        Raises:
            GroupNotFound: there is no such group.
            CursorMismatch: the cursor is of another namespace.
        """
        name = checked_name(group, "group", known=True)
        if to in ("beginning", "now"):
            cursor = await (oldest(self._store) if to == "beginning" else newest(self._store))
        else:
            cursor = Cursor.parse(to, self._store.keys)
        await administering.move_group(self._store, name, list(cursor.positions))

    async def skip(self, group: str) -> int:
        """Move a group over what is gone from the feed, where it was behind that, and return over how many appends.

        Raises:
            GroupNotFound: there is no such group.
        """
        return await administering.skip_trimmed(self._store, checked_name(group, "group", known=True))

    async def delete(self, group: str) -> bool:
        """Delete a group with its positions and what it has parked; False if there is none. Its members end."""
        return await delete_group(self._store, checked_name(group, "group", known=True))


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).lstrip("._-")
    return f"{host[:32] or 'host'}-{os.getpid()}-{os.urandom(3).hex()}"
