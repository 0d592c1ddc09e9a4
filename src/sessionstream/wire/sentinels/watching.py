"""The sentinels of one primary: they are asked where it is, and heard when they begin to replace it.

A primary that was replaced goes on acknowledging until a sentinel has made it a replica, which takes ten seconds, and
everything that it took meanwhile is thrown away. redis-py's connections stay with it for that long. So each event loop
has a connection to each sentinel, on which it hears of failovers:

* ``+try-failover``, a fraction of a second before a replica is promoted: no more calls go to the primary until the
  sentinels are done, and those under way have their replies yet;
* ``+switch-master``: connections to what is not the primary any more are ended, and what waits there is repeated on the
  new one.

Sentinels that cannot be reached are tried again; every few seconds all of them are asked, in case that one has died
without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from sessionstream.errors import SessionStreamError, Unavailable
from sessionstream.wire.cluster.redirections import Address
from sessionstream.wire.lane import Lane, LaneClosed
from sessionstream.wire.seats import close_with_loop
from sessionstream.wire.sentinels.accounts import Account, FailoverUnderWay, account_of, fields_of, primary_of

__all__ = ["Sentinels"]

# Seconds for one sentinel's answer, until one that failed is tried again, and between two looks at all of them.
_TIMEOUT, _AGAIN, _INTERVAL = 1.0, 2.0, 5.0
_BEGIN, _DONE = b"+try-failover", b"+switch-master"

DialSentinel = Callable[[Address], Awaitable[Lane]]


class Sentinels:
    """Those that watch one primary, as one event loop sees them.

    Args:
        name: what they call the primary.
        known: where some of them are; these tell where the others are.
        dial: opens a lane of RESP3 to one.
    """

    def __init__(self, name: str, known: Iterable[Address], dial: DialSentinel) -> None:
        self._name = name
        self._known = list(known)
        self._dial = dial
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[Address, Lane] = {}
        self._closing: dict[Address, AsyncGenerator[None, None]] = {}
        self._failed: dict[Address, float] = {}
        self._followed: weakref.WeakKeyDictionary[Lane, Address] = weakref.WeakKeyDictionary()
        self._news = 0
        self._looking: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def primary(self) -> tuple[Address, int]:
        """Return where the primary is, and how many pieces of news there had been before they were asked.

        Raises:
            Unavailable: they do not know, or are about to replace it.
        """
        news = self._news
        await self._connect()
        address = primary_of(self._name, await self._accounts())
        return address, news

    def follow(self, lane: Lane, address: Address, news: int) -> None:
        """End the lane when the primary is another one.

        Args:
            lane: to the primary.
            address: which that was.
            news: how many there had been when the sentinels were asked.

        Raises:
            Unavailable: there have been some since.
        """
        if news != self._news:
            raise Unavailable(f"the sentinels have news of {self._name}")
        self._followed[lane] = address
        if self._timer is None:
            self._look_later(0.0)

    async def aclose(self) -> None:
        """Close the connections to them."""
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        self._lanes.clear()
        closing, self._closing = self._closing, {}
        for one in closing.values():
            await one.aclose()

    async def _connect(self) -> None:
        """Connect to those to which there is no connection, unless they have failed just now and others have not."""
        now = self._loop.time()
        missing = [one for one in self._known if one not in self._lanes or self._lanes[one].closed]
        if len(missing) < len(self._known):
            missing = [one for one in missing if self._failed.get(one, float("-inf")) + _AGAIN < now]
        await asyncio.gather(*map(self._connect_to, missing))

    async def _connect_to(self, sentinel: Address) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                lane = await self._dial(sentinel)
        except (SessionStreamError, TimeoutError):
            self._failed[sentinel] = self._loop.time()
            return
        # The loop knows the lane: it must not keep alive what nobody else does.
        lane.on_push = partial(_pushed, weakref.ref(self))
        with contextlib.suppress(LaneClosed):
            lane.tell(("SUBSCRIBE", _BEGIN, _DONE))
        self._lanes[sentinel] = lane
        self._closing[sentinel] = close_with_loop(lane)
        await anext(self._closing[sentinel])

    async def _accounts(self) -> list[Account]:
        """Return what those say that answer in time."""
        lanes = [lane for lane in self._lanes.values() if not lane.closed]
        found = await asyncio.gather(*map(self._account, lanes))
        return [account for account in found if account is not None]

    async def _account(self, lane: Lane) -> Account | None:
        master, place = ("SENTINEL", "MASTER", self._name), ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
        return account_of(*await _answers(lane, master, place))

    async def _look(self) -> None:
        """Ask all of them, those that others have told of too, and act on what they say."""
        lanes = [lane for lane in self._lanes.values() if not lane.closed]
        for [others] in await asyncio.gather(*(_answers(one, ("SENTINEL", "SENTINELS", self._name)) for one in lanes)):
            for fields in map(fields_of, [] if isinstance(others, Exception) else others):
                if (address := (fields["ip"], int(fields["port"]))) not in self._known:
                    self._known.append(address)
        await self._connect()
        try:
            address = primary_of(self._name, await self._accounts())
        except FailoverUnderWay:
            self._begin()
        except Unavailable:
            pass
        else:
            self._done(address)

    def look(self) -> None:
        """Look at all of them now, and again after a while, if anybody has a connection by their account."""
        self._timer = None
        if self._followed:
            if self._looking is None or self._looking.done():
                self._looking = self._loop.create_task(self._look())
            self._look_later(_INTERVAL)

    def _look_later(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, _look, weakref.ref(self))

    def told(self, push: list[Any]) -> None:
        """Act on a message of a sentinel's."""
        if push[0] != b"message":
            return
        words = push[2].decode().split(" ")
        if push[1] == _BEGIN and words[1] == self._name:
            self._begin()
        elif push[1] == _DONE and words[0] == self._name:
            self._done((words[3], int(words[4])))

    def _begin(self) -> None:
        self._news += 1
        for lane in list(self._followed):
            lane.retire()

    def _done(self, address: Address) -> None:
        gone = [lane for lane, place in self._followed.items() if place != address]
        self._news += bool(gone)
        for lane in gone:
            lane.abandon(f"the primary of {self._name} is another one")


async def _answers(lane: Lane, *questions: tuple[str, ...]) -> list[Any]:
    """Return the replies of a sentinel; an error in the place of each that it does not give in time."""
    try:
        async with asyncio.timeout(_TIMEOUT):
            return list(await asyncio.gather(*lane.calls(questions), return_exceptions=True))
    except (LaneClosed, TimeoutError) as error:
        lane.close()
        return [error for _ in questions]


def _pushed(known: weakref.ref[Sentinels], push: list[Any]) -> None:
    if (sentinels := known()) is not None:
        sentinels.told(push)


def _look(known: weakref.ref[Sentinels]) -> None:
    if (sentinels := known()) is not None:
        sentinels.look()
