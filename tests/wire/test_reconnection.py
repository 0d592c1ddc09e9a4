"""A connection that is lost, or no longer let in: each caller gets its own result, or its own error (G3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.credentials import CredentialProvider

from sessionstream import NoteAdded, SessionManager, SessionState
from sessionstream.errors import AuthenticationFailed, SessionArchived
from sessionstream.wire.lane import MOST_IN_FLIGHT
from tests.proxy import Proxy
from tests.servers import Server
from tests.sessions.waiting import until
from tests.topologies import through

COUNT = 300


async def _sessions(manager: SessionManager, count: int) -> list[str]:
    ids = [f"s{number}" for number in range(count)]
    await asyncio.gather(*(manager.create_session("user_1", "assistant", session_id=one) for one in ids))
    return ids


async def _notes(manager: SessionManager, session_id: str) -> list[str]:
    return [event.data.text async for event in manager.history(session_id, types=[NoteAdded])]


async def test_a_cut_under_hundreds_of_appends_loses_none_and_doubles_none(proxy: Proxy, namespace: str) -> None:
    """Some were executed and not answered, some not executed: all are there, once."""
    async with SessionManager(**through(proxy), namespace=namespace) as manager:
        ids = await _sessions(manager, COUNT)
        proxy.hold(replies=True)
        before = len(proxy.requests)
        appends = [asyncio.create_task(manager.append(one, NoteAdded(text=one))) for one in ids]
        await until(lambda: ids[-1].encode() in b"".join(proxy.requests[before:]))
        proxy.cut()
        proxy.release()
        assert [(one.session_id, one.version) for one in await asyncio.gather(*appends)] == [(one, 2) for one in ids]
        for one in ids[::10]:
            assert await _notes(manager, one) == [one]


@pytest.mark.parametrize("beside", [0, 1])
async def test_what_never_arrived_is_refused_by_what_the_session_is_by_then(
    proxy: Proxy, manager: SessionManager, namespace: str, beside: int
) -> None:
    """A repeat is judged as any append is, alone or among others of its call: an archived session refuses it."""
    async with SessionManager(**through(proxy), namespace=namespace) as cut_off:
        ids = await _sessions(cut_off, 2)
        await asyncio.gather(*(cut_off.append(one, NoteAdded(text="before")) for one in ids))
        proxy.hold(requests=True)
        before = len(proxy.requests)
        appends = [asyncio.create_task(cut_off.append(one, NoteAdded(text="x"))) for one in ids[: 1 + beside]]
        await until(lambda: ids[beside].encode() in b"".join(proxy.requests[before:]))
        proxy.refuse()
        proxy.release()
        await manager.set_session_state(ids[0], SessionState.ARCHIVED)
        proxy.accept()
        first, *others = await asyncio.gather(*appends, return_exceptions=True)
        assert isinstance(first, SessionArchived)
        assert [one.version for one in others if not isinstance(one, BaseException)] == [3] * beside
        assert await _notes(manager, ids[0]) == ["before"]


async def test_a_refusal_among_appends_of_one_call_is_its_own(reach: dict[str, Any], namespace: str) -> None:
    """The others of the same turn and partition are appended."""
    async with SessionManager(**reach, namespace=namespace, partitions=1) as manager:
        ids = await _sessions(manager, 20)
        outcomes = await asyncio.gather(
            *(manager.append(one, NoteAdded(text=one)) for one in [*ids[:10], "nobody", *ids[10:]]),
            return_exceptions=True,
        )
        assert [type(outcome).__name__ for outcome in outcomes] == ["Appended"] * 10 + ["SessionNotFound"] + [
            "Appended"
        ] * 10


async def test_scripts_are_loaded_again_where_they_were_flushed(
    reach: dict[str, Any], namespace: str, client: Redis
) -> None:
    """Under concurrent appends, again and again."""
    async with SessionManager(**reach, namespace=namespace) as manager:
        ids = await _sessions(manager, 20)
        for turn in range(5):
            await client.script_flush()
            await asyncio.gather(*(manager.append(one, NoteAdded(text=str(turn))) for one in ids))
        for one in ids:
            assert await _notes(manager, one) == [str(turn) for turn in range(5)]


async def test_a_server_that_is_started_anew_is_found_by_appends_and_reads(
    make_server: Callable[..., Server],
) -> None:
    """What was acknowledged before is there."""
    real = make_server(appendfsync="always")
    async with SessionManager(url=real.unix_url) as manager:
        ids = await _sessions(manager, 50)
        appends = [asyncio.create_task(manager.append(one, NoteAdded(text=one))) for one in ids]
        await asyncio.to_thread(real.restart)
        await asyncio.gather(*appends)
        sessions = await asyncio.gather(*(manager.get_session(one) for one in ids))
        assert [session.version for session in sessions if session is not None] == [2] * 50


class _Passwords(CredentialProvider):
    """Gives the password of the day."""

    def __init__(self, password: str) -> None:
        self.password = password

    def get_credentials(self) -> tuple[str]:
        return (self.password,)


async def _change_password(real: Server, old: str, new: str) -> None:
    async with Redis.from_url(f"unix://{real.socket}", password=old) as client:
        await client.config_set("requirepass", new)
        # Who is connected already stays; these clients are put out.
        await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


async def test_a_new_password_is_taken_from_the_callers_own_provider(make_server: Callable[..., Server]) -> None:
    """The settings of the caller's client are asked anew at every connection."""
    real = make_server(requirepass="old")
    passwords = _Passwords("old")
    conn = Redis(unix_socket_path=str(real.socket), credential_provider=passwords)
    async with SessionManager(conn=conn) as manager:
        [session_id] = await _sessions(manager, 1)
        passwords.password = "new"
        await _change_password(real, "old", "new")
        assert (await manager.append(session_id, NoteAdded(text="after"))).version == 2
    await conn.aclose()


async def test_an_old_password_is_refused_at_once_and_says_so(make_server: Callable[..., Server]) -> None:
    """Waiting does not mend it, so nobody waits for the deadline."""
    real = make_server(requirepass="old")
    async with SessionManager(url=f"unix://:old@{real.socket}") as manager:
        [session_id] = await _sessions(manager, 1)
        await _change_password(real, "old", "new")
        # The server ends connections behind its answer; what is sent before that is seen would be unknown.
        await until(lambda: manager.store.server.open_lane() is None)
        async with asyncio.timeout(5):
            with pytest.raises(AuthenticationFailed):
                await manager.append(session_id, NoteAdded(text="refused"))
            with pytest.raises(AuthenticationFailed):
                await manager.get_session(session_id)


async def test_bytes_in_flight_are_bounded_while_a_server_does_not_answer(make_server: Callable[..., Server]) -> None:
    """What is beyond the bound waits with its caller, and goes when there is room."""
    real = make_server()
    async with SessionManager(url=real.unix_url) as manager:
        ids = await _sessions(manager, 40)
        lane = manager.store.server.open_lane()
        assert lane is not None
        real.pause()
        text = "x" * 200_000
        first = [asyncio.create_task(manager.append(one, NoteAdded(text=text))) for one in ids]
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(manager.append(one, NoteAdded(text=text))) for one in ids * 2]
        reads = [asyncio.create_task(manager.get_session(one)) for one in ids]
        await asyncio.sleep(0.05)
        # The bound is passed by one call at most.
        assert MOST_IN_FLIGHT <= lane.in_flight < MOST_IN_FLIGHT + 300_000, lane.in_flight
        real.resume()
        await asyncio.gather(*first, *rest)
        assert all(session is not None for session in await asyncio.gather(*reads))
        assert lane.in_flight == 0
