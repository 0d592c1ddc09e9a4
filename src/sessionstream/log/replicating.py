"""Appends that are acknowledged when so many replicas have them: on a connection of their own to each node.

`WAIT` (https://valkey.io/commands/wait/) holds its connection until replicas have what that connection has written, so
reads, and appends that wait for nobody, have another one. Directly behind the calls of one turn of the loop goes one
`WAIT` for all of them; what comes meanwhile leaves at once, and the server takes it when the replicas have answered.

`WAIT` counts for what its own connection has written. An append that had been made before has written nothing now, so a
field is written once more, behind it, and that is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import hiredis

from sessionstream.errors import DurabilityUnavailable, InvalidArgument, ServerReadOnly
from sessionstream.log.answers import each_of, is_made
from sessionstream.log.group import Group
from sessionstream.log.keys import Keys
from sessionstream.log.recovery import Recovery
from sessionstream.log.request import Append
from sessionstream.log.script_call import ScriptCalls
from sessionstream.wire.durability import facts_of, level_of, replicas_of
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.packing import pack
from sessionstream.wire.refusal import code_of, from_reply
from sessionstream.wire.scripts import load_script
from sessionstream.wire.server import Server, backoff
from sessionstream.wire.takers import give
from sessionstream.wire.waking import Given, give_all

__all__ = ["Replicating", "by_replicas", "replicas_asked"]

_REWRITE = load_script("sessionstream.log", "rewrite")
# How many seconds one WAIT holds the connection at the most; it is half of what that may be silent, if that is less.
_LONGEST = 1.0


def replicas_asked(durability: object) -> int:
    """Return how many replicas an append's own durability names.

    Raises:
        InvalidArgument: it is another one than ``replicated(n)``: what the server's settings give is the manager's.
    """
    level = level_of(durability)
    if not level.replicas:
        raise InvalidArgument(
            f"an append's own durability is replicated(n), not {level.word}, which the server's settings give: "
            "ask for it when the manager is made"
        )
    return level.replicas


def by_replicas(requests: Sequence[Append]) -> tuple[dict[int, list[Append]], list[Append]]:
    """Divide appends by how many replicas they wait for; those that must follow one of another kind come second."""
    kinds: dict[int, list[Append]] = {}
    behind: list[Append] = []
    first: dict[str, int] = {}
    for request in requests:
        if first.setdefault(request.session_id, request.replicas) == request.replicas:
            kinds.setdefault(request.replicas, []).append(request)
        else:
            first[request.session_id] = -1
            behind.append(request)
    return kinds, behind


class Replicating:
    """Sends groups of appends, and waits until replicas have them.

    Args:
        server: where to, with connections that nothing else uses.
        keys: the names of the namespace's keys.
        calls: packs the calls.
        prepare: called with a partition whose mark is not that of this process.
    """

    def __init__(
        self, server: Server, keys: Keys, calls: ScriptCalls, prepare: Callable[[int], Awaitable[None]]
    ) -> None:
        self._server = server
        self._keys = keys
        self._recovery = Recovery(server, keys, calls, prepare, sent=self._sent)
        self._turns: WeakKeyDictionary[Lane, _Turn] = WeakKeyDictionary()
        self._able: WeakSet[Lane] = WeakSet()

    async def answers(self, group: Group) -> tuple[Lane, bytes | list[Any]]:
        """Send a group until it is answered, wait for its replicas, and return the answer and its lane.

        How many have it is noted in the group, which may be fewer than it asks for.

        Raises:
            DurabilityUnavailable: fewer replicas follow than it asks for; nothing was written.
            SessionStreamError: see `Recovery.answers`.
        """
        group.reached = 0
        await self._until_followed(group)
        lane: Lane | None = None
        error: BaseException | None = None
        while True:
            lane, reply = await self._recovery.answers(group, lane, error)
            try:
                async with asyncio.timeout_at(group.until):
                    group.reached = await self._reached(group, lane, each_of(reply)[1])
                return lane, reply
            except (LaneClosed, hiredis.ReplyError) as failure:
                # A primary that is made a replica ends what waits there: it is to be found out on another connection.
                lane.abandon(str(failure))
                error, group.in_doubt = LaneClosed(str(failure), sent=True), True
            except TimeoutError:
                # Whether replicas are missing is asked before anything more is written.
                lane.replicas = 0
                return lane, reply

    async def _until_followed(self, group: Group) -> None:
        """Return when as many replicas follow as a group asks for, by the primary's account."""
        loop, key, attempt = asyncio.get_running_loop(), self._keys.log(group.partition), 0
        while True:
            lane = await self._server.lane(group.until, key)
            if lane not in self._able or (lane.replicas is not None and lane.replicas < group.replicas):
                try:
                    async with asyncio.timeout_at(group.until):
                        await self._ask(lane)
                except (LaneClosed, TimeoutError):
                    lane.replicas = 0
            if lane.replicas is None or lane.replicas >= group.replicas:
                return
            if loop.time() + backoff(attempt) >= group.until:
                wanted, found = f"replicated({group.replicas})", f"replicated({lane.replicas})"
                raise DurabilityUnavailable(wanted, found, "so many replicas follow; look for those that are missing")
            await asyncio.sleep(backoff(attempt))
            attempt += 1

    async def _ask(self, lane: Lane) -> None:
        """Ask how many replicas follow, and whether they may be waited for."""
        info, waited = await asyncio.gather(
            *lane.calls((("INFO", "replication"), ("WAIT", 0, 0))), return_exceptions=True
        )
        if isinstance(waited, hiredis.ReplyError):
            if "replica instances" in str(waited):
                raise ServerReadOnly(f"{waited} (this is a replica: connect to the primary)")
            raise from_reply(waited)
        if isinstance(waited, LaneClosed):
            raise waited
        lane.replicas = replicas_of(facts_of(info))
        self._able.add(lane)

    def _sent(self, group: Group, lane: Lane) -> None:
        group.waiting = self._turn(lane).join(group)

    def _turn(self, lane: Lane) -> _Turn:
        turn = self._turns.get(lane)
        if turn is None:
            turn = self._turns[lane] = _Turn()
        turn.lane = lane
        return turn

    async def _reached(self, group: Group, lane: Lane, answers: Sequence[Any]) -> int:
        """Return how many replicas have what a group has appended, waiting until they are enough."""
        made = [answer for answer in answers if is_made(answer)]
        if not made:
            return group.replicas
        if any(isinstance(answer, list) for answer in made):
            await self._rewrite(lane, self._keys.log(group.partition))
            group.waiting = self._turn(lane).join(group)
        while True:
            reached: int = await group.waiting
            group.reached = max(group.reached, reached)
            if reached >= group.replicas:
                return reached
            group.waiting = self._turn(lane).join(group)

    async def _rewrite(self, lane: Lane, key: str) -> None:
        words = ("EVALSHA", _REWRITE.sha, 1, key, ":stamp")
        try:
            await lane.call(words)
        except hiredis.ReplyError as error:
            if code_of(error) != "NOSCRIPT":
                raise
            await asyncio.gather(*lane.calls((_REWRITE.loading(words), words)))


class _Turn:
    """The groups that have sent something on a lane in this turn of the loop, and wait for replicas to have it."""

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self._joined: list[tuple[Group, asyncio.Future[int]]] = []

    def join(self, group: Group) -> asyncio.Future[int]:
        """Return what gives the number of replicas that have all that was sent before; it may be fewer than wanted."""
        loop = asyncio.get_running_loop()
        if not self._joined:
            loop.call_soon(self._send)
        future: asyncio.Future[int] = loop.create_future()
        self._joined.append((group, future))
        return future

    def _send(self) -> None:
        joined, self._joined = self._joined, []
        lane, self.lane = self.lane, None
        assert lane is not None
        replicas = max(group.replicas for group, _ in joined)
        left = max(group.until for group, _ in joined) - asyncio.get_running_loop().time()
        most = max(1, int(1000 * min(_LONGEST, lane.reply_timeout / 2, left)))
        tell = partial(_tell, [future for _, future in joined])
        try:
            lane.send(pack(("WAIT", replicas, most)), tell)
            lane.flush()
        except LaneClosed as error:
            tell(LaneClosed(str(error), sent=True, wanted=error.wanted))


def _tell(futures: list[asyncio.Future[int]], reply: Any) -> None:
    given: list[Given] = []
    for future in futures:
        give(future, reply, given)
    give_all(asyncio.get_running_loop(), given)
