"""What becomes of a call of the append script that was refused, or not answered: where that is safe, it is repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

import hiredis

from sessionstream.errors import OutcomeUnknown, Unavailable
from sessionstream.log.group import Group
from sessionstream.log.keys import Keys
from sessionstream.log.script_call import APPEND, APPEND_ALONE, ScriptCalls
from sessionstream.wire.cluster.redirections import Redirection
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.packing import pack
from sessionstream.wire.refusal import code_of, from_reply
from sessionstream.wire.server import Server, backoff

__all__ = ["Recovery"]

# So many redirections are followed without waiting; nodes that send a call to and fro are about to agree.
_AT_ONCE = 2
_ASKING = pack(("ASKING",))


class Recovery:
    """Sends groups of appends again, each in a call of its own.

    Args:
        server: where to.
        keys: the names of the namespace's keys.
        calls: packs them.
        prepare: called with a partition whose mark is not that of this process.
        sent: called with a group when it was sent, and the lane, before anything else is sent there.
    """

    def __init__(
        self,
        server: Server,
        keys: Keys,
        calls: ScriptCalls,
        prepare: Callable[[int], Awaitable[None]],
        sent: Callable[[Group, Lane], None] = lambda group, lane: None,
    ) -> None:
        self._server = server
        self._keys = keys
        self._calls = calls
        self._prepare = prepare
        self._sent = sent

    async def answers(
        self, group: Group, lane: Lane | None, error: BaseException | None
    ) -> tuple[Lane, bytes | list[Any]]:
        """Send a group again and again until it is answered; return the reply, and the lane on which it came.

        Args:
            group: what was sent.
            lane: on which; None if it was not.
            error: what it has met; None with a lane says that the partition's mark is another one.

        Raises:
            SessionStreamError: what the refusal means, or `Unavailable`, or `OutcomeUnknown`: the deadline has passed.
        """
        server, key, group.unusual = self._server, self._keys.log(group.partition), True
        doubtful: list[Lane] = []
        for attempt in range(1_000_000):
            asked: Redirection | None = None
            if isinstance(error, LaneClosed):
                if error.sent and lane is not None:
                    doubtful.append(lane)
                    group.in_doubt = True
                if error.wanted:
                    raise Unavailable(str(error))
                await asyncio.sleep(backoff(attempt) if attempt else 0)
            elif isinstance(error, hiredis.ReplyError):
                asked = server.redirected(error, lane) if lane is not None else None
                await self._overcome(error, lane, group.until, attempt, redirected=asked is not None)
            elif error is not None:
                await asyncio.sleep(backoff(attempt))
            elif lane is not None:
                await self._prepare(group.partition)
            lane = await server.lane(group.until, key, asked)
            error, reply = await self._try(group, lane, doubtful, asking=asked is not None and asked.asking)
            if reply is not None and reply[0] != b"stamp":
                return lane, reply
        raise AssertionError("unreachable")

    async def _try(
        self, group: Group, lane: Lane, doubtful: list[Lane], *, asking: bool
    ) -> tuple[BaseException | None, bytes | list[Any] | None]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(group.until):
                try:
                    if not await self._server.fence(lane, doubtful):
                        return Unavailable("a node that may still execute it does not answer"), None
                except hiredis.ReplyError as error:
                    raise OutcomeUnknown(f"sent, and not repeated, since that would not be safe: {error}") from None
                if group.in_doubt:
                    group.repeated(monotonic())
                group.sent(lane, monotonic())
                answer: asyncio.Future[bytes | list[Any]] = loop.create_future()
                packed = b"".join(self._calls.pack(group))
                if asking:
                    lane.send(_ASKING, _ignore)
                lane.send(packed, answer)
                self._sent(group, lane)
                lane.flush()
                return None, await answer
        except (LaneClosed, hiredis.ReplyError) as error:
            return error, None
        except TimeoutError:
            raise OutcomeUnknown(f"sent, and no answer within {self._server.deadline:g} s") from None

    async def _overcome(
        self, error: hiredis.ReplyError, lane: Lane | None, until: float, attempt: int, *, redirected: bool
    ) -> None:
        """Do what lets a refused call succeed, or raise what the refusal means."""
        code, loop = code_of(error), asyncio.get_running_loop()
        if redirected and loop.time() + backoff(attempt) < until:
            await asyncio.sleep(backoff(attempt) if attempt > _AT_ONCE else 0)
            return
        passes = lane is not None and self._server.passes(error, lane)
        if (code != "NOSCRIPT" and not passes) or loop.time() + backoff(attempt) >= until:
            raise from_reply(error) from None
        if passes:
            await asyncio.sleep(backoff(attempt))
        elif lane is not None and not lane.closed:
            try:
                await asyncio.gather(*lane.calls([("SCRIPT", "LOAD", one.text) for one in (APPEND, APPEND_ALONE)]))
            except hiredis.ReplyError as refused:
                raise from_reply(refused) from None
            except LaneClosed:
                pass


def _ignore(reply: Any) -> None:
    """Take what ASKING is answered by: the call behind it says all that matters."""
