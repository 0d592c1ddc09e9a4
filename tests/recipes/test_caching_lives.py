"""A manager that caches leaves nothing behind, and works in any event loop, thread and process."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from sessionstream import CachedSessionManager, Session, SessionManager
from tests.recipes.conftest import MakeManager
from tests.recipes.processes import environment
from tests.servers import Server
from tests.sessions.waiting import until


async def test_a_hit_leaves_no_task(cached: CachedSessionManager, manager: SessionManager) -> None:
    """Nothing runs in the background."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    await cached.get_session("sess_1")
    await cached.get_session("sess_1")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_ends_both_connections_and_a_later_read_opens_them(
    cached: CachedSessionManager, manager: SessionManager, client: Redis
) -> None:
    """As for any manager."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    before = len(await client.client_list())
    await cached.get_session("sess_1")
    assert len(await client.client_list()) == before + 2
    await cached.aclose()
    await until(lambda: _connections(client, before))
    assert await cached.get_session("sess_1") is not None


async def test_a_manager_that_is_dropped_leaves_no_connection(
    client: Redis, manager: SessionManager, namespace: str
) -> None:
    """Nobody closed it."""
    await manager.create_session("user_1", "agent_1", session_id="sess_1")
    before = len(await client.client_list())
    dropped = CachedSessionManager(conn=client, namespace=namespace)
    await dropped.get_session("sess_1")
    assert len(await client.client_list()) == before + 2
    del dropped
    gc.collect()
    await until(lambda: _connections(client, before))


async def _connections(client: Redis, count: int) -> bool:
    return len(await client.client_list()) == count


async def test_every_event_loop_has_a_cache_of_its_own(server: Server, namespace: str) -> None:
    """Two loops in two threads, and a third after they have ended, read and change by one manager."""
    cached = CachedSessionManager(url=server.url, namespace=namespace)
    await cached.create_session("user_1", "agent_1", {"turn": 0}, session_id="sess_1")
    seen: list[Any] = []

    async def use(name: str) -> None:
        for turn in range(50):
            await cached.update_session_metadata("sess_1", {name: turn})
            session = await cached.get_session("sess_1")
            assert session is not None
            seen.append(session.metadata[name] == turn)

    threads = [threading.Thread(target=asyncio.run, args=(use(name),)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    await use("three")
    await asyncio.to_thread(asyncio.run, use("four"))
    assert seen == [True] * 200
    await cached.aclose()


def _fork(url: str, namespace: str) -> str:
    script = Path(__file__).with_name("forking.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), url, namespace],
        capture_output=True, text=True, timeout=60, check=False, env=environment(),
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


async def test_a_forked_process_has_a_cache_of_its_own(server: Server, namespace: str) -> None:
    """The child sees its parent's change and its own, the parent the child's, on connections of their own."""
    assert await asyncio.to_thread(_fork, server.url, namespace) == "child: parent\nparent: child\n"


class _SeedsOwn(SessionManager):
    """The first document's own subclass, as it is written there."""

    def __init__(self, *args: Any, cache_size: int = 100, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cache: dict[str, Any] = {}

    async def get_session(self, session_id: str) -> Any:
        if session_id in self._cache:
            return self._cache[session_id]
        session = await super().get_session(session_id)
        if session:
            self._cache[session_id] = session
        return session

    async def update_session(self, session_id: str, session: Session) -> Any:
        await super().update_session(session_id, session)
        self._cache[session_id] = session


async def test_the_first_document_s_own_subclass_works_beside_it(
    make_manager: MakeManager, cached: CachedSessionManager
) -> None:
    """It gives the object that it was given, and what it writes is seen here."""
    own: SessionManager = make_manager(_SeedsOwn, cache_size=10)
    created = await own.create_session("user_1", "agent_1", {"turn": 0})
    session = await own.get_session(created.session_id)
    assert session is not None
    assert await own.get_session(created.session_id) is session
    assert (await cached.get_session(created.session_id)) == session
    session.metadata["turn"] = 1
    await own.update_session(created.session_id, session)
    session.metadata["turn"] = 2
    await own.update_session(created.session_id, session)
    assert await own.get_session(created.session_id) is session
    await until(lambda: _turn(cached, created.session_id, 2))


async def _turn(cached: CachedSessionManager, session_id: str, turn: int) -> bool:
    session = await cached.get_session(session_id)
    return session is not None and session.metadata == {"turn": turn}
