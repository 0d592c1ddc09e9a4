"""Anchors: what was known outside of the server tells of what nothing on the server can (G32)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessionstream import NoteAdded, SessionManager, SessionNotFound
from sessionstream.errors import HistoryAltered, IntegrityError, InvalidAnchor
from sessionstream.integrity.reporting import Kind
from sessionstream.log.gates import name_in_log
from tests.integrity.attacks import Attacker
from tests.integrity.conftest import KEY, NEIGHBOUR, SESSION, MakeManager
from tests.integrity.test_01_histories import told

OTHER_KEY = "f" * 32


@pytest.fixture
async def anchor(sealed: SessionManager, tmp_path: Path) -> Path:
    """An anchor of the two sessions, at version 13 and 12."""
    await sealed.append(SESSION, NoteAdded(text="more"))
    path = tmp_path / "anchor.jsonl"
    assert [one.version async for one in sealed.audit.seal_all([SESSION, NEIGHBOUR], anchor=path)] == [13, 12]
    return path


async def test_with_an_anchor_every_claim_about_a_history_is_checked(sealed: SessionManager, anchor: Path) -> None:
    """Of one session, and of all; also when they went on since."""
    await sealed.append(SESSION, NoteAdded(text="since"))
    await sealed.audit.seal(SESSION)
    found = await sealed.audit.verify(SESSION, anchor=anchor)
    assert found.ok
    assert [one.name for one in found.unchecked] == ["counters"]
    assert all([one.ok async for one in sealed.audit.verify_all(anchor=anchor)])


async def test_a_dump_of_the_whole_server_is_told_by_the_anchor(
    sealed: SessionManager, attacker: Attacker, tmp_path: Path
) -> None:
    """Every key of the namespace, from before one more event."""
    client = attacker.client
    keys = [key async for key in client.scan_iter(count=1000)]
    dumped = {key: await client.dump(key) for key in keys}
    await sealed.append(SESSION, NoteAdded(text="more"))
    path = tmp_path / "anchor"
    assert len([one async for one in sealed.audit.seal_all(anchor=path)]) == 2
    await client.flushall()
    for key, value in dumped.items():
        await client.restore(key, 0, value)
    assert (await sealed.audit.verify(SESSION)).ok
    found = {one.session_id: one async for one in sealed.audit.verify_all(anchor=path)}
    assert told(found[SESSION]) == [(Kind.ROLLED_BACK, 13)]
    assert found[NEIGHBOUR].ok


async def test_a_rolled_back_session_that_went_on_is_told_by_the_anchor(
    sealed: SessionManager, attacker: Attacker, tmp_path: Path
) -> None:
    """It is longer than it was by now, and sealed."""
    client = attacker.client
    dumped = {key: await client.dump(key) async for key in client.scan_iter(count=1000)}
    await sealed.append(SESSION, NoteAdded(text="more"))
    path = tmp_path / "anchor"
    assert [one.version async for one in sealed.audit.seal_all([SESSION], anchor=path)] == [13]
    await client.flushall()
    for key, value in dumped.items():
        await client.restore(key, 0, value)
    await sealed.append(SESSION, [NoteAdded(text="another"), NoteAdded(text="story")])
    await sealed.audit.seal(SESSION)
    assert (await sealed.audit.verify(SESSION)).ok
    assert told(await sealed.audit.verify(SESSION, anchor=path)) == [(Kind.ROLLED_BACK, 13)]


async def test_seals_that_were_removed_are_told_by_the_anchor(
    sealed: SessionManager, attacker: Attacker, anchor: Path
) -> None:
    """The history is all there, and what proves it is not."""
    await attacker.client.delete(attacker.seals)
    assert told(await sealed.audit.verify(SESSION, anchor=anchor)) == [(Kind.SEAL_REMOVED, 13)]


async def test_a_session_that_is_lost_is_told_by_the_anchor(
    sealed: SessionManager, attacker: Attacker, anchor: Path
) -> None:
    """All of it, and its place in the log: no feed tells that it was retired."""
    for key in await attacker.dump():
        await attacker.client.delete(key)
    await attacker.client.hdel(attacker.log, name_in_log(SESSION))
    await attacker.client.zrem(attacker.keys.registry(attacker.keys.partition(SESSION)), SESSION)
    with pytest.raises(SessionNotFound):
        await sealed.audit.verify(SESSION)
    found = {one.session_id: one async for one in sealed.audit.verify_all(anchor=anchor)}
    assert told(found[SESSION]) == [(Kind.LOST, 13)]
    assert found[NEIGHBOUR].ok


async def test_a_session_that_was_retired_is_not_lost(sealed: SessionManager, anchor: Path) -> None:
    """The feed tells."""
    await sealed.delete_session(SESSION, purge=True)
    found = await sealed.audit.verify(SESSION, anchor=anchor)
    assert (found.ok, found.retired, found.unchecked) == (True, True, ())


async def test_where_the_feed_does_not_reach_back_nobody_knows(
    sealed: SessionManager, attacker: Attacker, anchor: Path
) -> None:
    """Retired or lost: that is said, and not guessed."""
    await sealed.delete_session(SESSION, purge=True)
    await attacker.client.delete(attacker.feed)
    found = await sealed.audit.verify(SESSION, anchor=anchor)
    assert (found.ok, found.retired) == (True, False)
    assert [one.name for one in found.unchecked] == ["anchor"]


async def test_a_session_made_anew_after_it_was_retired_is_told_apart(sealed: SessionManager, anchor: Path) -> None:
    """Its id was used again; the feed tells that the one which the anchor knows was removed."""
    await sealed.delete_session(SESSION, purge=True)
    await sealed.create_session("user_1", "agent_1", session_id=SESSION)
    found = await sealed.audit.verify(SESSION, anchor=anchor)
    assert found.ok
    assert "anchor" in [one.name for one in found.unchecked]


async def test_a_session_that_the_anchor_does_not_know_is_said_to_be_that(sealed: SessionManager, anchor: Path) -> None:
    """It began later."""
    await sealed.create_session("user_1", "agent_1", session_id="sess_3")
    found = await sealed.audit.verify("sess_3", anchor=anchor)
    assert found.ok
    assert "anchor" in [one.name for one in found.unchecked]


# The file


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[:1] + lines[2:],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [*lines[:-1], lines[-1][:-20]],
        lambda lines: [*lines, lines[1]],
        lambda lines: [lines[0], lines[1].replace(b'"version":13', b'"version":12'), *lines[2:]],
        lambda lines: [lines[0].replace(b'"at":1', b'"at":2'), *lines[1:]],
        lambda lines: [],
        lambda lines: [b"nothing\n"],
    ],
)
async def test_an_anchor_that_was_altered_is_refused(sealed: SessionManager, anchor: Path, change: object) -> None:
    """Cut short, a line gone, lines swapped, one added, one changed, empty, something else."""
    lines = anchor.read_bytes().splitlines(keepends=True)
    anchor.write_bytes(b"".join(change(lines)))  # type: ignore[operator]
    with pytest.raises(InvalidAnchor) as refusal:
        await sealed.audit.verify(SESSION, anchor=anchor)
    assert refusal.value.path == str(anchor)


async def test_an_anchor_of_another_namespace_or_key_is_refused(
    make_manager: MakeManager, sealed: SessionManager, anchor: Path
) -> None:
    """Each is said to be that."""
    other = make_manager(namespace=sealed.settings.namespace + "x")
    with pytest.raises(InvalidAnchor, match="namespace"):
        await other.audit.verify(SESSION, anchor=anchor)
    other = make_manager(seal_key=OTHER_KEY)
    with pytest.raises(InvalidAnchor, match="key"):
        await other.audit.verify(SESSION, anchor=anchor)
    rotated = make_manager(seal_key=OTHER_KEY, seal_keys_old=KEY)
    assert (await rotated.audit.verify(SESSION, anchor=anchor)).ok


async def test_an_anchor_is_replaced_as_a_whole(sealed: SessionManager, attacker: Attacker, anchor: Path) -> None:
    """Where the sealing fails, the one before stays, and nothing else is left."""
    before = anchor.read_bytes()
    await sealed.append(SESSION, [NoteAdded(text="a"), NoteAdded(text="b")])
    await attacker.remove(14)
    with pytest.raises(Exception, match="verify names it"):
        [one async for one in sealed.audit.seal_all(anchor=anchor)]
    assert anchor.read_bytes() == before
    assert list(anchor.parent.iterdir()) == [anchor]


async def test_an_anchor_that_is_not_there_or_cannot_be_written_is_a_clear_error(
    sealed: SessionManager, tmp_path: Path
) -> None:
    """With the name of the file."""
    with pytest.raises(InvalidAnchor, match="No such file"):
        await sealed.audit.verify(SESSION, anchor=tmp_path / "never")
    with pytest.raises(InvalidAnchor, match="No such file"):
        [one async for one in sealed.audit.seal_all(anchor=tmp_path / "never" / "anchor")]


# An anchor in the place of an earlier one


async def test_a_rolled_back_session_is_not_forgotten_by_the_next_anchor(
    sealed: SessionManager, attacker: Attacker, anchor: Path
) -> None:
    """It is not sealed any further, and the anchor that is written over the earlier one tells of it still."""
    dumped = {key: await attacker.client.dump(key) async for key in attacker.client.scan_iter(count=1000)}
    await sealed.append(SESSION, NoteAdded(text="and more"))
    assert [one.version async for one in sealed.audit.seal_all([SESSION], anchor=anchor)] == [14]
    await attacker.client.flushall()
    for key, value in dumped.items():
        await attacker.client.restore(key, 0, value)
    await sealed.append(NEIGHBOUR, NoteAdded(text="more"))
    with pytest.raises(HistoryAltered, match="earlier anchor"):
        [one async for one in sealed.audit.seal_all(anchor=anchor)]
    refused: list[IntegrityError] = []
    sealed_now = {one.session_id: one async for one in sealed.audit.seal_all(anchor=anchor, refused=refused.append)}
    assert (list(sealed_now), len(refused)) == ([NEIGHBOUR], 1)
    assert told(await sealed.audit.verify(SESSION, anchor=anchor)) == [(Kind.ROLLED_BACK, 14)]
    assert (await sealed.audit.verify(NEIGHBOUR, anchor=anchor)).unchecked[-1].name == "counters"


async def test_a_lost_session_is_not_forgotten_by_the_next_anchor(
    sealed: SessionManager, attacker: Attacker, anchor: Path
) -> None:
    """Nothing is kept of it, and no feed tells why."""
    for key in await attacker.dump():
        await attacker.client.delete(key)
    await attacker.client.hdel(attacker.log, name_in_log(SESSION))
    await attacker.client.zrem(attacker.keys.registry(attacker.keys.partition(SESSION)), SESSION)
    refused: list[IntegrityError] = []
    for _ in range(2):
        assert len([one async for one in sealed.audit.seal_all(anchor=anchor, refused=refused.append)]) == 1
    assert len(refused) == 2
    assert told(await sealed.audit.verify(SESSION, anchor=anchor)) == [(Kind.LOST, 13)]


async def test_the_next_anchor_knows_what_was_not_asked_for_and_nothing_that_was_retired(
    sealed: SessionManager, anchor: Path
) -> None:
    """Of one session that is sealed alone; of all, after one was purged and another one made anew under its id."""
    await sealed.append(NEIGHBOUR, [NoteAdded(text=str(number)) for number in range(100)])
    for _ in range(70):
        await sealed.append(NEIGHBOUR, NoteAdded(text="more"))
        await sealed.audit.seal(NEIGHBOUR)
    assert [one.version async for one in sealed.audit.seal_all([NEIGHBOUR], anchor=anchor)] == [182]
    assert (await sealed.audit.verify(SESSION, anchor=anchor)).ok
    await sealed.delete_session(SESSION, purge=True)
    await sealed.create_session("user_1", "agent_1", session_id=SESSION)
    await sealed.delete_session(NEIGHBOUR, purge=True)
    assert [one.version async for one in sealed.audit.seal_all(anchor=anchor)] == [1]
    assert (await sealed.audit.verify(SESSION, anchor=anchor)).unchecked[-1].name == "counters"
    with pytest.raises(SessionNotFound):
        await sealed.audit.verify(NEIGHBOUR, anchor=anchor)


async def test_a_file_that_is_no_anchor_is_not_replaced(sealed: SessionManager, tmp_path: Path) -> None:
    """Somebody took the wrong name."""
    path = tmp_path / "letter"
    path.write_text("dear all\n")
    with pytest.raises(InvalidAnchor):
        [one async for one in sealed.audit.seal_all(anchor=path)]
    assert path.read_text() == "dear all\n"
