"""`mark_idle`: sessions that nobody used for a while; and the loop that ends those whose time is over."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager, SessionState
from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.recipes import cleanup_expired_sessions, mark_idle, monitor_session_activity
from tests.recipes.conftest import MakeManager
from tests.servers import Server
from tests.sessions.waiting import expired_session, until

HOUR = timedelta(hours=1)


async def _used(manager: SessionManager, session_id: str, last_activity: Any) -> None:
    await manager.create_session("user_1", "agent_1", {"last_activity": last_activity}, session_id=session_id)


async def test_a_session_used_too_long_ago_is_marked(manager: SessionManager) -> None:
    """One used just now is not, nor one that tells nothing of it."""
    await _used(manager, "old", (datetime.now(UTC) - HOUR).isoformat())
    await _used(manager, "new", datetime.now(UTC).isoformat())
    await manager.create_session("user_1", "agent_1", session_id="silent")
    assert await mark_idle(manager) == ["old"]
    states = [await manager.get_session_state(session_id) for session_id in ("old", "new", "silent")]
    assert states == [SessionState.IDLE, SessionState.ACTIVE, SessionState.ACTIVE]


async def test_how_long_is_too_long_is_the_caller_s_word(manager: SessionManager) -> None:
    """Half an hour unless the caller says otherwise."""
    await _used(manager, "31", (datetime.now(UTC) - timedelta(minutes=31)).isoformat())
    await _used(manager, "29", (datetime.now(UTC) - timedelta(minutes=29)).isoformat())
    assert await mark_idle(manager, timedelta(hours=2)) == []
    assert await mark_idle(manager) == ["31"]
    assert await mark_idle(manager, older_than=timedelta(minutes=28)) == ["29"]


async def test_the_seed_s_name_marks_after_half_an_hour(manager: SessionManager) -> None:
    """`monitor_session_activity` is the same."""
    await _used(manager, "old", (datetime.now(UTC) - HOUR).isoformat())
    assert await monitor_session_activity(manager) == ["old"]


@pytest.fixture
def zone() -> Iterator[Callable[[str], None]]:
    """Let this process live in another time zone."""
    before = os.environ.get("TZ")

    def live_in(name: str) -> None:
        os.environ["TZ"] = name
        time.tzset()

    yield live_in
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("name", ["UTC", "XXX-9", "XXX+7"])
async def test_a_naive_time_is_local(manager: SessionManager, zone: Callable[[str], None], name: str) -> None:
    """As `datetime.now().isoformat()` gives it, east and west of Greenwich."""
    zone(name)
    await _used(manager, "new", datetime.now().isoformat())
    await _used(manager, "old", (datetime.now() - HOUR).isoformat())
    assert await mark_idle(manager) == ["old"]


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(hours=9), timedelta(hours=-7)])
async def test_an_aware_time_is_what_it_says(
    manager: SessionManager, zone: Callable[[str], None], offset: timedelta
) -> None:
    """Wherever this process lives, also as the first document writes it, with a Z."""
    zone("XXX-3")
    there = timezone(offset)
    await _used(manager, "new", datetime.now(there).isoformat())
    await _used(manager, "old", (datetime.now(there) - HOUR).isoformat())
    await _used(manager, "z", "2025-01-17T10:30:00Z")
    assert sorted(await mark_idle(manager)) == ["old", "z"]


@pytest.mark.parametrize(
    "value", ["yesterday", "", None, 1_700_000_000, ["2020-01-01"], "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59"]
)
async def test_a_malformed_time_is_passed_over(
    manager: SessionManager, zone: Callable[[str], None], value: Any
) -> None:
    """The others are marked nevertheless."""
    zone("XXX+7")
    await _used(manager, "odd", value)
    await _used(manager, "old", "2020-01-01")
    assert await mark_idle(manager) == ["old"]


async def test_the_mark_loses_against_activity(make_manager: MakeManager, manager: SessionManager) -> None:
    """A session that was used after the list was read stays active, whatever else was appended to it."""

    class Slow(SessionManager):
        async def get_all_active_sessions(self) -> Any:
            sessions = await super().get_all_active_sessions()
            await manager.add_messages("used", {"role": "user", "content": "Hi"})
            await manager.delete_session("gone")
            return sessions

    for session_id in ("used", "gone", "old"):
        await _used(manager, session_id, "2020-01-01")
    assert await mark_idle(make_manager(Slow)) == ["old"]
    assert await manager.get_session_state("used") is SessionState.ACTIVE


async def test_many_marks_beside_much_activity_overwrite_none(make_manager: MakeManager) -> None:
    """A user who sets the session ACTIVE, with the time of it, finds it so, however often it is marked."""
    user, marker = make_manager(), make_manager()
    await _used(user, "sess_1", "2020-01-01")
    done = False

    async def mark() -> int:
        count = 0
        while not done:
            count += len(await mark_idle(marker))
        return count

    marking = asyncio.create_task(mark())
    for _ in range(50):
        await user.update_session_metadata("sess_1", {"last_activity": datetime.now(UTC).isoformat()})
        await user.set_session_state("sess_1", "active")
        for _ in range(5):
            assert await user.get_session_state("sess_1") is SessionState.ACTIVE
        await user.update_session_metadata("sess_1", {"last_activity": "2020-01-01"})
    await until(lambda: _is_idle(user))
    done = True
    assert await marking > 0


async def _is_idle(manager: SessionManager) -> bool:
    return await manager.get_session_state("sess_1") is SessionState.IDLE


@pytest.mark.parametrize(("given", "error"), [(30, InvalidType), (timedelta(seconds=-1), InvalidArgument)])
async def test_only_a_time_span_will_do(manager: SessionManager, given: Any, error: type[Exception]) -> None:
    """A number says not of what."""
    with pytest.raises(error, match="older_than"):
        await mark_idle(manager, given)


# The loop


async def test_the_loop_cleans_up_until_it_is_cancelled(manager: SessionManager, client: Redis) -> None:
    """Each turn reports how many sessions it ended."""
    reports: list[int] = []
    await expired_session(manager, client)
    loop = asyncio.create_task(cleanup_expired_sessions(manager, 0.001, reports.append))
    await until(lambda: len(reports) >= 2)
    await expired_session(manager, client)
    await until(lambda: sum(reports) == 2)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    assert reports[0] == 1


async def test_the_loop_outlives_a_server_that_is_away(
    make_server: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    """What went wrong is logged, and the next turn tries again."""
    server = make_server()
    reports: list[int] = []
    async with SessionManager.open(server.url, deadline=0.1) as manager:
        loop = asyncio.create_task(cleanup_expired_sessions(manager, 0.001, reports.append))
        await until(lambda: reports)
        server.stop()
        await until(lambda: "were not cleaned up" in caplog.text)
        server.start()
        count = len(reports)
        await until(lambda: len(reports) > count)
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop
