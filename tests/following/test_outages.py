"""Nothing is skipped and nothing comes twice, whatever happens to connections and to the server. (G23, G24)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, RecordedEvent, SessionManager
from tests.following.conftest import SESSION, Noted, Open
from tests.proxy import Proxy
from tests.servers import Server
from tests.sessions.waiting import until
from tests.topologies import through

_SESSIONS = [f"sess_{number}" for number in range(8)]


class _Writing:
    """Appends to some sessions all the time, and knows what was appended; a context manager.

    Attributes:
        versions: of each session, as far as it knows.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._over = False
        self.versions = dict.fromkeys(_SESSIONS, 1)

    async def __aenter__(self) -> _Writing:
        for session_id in _SESSIONS:
            await self._manager.create_session("user_1", "agent_1", session_id=session_id)
        self._tasks = [asyncio.create_task(self._write(session_id)) for session_id in _SESSIONS]
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Return when the last append is acknowledged."""
        self._over = True
        await asyncio.gather(*self._tasks)

    async def _write(self, session_id: str) -> None:
        while not self._over:
            appended = await self._manager.append(session_id, NoteAdded(text="x"))
            self.versions[session_id] = appended.version
            await asyncio.sleep(0.001)

    async def progress(self) -> None:
        """Return when each session has some more events."""
        before = dict(self.versions)
        await until(lambda: all(self.versions[one] > before[one] + 4 for one in before))


async def _assert_all_given(noted: Noted[RecordedEvent], versions: dict[str, int]) -> None:
    """Each session's events came once, in order, and to their end."""
    found = await noted.has(sum(versions.values()))
    for session_id, last in versions.items():
        assert [one.version for one in found if one.session_id == session_id] == list(range(1, last + 1))


@pytest.fixture
def behind(proxy: Proxy, open_manager: Open) -> SessionManager:
    """A manager behind the proxy, that takes a connection for broken after 300 ms."""
    return open_manager(**through(proxy), reply_timeout=0.3)


async def test_connections_that_are_cut_lose_nothing(behind: SessionManager, proxy: Proxy, open_manager: Open) -> None:
    """All at once, again and again; one session and all of them."""
    async with (
        _Writing(open_manager()) as writing,
        Noted[RecordedEvent](behind.follow_all()) as everything,
        Noted[RecordedEvent](behind.follow(_SESSIONS[0])) as one,
    ):
        for _ in range(8):
            await writing.progress()
            await asyncio.to_thread(proxy.cut)
        await writing.progress()
        await writing.stop()
        await _assert_all_given(everything, writing.versions)
        await _assert_all_given(one, {_SESSIONS[0]: writing.versions[_SESSIONS[0]]})


async def test_a_server_that_does_not_answer_for_a_time_loses_nothing(
    behind: SessionManager, proxy: Proxy, open_manager: Open
) -> None:
    """Replies are kept back until the connections are given up; new ones are refused for a while."""
    async with _Writing(open_manager()) as writing, Noted[RecordedEvent](behind.follow_all()) as everything:
        await writing.progress()
        proxy.hold(replies=True)
        await writing.progress()
        await asyncio.to_thread(proxy.refuse)
        proxy.release()
        await writing.progress()
        await asyncio.to_thread(proxy.accept)
        await writing.progress()
        await writing.stop()
        await _assert_all_given(everything, writing.versions)


async def test_a_hub_whose_connection_is_killed_loses_nothing(manager: SessionManager, client: Redis) -> None:
    """By CLIENT KILL, while the others stand; what is appended meanwhile is given."""
    async with Noted[RecordedEvent](manager.follow(SESSION)) as noted:
        await noted.has(1)
        for count in range(2, 12):
            hearing = [one["id"] for one in await client.client_list() if "t" in one["flags"]]
            for number in hearing:
                await client.client_kill_filter(_id=number)
            await manager.append(SESSION, NoteAdded(text="x"))
            assert [event.version for event in await noted.has(count)] == list(range(1, count + 1))


@pytest.mark.parametrize("end", ["restart", "kill"])
async def test_a_server_that_is_started_anew_loses_nothing(make_server: Callable[..., Server], end: str) -> None:
    """Stopped in good order, or killed; also where the calls' deadline runs out meanwhile."""
    server = make_server(appendfsync="always")
    async with (
        SessionManager(url=server.unix_url, namespace="n", deadline=0.3) as reader,
        SessionManager(url=server.unix_url, namespace="n", deadline=30) as manager,
        _Writing(manager) as writing,
        Noted[RecordedEvent](reader.follow_all()) as everything,
        Noted[RecordedEvent](reader.follow(_SESSIONS[0])) as one,
    ):
        await writing.progress()
        await asyncio.to_thread(server.stop if end == "restart" else server.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.start)
        await writing.progress()
        await writing.stop()
        await _assert_all_given(everything, writing.versions)
        await _assert_all_given(one, {_SESSIONS[0]: writing.versions[_SESSIONS[0]]})
