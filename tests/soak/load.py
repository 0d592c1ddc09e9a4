"""Full speed: many sessions at a time, each of which lives a whole life, and all that looks on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from sessionstream import MessageAdded, NoteAdded, SessionManager
from sessionstream.errors import FollowingError, SessionEnded, SessionStreamError
from sessionstream.projection import Increment, counters

__all__ = ["GROUP", "SETTINGS", "Load"]

SETTINGS: dict[str, Any] = {"partitions": 16, "retention": 0.5, "feed_retention": 3600.0, "ttl": None}
"""Ended sessions are soon gone. The feed is not, lest a busy machine trims it behind its readers; see `Load`."""

GROUP = "soak"

REMEMBERED = 12_288
"""More sessions than a process remembers anything of."""

_SEEN = counters("seen")
_AHEAD = 20_000
_TOGETHER = 256
_DRAIN = 300.0


class Load:
    """What is done to one namespace, and counted.

    Args:
        manager: of the namespace, made with `SETTINGS`.
        trimmer: another one, by whose settings the feed is kept for a moment only: it trims what all have read.
        client: of its server.
        folder: where sessions that are trimmed are archived; it is empty again when the load is drained.
        lives: how many sessions live at a time.

    Attributes:
        done: how often each thing was done.
        refused: how often something was refused, by the name of the error.
    """

    def __init__(
        self, manager: SessionManager, trimmer: SessionManager, client: Redis, folder: Path, *, lives: int = 64
    ) -> None:
        self.manager, self.trimmer, self.client, self.folder = manager, trimmer, client, folder
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._lives = lives
        self._numbers = itertools.count()
        self._dice = random.Random(1)
        self._stop = asyncio.Event()
        self._room = asyncio.Event()

    async def fill(self) -> None:
        """Fill what a process remembers on purpose of the sessions that it used last."""
        async with self._looked_on():
            for first in range(0, REMEMBERED, _TOGETHER):
                await asyncio.gather(*map(self._pass_by, range(first, first + _TOGETHER)))
            await self._drain()

    async def _pass_by(self, number: int) -> None:
        session = await self.manager.create_session(f"user_{number % 1000}", f"agent_{number % 7}")
        await self.manager.delete_session(session.session_id, purge=True)

    async def run(self, seconds: float) -> None:
        """Do all of it for a time, then wait until what was done is handled, retired and trimmed."""
        self._stop.clear()
        async with self._looked_on() as beside:
            lives = [asyncio.create_task(self._live_on()) for _ in range(self._lives)]
            try:
                await asyncio.wait([*lives, *beside], timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
                self._stop.set()
                self._room.set()
                await asyncio.gather(*lives)
                await self._drain()
            finally:
                for task in lives:
                    task.cancel()
                await asyncio.gather(*lives, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _looked_on(self) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Have a group, a follower of everything and a sweeper beside; raises what has ended one of them."""
        self._room.set()
        await self.trimmer.get_total_session_count()  # so that its connection is there from the first round on
        async with contextlib.AsyncExitStack() as stack:
            for member in ("a", "b"):
                join = self.manager.consumers.join(GROUP, self._handle, member=member, types=[NoteAdded])
                await stack.enter_async_context(join)
            tasks = [asyncio.create_task(one) for one in (self._watch_all(), self._sweep(), self._throttle())]
            try:
                yield tasks
                for task in tasks:
                    if task.done():
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _drain(self) -> None:
        deadline = asyncio.get_running_loop().time() + _DRAIN
        while left := await self._left():
            assert asyncio.get_running_loop().time() < deadline, f"it was not drained: {left}"
            if left.keys() == {"pointers"}:
                await self.trimmer.cleanup_expired_sessions()
            await asyncio.sleep(0.1)

    async def _left(self) -> dict[str, int]:
        """Return what is still to be handled, retired and trimmed; nothing once it is."""
        keys = self.manager.store.keys
        found = {
            "lag": (await self.manager.consumers.status(GROUP)).lag,
            "sessions": await self.manager.get_total_session_count(),
            "pointers": sum([await self.client.xlen(keys.feed(number)) for number in range(keys.partitions)]),
            "names": sum([await self._names(number) for number in range(keys.partitions)]),
        }
        # A feed is trimmed by whole nodes, of at most 100 entries, but for the last.
        found["pointers"] = max(0, found["pointers"] - 100 * keys.partitions)
        return {name: count for name, count in found.items() if count}

    async def _names(self, partition: int) -> int:
        """Return how many sessions the log of a partition knows."""
        fields = await self.client.hkeys(self.manager.store.keys.log(partition))
        return sum(not field.startswith(b":") or field.startswith(b"::") for field in fields)

    async def _handle(self, item: Any) -> None:
        item.apply(Increment(_SEEN, "notes", 1))
        self.done["handled"] += 1

    async def _watch_all(self) -> None:
        while True:
            async with self.manager.follow_all(after="now") as events:
                try:
                    async for _ in events:
                        self.done["followed"] += 1
                except FollowingError:  # it was behind what was trimmed
                    self.done["cut off"] += 1

    async def _sweep(self) -> None:
        while True:
            self.done["expired"] += await self.manager.cleanup_expired_sessions()
            await asyncio.sleep(0.25)

    async def _throttle(self) -> None:
        """Let nobody go on who is far ahead of the group."""
        while True:
            status = await self.manager.consumers.status(GROUP)
            full = max(status.lag, self.done["noted"] - self.done["handled"]) > _AHEAD and not self._stop.is_set()
            (self._room.clear if full else self._room.set)()
            await asyncio.sleep(0.1)

    async def _live_on(self) -> None:
        while not self._stop.is_set():
            await self._room.wait()
            try:
                await self._life(next(self._numbers))
            except SessionEnded:
                self.done["lapsed"] += 1  # its time was over before its life was
            except SessionStreamError as error:
                self.refused[type(error).__name__] += 1

    async def _life(self, number: int) -> None:
        manager = self.manager
        user, metadata = f"user_{number % 1000}", {"number": number}
        expires = number % 3 == 0
        session = await manager.create_session(user, f"agent_{number % 7}", metadata, ttl=1.5 if expires else None)
        self.done["created"] += 1
        try:
            await self._live(session.session_id, number)
        finally:  # also of a life that was cut short
            if not expires:
                await manager.delete_session(session.session_id, purge=number % 3 == 1)
                self.done["deleted"] += 1

    async def _live(self, name: str, number: int) -> None:
        manager, dice = self.manager, self._dice
        for _ in range(dice.randrange(4, 12)):
            await manager.append(name, NoteAdded(text="n" * dice.randrange(20, 400)))
            self.done["noted"] += 1
        await manager.append(name, MessageAdded(role="user", content="c" * 200), idempotency_key="once")
        for turn in range(3):
            await manager.save_checkpoint(name, {"turn": turn, "history": "h" * 500})
            self.done["saved"] += 1
        await manager.resume(name)
        if number % 50 == 0:
            async for _ in manager.history(name):
                self.done["read"] += 1
        for every, more in _SOMETIMES.items():
            if number % every == 0:
                await more(self, name)
                self.done[more.__name__.strip("_")] += 1

    async def _locked(self, name: str) -> None:
        async with self.manager.lock(name):
            await self.manager.update_session_metadata(name, {"locked": True})

    async def _published(self, name: str) -> None:
        async with self.manager.follow(name, after="now") as events:
            await self.manager.publish(name, {"token": "t"})
            await anext(aiter(events))

    async def _held(self, name: str) -> None:
        hold_id = await self.manager.retention.hold(name, "soak")
        await self.manager.retention.release(name, hold_id)

    async def _trimmed(self, name: str) -> None:
        folder = self.folder / name
        await self.manager.retention.trim(name, folder, keep_events=2)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _long(self, name: str) -> None:
        for _ in range(3):
            await self.manager.append(name, [NoteAdded(text="long")] * 500)
            self.done["noted"] += 500
        await self.manager.audit.as_of(name, version=1200)

    async def _forked(self, name: str) -> None:
        fork = await self.manager.audit.fork(name, at=2)
        await self.manager.delete_session(fork.session_id)

    async def _verified(self, name: str) -> None:
        if self.manager.settings.seal_key is not None:
            await self.manager.audit.seal(name)
            verified = await self.manager.audit.verify(name)
            assert verified.ok, verified.findings


_SOMETIMES: dict[int, Callable[[Load, str], Awaitable[None]]] = {
    5: Load._locked,
    11: Load._published,
    13: Load._held,
    17: Load._forked,
    19: Load._verified,
    97: Load._trimmed,
    211: Load._long,
}
"""What is done to every so many sessions."""
