"""G39: keys are rotated without a change of history; without a key nothing is read, and that is said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import (
    EncryptedEvent,
    InvalidArgument,
    MessageAdded,
    NoteAdded,
    SessionEnded,
    SessionManager,
    Unavailable,
    acting,
)
from sessionstream.encryption import DataKeys, FolderKeyStore, KeyStore, MasterKeys
from sessionstream.errors import InvalidType, KeyDestroyed, KeyUnavailable
from sessionstream.events.encrypted import Envelope
from sessionstream.events.recorded import payload_of
from sessionstream.transfer import export_cloudevents
from tests.encryption.conftest import ANOTHER, MASTER, SESSION, USER, MakeManager


async def _begin(manager: SessionManager, session_id: str = SESSION, user_id: str = USER) -> None:
    await manager.create_session(user_id, "agent_1", {"a": "private"}, session_id=session_id)
    with acting(actor="who"):
        await manager.append(session_id, [MessageAdded(role="user", content="hello"), NoteAdded(text="one")])
    await manager.save_checkpoint(session_id, {"memory": "body"}, checkpoint_id="one", label="label")


async def _key_ids(manager: SessionManager) -> list[str]:
    entries = await manager.store.server.call("XRANGE", manager.store.keys.events(SESSION), "-", "+")
    return [Envelope.unpacked(payload_of(words)).key_id.hex() for _, words in entries]


async def test_a_rotated_data_key_encrypts_what_comes(manager: SessionManager, make_manager: MakeManager) -> None:
    """What was written before is read as before, by every process; no entry is written anew."""
    await _begin(manager)
    before = await _key_ids(manager)
    made = await manager.encryption.rotate(USER)
    await manager.append(SESSION, NoteAdded(text="two"))
    assert await _key_ids(manager) == [*before, made]
    other = make_manager()
    notes = [event.data.text async for event in other.history(SESSION, types=[NoteAdded])]
    assert notes == ["one", "two"]
    await other.update_session_metadata(SESSION, {"b": "new"})
    assert (await other.get_session(SESSION)).metadata == {"a": "private", "b": "new"}  # type: ignore[union-attr]


async def test_a_rotated_master_key_changes_nothing_in_redis(
    manager: SessionManager, make_manager: MakeManager, client: Redis
) -> None:
    """Keys are wrapped anew in the key store; then the old master key is needed no more."""
    await _begin(manager)
    await _begin(manager, "sess_2", "user_2")
    before = {key: await client.dump(key) async for key in client.scan_iter()}
    both = make_manager(encryption_key=ANOTHER, encryption_keys_old=MASTER)
    done: list[int] = []
    assert await both.encryption.rewrap(done.append) == 2
    assert await both.encryption.rewrap() == 0
    assert done == [1, 2]
    assert {key: await client.dump(key) async for key in client.scan_iter()} == before
    assert await make_manager(encryption_key=ANOTHER).messages(SESSION) == [{"role": "user", "content": "hello"}]
    with pytest.raises(KeyUnavailable, match="encryption_keys_old"):
        await make_manager().messages(SESSION)


async def test_events_without_their_key_say_so(manager: SessionManager, keyless: SessionManager) -> None:
    """The history goes on; what is stored of an event in plain text is known still."""
    await _begin(manager)
    events = [event async for event in keyless.history(SESSION)]
    assert all(isinstance(event.data, EncryptedEvent) for event in events)
    assert all(isinstance(event.data.error, KeyUnavailable) and event.actor is None for event in events)
    assert (events[0].data.known.user_id, events[0].data.known.metadata) == (USER, {})
    assert (events[1].type, events[1].data.known) == ("message.added", None)


async def test_what_cannot_be_read_without_the_key_is_refused(manager: SessionManager, keyless: SessionManager) -> None:
    """Never less in silence: the session, its messages, its checkpoint, a moment, a trace, an export, a rebuild."""
    await _begin(manager)
    asked: list[Callable[[], Any]] = [
        lambda: keyless.get_session(SESSION),
        lambda: keyless.messages(SESSION),
        lambda: keyless.get_latest_checkpoint(SESSION),
        lambda: keyless.list_checkpoints(SESSION),
        lambda: keyless.resume(SESSION),
        lambda: keyless.audit.as_of(SESSION, version=2),
        lambda: keyless.audit.trace(SESSION),
        lambda: keyless.rebuild(SESSION),
        lambda: _collect(export_cloudevents(keyless.store)),
    ]
    for ask in asked:
        with pytest.raises(KeyUnavailable):
            await ask()


async def test_what_says_nothing_private_is_known_without_the_key(
    manager: SessionManager, keyless: SessionManager
) -> None:
    """Whether a session is there, its state, and how many there are."""
    await _begin(manager)
    state = await keyless.get_session_state(SESSION)
    assert state is not None
    assert state.value == "active"
    assert await keyless.get_active_session_count() == 1


async def _collect(lines: Any) -> list[bytes]:
    return [line async for line in lines]


async def test_destroyed_keys_leave_nothing_to_read(manager: SessionManager, make_manager: MakeManager) -> None:
    """What was said is gone for good, for who did it and for every other process; that is said."""
    await _begin(manager)
    assert await manager.store.encryption.keys.destroy(USER) == 1  # type: ignore[union-attr]
    assert await manager.store.encryption.keys.destroy(USER) == 0  # type: ignore[union-attr]
    for reader in (manager, make_manager()):
        events = [event async for event in reader.history(SESSION)]
        assert all(isinstance(event.data.error, KeyDestroyed) for event in events)
        assert await reader.messages(SESSION) == []
        for ask in (reader.get_session, reader.get_latest_checkpoint):
            with pytest.raises(KeyDestroyed):
                await ask(SESSION)


async def test_no_new_key_is_made_for_a_session_whose_key_was_destroyed(
    manager: SessionManager, make_manager: MakeManager
) -> None:
    """Nothing more is said in it; it can be ended and removed. A new session begins a new life."""
    await _begin(manager)
    await manager.store.encryption.keys.destroy(USER)  # type: ignore[union-attr]
    for writer in (manager, make_manager()):
        with pytest.raises(KeyDestroyed):
            await writer.append(SESSION, NoteAdded(text="more"))
    with acting(actor="who"):
        assert await manager.delete_session(SESSION, purge=True)
    await manager.create_session(USER, "agent_1", session_id="sess_2")
    await manager.append("sess_2", MessageAdded(role="user", content="hello"))
    assert await make_manager().messages("sess_2") == [{"role": "user", "content": "hello"}]
    with pytest.raises(InvalidArgument):
        await make_manager(encryption_key=None, key_store=None).encryption.rotate(USER)


async def test_views_of_destroyed_sessions_are_still_made(manager: SessionManager) -> None:
    """A rebuild goes on with what is stored in plain text: whose, until when, in which state."""
    await _begin(manager)
    await manager.set_session_state(SESSION, "idle")
    await manager.store.encryption.keys.destroy(USER)  # type: ignore[union-attr]
    await manager.rebuild()
    assert (await manager.get_session_state(SESSION)).value == "idle"  # type: ignore[union-attr]
    assert await manager.get_total_session_count() == 1


async def test_nothing_is_appended_to_an_erased_session(manager: SessionManager, make_manager: MakeManager) -> None:
    """Nobody's it is, so there is no key for it; it is over, for who knew it before too."""
    await _begin(manager)
    await manager.erase_user(USER)
    for writer in (manager, make_manager()):
        with pytest.raises(SessionEnded):
            await writer.append(SESSION, NoteAdded(text="more"))


class _Slow(MasterKeys):
    """A provider that takes its time, and fails when it is told to."""

    failing: Exception | None = None

    def unwrap(self, master: str, wrapped: bytes, context: bytes) -> bytes:
        if self.failing is not None:
            raise self.failing
        return super().unwrap(master, wrapped, context)


async def test_what_a_callers_own_provider_raises_is_of_the_tree(
    manager: SessionManager, make_manager: MakeManager, key_store: Path
) -> None:
    """The append says that nothing was written; the next one, when the provider is back, is as if nothing had been."""
    await _begin(manager)
    provider = _Slow(MASTER)
    own = make_manager(encryption=DataKeys(FolderKeyStore(key_store), provider))
    provider.failing = OSError("no route to the key service")
    with pytest.raises(KeyUnavailable, match="no route"):
        await own.append(SESSION, NoteAdded(text="two"))
    provider.failing = None
    assert (await own.append(SESSION, NoteAdded(text="two"))).version == 5
    assert issubclass(Unavailable, ConnectionError)


async def test_a_lost_key_store_makes_no_new_keys_for_old_data(
    manager: SessionManager, make_manager: MakeManager, tmp_path: Path
) -> None:
    """A session that was encrypted with a key that is not here is not written to with another one."""
    await _begin(manager)
    with pytest.raises(KeyUnavailable, match="no key of user"):
        await make_manager(key_store=tmp_path / "another").append(SESSION, NoteAdded(text="two"))


def test_settings_want_both_halves(tmp_path: Path) -> None:
    """A key without a store, a store without a key, a short key, and keys given twice, are refused."""
    for settings in ({"encryption_key": MASTER}, {"key_store": tmp_path}, {"encryption_key": "short"}):
        with pytest.raises(InvalidArgument):
            SessionManager(url="redis://localhost", **settings)  # type: ignore[arg-type]
    keys = DataKeys(FolderKeyStore(tmp_path), MasterKeys(MASTER))
    with pytest.raises(InvalidArgument):
        SessionManager(url="redis://localhost", encryption=keys, encryption_key=MASTER, key_store=tmp_path)
    with pytest.raises(InvalidType):
        SessionManager(url="redis://localhost", encryption="yes")


def test_the_key_store_of_a_folder_is_one(tmp_path: Path) -> None:
    """It has what the protocol asks for."""
    store: KeyStore = FolderKeyStore(tmp_path)
    assert list(store.users()) == []


async def test_keys_are_asked_for_again_after_a_minute(
    manager: SessionManager, make_manager: MakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Till then (here less) another process may go on with a key that was destroyed."""
    monkeypatch.setattr("sessionstream.encryption.data_keys.REMEMBERED", 0.2)
    await _begin(manager)
    other = make_manager()
    await other.append(SESSION, NoteAdded(text="two"))
    await manager.store.encryption.keys.destroy(USER)  # type: ignore[union-attr]
    with pytest.raises(KeyDestroyed):
        async with asyncio.timeout(10):
            while True:
                await other.append(SESSION, NoteAdded(text="three"))
