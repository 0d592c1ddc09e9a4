"""Sealing: by itself beside the appends, on demand, by many at once; never a fork, never over what was altered.

G32.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable

import msgspec
import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager, SessionNotFound, Settings
from sessionstream.errors import (
    HistoryAltered,
    InvalidArgument,
    NamespaceMismatch,
    SealKeyMissing,
    SealKeyUnknown,
)
from sessionstream.integrity.chain import Seal, seal_from
from tests.integrity.attacks import Attacker
from tests.integrity.conftest import KEY, NEIGHBOUR, SESSION, MakeManager
from tests.sessions.waiting import until, until_past

OTHER_KEY = "f" * 32


async def seals_of(manager: SessionManager, client: Redis, session_id: str = SESSION) -> list[Seal]:
    """Return a session's seals."""
    kept = await client.lrange(manager.store.keys.seals(session_id), 0, -1)
    return [seal for one in kept if (seal := seal_from(one)) is not None]


async def sealed_to(manager: SessionManager, client: Redis, session_id: str = SESSION) -> int:
    """Return up to which version a session is sealed."""
    seals = await seals_of(manager, client, session_id)
    return seals[-1].version if seals else 0


@pytest.fixture
async def session(manager: SessionManager) -> str:
    """A session of its creation."""
    return (await manager.create_session("user_1", "agent_1", session_id=SESSION)).session_id


# By itself


async def test_a_checkpoint_is_sealed_by_itself(manager: SessionManager, session: str, client: Redis) -> None:
    """And all events before it."""
    await manager.append(SESSION, NoteAdded(text="a"))
    await manager.save_checkpoint(SESSION, {})
    await until(lambda: sealed_to(manager, client))
    assert await sealed_to(manager, client) == 3


async def test_every_1024_events_are_sealed_by_themselves(manager: SessionManager, session: str, client: Redis) -> None:
    """Without any checkpoint."""
    await manager.append(SESSION, [NoteAdded(text=str(number)) for number in range(1_022)])
    assert await sealed_to(manager, client) == 0
    await manager.append(SESSION, NoteAdded(text="the 1,024th"))
    await until(lambda: sealed_to(manager, client))
    assert await sealed_to(manager, client) == 1_024


async def test_what_ends_is_sealed_by_itself(manager: SessionManager, session: str, client: Redis) -> None:
    """A session that is deleted, and one that expired and is swept."""
    await manager.delete_session(SESSION)
    await until(lambda: sealed_to(manager, client))
    lapsed = await manager.create_session("user_1", "agent_1", session_id=NEIGHBOUR, ttl=0.01)
    await until_past(client, lapsed.expires_at)
    await manager.cleanup_expired_sessions()
    await until(lambda: sealed_to(manager, client, NEIGHBOUR))
    assert await sealed_to(manager, client, NEIGHBOUR) == 2


async def test_closing_lets_what_is_being_sealed_be_sealed(
    manager: SessionManager, session: str, client: Redis
) -> None:
    """The last checkpoint of a process."""
    await manager.save_checkpoint(SESSION, {})
    await manager.aclose()
    assert await sealed_to(manager, client) == 2


async def test_each_of_many_checkpoints_at_once_is_sealed(manager: SessionManager) -> None:
    """More than are sealed at the same time; nothing else happens in these sessions that would call for a seal."""
    names = [f"many_{number}" for number in range(300)]
    await asyncio.gather(*(manager.create_session("user_1", "agent_1", session_id=name) for name in names))
    await asyncio.gather(*(manager.save_checkpoint(name, {}) for name in names))
    await manager.aclose()
    seals = await manager.store.server.calls([("LLEN", manager.store.keys.seals(name)) for name in names])
    assert seals == [1] * 300


async def test_without_a_key_nothing_is_sealed(make_manager: MakeManager, client: Redis) -> None:
    """There is no chain without a key."""
    manager = make_manager(seal_key=None)
    await manager.create_session("user_1", "agent_1", session_id=SESSION)
    await manager.save_checkpoint(SESSION, {})
    await manager.aclose()
    assert await seals_of(manager, client) == []


async def test_what_a_process_left_unsealed_the_next_seal_covers(
    make_manager: MakeManager, manager: SessionManager, client: Redis
) -> None:
    """It died before it came to that; meanwhile verify says how many events follow the last seal."""
    dying = make_manager(seal_key=None)
    await dying.create_session("user_1", "agent_1", session_id=SESSION)
    await dying.append(SESSION, [NoteAdded(text="a"), NoteAdded(text="b")])
    assert (await manager.audit.verify(SESSION)).events_after_last_seal == 3
    await manager.audit.seal(SESSION)
    await manager.append(SESSION, NoteAdded(text="c"))
    found = await manager.audit.verify(SESSION)
    assert (found.ok, found.sealed_to, found.events_after_last_seal) == (True, 3, 1)
    assert "tail" in [one.name for one in found.unchecked]


# On demand


async def test_sealing_says_how_far_and_how_many(manager: SessionManager, session: str) -> None:
    """Once more there is nothing to do."""
    await manager.append(SESSION, [NoteAdded(text=str(number)) for number in range(2_100)])
    first = await manager.audit.seal(SESSION)
    again = await manager.audit.seal(SESSION)
    assert (first.version, again.version, again.events, again.seal) == (2_101, 2_101, 0, first.seal)


async def test_the_seals_join_without_a_gap(manager: SessionManager, session: str, client: Redis) -> None:
    """Each covers at most 1,024 events, and the next one begins behind it."""
    await manager.append(SESSION, [NoteAdded(text=str(number)) for number in range(2_100)])
    await manager.audit.seal(SESSION)
    seals = await seals_of(manager, client)
    assert [(one.first, one.version) for one in seals][-1][1] == 2_101
    assert all(one.events <= 1_024 for one in seals)
    for before, after in itertools.pairwise(seals):
        assert (after.first, after.previous) == (before.version + 1, before.seal)


async def test_only_what_is_new_is_read(manager: SessionManager, session: str, client: Redis) -> None:
    """Of a long session, the events behind the last seal, and the one that it ends with."""
    await manager.append(SESSION, [NoteAdded(text="x" * 1_000) for _ in range(2_000)])
    await manager.audit.seal(SESSION)
    await manager.append(SESSION, NoteAdded(text="one more"))
    before = (await client.info("stats"))["total_net_output_bytes"]
    assert (await manager.audit.seal(SESSION)).events == 1
    assert (await client.info("stats"))["total_net_output_bytes"] - before < 50_000


async def test_an_unknown_session_is_not_sealed(manager: SessionManager) -> None:
    """Nor verified."""
    with pytest.raises(SessionNotFound):
        await manager.audit.seal("never")
    with pytest.raises(SessionNotFound):
        await manager.audit.verify("never")


async def test_a_retired_session_leaves_no_seals(sealed: SessionManager, client: Redis) -> None:
    """They are removed with it, and a new session of its id begins a chain of its own."""
    await sealed.delete_session(SESSION, purge=True)
    assert await client.exists(sealed.store.keys.seals(SESSION)) == 0
    await sealed.create_session("user_1", "agent_1", session_id=SESSION)
    await sealed.audit.seal(SESSION)
    assert (await sealed.audit.verify(SESSION)).ok


async def test_another_format_is_not_sealed_into(sealed: SessionManager, attacker: Attacker) -> None:
    """A newer one may keep other things there."""
    await sealed.append(SESSION, NoteAdded(text="a"))
    stamp = await attacker.client.hget(attacker.log, ":stamp")
    await attacker.client.hset(attacker.log, ":stamp", stamp.replace(b"format=3", b"format=4"))
    with pytest.raises(NamespaceMismatch):
        await sealed.audit.seal(SESSION)
    await attacker.client.hset(attacker.log, ":stamp", stamp)


# By many


async def test_many_managers_seal_one_chain(
    make_manager: MakeManager, manager: SessionManager, session: str, client: Redis
) -> None:
    """While others append."""
    managers = [make_manager() for _ in range(5)]

    async def write(one: SessionManager) -> None:
        for number in range(40):
            await one.append(SESSION, NoteAdded(text=str(number)))
            if number % 4 == 0:
                await one.audit.seal(SESSION)

    await asyncio.gather(*map(write, managers))
    await manager.audit.seal(SESSION)
    seals = await seals_of(manager, client)
    assert [one.first for one in seals] == [1, *[one.version + 1 for one in seals[:-1]]]
    found = await manager.audit.verify(SESSION)
    assert (found.ok, found.sealed_to) == (True, 201)


async def test_many_processes_seal_one_chain(
    manager: SessionManager, session: str, namespace: str, server: object, client: Redis
) -> None:
    """Each a process of its own, that appends, seals and saves checkpoints."""
    words = [sys.executable, "-m", "tests.integrity.writer", server.unix_url, namespace, SESSION]  # type: ignore[attr-defined]
    processes = [await asyncio.create_subprocess_exec(*words) for _ in range(3)]
    assert [await one.wait() for one in processes] == [0, 0, 0]
    await manager.audit.seal(SESSION)
    found = await manager.audit.verify(SESSION)
    assert (found.ok, found.sealed_to, found.version) == (True, 181, 181)


async def test_verifying_beside_writers_finds_nothing(
    make_manager: MakeManager, manager: SessionManager, session: str
) -> None:
    """What is appended, saved and deleted meanwhile is no finding."""
    ended = asyncio.Event()

    async def write(one: SessionManager) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            await one.append(SESSION, NoteAdded(text="a"))
            await one.update_session_metadata(SESSION, {"number": number})
            identifier = await one.save_checkpoint(SESSION, {"number": number})
            await one.delete_checkpoint(SESSION, identifier)

    writing = [asyncio.create_task(write(make_manager())) for _ in range(3)]
    for _ in range(20):
        found = await manager.audit.verify(SESSION)
        assert found.findings == ()
    ended.set()
    await asyncio.gather(*writing)


# Never over what was altered


async def test_an_altered_last_event_is_not_sealed_over(sealed: SessionManager, attacker: Attacker) -> None:
    """The seal behind it would say that all was well."""
    await attacker.edit(12, lambda fields: {b"note.added": fields[b"note.added"].replace(b"last", b"best")})
    await sealed.append(SESSION, NoteAdded(text="more"))
    with pytest.raises(HistoryAltered) as refusal:
        await sealed.audit.seal(SESSION)
    assert refusal.value.offset == (await attacker.entries())[11][0].decode()


@pytest.mark.parametrize("version", [13, 14])
async def test_a_gap_behind_the_last_seal_is_not_sealed_over(
    sealed: SessionManager, attacker: Attacker, version: int
) -> None:
    """Nor an end that the log does not tell of."""
    await sealed.append(SESSION, [NoteAdded(text="more"), NoteAdded(text="and more")])
    await attacker.remove(version)
    with pytest.raises(HistoryAltered):
        await sealed.audit.seal(SESSION)


async def test_a_seal_that_is_not_as_it_was_made_is_not_built_on(sealed: SessionManager, attacker: Attacker) -> None:
    """Whoever put it there, it was not somebody with the key."""
    [kept] = await attacker.client.lrange(attacker.seals, 0, -1)
    await attacker.client.lset(attacker.seals, 0, kept.replace(b'"at":1', b'"at":2'))
    await sealed.append(SESSION, NoteAdded(text="more"))
    with pytest.raises(HistoryAltered):
        await sealed.audit.seal(SESSION)


async def test_an_altered_session_stops_no_others(sealed: SessionManager, attacker: Attacker) -> None:
    """When all are sealed, it is told of and passed over."""
    for session_id in (SESSION, NEIGHBOUR):
        await sealed.append(session_id, NoteAdded(text="more"))
    await attacker.remove(13)
    refused: list[str] = []
    done = [one async for one in sealed.audit.seal_all(refused=lambda error: refused.append(error.session_id))]
    assert refused == [SESSION]
    assert [(one.session_id, one.events) for one in done] == [(NEIGHBOUR, 1)]


# Keys


async def test_without_a_key_nothing_is_called_verified(make_manager: MakeManager, sealed: SessionManager) -> None:
    """Nor sealed; the error says how to make one."""
    manager = make_manager(seal_key=None)
    calls: list[Callable[[], object]] = [
        lambda: manager.audit.seal(SESSION),
        lambda: manager.audit.verify(SESSION),
        lambda: manager.audit.evidence(SESSION, "never"),
    ]
    for call in calls:
        with pytest.raises(SealKeyMissing, match="openssl rand -hex 32"):
            await call()  # type: ignore[misc]
    with pytest.raises(SealKeyMissing):
        manager.audit.verify_all()
    with pytest.raises(SealKeyMissing):
        manager.audit.seal_all()


async def test_another_key_is_told_as_that_and_not_as_tampering(
    make_manager: MakeManager, sealed: SessionManager
) -> None:
    """Who verifies lacks the key; who seals would build on what cannot be checked."""
    other = make_manager(seal_key=OTHER_KEY)
    found = await other.audit.verify(SESSION)
    assert found.ok
    assert found.sealed_to == 0
    assert {"events", "seals"} <= {one.name for one in found.unchecked}
    await other.append(SESSION, NoteAdded(text="more"))
    with pytest.raises(SealKeyUnknown, match="seal_keys_old"):
        await other.audit.seal(SESSION)


async def test_a_new_key_goes_on_where_the_old_one_ended(
    make_manager: MakeManager, sealed: SessionManager, attacker: Attacker
) -> None:
    """With the old one beside it all is verified, and who has only one of them is told what is not."""
    both = make_manager(seal_key=OTHER_KEY, seal_keys_old=KEY)
    await both.append(SESSION, NoteAdded(text="more"))
    await both.audit.seal(SESSION)
    found = await both.audit.verify(SESSION)
    assert (found.ok, found.sealed_to) == (True, 13)
    assert "events" not in [one.name for one in found.unchecked]
    new = make_manager(seal_key=OTHER_KEY)
    [why] = [one.why for one in (await new.audit.verify(SESSION)).unchecked if one.name == "events"]
    assert "versions" in why
    await attacker.edit(13, lambda fields: {b"note.added": b"A" * 22 + b'{"text":"-"}'})
    assert [one.version for one in (await new.audit.verify(SESSION)).findings] == [13]


@pytest.mark.parametrize("key", ["short", "x" * 31, f"{'x' * 32},short", "ä" * 32, "x" * 32 + "\n"])
def test_a_weak_key_is_refused_and_not_repeated(key: str) -> None:
    """Neither in the error nor anywhere else."""
    for name in ("seal_key", "seal_keys_old"):
        with pytest.raises(InvalidArgument, match=name) as refusal:
            SessionManager(url="redis://localhost", **{name: key})
        assert key not in str(refusal.value)


def test_a_key_is_never_printed() -> None:
    """Not by the settings, and not by the keys that are made of it."""
    from sessionstream.integrity.keyring import Keyring

    settings = Settings(seal_key=KEY, seal_keys_old=OTHER_KEY)  # type: ignore[arg-type]
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    shown += repr(Keyring.of(settings).present)
    assert KEY not in shown
    assert OTHER_KEY not in shown


def test_a_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every setting does."""
    monkeypatch.setenv("SESSIONSTREAM_SEAL_KEY", KEY)
    assert SessionManager(url="redis://localhost").settings.seal_key is not None


async def test_a_seal_is_readable_by_anybody(sealed: SessionManager, client: Redis) -> None:
    """A JSON object, with the names that the reference tells."""
    [kept] = await client.lrange(sealed.store.keys.seals(SESSION), 0, -1)
    assert set(msgspec.json.decode(kept)) == {
        *("seal", "previous", "offset", "first", "version", "at", "key", "digest", "tags", "bare"),
    }
