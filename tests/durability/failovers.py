"""What a failover costs: writers of several kinds at once, a primary that is replaced, and what is there at the end.

Every writer notes what was acknowledged, and with it the place. What the last primary does not have there was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from sessionstream import NoteAdded, SessionManager, SessionStreamError
from tests.clusters import Node, until
from tests.proxy import Proxy
from tests.sentinels import NAME, TestSentinels

__all__ = ["FAULTS", "WRITERS", "Tally", "at_usual_pace", "fail_over"]

_TASKS = 8
_BEHIND = 0.3
# How often sentinels look by themselves, in milliseconds; the tests' own look more often.
_USUAL = ("INFO-PERIOD", 10_000, "PUBLISH-PERIOD", 2_000, "PING-PERIOD", 1_000, "ASK-PERIOD", 1_000)


@dataclass
class Tally:
    """What became of one kind of writers' writes.

    Attributes:
        acknowledged: how many were.
        lost: how many of these are not there.
        doubled: how many are there more than once.
        errors: how often each error was raised.
        outage: the longest time, in seconds, in which nothing was acknowledged.
    """

    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    outage: float = 0.0


class Writer(Protocol):
    """One kind of writers: appends a text to the stream of a number, and reads a stream."""

    async def append(self, stream: int, text: str) -> str:
        """Append, and return the place."""

    async def read(self, stream: int) -> list[tuple[str, str]]:
        """Return places and texts."""


class _Driver:
    """redis-py's client as it comes, and XADD."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def append(self, stream: int, text: str) -> str:
        place: bytes = await self._client.xadd(f"driver:{stream}", {"text": text})
        return place.decode()

    async def read(self, stream: int) -> list[tuple[str, str]]:
        found = await self._client.xrange(f"driver:{stream}")
        return [(place.decode(), fields[b"text"].decode()) for place, fields in found]


class _Store:
    """A manager."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager

    async def prepare(self) -> None:
        """Make the sessions."""
        for stream in range(_TASKS):
            await self._manager.create_session("user", "agent", session_id=f"s{stream}")

    async def append(self, stream: int, text: str) -> str:
        return (await self._manager.append(f"s{stream}", NoteAdded(text=text))).offset

    async def read(self, stream: int) -> list[tuple[str, str]]:
        return [(event.offset, event.data.text) async for event in self._manager.history(f"s{stream}", from_version=2)]


Opened = contextlib.AbstractAsyncContextManager[Writer]


@contextlib.asynccontextmanager
async def _driver(client: Redis, url: str) -> AsyncIterator[Writer]:
    yield _Driver(client)


def _namespace(kind: str) -> str:
    return "failover-" + kind.replace("(", "-").strip(")")


def _store(kind: str, *, through_url: bool = False) -> Callable[[Redis, str], Opened]:
    @contextlib.asynccontextmanager
    async def opened(client: Redis, url: str) -> AsyncIterator[Writer]:
        place = {"url": url} if through_url else {"conn": client}
        durability = kind if kind.startswith("replicated") else None
        async with SessionManager(**place, namespace=_namespace(kind), durability=durability) as manager:
            store = _Store(manager)
            await store.prepare()
            yield store

    return opened


WRITERS: dict[str, Callable[[Redis, str], Opened]] = {
    "redis-py": _driver,
    "url": _store("url", through_url=True),
    "sentinels": _store("sentinels"),
    "replicated(1)": _store("replicated(1)"),
    "replicated(2)": _store("replicated(2)"),
}
"""How each kind of writers is opened, by a client of the sentinels' and the primary's URL.

They are redis-py's client as it comes, a manager that knows the primary alone, one that knows the sentinels, and two of
these that wait for replicas.
"""


def _planned(sentinels: TestSentinels, old: Node) -> None:
    # A sentinel refuses while it has not heard lately of a replica that is fit.
    until(lambda: bool(sentinels.sentinels[0].call("SENTINEL", "FAILOVER", NAME)), "a sentinel to begin")


def _coordinated(sentinels: TestSentinels, old: Node) -> None:
    words = ("SENTINEL", "FAILOVER", NAME, "COORDINATED")
    until(lambda: bool(sentinels.sentinels[0].call(*words)), "a sentinel to begin")


def _handed_over(sentinels: TestSentinels, old: Node) -> None:
    until(lambda: bool(old.call("FAILOVER")), "the primary to hand over")


def _crash_ahead(sentinels: TestSentinels, old: Node) -> None:
    replicas = sentinels.replicas()
    with Proxy(old.server.socket) as proxy:
        for node in replicas:
            node.call("REPLICAOF", "127.0.0.1", proxy.port)
        until(lambda: all(node.section("replication")["master_link_status"] == "up" for node in replicas), "replicas")
        proxy.reply_delay = _BEHIND
        time.sleep(5 * _BEHIND)
        old.server.kill()
        proxy.cut()


def _crash(sentinels: TestSentinels, old: Node) -> None:
    old.server.kill()


def _pause(sentinels: TestSentinels, old: Node) -> None:
    old.server.pause()
    sentinels.wait_for_another(old)
    time.sleep(4)  # it is woken by nobody before its successor has long been at work
    old.server.resume()


FAULTS: dict[str, Callable[[TestSentinels, Node], None]] = {
    "planned": _planned,
    "coordinated": _coordinated,
    "handed-over": _handed_over,
    "crash": _crash,
    "crash-ahead": _crash_ahead,
    "pause": _pause,
}
"""What happens to the primary.

``SENTINEL FAILOVER``; the same with ``COORDINATED``, which Valkey alone has; ``FAILOVER``, said to the primary, past
the sentinels; SIGKILL; SIGKILL while its replicas are a third of a second behind; SIGSTOP until its successor has been
at work for a while.
"""


def at_usual_pace(sentinels: TestSentinels) -> None:
    """Let the sentinels look as seldom as they do by themselves."""
    for node in sentinels.sentinels:
        node.call("SENTINEL", "DEBUG", *_USUAL)


async def fail_over(
    sentinels: TestSentinels, fault: str, kinds: list[str], *, before: float = 1.0, after: float = 2.0
) -> dict[str, Tally]:
    """Replace the primary under load, and return what became of each kind's writes.

    Args:
        sentinels: that watch it.
        fault: one of `FAULTS`.
        kinds: some of `WRITERS`, which write at the same time.
        before: seconds of load in front of the fault.
        after: seconds of load behind it, counted from when there is another primary.
    """
    old = sentinels.primary()
    url = old.server.url
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(sentinels.client()) for _ in kinds]
        writers = [
            await stack.enter_async_context(WRITERS[kind](one, url)) for kind, one in zip(kinds, clients, strict=True)
        ]
        loads = [_Load(writer) for writer in writers]
        tasks = [asyncio.create_task(load.run()) for load in loads]
        await asyncio.sleep(before)
        await asyncio.to_thread(FAULTS[fault], sentinels, old)
        await asyncio.to_thread(sentinels.wait_for_another, old)
        await asyncio.sleep(after)
        for load in loads:
            load.ended = True
        await asyncio.gather(*tasks)
    await asyncio.to_thread(sentinels.wait_until_whole)
    async with sentinels.client() as client:
        return {kind: await _balance(kind, load, client) for kind, load in zip(kinds, loads, strict=True)}


async def _balance(kind: str, load: _Load, client: Redis) -> Tally:
    if kind == "redis-py":
        return await load.balance(_Driver(client))
    async with SessionManager(client, namespace=_namespace(kind)) as manager:
        return await load.balance(_Store(manager))


class _Load:
    """Tasks that append one after the other, each to a stream of its own, and note what was acknowledged."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._acknowledged: list[list[tuple[str, str]]] = [[] for _ in range(_TASKS)]
        self._tally = Tally()
        self.ended = False

    async def run(self) -> None:
        """Append until it is enough."""
        self._last = time.monotonic()
        await asyncio.gather(*map(self._append, range(_TASKS)))
        self._tally.outage = max(self._tally.outage, time.monotonic() - self._last)

    async def _append(self, stream: int) -> None:
        number = 0
        while not self.ended:
            number += 1
            text = str(number)
            try:
                self._acknowledged[stream].append((await self._writer.append(stream, text), text))
            except (SessionStreamError, RedisError, OSError) as error:
                self._tally.errors[type(error).__name__] += 1
                await asyncio.sleep(0.01)
                continue
            now = time.monotonic()
            self._tally.outage, self._last = max(self._tally.outage, now - self._last), now

    async def balance(self, reader: Writer) -> Tally:
        """Return what became of it all, by what is there now."""
        for stream, acknowledged in enumerate(self._acknowledged):
            found = await reader.read(stream)
            there, texts = set(found), Counter(text for _, text in found)
            self._tally.acknowledged += len(acknowledged)
            self._tally.lost += sum(one not in there for one in acknowledged)
            self._tally.doubled += sum(count - 1 for count in texts.values())
        return self._tally
