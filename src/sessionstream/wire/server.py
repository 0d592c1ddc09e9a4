"""The server behind a store: one lane per event loop, and calls that are repeated until a deadline.

A call that was sent and not answered may have been executed, or may still arrive. So before it is sent again, the
connection that carried the first copy is ended from the new one (``CLIENT KILL ID``,
https://valkey.io/commands/client-kill/): a late first copy can then never follow its repeat.

What leads to a node of a Redis Cluster leads to the whole of it: there is a lane to each node then, and each call goes
to the node that has its key (`sessionstream.wire.cluster`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import hiredis

from sessionstream.errors import OutcomeUnknown, SessionStreamError, Unavailable
from sessionstream.wire.cluster.redirections import Address, Asking, Redirection
from sessionstream.wire.cluster.slots import Run, key_of, runs_of
from sessionstream.wire.fencing import fence
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.packing import Word
from sessionstream.wire.patience import backoff, waiting_is_vain
from sessionstream.wire.refusal import PASSING, after_sending, code_of, from_reply
from sessionstream.wire.running import running_loop
from sessionstream.wire.scripts import Script
from sessionstream.wire.seats import Seat

if TYPE_CHECKING:
    # It loads redis-py, which whoever only imports the library does not pay for.
    from sessionstream.wire.cluster.cluster import Cluster
    from sessionstream.wire.sentinels.watched import WatchedPrimary

__all__ = ["Server", "backoff"]

Dial = Callable[..., Awaitable[Lane]]
FindCluster = Callable[[bool], "Cluster | None"]
Way = Lane | Asking

# So many redirections are followed without waiting; nodes that send a call to and fro are about to agree.
_AT_ONCE = 2


class Server:
    """One server, or one Cluster; every method may be called from any event loop.

    Args:
        dial: opens a lane, with the keyword ``protocol``.
        deadline: seconds over all tries of one call.
        release: called when the server is closed, and needed no longer.
        find_cluster: gives the Cluster that the lane which was dialed last leads to, None if it leads to a server of
            its own; called with True where that server has said that it is one of many.
        watched: the primary that sentinels watch, if that is where lanes lead to.
    """

    def __init__(
        self,
        dial: Dial,
        *,
        deadline: float = 15.0,
        release: Callable[[], None] | None = None,
        find_cluster: FindCluster = lambda sure: None,
        watched: WatchedPrimary | None = None,
    ) -> None:
        self._dial = dial
        self._release = release
        self._find_cluster = find_cluster
        self._cluster: Cluster | None = None
        self._watched = watched
        self.deadline = deadline
        self._seats: dict[asyncio.AbstractEventLoop, Seat] = {}

    @property
    def clustered(self) -> bool:
        """Whether it is known to be a Cluster; that is known with the first connection."""
        return self._cluster is not None

    def node_of(self, key: Word) -> Address | None:
        """Return which node of a Cluster has a key; None for a single server, and where it is not known."""
        return self._cluster.owner(key) if self._cluster is not None else None

    def beside(self) -> Server:
        """Return the same server, with connections of its own; it is closed before this one."""
        return Server(self._dial, deadline=self.deadline, find_cluster=self._find_cluster, watched=self._watched)

    def open_lane(self, key: Word = "") -> Lane | None:
        """Return the running loop's lane to where a key is, if it is open, without waiting."""
        seat = self._seats.get(running_loop())
        if seat is None:
            return None
        if self._cluster is None:
            lane = seat.lane
        else:
            lane = seat.lanes.get(owner) if (owner := self._cluster.owner(key)) is not None else None
        return lane if lane is not None and not lane.closed else None

    def flush(self) -> None:
        """Write what is queued on the running loop's lanes."""
        seat = self._seats.get(running_loop())
        if seat is not None:
            seat.flush()

    async def lane(self, until: float, key: Word = "", asked: Redirection | None = None) -> Lane:
        """Return an open lane to where a key is, connecting until the loop's time ``until``.

        Args:
            until: when to give up.
            key: what the call is about; a single server has them all.
            asked: where a node of a Cluster has sent the call.

        Raises:
            Unavailable: no connection came about; nothing was sent.
        """
        if asked is None and (self._cluster is None or not self._cluster.stale):
            lane = self.open_lane(key)
            if lane is not None:
                return lane
        loop = running_loop()
        self._forget_closed_loops()
        seat = self._seats.setdefault(loop, Seat())
        try:
            async with asyncio.timeout_at(until):
                if self._cluster is None:
                    async with seat.connecting:
                        lane = await self._connect(seat, until)
                    if lane is not None:
                        return lane
                assert self._cluster is not None
                return await self._cluster.lane(seat, key, until, asked)
        except TimeoutError:
            raise seat.failure or Unavailable(f"the server did not answer within {self.deadline:g} s") from None

    async def _connect(self, seat: Seat, until: float) -> Lane | None:
        """Return a single server's lane, or None where it turns out to be one node of a Cluster."""
        loop = running_loop()
        attempt = 0
        while self._cluster is None and (seat.lane is None or seat.lane.closed):
            try:
                lane = await self._dial()
                self._cluster = self._find_cluster(False)
                if self._cluster is None:
                    await seat.take(lane)
                else:
                    lane.close()
                    await lane.wait_closed()
            except Unavailable as failure:
                seat.failure = failure
                if waiting_is_vain(failure) or loop.time() + backoff(attempt) >= until:
                    raise
                await asyncio.sleep(backoff(attempt))
                attempt += 1
        seat.failure = None
        return seat.lane if self._cluster is None else None

    def _forget_closed_loops(self) -> None:
        # In place: other threads' loops take their seats in the same dict.
        for loop in [loop for loop in self._seats if loop.is_closed()]:
            self._seats.pop(loop, None)

    async def push_lane(self, key: Word = "") -> Lane:
        """Return a new lane of RESP3, which the caller closes, for messages that the server sends unasked.

        Args:
            key: what they are about; it chooses the node of a Cluster.
        """
        if self._cluster is None:
            lane = await self._dial(protocol=3)
            self._cluster = self._find_cluster(False)
            if self._cluster is None:
                return lane
            lane.close()
            await lane.wait_closed()
        return await self._cluster.push_lane(key)

    async def call(self, *words: Word, repeatable: bool = True) -> Any:
        """Send one command and return its reply.

        Args:
            words: the command and its arguments.
            repeatable: whether executing it twice in a row does no harm. Every write of the store is.

        Raises:
            SessionStreamError: what the server's refusal means, or `Unavailable`, or `OutcomeUnknown`.
        """
        until, key = _now() + self.deadline, "" if self._cluster is None else key_of(words) or ""
        if (lane := self.open_lane(key)) is not None and lane.has_room:
            try:
                return await lane.calls((words,), awaited=True)[0]
            except LaneClosed as lost:
                if lost.wanted or (lost.sent and not repeatable):
                    raise after_sending(Unavailable(str(lost)), words[0], lost.sent and not repeatable) from None
            except hiredis.ReplyError as error:
                if not self.passes(error, lane) and self.redirected(error, lane) is None:
                    raise from_reply(error) from None
        return await self._until_deadline(
            lambda way: way.call(words), words[0], key, repeatable=repeatable, until=until
        )

    async def calls(self, commands: Sequence[Sequence[Word]], *, until: float | None = None) -> list[Any]:
        """Send several reads in one write to each node and return their replies in order; a refused one raises.

        Commands that follow each other and are of one slot are executed in their order; those that name no key, such as
        TIME, by the node that executes the one before them.

        Args:
            commands: the words of each.
            until: the loop's time at which to give up; by default the deadline, counted from now.
        """
        until = _now() + self.deadline if until is None else until
        if self._cluster is not None:
            return await self._spread(commands, until)
        if (lane := self.open_lane()) is not None and lane.has_room:
            try:
                return [await future for future in lane.calls(commands, awaited=True)]
            except LaneClosed as lost:
                if lost.wanted:
                    raise Unavailable(str(lost)) from None
            except hiredis.ReplyError as error:
                if not self.passes(error, lane) and self.redirected(error, lane) is None:
                    raise from_reply(error) from None

        async def run(way: Way) -> list[Any]:
            if self._cluster is not None:  # known only since this call has connected
                return await self._spread(commands, until)
            return list(await asyncio.gather(*way.calls(commands)))

        replies: list[Any] = await self._until_deadline(run, "read", "", until=until)
        return replies

    def passes(self, error: hiredis.ReplyError, lane: Lane) -> bool:
        """Whether a refusal, which came before anything was executed, goes away by itself.

        Args:
            error: what was refused.
            lane: the connection, which is used no more where it leads to a primary that was made a replica, and
                sentinels tell where the new one is.
        """
        code = code_of(error)
        return code in PASSING or (code in ("READONLY", "UNBLOCKED") and self.is_replaced(lane))

    def is_replaced(self, lane: Lane) -> bool:
        """Whether sentinels tell what took the place of a primary that was made a replica; its lane is used no more."""
        if self._watched is not None:
            lane.retire()
        return self._watched is not None

    def read_failed(self, error: LaneClosed | hiredis.ReplyError, lane: Lane) -> None:
        """Learn from what a read on an open lane has met; after this `calls` may send it again.

        Args:
            error: what that was.
            lane: the connection.

        Raises:
            Unavailable: the connection was closed from this side.
        """
        if isinstance(error, hiredis.ReplyError):
            # Whether it passes is for the way that repeats; where to send it next is learnt here.
            self.redirected(error, lane)
        elif error.wanted:
            raise Unavailable(str(error)) from None

    async def _spread(self, commands: Sequence[Sequence[Word]], until: float) -> list[Any]:
        """Send each command to the node that has its key, all at once; what that does not settle comes one by one."""
        replies: list[Any] = [None] * len(commands)
        left: list[Run] = []
        sent: list[tuple[Run, Lane, list[asyncio.Future[Any]]]] = []
        for run in runs_of(commands):
            lane = self.open_lane(run[0].key)
            if lane is None or not lane.has_room:
                left.append(run)
            else:
                places = [place for unit in run for place in unit.places]
                sent.append((run, lane, lane.calls([commands[place] for place in places])))
        if sent:
            await asyncio.wait([future for *_, futures in sent for future in futures], timeout=self.deadline)
        for run, lane, futures in sent:
            errors = [future.exception() if future.done() else LaneClosed("no answer", sent=True) for future in futures]
            for refused in (error for error in errors if isinstance(error, hiredis.ReplyError)):
                self.redirected(refused, lane)
            if any(errors):
                left.append(run)
            else:
                for place, future in zip((place for unit in run for place in unit.places), futures, strict=True):
                    replies[place] = future.result()

        async def read(run: Run) -> None:
            # Of a slot that is on its way some keys are at one node and some at another.
            for unit in run:
                words = [commands[place] for place in unit.places]
                found = await self._until_deadline(partial(_read, words), "read", unit.key, until=until)
                for place, reply in zip(unit.places, found, strict=True):
                    replies[place] = reply

        await asyncio.gather(*map(read, left))
        return replies

    async def script(self, script: Script, keys: Sequence[Word], args: Sequence[Word], *, told: bool = False) -> Any:
        """Run a script, which must do no harm when executed twice in a row, and return its reply.

        With ``told`` its last argument is how often it was sent before.
        """
        command: tuple[Word, ...] = (script.command, script.sha, len(keys), *keys, *args)
        tries = itertools.count()

        async def run(way: Way) -> Any:
            words = (*command, next(tries)) if told else command
            try:
                return await way.calls((words,), awaited=True)[0]
            except hiredis.ReplyError as error:
                if code_of(error) != "NOSCRIPT":
                    raise
            loading = way.call(script.loading(words))
            running = way.call(words)
            await asyncio.gather(loading, running)
            return running.result()

        return await self._until_deadline(run, script.name, keys[0] if keys else "", fenced=True)

    async def _until_deadline(
        self,
        send: Callable[[Way], Awaitable[Any]],
        what: Word,
        key: Word,
        *,
        repeatable: bool = True,
        fenced: bool = False,
        until: float | None = None,
    ) -> Any:
        until = until or _now() + self.deadline
        doubtful: list[Lane] = []
        unknown = False
        asked: Redirection | None = None
        for attempt in range(1_000_000):
            try:
                lane = await self.lane(until, key, asked)
                async with asyncio.timeout_at(until):
                    await lane.room()
                    if await self.fence(lane, doubtful):
                        return await send(Asking(lane) if asked is not None and asked.asking else lane)
                asked = None
            except LaneClosed as lost:
                asked = None
                if lost.sent and not repeatable:
                    raise OutcomeUnknown(f"{what!s}: sent, then the {lost}") from None
                if lost.sent and fenced:
                    doubtful.append(lane)
                    unknown = True
                if lost.wanted:
                    raise after_sending(Unavailable(str(lost)), what, unknown) from None
            except hiredis.ReplyError as error:
                asked = self.redirected(error, lane)
                if (asked is None and not self.passes(error, lane)) or _now() + backoff(attempt) >= until:
                    raise after_sending(from_reply(error), what, unknown) from None
            except TimeoutError:
                missing = Unavailable(f"no answer within {self.deadline:g} s")
                raise after_sending(missing, what, fenced or not repeatable) from None
            except SessionStreamError as failure:
                raise after_sending(failure, what, unknown) from None
            if asked is None or attempt > _AT_ONCE:
                await asyncio.sleep(backoff(attempt))
        raise AssertionError("unreachable")

    def redirected(self, error: hiredis.ReplyError, lane: Lane) -> Redirection | None:
        """Return where a node of a Cluster sends a call that it refused, and learn from it; None if it does not.

        Args:
            error: the refusal.
            lane: the connection that it came on.
        """
        if self._cluster is None and code_of(error) in ("MOVED", "ASK"):
            self._cluster = self._find_cluster(True)
        return self._cluster.heed(error, lane) if self._cluster is not None else None

    async def fence(self, lane: Lane, doubtful: list[Lane]) -> bool:
        """End the connections whose calls are in doubt; see `sessionstream.wire.fencing.fence`."""
        return await fence(self._cluster, self._seats.get(running_loop()), lane, doubtful)

    async def aclose(self) -> None:
        """Close the running loop's lanes; a later call opens others."""
        seat = self._seats.pop(running_loop(), None)
        if seat is not None:
            await seat.leave()
        if self._watched is not None:
            await self._watched.aclose()
        self._forget_closed_loops()
        if self._release is not None and not self._seats:
            self._release()


async def _read(commands: Sequence[Sequence[Word]], way: Way) -> list[Any]:
    return list(await asyncio.gather(*way.calls(commands)))


def _now() -> float:
    return running_loop().time()
