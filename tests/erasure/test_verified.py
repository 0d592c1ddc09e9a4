"""G40: what is left of an erased session verifies, and names what was erased; what hides behind an erasure is found."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sessionstream import MessageAdded, SessionManager
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.offline import verify_evidence
from sessionstream.integrity.reporting import Kind
from tests.erasure.conftest import KEY, PLAIN, USER, MakeManager
from tests.integrity.attacks import Attacker, Entry

ANCHOR = "anchor"


@pytest.fixture
def attacker(client: Redis, manager: SessionManager, session: str) -> Attacker:
    """Somebody who may do anything to the server, and has no key."""
    return Attacker(client, manager.store.keys, session)


async def _sealed(manager: SessionManager, tmp_path: Path) -> Path:
    path = tmp_path / ANCHOR
    async for _ in manager.audit.seal_all(anchor=path):
        pass
    return path


async def test_what_is_left_verifies(manager: SessionManager, session: str) -> None:
    """All of it: seals, views and the log; erased events are named so, and are no finding."""
    await manager.erase_user(USER)
    found = await manager.audit.verify(session)
    assert found.ok
    assert (found.version, found.sealed_to, found.erased, found.unproven_erased) == (9, 9, 8, 0)
    claims = {one.name: one for one in found.claims}
    for name in ("order", "events", "seals", "tail", "views", "checkpoints", "erasure"):
        assert claims[name].checked, name
    assert not found.unproven


async def test_an_anchor_of_before_still_holds(manager: SessionManager, session: str, tmp_path: Path) -> None:
    """The seals stay as they were, so it is the same history that went on; and so does one of behind."""
    anchor = await _sealed(manager, tmp_path)
    await manager.audit.seal(session)
    await manager.erase_user(USER)
    found = await manager.audit.verify(session, anchor=anchor)
    assert found.ok
    assert {one.name for one in found.claims if one.checked} >= {"anchor"}
    assert [found.ok async for found in manager.audit.verify_all(anchor=await _sealed(manager, tmp_path))] == [True]


async def test_evidence_of_an_erased_session_verifies_without_a_server(
    manager: SessionManager, session: str, tmp_path: Path
) -> None:
    """From the file and the key alone, and against an anchor."""
    anchor = await _sealed(manager, tmp_path)
    await manager.erase_user(USER)
    await manager.audit.evidence(session, tmp_path / "evidence")
    told = verify_evidence(tmp_path / "evidence", Keyring(KEY), anchor=anchor).verification
    assert told.ok
    assert (told.erased, told.unproven_erased) == (8, 0)
    assert PLAIN.encode() not in (tmp_path / "evidence").read_bytes()


async def test_what_is_removed_behind_an_erasure_is_found(manager: SessionManager, attacker: Attacker) -> None:
    """Also the place of an erased event belongs to the history."""
    await manager.erase_user(USER)
    await attacker.remove(3)
    [finding] = (await manager.audit.verify(attacker.session_id)).findings
    assert (finding.kind, finding.version) == (Kind.REMOVED, 3)


async def test_the_event_that_tells_of_the_erasure_cannot_be_taken_away(
    manager: SessionManager, attacker: Attacker
) -> None:
    """It is sealed too."""
    await manager.erase_user(USER)
    await attacker.remove(9)
    found = await manager.audit.verify(attacker.session_id)
    assert Kind.CUT_OFF in {one.kind for one in found.findings}


def _forged(digest: bytes) -> bytes:
    told = {"digest": base64.b64encode(digest).decode()} if digest else {}
    return b"0" * 22 + json.dumps(told).encode()


@pytest.mark.parametrize("tag_is_known", [False, True])
async def test_nobody_without_the_key_erases_an_event(
    manager: SessionManager, attacker: Attacker, tag_is_known: bool
) -> None:
    """What stands in an event's place has to prove that it was that; the tags of seals are there for all to see."""
    await manager.audit.seal(attacker.session_id)
    [seal] = await attacker.client.lrange(attacker.seals, 0, -1)
    tag = base64.b64decode(json.loads(seal)["tags"])[8:12] if tag_is_known else b"xxxx"

    def forged(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        return {b"event.erased": _forged(tag + b"x" * 28)}

    await attacker.edit(3, forged)
    found = await manager.audit.verify(attacker.session_id)
    kinds = {one.kind for one in found.findings}
    assert Kind.CONTENT_EDITED in kinds
    assert Kind.INSERTED in kinds, "no event tells of an erasure"


async def test_an_erasure_that_nobody_told_of_is_found(manager: SessionManager, attacker: Attacker) -> None:
    """Also where no seal knows the event."""

    def forged(fields: dict[bytes, bytes]) -> dict[bytes, bytes]:
        return {b"event.erased": _forged(b"")}

    await attacker.edit(3, forged)
    found = await manager.audit.verify(attacker.session_id)
    assert (Kind.INSERTED, 3) in {(one.kind, one.version) for one in found.findings}


async def test_what_was_altered_before_its_erasure_is_still_found(manager: SessionManager, attacker: Attacker) -> None:
    """The erasure says of each event what it was then, and the seal what it had been."""
    await manager.audit.seal(attacker.session_id)
    await attacker.edit(3, lambda fields: {name: value[:-2] + b"!}" for name, value in fields.items()})
    await manager.erase_user(USER)
    found = await manager.audit.verify(attacker.session_id)
    assert (Kind.CONTENT_EDITED, 3) in {(one.kind, one.version) for one in found.findings}
    assert found.erased == 8


async def test_what_was_removed_before_is_still_found(manager: SessionManager, attacker: Attacker) -> None:
    """It keeps no erasure back, and stays a gap."""
    await manager.audit.seal(attacker.session_id)
    await attacker.remove(3)
    assert (await manager.erase_user(USER)).events == 7
    found = await manager.audit.verify(attacker.session_id)
    assert [(one.kind, one.version) for one in found.findings] == [(Kind.REMOVED, 3)]


async def test_a_stream_that_is_lost_or_cut_off_is_erased(manager: SessionManager, attacker: Attacker) -> None:
    """What is there goes, and that it was not all of it is told still."""
    await manager.audit.seal(attacker.session_id)
    await attacker.client.delete(attacker.events)
    assert (await manager.erase_user(USER)).sessions == 1
    found = await manager.audit.verify(attacker.session_id)
    assert Kind.REMOVED in {one.kind for one in found.findings}


async def test_a_store_without_a_key_erases_what_nobody_has_sealed(make_manager: MakeManager) -> None:
    """There is nothing to prove it with, and nothing to prove it against; the order of what is left is checked."""
    keyless, auditor = make_manager(), make_manager(seal_key=KEY)
    session = await keyless.create_session(USER, "agent_1", {"said": PLAIN})
    await keyless.append(session.session_id, MessageAdded(role="user", content=PLAIN))
    await keyless.erase_user(USER)
    found = await auditor.audit.verify(session.session_id)
    assert found.ok
    assert not found.unproven
    assert (found.version, found.erased) == (4, 3)
    await auditor.audit.seal(session.session_id)
    found = await auditor.audit.verify(session.session_id)
    assert found.ok
    assert (found.sealed_to, found.unproven_erased) == (4, 0)


async def test_what_was_sealed_and_erased_without_the_key_is_not_proven(
    manager: SessionManager, make_manager: MakeManager, session: str, client: Redis
) -> None:
    """It is named as erased, that nothing proves it is said, and the exit code of `verify` is another one."""
    await manager.audit.seal(session)
    keyless = make_manager()
    await keyless.erase_user(USER)
    found = await manager.audit.verify(session)
    assert found.ok
    assert found.unproven
    assert (found.erased, found.unproven_erased) == (8, 7)
    assert [one.name for one in found.unchecked if "no key" in one.why] == ["erasure"]
    # Nobody can add anything to it, either.
    attacker = Attacker(client, manager.store.keys, session)

    def emptied(entries: list[Entry]) -> list[Entry]:
        return [*entries[:2], *entries[3:]]

    await attacker.rewrite(emptied)
    assert [one.kind for one in (await manager.audit.verify(session)).findings] == [Kind.REMOVED]


async def test_a_session_goes_on_being_sealed_behind_its_erasure(manager: SessionManager, session: str) -> None:
    """By a key that came later, too; a hold and its release are events as ever."""
    await manager.erase_user(USER)
    hold = await manager.retention.hold(session, "audit")
    await manager.retention.release(session, hold)
    sealed = await manager.audit.seal(session)
    assert sealed.version == 11
    found = await manager.audit.verify(session)
    assert found.ok
    assert (found.sealed_to, found.erased) == (11, 8)
