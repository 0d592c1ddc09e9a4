"""G40: the keys of an erased user are destroyed: once, not while a hold stands, and not those of others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sessionstream import SessionManager
from sessionstream.encryption import DataKeys
from sessionstream.errors import KeyDestroyed, KeyUnavailable, SessionsHeld
from sessionstream.events.encrypted import EncryptedEvent
from sessionstream.transfer.exporting import export_events
from sessionstream.transfer.importing_events import import_events
from tests.erasure.conftest import KEY, PLAIN, SESSION, USER, MakeManager, talk

MASTER = "m" * 40


@pytest.fixture
def encrypting(make_manager: MakeManager, tmp_path: Path, folder: Path) -> SessionManager:
    """A manager that encrypts, seals and archives."""
    return make_manager(encryption_key=MASTER, key_store=tmp_path / "keys", seal_key=KEY, archive=folder)


@pytest.fixture
async def talked(encrypting: SessionManager) -> AsyncIterator[SessionManager]:
    """That manager, with a session of the user's that has all that a session can have."""
    await encrypting.create_session(USER, "agent_1", {"said": PLAIN}, session_id=SESSION)
    await talk(encrypting, 5)
    await encrypting.save_checkpoint(SESSION, {"history": [PLAIN]}, label=PLAIN)
    return encrypting


async def test_the_users_keys_are_destroyed(talked: SessionManager) -> None:
    """Once: of who is erased already there are none."""
    await talked.encryption.rotate(USER)
    assert (await talked.erase_user(USER)).keys == 2
    assert (await talked.erase_user(USER)).keys == 0
    with pytest.raises(KeyDestroyed):
        await talked.encryption.rotate(USER)


async def test_a_copy_from_before_cannot_be_read_any_more(
    talked: SessionManager, make_manager: MakeManager, make_namespace: Callable[..., str], tmp_path: Path
) -> None:
    """Somebody puts an old export back, with the same master key and the same key store."""
    lines = [line async for line in export_events(talked.store)]
    assert not any(PLAIN.encode() in line for line in lines)
    await talked.erase_user(USER)
    restored = make_manager(namespace=make_namespace(), encryption_key=MASTER, key_store=tmp_path / "keys")
    await import_events(restored.store, lines)
    events = [event.data async for event in restored.history(SESSION)]
    told = [event for event in events if isinstance(event, EncryptedEvent)]
    assert len(told) >= 5
    assert {type(event.error) for event in told} == {KeyDestroyed}


async def test_keys_outlast_a_hold(talked: SessionManager) -> None:
    """What nobody may erase has to be read."""
    await talked.retention.hold(SESSION, "case 12")
    with pytest.raises(SessionsHeld):
        await talked.erase_user(USER)
    assert (await talked.messages(SESSION))[0]["content"].endswith(PLAIN)


async def test_an_erasure_that_could_not_destroy_the_keys_is_completed(talked: SessionManager, tmp_path: Path) -> None:
    """The key store was away: the call says so, and destroys them when it is made again."""
    store = tmp_path / "keys"
    moved = store.rename(tmp_path / "away")
    store.write_text("no folder")
    with pytest.raises(KeyUnavailable):
        await talked.erase_user(USER)
    store.unlink()
    moved.rename(store)
    done = await talked.erase_user(USER)
    assert (done.sessions, done.keys) == (0, 1)


async def test_the_keys_of_others_stay(talked: SessionManager) -> None:
    """Each user has keys of their own."""
    await talked.create_session("bob", "agent_1", {"said": "mine"}, session_id="sess_bob")
    await talked.erase_user(USER)
    keys: DataKeys = talked.store.encryption.keys  # type: ignore[union-attr]
    assert not await keys.has_destroyed("bob")
    session = await talked.get_session("sess_bob")
    assert session is not None
    assert session.metadata == {"said": "mine"}
