"""Every way in which a sealed history can be altered is found and named with its place; what is intact verifies.

G32.
"""

from __future__ import annotations

from typing import Any

import pytest

from sessionstream import NoteAdded, SessionManager, Verification
from sessionstream.integrity.reporting import Kind
from tests.integrity.attacks import Attacker, Entry, renumbered
from tests.integrity.conftest import NEIGHBOUR, SESSION


def told(verification: Verification) -> list[tuple[Kind, int | None]]:
    """Return the kind and the version of each finding."""
    return [(one.kind, one.version) for one in verification.findings]


async def verified(manager: SessionManager) -> Verification:
    """Verify the session that was attacked; the neighbour that nobody touched is as it was."""
    assert (await manager.audit.verify(NEIGHBOUR)).ok
    return await manager.audit.verify(SESSION)


async def test_what_nobody_touched_verifies(sealed: SessionManager) -> None:
    """All of it is sealed, and every claim that needs no anchor, and no other session, is checked."""
    found = await sealed.audit.verify(SESSION)
    assert found.ok
    assert (found.version, found.sealed_to, found.events_after_last_seal) == (12, 12, 0)
    assert [one.name for one in found.unchecked] == ["counters", "anchor"]


async def test_an_edited_event_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """One word of one message, under the same offset."""
    await attacker.edit(3, lambda fields: {name: value.replace(b"0 b", b"0 c") for name, value in fields.items()})
    found = await verified(sealed)
    assert told(found) == [(Kind.CONTENT_EDITED, 3)]
    assert found.findings[0].offset == await attacker.offset(3)


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: {**fields, b"meta": b'{"actor":"agent:2"}'},
        lambda fields: {name: value for name, value in fields.items() if name != b"meta"},
    ],
    ids=["another actor", "no actor"],
)
async def test_edited_metadata_is_named_as_that(sealed: SessionManager, attacker: Attacker, change: Any) -> None:
    """Who did it is another one, or nobody."""
    await attacker.edit(4, change)
    assert told(await verified(sealed)) == [(Kind.META_EDITED, 4)]


async def test_metadata_that_was_added_is_named_as_that(sealed: SessionManager, attacker: Attacker) -> None:
    """The event said nothing of who did it."""
    await attacker.edit(3, lambda fields: {**fields, b"meta": b'{"actor":"agent:2"}'})
    assert told(await verified(sealed)) == [(Kind.META_EDITED, 3)]


async def test_a_time_that_was_changed_is_found(sealed: SessionManager, attacker: Attacker) -> None:
    """The last event is said to be a second later than it was."""
    ms = int((await attacker.offset(12)).partition("-")[0])
    await attacker.rewrite(lambda entries: [*entries[:-1], (b"%d-12" % (ms + 1000), entries[-1][1])])
    assert (Kind.CONTENT_EDITED, 12) in told(await verified(sealed))


async def test_a_removed_event_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """From the middle, as XDEL does it."""
    await attacker.remove(5)
    assert told(await verified(sealed)) == [(Kind.REMOVED, 5)]


async def test_a_removed_event_is_named_though_the_others_were_renumbered(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """No version is missing, and the log tells of one event less."""
    await attacker.rewrite(lambda entries: renumbered([*entries[:4], *entries[5:]]))
    await attacker.move_gate(await attacker.offset(11))
    assert told(await verified(sealed)) == [(Kind.REMOVED, 5)]


async def test_several_removed_events_are_named_by_their_range(sealed: SessionManager, attacker: Attacker) -> None:
    """Neighbours are one finding."""
    await attacker.remove(5, 6, 7, 9)
    found = await verified(sealed)
    assert told(found) == [(Kind.REMOVED, 5), (Kind.REMOVED, 9)]
    assert "5 to 7" in found.findings[0].detail


async def test_a_tail_that_was_cut_off_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """The last two events, which the seals and the log know."""
    await attacker.remove(11, 12)
    assert told(await verified(sealed)) == [(Kind.CUT_OFF, 11)]


async def test_a_tail_that_the_log_does_not_tell_of_is_missed(sealed: SessionManager, attacker: Attacker) -> None:
    """The log was brought in line; the seals were not."""
    await attacker.remove(12)
    await attacker.move_gate(await attacker.offset(11))
    assert told(await verified(sealed)) == [(Kind.CUT_OFF, 12)]


async def test_an_emptied_stream_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """Nothing is left of the history."""
    await attacker.client.delete(attacker.events)
    assert told(await verified(sealed)) == [(Kind.CUT_OFF, 1)]


async def test_events_that_changed_places_are_named(sealed: SessionManager, attacker: Attacker) -> None:
    """Two messages, each under the offset of the other."""

    def swapped(entries: list[Entry]) -> list[Entry]:
        contents = [fields for _, fields in entries]
        contents[2], contents[7] = contents[7], contents[2]
        return [(offset, fields) for (offset, _), fields in zip(entries, contents, strict=True)]

    await attacker.rewrite(swapped)
    found = await verified(sealed)
    assert told(found) == [(Kind.REORDERED, 3), (Kind.REORDERED, 8)]
    assert "appended as version 8" in found.findings[0].detail


async def test_an_event_that_was_moved_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """From version 3 to version 8; all in between moved up."""

    def moved(entries: list[Entry]) -> list[Entry]:
        contents = [fields for _, fields in entries]
        contents.insert(7, contents.pop(2))
        return [(offset, fields) for (offset, _), fields in zip(entries, contents, strict=True)]

    await attacker.rewrite(moved)
    found = await verified(sealed)
    assert {kind for kind, _ in told(found)} == {Kind.REORDERED}
    assert "version 8 holds what was appended as version 3" in [one.detail for one in found.findings]


async def test_an_inserted_event_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """What followed it was renumbered, and the log tells of one event more."""
    forged = {b"note.added": b"A" * 22 + b'{"text":"forged"}'}

    def inserted(entries: list[Entry]) -> list[Entry]:
        return renumbered([*entries[:5], (entries[4][0], forged), *entries[5:]])

    await attacker.rewrite(inserted)
    await attacker.move_gate(await attacker.offset(13))
    assert told(await verified(sealed)) == [(Kind.INSERTED, 6)]


async def test_an_event_that_stands_between_two_others_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """Without renumbering it needs a version that there is already."""

    def spread(entries: list[Entry]) -> list[Entry]:
        ms = int(entries[-1][0].partition(b"-")[0])
        return [*entries, (b"%d-7" % (ms + 5), {b"note.added": b"A" * 22 + b'{"text":"forged"}'})]

    await attacker.rewrite(spread)
    assert told(await verified(sealed)) == [(Kind.INSERTED, 7)]


async def test_an_event_behind_the_end_that_the_log_knows_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """An XADD that went around the store."""
    ms = int((await attacker.offset(12)).partition("-")[0])
    await attacker.client.xadd(attacker.events, {"note.added": "A" * 22 + '{"text":"forged"}'}, id=f"{ms}-13")
    assert told(await verified(sealed)) == [(Kind.INSERTED, 13)]


async def test_an_event_copied_from_another_session_is_named_with_its_origin(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """Put in the place of an event of this session, or between two of them."""
    _, foreign = (await attacker.entries(NEIGHBOUR))[5]
    await attacker.edit(5, lambda fields: foreign)
    found = await verified(sealed)
    assert told(found) == [(Kind.COPIED, 5)]
    assert NEIGHBOUR in found.findings[0].detail
    await attacker.rewrite(lambda entries: renumbered([*entries[:7], (entries[6][0], foreign), *entries[7:]]))
    assert (Kind.COPIED, 8) in told(await verified(sealed))


async def test_an_event_copied_within_its_session_is_named_with_its_origin(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """A message said twice."""
    _, again = (await attacker.entries())[2]
    await attacker.rewrite(lambda entries: renumbered([*entries[:8], (entries[7][0], again), *entries[8:]]))
    await attacker.move_gate(await attacker.offset(13))
    found = await verified(sealed)
    assert told(found) == [(Kind.COPIED, 9)]
    assert f"{await attacker.offset(3)} of this session" in found.findings[0].detail


async def test_a_whole_session_in_the_place_of_another_is_found(sealed: SessionManager, attacker: Attacker) -> None:
    """Stream and seals of the neighbour, as they are: the seals are bound to the session."""
    for kind in ("events", "seals"):
        source, target = (getattr(attacker.keys, kind)(one) for one in (NEIGHBOUR, SESSION))
        # By what goes between the nodes of a Cluster too.
        await attacker.client.restore(target, 0, await attacker.client.dump(source), replace=True)
    found = await verified(sealed)
    assert (Kind.SEAL_ALTERED, 11) in told(found) or (Kind.SEAL_ALTERED, 12) in told(found)


async def test_hundreds_of_altered_events_are_found(manager: SessionManager, attacker: Attacker) -> None:
    """The first ones are named one by one, the others counted."""
    await manager.append(SESSION, [NoteAdded(text=str(number)) for number in range(400)])
    await manager.audit.seal(SESSION)

    def edited(entries: list[Entry]) -> list[Entry]:
        return [*entries[:12], *[(offset, {b"note.added": b"B" * 22 + b'{"text":"-"}'}) for offset, _ in entries[12:]]]

    await attacker.rewrite(edited)
    found = await verified(manager)
    assert told(found)[:128] == [(Kind.CONTENT_EDITED, version) for version in range(13, 141)]
    assert "272 further events" in found.findings[128].detail


async def test_one_event_less_among_thousands_is_named(manager: SessionManager, attacker: Attacker) -> None:
    """All that followed it were renumbered, over the borders of several seals."""
    await manager.append(SESSION, [NoteAdded(text=str(number)) for number in range(2_500)])
    await manager.audit.seal(SESSION)
    await attacker.rewrite(lambda entries: renumbered([*entries[:99], *entries[100:]]))
    await attacker.move_gate(await attacker.offset(2_511))
    found = await verified(manager)
    assert told(found)[0] == (Kind.REMOVED, 100)
    assert {kind for kind, _ in told(found)} == {Kind.REMOVED, Kind.REORDERED}
