"""The store on uvloop as on asyncio's own loop: what depends on the loop and its transports, on both of them."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from sessionstream import Appended, NoteAdded, SessionManager
from sessionstream.wire.connect import Dialer
from sessionstream.wire.lane import LaneClosed
from tests.proxy import Proxy
from tests.servers import Server
from tests.topologies import FINDING, asking, through

if sys.platform == "win32":
    pytest.skip("there is no uvloop for Windows", allow_module_level=True)

import uvloop

MB = 1024 * 1024
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}
Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Run a coroutine on a loop of its own; what the loop complains of fails the test."""

    def run(work: Coroutine[Any, Any, None]) -> None:
        complaints: list[dict[str, Any]] = []
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.get_loop().set_exception_handler(lambda loop, context: complaints.append(context))
            runner.run(work)
        assert complaints == []

    return run


@pytest.fixture
def manager(proxy: Proxy, namespace: str) -> SessionManager:
    """A manager behind the proxy."""
    return SessionManager(**through(proxy), namespace=namespace)


async def notes(manager: SessionManager) -> dict[str, str]:
    """The texts in the session ``s``, in their order, by their offsets; its versions have no gap."""
    events = [event async for event in manager.history("s")]
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    return {event.offset: event.data.text for event in events if isinstance(event.data, NoteAdded)}


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


def test_appends_of_many_tasks_are_each_told_their_own_offset(run: Run, manager: SessionManager, proxy: Proxy) -> None:
    """On one connection, whichever loop it belongs to."""

    async def work() -> None:
        await manager.create_session("user_1", "assistant", session_id="s")
        texts = [str(number) for number in range(300)]
        appended = await asyncio.gather(*(manager.append("s", NoteAdded(text=text)) for text in texts))
        assert await notes(manager) == {one.offset: text for one, text in zip(appended, texts, strict=True)}
        assert proxy.connections == FINDING + 1

    run(work())


def test_what_one_task_appends_is_in_its_order(run: Run, manager: SessionManager) -> None:
    """Also what it does not wait for, through pauses of the loop of every length."""

    async def work() -> None:
        await manager.create_session("user_1", "assistant", session_id="s")
        dice = random.Random(1)
        appends: list[asyncio.Task[Appended]] = []
        for number in range(300):
            appends.append(asyncio.create_task(manager.append("s", NoteAdded(text=str(number)))))
            if dice.random() < 0.3:
                await asyncio.sleep(dice.choice([0, 0, 0.001]))
        await asyncio.gather(*appends)
        assert list((await notes(manager)).values()) == [str(number) for number in range(300)]

    run(work())


def test_a_cancelled_caller_shifts_nobodys_reply(run: Run, manager: SessionManager) -> None:
    """Half of all appends are cancelled, before and after they were sent; every other one is told its own offset."""

    async def work() -> None:
        await manager.create_session("user_1", "assistant", session_id="s")
        dice = random.Random(1)
        tasks: dict[str, asyncio.Task[Appended]] = {}
        for number in range(600):
            text = str(number)
            tasks[text] = asyncio.create_task(manager.append("s", NoteAdded(text=text)))
            if dice.random() < 0.5:
                dice.choice(list(tasks.values())).cancel()
            if dice.random() < 0.1:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        told = {task.result().offset: text for text, task in tasks.items() if not task.cancelled()}
        assert 0 < len(told) < 600
        stored = await notes(manager)
        assert told.items() <= stored.items()
        assert len(set(stored.values())) == len(stored)

    run(work())


def test_a_connection_cut_under_hundreds_of_calls_makes_no_event_twice(
    run: Run, manager: SessionManager, proxy: Proxy
) -> None:
    """Each caller gets its own result, on the next connection, and does not ask a Cluster by itself where to go."""

    async def work() -> None:
        sessions = [await manager.create_session("user_1", "assistant", session_id=f"s{n}") for n in range(400)]
        proxy.hold(replies=True)
        before, asked = len(proxy.requests), asking(proxy)
        assert proxy.connections == FINDING + 1
        appends = [
            asyncio.create_task(manager.append(one.session_id, NoteAdded(text=one.session_id))) for one in sessions
        ]
        reads = [asyncio.create_task(manager.get_session(one.session_id)) for one in sessions]
        await until(lambda: b"s399" in b"".join(proxy.requests[before:]))
        cut_at = time.monotonic()
        proxy.cut()
        proxy.release()
        assert [(one.session_id, one.version) for one in await asyncio.gather(*appends)] == [
            (one.session_id, 2) for one in sessions
        ]
        found = await asyncio.gather(*reads)
        assert [one.session_id for one in found if one is not None] == [one.session_id for one in sessions]
        for one in sessions:
            events = [event.data async for event in manager.history(one.session_id)]
            assert events[1:] == [NoteAdded(text=one.session_id)]
        asked, passed = asking(proxy) - asked, time.monotonic() - cut_at
        assert proxy.connections == FINDING + 2 + asked
        # Where reconnecting takes long, the slots may have moved meanwhile: an answer is good for 0.2 s.
        assert asked <= 1 + passed / 0.2

    run(work())


def test_a_connection_cut_while_calls_are_written_fails_calls_and_nothing_else(run: Run, proxy: Proxy) -> None:
    """Also those that leave in the very turn in which the loop learns of it."""

    async def work() -> None:
        for _ in range(20):
            lane = await Dialer.from_url(proxy.url).dial()
            calls: list[asyncio.Future[Any]] = []
            cutting = asyncio.create_task(asyncio.to_thread(proxy.cut))
            while not lane.closed:
                calls.append(lane.call(("PING",)))
                await asyncio.sleep(0)
            await cutting
            await lane.wait_closed()
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert all(one == b"PONG" or isinstance(one, LaneClosed) for one in outcomes)

    run(work())


def test_a_server_that_is_started_anew_is_found_again(run: Run, make_server: Callable[..., Server]) -> None:
    """What was appended while it was away goes through, in its order."""
    server = make_server()

    async def work() -> None:
        async with SessionManager(url=server.url) as manager:
            await manager.create_session("user_1", "assistant", session_id="s")
            await asyncio.to_thread(server.stop)
            appends = [asyncio.create_task(manager.append("s", NoteAdded(text=str(n)))) for n in range(50)]
            await asyncio.to_thread(server.start)
            await asyncio.gather(*appends)
            assert list((await notes(manager)).values()) == [str(number) for number in range(50)]

    run(work())


def test_a_release_wakes_who_waits_for_the_lock(run: Run, manager: SessionManager, server: Server) -> None:
    """By the push of another connection, long before the lease would have run out."""
    other = SessionManager(url=server.url, namespace=manager.settings.namespace)

    async def work() -> None:
        await manager.create_session("user_1", "assistant", session_id="s")

        async def listened() -> bool:
            channels = await manager.store.server.call("PUBSUB", "SHARDCHANNELS")
            return manager.store.keys.unlocked("s").encode() in channels

        async def wait() -> float:
            async with other.lock("s", lease=60):
                return time.monotonic()

        async with manager.lock("s", lease=60):
            waiter = asyncio.create_task(wait())
            async with asyncio.timeout(30):
                while not await listened():
                    await asyncio.sleep(0.001)
            released = time.monotonic()
        assert await waiter - released < 10
        await other.aclose()

    run(work())


def test_a_closed_manager_leaves_no_connection(run: Run, manager: SessionManager, proxy: Proxy) -> None:
    """And opens another when it is used again."""

    async def work() -> None:
        for number in range(1, 3):
            assert await manager.get_session("s") is None
            assert (proxy.connections, proxy.open_connections) == (FINDING + number, 1)
            await manager.aclose()
            await until(lambda: proxy.open_connections == 0)

    run(work())


def test_a_manager_that_is_dropped_leaves_no_connection(run: Run, proxy: Proxy, namespace: str) -> None:
    """Nor does one that the loop's end finds open."""

    async def work() -> None:
        manager: SessionManager | None = SessionManager(**through(proxy), namespace=namespace)
        assert manager is not None
        await manager.get_session("s")
        assert proxy.open_connections == 1
        manager = None
        gc.collect()
        await until(lambda: proxy.open_connections == 0)

    run(work())
    left = SessionManager(**through(proxy), namespace=namespace)

    async def leave() -> None:
        await left.get_session("s")

    run(leave())
    run(until(lambda: proxy.open_connections == 0))


def test_requests_wait_while_the_server_does_not_read(run: Run, proxy: Proxy) -> None:
    """They leave in their order as soon as there is room again, and large replies come whole."""

    async def work() -> None:
        lane = await Dialer.from_url(proxy.url).dial()
        proxy.hold(requests=True)
        texts = [f"{number}:" + "x" * 200_000 for number in range(50)]
        calls = [lane.call(("ECHO", text)) for text in texts]
        await asyncio.sleep(0)
        calls += [lane.call(("ECHO", str(number))) for number in range(50, 100)]
        await asyncio.sleep(0)
        proxy.release()
        replies = await asyncio.gather(*calls)
        assert replies == [text.encode() for text in (*texts, *map(str, range(50, 100)))]
        lane.close()
        await lane.wait_closed()

    run(work())


def test_only_a_connection_without_signs_of_life_counts_as_broken(run: Run, proxy: Proxy) -> None:
    """Not one whose large request the server takes slowly; that is told by what the transport still holds."""

    async def work() -> None:
        lane = await Dialer.from_url(proxy.url, reply_timeout=0.4).dial()
        proxy.request_delay = 0.05
        began = time.monotonic()
        assert await lane.call(("STRLEN", b"x" * (4 * MB))) == 0
        assert time.monotonic() - began > 0.5, "the request left too fast to show anything"
        proxy.request_delay = 0.0
        proxy.hold(replies=True)
        with pytest.raises(LaneClosed, match="no reply for"):
            await lane.call(("PING",))
        await lane.wait_closed()

    run(work())


def test_loops_of_both_kinds_share_one_manager(manager: SessionManager, proxy: Proxy) -> None:
    """Side by side in threads, with a connection each."""
    told: list[Appended] = []

    async def work() -> None:
        told.extend(await asyncio.gather(*(manager.append("s", NoteAdded(text="x")) for _ in range(50))))

    def run(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(work())

    asyncio.run(manager.create_session("user_1", "assistant", session_id="s"))
    threads = [threading.Thread(target=run, args=(factory,)) for factory in LOOPS.values() for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.version for one in told) == list(range(2, 202))
    assert proxy.connections == FINDING + 5
