"""G39: what is written in plain text and what is written encrypted do not mix unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, NoteAdded, SessionManager
from sessionstream.errors import KeyUnavailable, NamespaceMismatch
from sessionstream.events.encrypted import is_encrypted
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from tests.encryption.conftest import ANOTHER, SESSION, USER, MakeManager


async def _fill(manager: SessionManager, session_id: str = SESSION) -> None:
    await manager.create_session(USER, "agent_1", {"a": "private", "b": 1}, session_id=session_id)
    await manager.append(session_id, [MessageAdded(role="user", content="hello"), NoteAdded(text="one")])
    await manager.save_checkpoint(session_id, {"memory": 1}, checkpoint_id="one", label="label")


async def test_who_has_no_keys_does_not_write(manager: SessionManager, keyless: SessionManager, client: Redis) -> None:
    """Nothing is written in plain text to a namespace that is encrypted; the error says what is missing."""
    await _fill(manager)
    before = {key: await client.dump(key) async for key in client.scan_iter()}
    for write in (
        lambda: keyless.append(SESSION, NoteAdded(text="two")),
        lambda: keyless.create_session(USER, "agent_1"),
        lambda: keyless.delete_session(SESSION),
        lambda: keyless.rebuild(SESSION),
        lambda: keyless.rebuild(adopt=True),
    ):
        with pytest.raises((NamespaceMismatch, KeyUnavailable)) as refused:
            await write()
        assert "key" in str(refused.value)
    assert {key: await client.dump(key) async for key in client.scan_iter()} == before


async def test_a_plain_namespace_is_not_encrypted_by_accident(manager: SessionManager, keyless: SessionManager) -> None:
    """Who encrypts is refused too, until the namespace is adopted by name."""
    await _fill(keyless)
    with pytest.raises(NamespaceMismatch, match="adopt=True"):
        await manager.append(SESSION, NoteAdded(text="two"))


async def test_a_namespace_is_encrypted_from_a_moment_on(manager: SessionManager, keyless: SessionManager) -> None:
    """What was written before stays, and is read, in plain text; what comes is encrypted, in old sessions too."""
    await _fill(keyless)
    await manager.rebuild(adopt=True)
    await manager.append(SESSION, NoteAdded(text="two"))
    await manager.update_session_metadata(SESSION, {"a": "changed"})
    await _fill(manager, "sess_2")
    events = [event async for event in manager.history(SESSION)]
    assert [is_encrypted(event.raw) for event in events] == [False] * 4 + [True] * 2
    session = await manager.get_session(SESSION)
    assert session is not None
    assert session.metadata == {"a": "changed", "b": 1}
    assert (await manager.get_latest_checkpoint(SESSION)).data == {"memory": 1}  # type: ignore[union-attr]
    with pytest.raises(NamespaceMismatch):
        await keyless.append(SESSION, NoteAdded(text="three"))
    await manager.rebuild()
    assert await manager.get_session(SESSION) == session


async def test_a_history_is_verified_without_keys(make_manager: MakeManager, tmp_path: Path) -> None:
    """Seals are over what is stored; which views could not be compared is said."""
    manager = make_manager(seal_key=ANOTHER)
    await _fill(manager)
    await manager.audit.seal(SESSION)
    assert (await manager.audit.verify(SESSION)).ok
    auditor = make_manager(seal_key=ANOTHER, encryption_key=None, key_store=None)
    found = await auditor.audit.verify(SESSION)
    claims = {claim.name: claim for claim in found.claims}
    assert found.findings == ()
    assert claims["seals"].checked
    await manager.append(SESSION, NoteAdded(text="two"))
    assert (await auditor.audit.seal(SESSION)).version == 5
    assert claims["views"].why == "of what is encrypted, the keys are not here"
    await manager.audit.evidence(SESSION, tmp_path / "evidence.jsonl")
    evidence = verify_evidence(tmp_path / "evidence.jsonl", Keyring.of(auditor.settings))
    assert evidence.verification.findings == ()


async def test_altered_views_are_found_with_the_keys(make_manager: MakeManager, client: Redis) -> None:
    """Also one that was put back to what it was before: it is not what the events make."""
    manager = make_manager(seal_key=ANOTHER)
    await _fill(manager)
    head = manager.store.keys.head(SESSION)
    old = await client.hget(head, "m:a")
    await manager.update_session_metadata(SESSION, {"a": "changed"})
    await client.hset(head, "m:a", old)
    found = await manager.audit.verify(SESSION)
    assert [finding.kind.value for finding in found.findings] == ["view altered"]
