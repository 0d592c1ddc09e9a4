"""G40: in a store that encrypts the user's keys are destroyed as well, so that no copy of what was said is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.erasure.conftest import KEY, PLAIN, SESSION, USER, MakeManager, talk
from tests.erasure.searching import found_in_files, found_in_redis


@pytest.fixture
def manager(make_manager: MakeManager, tmp_path: Path) -> SessionManager:
    """One that encrypts, and seals."""
    settings = {"encryption_key": "m" * 40, "key_store": tmp_path / "keys", "archive": tmp_path / "archive"}
    return make_manager(seal_key=KEY, **settings)


async def test_the_keys_are_destroyed_with_the_rest(
    manager: SessionManager, session: str, client: Redis, tmp_path: Path
) -> None:
    """A copy that somebody has kept is of no use, what is left verifies, and the views are those of a rebuild."""
    await manager.retention.archive(session, tmp_path / "archive")
    key = manager.store.keys.events(session)
    copy = await client.dump(key)
    done = await manager.erase_user(USER)
    assert (done.sessions, done.files, done.keys) == (1, 1, 1)
    assert await found_in_redis(client, PLAIN, USER) == []
    assert found_in_files(tmp_path / "archive", PLAIN, USER) == []
    found = await manager.audit.verify(session)
    assert found.ok, found.findings
    assert (found.erased, found.unproven) == (8, False)
    head = await manager.store.head(session)
    await manager.rebuild()
    assert (await manager.store.head(session))[0] == head[0]
    await client.restore(key, 0, copy, replace=True)
    assert PLAIN not in str([event.data async for event in manager.history(session)])


async def test_who_comes_back_has_other_keys(manager: SessionManager, session: str) -> None:
    """And is read as anybody is."""
    await manager.erase_user(USER)
    await manager.create_session(USER, "agent_1", {"said": PLAIN}, session_id="again")
    await talk(manager, 2, "again")
    again = await manager.get_session("again")
    assert again is not None
    assert again.metadata == {"said": PLAIN}
    assert len(await manager.messages("again")) == 2
    assert (await manager.erase_user(USER)).keys == 1


async def test_the_archive_of_a_removed_session_is_found_though_it_is_encrypted(
    manager: SessionManager, tmp_path: Path, session: str
) -> None:
    """Whose it was is told in plain text."""
    await manager.delete_session(session)
    assert manager.store.archive_first is not None
    await manager.store.archive_first(session)
    await manager.delete_session(session, purge=True)
    done = await manager.erase_user(USER)
    assert (done.sessions, done.files, done.keys) == (0, 2, 1)
    assert found_in_files(tmp_path / "archive", PLAIN, USER) == []
    replayed = [event.type async for event in manager.retention.replay(SESSION, tmp_path / "archive")]
    assert set(replayed) == {"event.erased"}


async def test_a_user_whose_keys_are_destroyed_already_is_erased(
    manager: SessionManager, session: str, client: Redis
) -> None:
    """What is stored in plain text goes too, and the views are made of what can still be read."""
    assert manager.store.encryption is not None
    await manager.store.encryption.keys.destroy(USER)
    done = await manager.erase_user(USER)
    assert (done.sessions, done.events, done.keys) == (1, 8, 0)
    assert await found_in_redis(client, PLAIN, USER) == []
    assert (await manager.audit.verify(session)).ok
