"""One manager, several event loops: one after the other, side by side in threads, and across a fork (G20)."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from tests.conftest import ROOT
from tests.proxy import Proxy
from tests.servers import Server
from tests.topologies import FINDING, through


def test_one_manager_serves_one_loop_after_the_other(
    server: Server, proxy: Proxy, make_namespace: Callable[[], str]
) -> None:
    """As scripts do that call ``asyncio.run`` again and again; each loop's connection ends with it."""
    manager = SessionManager(**through(proxy), namespace=make_namespace())

    async def turn(number: int) -> int:
        if number == 1:
            await manager.create_session("user_1", "assistant", session_id="s")
        return (await manager.append("s", NoteAdded(text=str(number)))).version

    assert [asyncio.run(turn(number)) for number in range(1, 6)] == [2, 3, 4, 5, 6]
    assert proxy.connections == FINDING + 5
    asyncio.run(asyncio.wait_for(_until(lambda: proxy.open_connections == 0), 10))


def test_loops_side_by_side_have_a_connection_each(
    server: Server, proxy: Proxy, make_namespace: Callable[[], str]
) -> None:
    """Threads with loops of their own share the manager and lose nothing."""
    manager = SessionManager(**through(proxy), namespace=make_namespace())
    asyncio.run(manager.create_session("user_1", "assistant", session_id="s"))
    outcomes: list[str] = []

    async def work(name: str) -> None:
        appended = await asyncio.gather(*(manager.append("s", NoteAdded(text=name)) for _ in range(50)))
        outcomes.extend(one.offset for one in appended)

    threads = [threading.Thread(target=asyncio.run, args=(work(str(number)),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def versions() -> list[int]:
        return [event.version async for event in manager.history("s")]

    assert len(set(outcomes)) == 400
    assert asyncio.run(versions()) == list(range(1, 402))
    assert proxy.connections == FINDING + 10


def test_a_loop_that_ends_while_an_append_is_under_way_ends_quietly(
    server: Server, proxy: Proxy, make_namespace: Callable[[], str]
) -> None:
    """Nothing hangs, nothing warns, and the next loop goes on."""
    manager = SessionManager(**through(proxy), namespace=make_namespace())
    asyncio.run(manager.create_session("user_1", "assistant", session_id="s"))

    async def leave() -> None:
        await manager.get_session("s")
        proxy.hold(replies=True)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(manager.append("s", NoteAdded(text="left behind")), 0.05)

    asyncio.run(leave())
    proxy.release()
    appended = asyncio.run(manager.append("s", NoteAdded(text="next")))
    assert appended.version in (2, 3)


FORKING = """
import asyncio, multiprocessing, sys, types
from sessionstream import NoteAdded, SessionManager
from tests.topologies import through

async def work(name):
    return [(await manager.append("s", NoteAdded(text=name))).event_ids[0] for _ in range(20)]

def child(name, answers):
    answers.put(asyncio.run(work(name)))

async def parent():
    await manager.create_session("user_1", "assistant", session_id="s")
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    await work("before")
    children = [context.Process(target=child, args=(str(number), answers)) for number in range(3)]
    for process in children:
        process.start()
    own = await work("beside")
    theirs = [await asyncio.to_thread(answers.get, True, 30) for _ in children]
    for process in children:
        await asyncio.to_thread(process.join)
        assert process.exitcode == 0
    own += await work("after")
    ids = own + [identifier for one in theirs for identifier in one]
    assert len(set(ids)) == 100, "two processes made the same event ids"
    versions = [event.version async for event in manager.history("s")]
    assert versions == list(range(1, 122)), versions

proxy = types.SimpleNamespace(url=sys.argv[1], port=int(sys.argv[2]))
manager = SessionManager(**through(proxy), namespace=sys.argv[3])
asyncio.run(parent())
"""


def test_children_of_a_fork_connect_for_themselves(
    server: Server, proxy: Proxy, make_namespace: Callable[[], str]
) -> None:
    """Parent and children go on appending with the manager that was made before; replies never cross over."""
    run = [sys.executable, "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", FORKING]
    place = (proxy.url, str(proxy.port))
    done = subprocess.run([*run, *place, make_namespace()], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert proxy.connections == FINDING + 4


async def test_a_manager_that_is_dropped_closes_its_connection(proxy: Proxy, make_namespace: Callable[[], str]) -> None:
    """Nobody has to close it."""
    manager = SessionManager(**through(proxy), namespace=make_namespace())
    await manager.create_session("user_1", "assistant")
    assert proxy.open_connections == 1
    del manager
    gc.collect()
    await asyncio.wait_for(_until(lambda: proxy.open_connections == 0), 10)


@pytest.mark.not_on("cluster", reason="a Cluster has one database")
async def test_the_connection_settings_of_a_client_are_used(
    server: Server, client: Redis, make_namespace: Callable[[], str]
) -> None:
    """And its own connections are not: it may be closed, and its answers are still its own."""
    namespace = make_namespace()
    theirs = Redis.from_url(server.url, decode_responses=True, protocol=3, db=3, client_name="mine")
    manager = SessionManager(conn=theirs, namespace=namespace)
    session = await manager.create_session("user_1", "assistant", {"language": "zh-CN"})
    await theirs.aclose()
    assert (await manager.get_session(session.session_id)) == session
    assert "mine" in {one["name"] for one in await client.client_list()}
    async with Redis.from_url(server.url, db=3) as third:
        assert await third.exists(manager.store.keys.head(session.session_id)) == 1
    await manager.aclose()


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)
