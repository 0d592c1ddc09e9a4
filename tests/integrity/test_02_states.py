"""What lies beside the history, and whole sessions that are put back: views, checkpoints, seals, dumps, feed, log.

G32.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, Projection, SessionManager, Verification
from sessionstream.bases import fold_until, write
from sessionstream.integrity.chain import Run, seal_from
from sessionstream.integrity.keyring import SealKey
from sessionstream.integrity.reporting import Kind
from sessionstream.log.gates import name_in_log
from sessionstream.projection import VERSION, Add, Put, ranking, view
from sessionstream.projections.checkpoints import SAVED
from sessionstream.projections.directory import STATES, agent
from tests.integrity.attacks import Attacker
from tests.integrity.conftest import NEIGHBOUR, SESSION, MakeManager
from tests.integrity.test_01_histories import told, verified


def names(verification: Verification) -> list[tuple[Kind, str | None]]:
    """Return the kind of each finding, and the view or checkpoint that it is about."""
    return [(one.kind, one.name) for one in verification.findings]


# Checkpoints


async def test_an_altered_body_of_a_checkpoint_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """Of the same size, so only its SHA-256 tells."""
    await attacker.client.hset(attacker.keys.bodies(SESSION), "one", b'{"turn":4}')
    found = await verified(sealed)
    assert names(found) == [(Kind.CHECKPOINT_ALTERED, "one")]
    assert found.findings[0].offset == await attacker.offset(11)


async def test_a_body_that_is_gone_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """No event deleted it."""
    await attacker.client.hdel(attacker.keys.bodies(SESSION), "one")
    found = await verified(sealed)
    assert names(found) == [(Kind.CHECKPOINT_ALTERED, "one")]
    assert "gone" in found.findings[0].detail


async def test_a_body_that_no_event_saved_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """A checkpoint from nowhere."""
    await attacker.client.hset(attacker.keys.bodies(SESSION), "two", b"{}")
    assert names(await verified(sealed)) == [(Kind.CHECKPOINT_ALTERED, "two")]


async def test_a_checkpoint_that_was_deleted_is_not_missed(sealed: SessionManager) -> None:
    """An event tells of it."""
    await sealed.delete_checkpoint(SESSION, "one")
    assert (await sealed.audit.verify(SESSION)).ok


# Views


async def test_an_altered_head_is_named_with_the_field(sealed: SessionManager, attacker: Attacker) -> None:
    """The session is said to be somebody else's."""
    await attacker.client.hset(attacker.keys.head(SESSION), "user_id", "user_2")
    found = await verified(sealed)
    assert names(found) == [(Kind.VIEW_ALTERED, "head")]
    assert "user_id" in found.findings[0].detail
    assert "user_2" not in found.findings[0].detail


@pytest.mark.parametrize("field", ["m:a", "m:b"])
async def test_altered_metadata_of_a_session_is_named(sealed: SessionManager, attacker: Attacker, field: str) -> None:
    """A key with another value, and one that nobody set."""
    await attacker.client.hset(attacker.keys.head(SESSION), field, "2")
    assert names(await verified(sealed)) == [(Kind.VIEW_ALTERED, "head")]


async def test_an_altered_view_of_the_checkpoints_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """The record of a checkpoint says another digest."""
    key = attacker.keys.place("checkpoints", SAVED, SESSION)
    record = await attacker.client.hget(key, "one")
    await attacker.client.hset(key, "one", re.sub(rb"[0-9a-f]{64}", b"0" * 64, record))
    assert names(await verified(sealed)) == [(Kind.VIEW_ALTERED, "checkpoints:saved")]


async def test_an_altered_place_in_an_index_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """Taken out of its agent's sessions, and scored by another expiry."""
    await attacker.client.zrem(attacker.keys.place("directory", agent("agent_1"), SESSION), SESSION)
    await attacker.client.zadd(attacker.keys.place("directory", STATES["active"], SESSION), {SESSION: 1})
    assert sorted(names(await sealed.audit.verify(SESSION))) == [
        (Kind.VIEW_ALTERED, "directory:agent"),
        (Kind.VIEW_ALTERED, "directory:state"),
    ]


async def test_altered_views_of_the_users_own_are_named(
    make_manager: MakeManager, make_namespace: Callable[..., str], client: Redis
) -> None:
    """A hash and a ranking; a process that does not know them says so."""
    own = Projection("notes", version=1)
    last, order = view("last"), ranking("order")

    @own.on(NoteAdded)
    def noted(session_id: str, event: NoteAdded) -> object:
        return [Put(last, {"text": event.text}), Add(order, VERSION, event.text)]

    namespace = make_namespace()
    manager = make_manager(namespace=namespace, projections=[own])
    keys = manager.store.keys
    await manager.create_session("user_1", "agent_1", session_id=SESSION)
    await manager.append(SESSION, NoteAdded(text="a"))
    assert (await manager.audit.verify(SESSION)).ok
    await client.hset(keys.place("notes", last, SESSION), "text", "b")
    await client.zincrby(keys.place("notes", order, SESSION), 1, "a")
    assert names(await manager.audit.verify(SESSION)) == [
        (Kind.VIEW_ALTERED, "notes:last"),
        (Kind.VIEW_ALTERED, "notes:order"),
    ]
    [unchecked] = [
        one for one in (await make_manager(namespace=namespace).audit.verify(SESSION)).unchecked if one.name == "views"
    ]
    assert "notes" in unchecked.why


async def test_a_lock_is_no_altered_view(sealed: SessionManager) -> None:
    """It lies in the head, and is no event."""
    async with sealed.lock(SESSION):
        assert (await sealed.audit.verify(SESSION)).ok


async def test_a_forged_base_snapshot_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """What `as_of` would believe."""
    folded = await fold_until(sealed.store, SESSION, await attacker.offset(8))
    assert await write(sealed.store, folded)
    assert (await sealed.audit.verify(SESSION)).ok
    key = attacker.keys.bases(SESSION)
    await attacker.client.delete(key)
    folded.views.head[b"user_id"] = b"somebody else"
    assert await write(sealed.store, folded)
    assert (await sealed.audit.as_of(SESSION, version=9)).session.user_id == "somebody else"
    found = await verified(sealed)
    assert names(found) == [(Kind.VIEW_ALTERED, "bases")]
    assert found.findings[0].version == 8


@pytest.mark.parametrize("kind", ["events", "seals", "head", "bodies"])
async def test_a_key_of_another_type_is_named(sealed: SessionManager, attacker: Attacker, kind: str) -> None:
    """It is no error of the server's that passes through."""
    key = getattr(attacker.keys, kind)(SESSION)
    await attacker.client.set(key, "something else")
    assert told(await verified(sealed)) == [(Kind.KEY_REPLACED, None)]


# The log


@pytest.mark.parametrize("state", ["archived", "deleted"])
async def test_an_altered_state_in_the_log_is_named(sealed: SessionManager, attacker: Attacker, state: str) -> None:
    """What appends are refused by."""
    gate = await attacker.client.hget(attacker.log, name_in_log(SESSION))
    await attacker.client.hset(attacker.log, name_in_log(SESSION), gate.replace(b"active", state.encode()))
    assert told(await verified(sealed)) == [(Kind.LOG_ALTERED, None)]


async def test_a_session_that_the_log_does_not_know_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """Readers would say that there is none."""
    await attacker.client.hdel(attacker.log, name_in_log(SESSION))
    assert Kind.LOG_ALTERED in [kind for kind, _ in told(await verified(sealed))]


async def test_a_session_that_the_registry_does_not_list_is_named(sealed: SessionManager, attacker: Attacker) -> None:
    """Also when all are verified, which go by the registry."""
    await attacker.client.zrem(attacker.keys.registry(attacker.keys.partition(SESSION)), SESSION)
    found = {one.session_id: one async for one in sealed.audit.verify_all()}
    assert told(found[SESSION]) == [(Kind.LOG_ALTERED, None)]
    assert found[NEIGHBOUR].ok
    score = int((await attacker.offset(1)).partition("-")[0])
    await attacker.client.zadd(attacker.keys.registry(attacker.keys.partition(SESSION)), {SESSION: score})


# Earlier states


async def test_a_session_put_back_as_it_was_is_told_by_the_log(sealed: SessionManager, attacker: Attacker) -> None:
    """All keys of the session from a dump; the log of the partition is no key of the session."""
    dumped = await attacker.dump()
    await sealed.append(SESSION, NoteAdded(text="more"))
    await attacker.restore(dumped)
    found = await verified(sealed)
    assert told(found) == [(Kind.ROLLED_BACK, 13)]


async def test_a_session_put_back_with_its_place_in_the_log_is_told_by_the_feed(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """Everything about the session itself fits together."""
    dumped, offset = await attacker.dump(), await attacker.offset(12)
    await sealed.append(SESSION, NoteAdded(text="more"))
    await attacker.restore(dumped)
    await attacker.move_gate(offset)
    found = await verified(sealed)
    assert told(found) == [(Kind.ROLLED_BACK, 12)]
    assert "the feed tells of version 13" in found.findings[0].detail


async def test_a_session_that_was_purged_and_put_back_is_told_by_the_feed(
    sealed: SessionManager, attacker: Attacker
) -> None:
    """The feed says that it was removed."""
    gate = await attacker.client.hget(attacker.log, name_in_log(SESSION))
    registry = attacker.keys.registry(attacker.keys.partition(SESSION))
    score = await attacker.client.zscore(registry, SESSION)
    dumped = await attacker.dump()
    await sealed.delete_session(SESSION, purge=True)
    await attacker.restore(dumped)
    await attacker.client.hset(attacker.log, name_in_log(SESSION), gate)
    await attacker.client.zadd(registry, {SESSION: score})
    assert (Kind.ROLLED_BACK, 12) in told(await sealed.audit.verify(SESSION))


async def test_a_feed_that_does_not_reach_back_is_told(sealed: SessionManager, attacker: Attacker) -> None:
    """What it would have said is not known."""
    await attacker.client.delete(attacker.feed)
    found = await sealed.audit.verify(SESSION)
    assert found.ok
    assert "feed" in [one.name for one in found.unchecked]


# Seals


@pytest.fixture
async def chain(sealed: SessionManager) -> SessionManager:
    """The session with three seals: of 12 events, 1 and 1."""
    for number in range(2):
        await sealed.append(SESSION, NoteAdded(text=str(number)))
        await sealed.audit.seal(SESSION)
    return sealed


async def kept_seals(attacker: Attacker) -> list[bytes]:
    """The seals as they are kept."""
    return await attacker.client.lrange(attacker.seals, 0, -1)


async def put_seals(attacker: Attacker, seals: list[bytes]) -> None:
    """Keep other seals instead."""
    await attacker.client.delete(attacker.seals)
    await attacker.client.rpush(attacker.seals, *seals)


async def test_an_altered_seal_is_named(chain: SessionManager, attacker: Attacker) -> None:
    """One digit of it."""
    seals = await kept_seals(attacker)
    digit = seals[-2][9:10]
    seals[-2] = seals[-2].replace(b'"seal":"' + digit, b'"seal":"' + (b"0" if digit != b"0" else b"1"), 1)
    await put_seals(attacker, seals)
    found = await verified(chain)
    assert told(found) == [(Kind.SEAL_ALTERED, 13)]
    assert {"events", "seals"} <= {one.name for one in found.unchecked}


async def test_what_lies_in_a_seals_place_and_is_none_is_named(chain: SessionManager, attacker: Attacker) -> None:
    """It does not even decode."""
    seals = await kept_seals(attacker)
    await put_seals(attacker, [*seals[:-2], b"nothing", seals[-1]])
    assert [kind for kind, _ in told(await verified(chain))] == [Kind.SEAL_ALTERED]


async def test_a_removed_seal_is_named(chain: SessionManager, attacker: Attacker) -> None:
    """From the middle, or from the beginning."""
    seals = await kept_seals(attacker)
    await put_seals(attacker, [*seals[:-2], seals[-1]])
    assert told(await verified(chain)) == [(Kind.SEAL_REMOVED, 13)]
    await put_seals(attacker, seals[1:])
    assert told(await verified(chain)) == [(Kind.SEAL_REMOVED, 1)]


async def test_a_repeated_seal_is_named(chain: SessionManager, attacker: Attacker) -> None:
    """Each seal stands once."""
    seals = await kept_seals(attacker)
    await put_seals(attacker, [*seals, seals[-1]])
    assert told(await verified(chain)) == [(Kind.SEAL_ALTERED, 14)]


async def test_a_forged_seal_is_named(chain: SessionManager, attacker: Attacker) -> None:
    """By somebody who knows everything but the key."""
    seals = await kept_seals(attacker)
    before, last = seal_from(seals[-2]), seal_from(seals[-1])
    assert before is not None
    assert last is not None
    key = SealKey(b"a key of somebody else's, 32 bytes")
    key.id = last.key
    run = Run(key, SESSION, before.seal, 14)
    await attacker.edit(14, lambda fields: {b"note.added": b"A" * 22 + b'{"text":"forged"}'})
    offset, fields = (await attacker.entries())[13]
    run.add(offset.decode(), [word for pair in fields.items() for word in pair])
    await put_seals(attacker, [*seals[:-1], run.sealed(last.at).encoded()])
    assert told(await verified(chain)) == [(Kind.SEAL_ALTERED, 14)]


async def test_without_seals_it_is_said_what_is_not_checked(sealed: SessionManager, attacker: Attacker) -> None:
    """Whoever removes all of them is found out by an anchor alone."""
    await attacker.client.delete(attacker.seals)
    found = await verified(sealed)
    assert found.ok
    assert found.events_after_last_seal == 12
    assert {"events", "seals", "tail"} <= {one.name for one in found.unchecked}


async def test_without_seals_what_the_offsets_tell_is_found(sealed: SessionManager, attacker: Attacker) -> None:
    """A gap, an end too early, and a version that stands twice."""
    await attacker.client.delete(attacker.seals)
    await attacker.remove(5)
    assert told(await verified(sealed)) == [(Kind.REMOVED, 5)]
    await attacker.client.xdel(attacker.events, (await attacker.entries())[-1][0])
    assert told(await verified(sealed)) == [(Kind.REMOVED, 5), (Kind.CUT_OFF, 12)]
