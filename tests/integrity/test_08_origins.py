"""Sessions that came about in other ways than by appends alone verify as all others do (G32)."""

from __future__ import annotations

from sessionstream import NoteAdded, SessionManager
from sessionstream.transfer import export_events, import_events
from tests.integrity.conftest import SESSION, MakeManager


async def test_an_imported_session_verifies(sealed: SessionManager) -> None:
    """The feed tells of all of it, and it is sealed anew."""
    lines = [line async for line in export_events(sealed.store)]
    await sealed.delete_session(SESSION, purge=True)
    assert (await import_events(sealed.store, lines)).created == 1
    assert (await sealed.audit.verify(SESSION)).ok
    await sealed.audit.seal(SESSION)
    assert (await sealed.audit.verify(SESSION)).sealed_to == 12


async def test_a_fork_verifies(sealed: SessionManager) -> None:
    """It has a chain of its own."""
    fork = await sealed.audit.fork(SESSION, at=8, new_session_id="fork")
    await sealed.audit.seal(fork.session_id)
    found = await sealed.audit.verify("fork")
    assert found.ok
    assert found.sealed_to == found.version


async def test_a_held_session_and_one_that_has_ended_verify(sealed: SessionManager) -> None:
    """What tells of it is an event as any other."""
    hold = await sealed.retention.hold(SESSION, "asked for")
    assert (await sealed.audit.verify(SESSION)).ok
    await sealed.retention.release(SESSION, hold)
    await sealed.delete_session(SESSION)
    assert (await sealed.audit.verify(SESSION)).ok


async def test_a_session_whose_time_to_live_slides_verifies(make_manager: MakeManager) -> None:
    """Every event moves its expiry, and its place in the indexes."""
    manager = make_manager(extend_on="append")
    await manager.create_session("user_1", "agent_1", session_id=SESSION, ttl=3_600)
    for number in range(3):
        await manager.append(SESSION, NoteAdded(text=str(number)))
    await manager.audit.seal(SESSION)
    assert (await manager.audit.verify(SESSION)).ok
