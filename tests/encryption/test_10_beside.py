"""G39: what is written beside the events is encrypted too, whatever of the event is not; else it is not written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sessionstream import Item, NoteAdded, SessionManager
from sessionstream.errors import KeyUnavailable, NamespaceMismatch, SessionEnded
from sessionstream.projection import Put, view
from tests.encryption.conftest import SESSION, USER, MakeManager
from tests.encryption.everything import TEXT, found_in_files, found_in_redis

SUMMARY = view("summary")
OF_LIFE = ["session.created", "session.state_changed", "session.deleted"]

pytestmark = pytest.mark.guarantee


async def _live(manager: SessionManager) -> None:
    """A life of a session of which nothing is encrypted, as nobody says anything in it."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    await manager.set_session_state(SESSION, "idle")
    await manager.delete_session(SESSION)


async def _handled(manager: SessionManager, handler: Callable[[Item], Awaitable[None]]) -> None:
    """Let a group come to the end of the feed; what fails is parked at once."""
    async with manager.consumers.join("group", handler, attempts=1, on_parked="continue") as consumer:
        running = asyncio.ensure_future(consumer.run())
        try:
            async with asyncio.timeout(20):
                while (await manager.consumers.status("group")).lag:
                    await asyncio.sleep(0.01)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def _tell(item: Item) -> None:
    raise ValueError(f"the talk was about {TEXT}")


async def _sum_up(item: Item) -> None:
    item.apply(Put(SUMMARY, {item.event.type: TEXT, "number": 1}))


async def test_errors_behind_events_that_say_nothing_are_encrypted(manager: SessionManager, client: Redis) -> None:
    """A handler may have read the session; who has the keys reads its errors."""
    await _live(manager)
    await _handled(manager, _tell)
    assert await found_in_redis(client) == []
    parked = await manager.consumers.parked("group")
    assert [one.type for one in parked] == OF_LIFE
    assert all(TEXT in one.message and TEXT in one.trace for one in parked)


async def test_views_behind_events_that_say_nothing_are_encrypted(manager: SessionManager, client: Redis) -> None:
    """A summary that is put behind the end of a session, for instance."""
    await _live(manager)
    await _handled(manager, _sum_up)
    assert await found_in_redis(client) == []
    fields = await manager.consumers.view("group").fields(SUMMARY, SESSION)
    assert {name: fields[name] for name in OF_LIFE} == dict.fromkeys(OF_LIFE, TEXT.encode())


async def test_who_has_no_keys_keeps_no_texts(manager: SessionManager, keyless: SessionManager, client: Redis) -> None:
    """Its group's views take numbers, and what its handlers raise is not kept: that is said."""
    await _live(manager)
    await _handled(keyless, _sum_up)
    assert await found_in_redis(client) == []
    parked = await keyless.consumers.parked("group")
    assert {(one.error, one.message) for one in parked} == {("KeyUnavailable", "(not kept, as it cannot be encrypted)")}


async def test_who_has_no_keys_publishes_nothing(
    manager: SessionManager, keyless: SessionManager, client: Redis
) -> None:
    """A delta would lie in the server in plain text; also of a process that was there before the keys were."""
    await keyless.create_session(USER, "agent_1", session_id=SESSION)
    await keyless.publish(SESSION, {"delta": "in plain text"})
    await manager.rebuild(adopt=True)
    with pytest.raises(NamespaceMismatch, match="encryption_key"):
        await keyless.publish(SESSION, {"delta": TEXT})
    assert await found_in_redis(client) == []


async def test_who_encrypts_publishes_nothing_in_plain_text(manager: SessionManager, keyless: SessionManager) -> None:
    """Followers without keys would not be given it, and not be told."""
    await keyless.create_session(USER, "agent_1", session_id=SESSION)
    with pytest.raises(NamespaceMismatch, match="adopt=True"):
        await manager.publish(SESSION, {"delta": "x"})


async def test_a_lost_key_store_is_noticed_behind_events_that_say_nothing(
    manager: SessionManager, make_manager: MakeManager, tmp_path: Path
) -> None:
    """A session whose first events are not encrypted has others that are, and is not written to with another key."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    await manager.append(SESSION, NoteAdded(text="one"))
    await manager.set_session_state(SESSION, "idle")
    with pytest.raises(KeyUnavailable, match="no key of user"):
        await make_manager(key_store=tmp_path / "another").append(SESSION, NoteAdded(text="two"))


async def test_an_erased_session_is_given_no_key(manager: SessionManager, key_store: Path, client: Redis) -> None:
    """Nobody's it is: what would be said of it is refused, and no key is made in its user's place."""
    await manager.create_session(USER, "agent_1", session_id=SESSION)
    await manager.append(SESSION, NoteAdded(text="one"))
    await manager.erase_user(USER)
    with pytest.raises(SessionEnded):
        await manager.retention.hold(SESSION, TEXT)
    assert list(manager.store.encryption.keys._store.users()) == []  # type: ignore[union-attr]
    assert await found_in_redis(client) == []
    assert found_in_files(key_store, USER) == []
