"""G39: ciphertext is bound to its place; what was moved or changed is refused, and never read as something else."""

from __future__ import annotations

import base64

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager, UnreadableEvent
from sessionstream.errors import CorruptEvent, CorruptRecord
from sessionstream.projections.checkpoints import SAVED
from tests.encryption.conftest import SESSION, USER, MakeManager

OTHER = "sess_2"


@pytest.fixture
async def two(manager: SessionManager) -> SessionManager:
    """A manager of two sessions of one user that say much the same."""
    for session_id in (SESSION, OTHER):
        await manager.create_session(USER, "agent_1", {"a": "first", "b": "second"}, session_id=session_id)
        await manager.append(session_id, [NoteAdded(text=f"{session_id} one"), NoteAdded(text=f"{session_id} two")])
        for name in ("one", "two"):
            await manager.save_checkpoint(session_id, {"in": session_id, "name": name}, checkpoint_id=name, label=name)
    return manager


async def _put_entry(manager: SessionManager, client: Redis, session_id: str, version: int, value: bytes) -> None:
    """Put another value into an entry, as somebody may who can write to the server."""
    key = manager.store.keys.events(session_id)
    entries = await client.xrange(key)
    await client.delete(key)
    for number, (offset, fields) in enumerate(entries, 1):
        given = fields if number != version else dict.fromkeys(fields, value)
        await client.xadd(key, given, id=offset)


async def _value(manager: SessionManager, client: Redis, session_id: str, version: int) -> bytes:
    [value] = (await client.xrange(manager.store.keys.events(session_id)))[version - 1][1].values()
    return bytes(value)


async def _read(make_manager: MakeManager, session_id: str, version: int) -> object:
    return [event.data async for event in make_manager().history(session_id)][version - 1]


@pytest.mark.parametrize("source", [(SESSION, 3), (OTHER, 2)], ids=["event", "session"])
async def test_a_payload_that_is_moved_is_refused(
    two: SessionManager, make_manager: MakeManager, client: Redis, source: tuple[str, int]
) -> None:
    """To another event of its session, or to the same place of another session of its user."""
    own, strange = await _value(two, client, SESSION, 2), await _value(two, client, *source)
    await _put_entry(two, client, SESSION, 2, own[:22] + strange[22:])
    read = await _read(make_manager, SESSION, 2)
    assert isinstance(read, UnreadableEvent)
    assert "moved" in read.problem


async def test_an_entry_that_is_moved_with_its_id_is_refused(
    two: SessionManager, make_manager: MakeManager, client: Redis
) -> None:
    """Into another session: that is bound too."""
    await _put_entry(two, client, SESSION, 2, await _value(two, client, OTHER, 2))
    assert isinstance(await _read(make_manager, SESSION, 2), UnreadableEvent)


@pytest.mark.parametrize("place", [30, 45, 60, -1], ids=["key", "nonce", "ciphertext", "tag"])
async def test_a_payload_that_is_changed_is_refused(
    two: SessionManager, make_manager: MakeManager, client: Redis, place: int
) -> None:
    """By one bit, anywhere; the history goes on behind it."""
    value = bytearray(await _value(two, client, SESSION, 2))
    value[place] ^= 1
    await _put_entry(two, client, SESSION, 2, bytes(value))
    events = [event.data async for event in make_manager().history(SESSION)]
    assert type(events[1]).__name__ == ("EncryptedEvent" if place == 30 else "UnreadableEvent")
    assert events[2] == NoteAdded(text=f"{SESSION} two")


async def test_what_is_stored_beside_the_ciphertext_is_bound_to_it(
    two: SessionManager, make_manager: MakeManager, client: Redis
) -> None:
    """Whose a session is stands in plain text: changed, the event does not read."""
    value = await _value(two, client, SESSION, 1)
    assert b"user_1" in value
    await _put_entry(two, client, SESSION, 1, value.replace(b"user_1", b"user_2"))
    assert isinstance(await _read(make_manager, SESSION, 1), UnreadableEvent)


@pytest.mark.parametrize("source", [(SESSION, "m:b"), (OTHER, "m:a")], ids=["field", "session"])
async def test_metadata_that_is_moved_is_refused(
    two: SessionManager, make_manager: MakeManager, client: Redis, source: tuple[str, str]
) -> None:
    """To another field, or to another session's same one."""
    keys = two.store.keys
    value = await client.hget(keys.head(source[0]), source[1])
    await client.hset(keys.head(SESSION), "m:a", value)
    with pytest.raises(CorruptRecord, match="m:a"):
        await make_manager().get_session(SESSION)


@pytest.mark.parametrize("source", [(SESSION, "two"), (OTHER, "one")], ids=["checkpoint", "session"])
async def test_a_body_that_is_moved_is_refused(
    two: SessionManager, make_manager: MakeManager, client: Redis, source: tuple[str, str]
) -> None:
    """To another checkpoint, or to another session's of the same name; with all that is told of it."""
    keys = two.store.keys
    await client.hset(keys.bodies(SESSION), "one", await client.hget(keys.bodies(source[0]), source[1]))
    with pytest.raises(CorruptEvent):
        await make_manager().get_checkpoint(SESSION, "one")
    saved = [keys.place("checkpoints", SAVED, session_id) for session_id in (SESSION, source[0])]
    await client.hset(saved[0], "one", await client.hget(saved[1], source[1]))
    with pytest.raises(CorruptEvent):
        await make_manager().get_checkpoint(SESSION, "one")


async def test_a_label_that_is_moved_is_refused(two: SessionManager, make_manager: MakeManager, client: Redis) -> None:
    """From one checkpoint to another."""
    saved = two.store.keys.place("checkpoints", SAVED, SESSION)
    one, other = (await client.hmget(saved, ["one", "two"])) or (b"", b"")
    await client.hset(saved, "one", one.rpartition(b" ")[0] + b" " + other.rpartition(b" ")[2])
    with pytest.raises(CorruptEvent):
        await make_manager().list_checkpoints(SESSION)


async def test_a_delta_that_is_moved_is_not_given(two: SessionManager, client: Redis) -> None:
    """It is no event: what cannot be decrypted is left out."""
    keys = two.store.keys
    async with two.follow(SESSION, after="now") as items:
        await two.publish(OTHER, "other")
        [(_, fields)] = await client.xrange(keys.deltas(OTHER))
        await client.xadd(keys.deltas(SESSION), fields)
        await two.publish(SESSION, "own")
        assert (await anext(items)).data == "own"


async def test_equal_values_do_not_look_equal(manager: SessionManager, client: Redis) -> None:
    """The same text in two fields, or set again, is other ciphertext: nobody sees that something came back."""
    await manager.create_session(USER, "agent_1", {"a": "same", "b": "same"}, session_id=SESSION)
    head = manager.store.keys.head(SESSION)
    first = await client.hmget(head, ["m:a", "m:b"])
    await manager.update_session_metadata(SESSION, {"a": "same"})
    seen = [base64.urlsafe_b64decode(value[4:])[16:] for value in (*first, await client.hget(head, "m:a"))]
    assert len(set(seen)) == 3
