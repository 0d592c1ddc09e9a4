"""The names of keys: no two ids share one, all of a session's lie in one Cluster slot, and each has an owner (G17)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.crc import key_slot

from sessionstream import NoteAdded, Projection, SessionManager
from sessionstream.errors import InvalidArgument
from sessionstream.log.keys import Keys
from sessionstream.projection import Add, Increment, Operation, Put, counters, index, ranking, view
from tests.keys import assert_no_ownerless_keys, owner_of

IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(
    ["a", "a:a", "{0}", "view:x:y:a", "head:a", "a}:head:a", "x:{0}:log", " ", "\n"]
)


def _of_session(keys: Keys, session_id: str) -> list[str]:
    return [
        keys.head(session_id),
        keys.events(session_id),
        keys.idempotency(session_id),
        keys.bodies(session_id),
        keys.unlocked(session_id),
        keys.place("mine", view("one"), session_id),
        keys.place("mine", ranking("one"), session_id),
    ]


@given(one=IDS, two=IDS, partitions=st.integers(1, 40))
def test_two_ids_never_share_a_key(one: str, two: str, partitions: int) -> None:
    """Whatever characters they hold, and of whatever kind the keys are."""
    keys = Keys("ns", partitions)
    all_keys = [*_of_session(keys, one), keys.user(one)]
    assert len(set(all_keys)) == len(all_keys)
    if one != two:
        assert set(all_keys).isdisjoint([*_of_session(keys, two), keys.user(two)])


@given(identifier=IDS, partitions=st.integers(1, 4096))
def test_the_keys_of_a_session_share_a_slot_with_its_partition(identifier: str, partitions: int) -> None:
    """So one script can write them all on a Cluster, too."""
    keys = Keys("ns", partitions)
    partition = keys.partition(identifier)
    shared = [keys.log(partition), keys.feed(partition), keys.registry(partition)]
    shared += [keys.place("mine", index("all", identifier), identifier)]
    assert len({key_slot(key.encode()) for key in (*_of_session(keys, identifier), *shared)}) == 1
    assert 0 <= partition < partitions


@given(identifier=IDS)
def test_the_owner_of_a_key_is_found_again(identifier: str) -> None:
    """Its registry and its session; a partition's and a user's keys have none."""
    keys = Keys("ns", 7)
    registry = keys.registry(keys.partition(identifier)).encode()
    for key in _of_session(keys, identifier):
        if key != keys.unlocked(identifier):  # a channel is no key
            assert owner_of(key.encode()) == (registry, identifier.encode())
    for key in (keys.user(identifier), keys.log(3), keys.feed(3), keys.registry(3)):
        assert owner_of(key.encode()) is None


@pytest.mark.parametrize(
    "key", [b"ns:head:a", b"ns:{1}:heads:a", b"ns:{1}:head:", b"ns:{1}:logs", b"ns:{x}:log", b"ns"]
)
def test_a_key_of_no_known_kind_has_no_owner(key: bytes) -> None:
    """Nor one that lies in no partition."""
    with pytest.raises(ValueError, match="no"):
        owner_of(key)


@pytest.mark.parametrize("partitions", [0, -1, 4097, 1.0, True, "16"])
def test_partitions_are_1_to_4096(partitions: int) -> None:
    """They are fixed for good when a namespace is made."""
    with pytest.raises(InvalidArgument, match="partitions"):
        Keys("ns", partitions)


async def test_sessions_are_spread_over_the_partitions(manager: SessionManager) -> None:
    """Generated ids fill them evenly."""
    keys = manager.store.keys
    counts = [0] * keys.partitions
    for _ in range(64):
        counts[keys.partition((await manager.create_session("user_1", "assistant")).session_id)] += 1
    assert sum(count > 0 for count in counts) > keys.partitions // 2


async def test_every_kind_of_key_is_known_to_the_check(reach: dict[str, Any], client: Redis, namespace: str) -> None:
    """A session with all there is leaves no key without an owner, alive, ended and removed."""
    own = Projection("mine")

    @own.on(NoteAdded)
    def noted(session_id: str, event: NoteAdded) -> list[Operation]:
        return [
            Put(view("texts"), {"last": event.text}),
            Add(ranking("longest"), len(event.text), event.text),
            Add(index("noted", event.text), 1),
            Increment(counters("all"), "notes", 1),
        ]

    for name in ("s", "a:b", "{1}", "\n", "view:mine:x:y"):
        async with SessionManager(**reach, namespace=namespace, projections=[own]) as all_of_it:
            await all_of_it.create_session(f"user:{name}", f"agent:{name}", session_id=name, idempotency_key="k")
            await all_of_it.append(name, NoteAdded(text="x"), idempotency_key="k2")
            await all_of_it.save_checkpoint(name, {"turn": 1})
            await assert_no_ownerless_keys(client, namespace)
            await all_of_it.delete_session(name)
            await assert_no_ownerless_keys(client, namespace)
            await all_of_it.delete_session(name, purge=True)
            await assert_no_ownerless_keys(client, namespace)
    left = [key async for key in client.scan_iter(match=f"{namespace}:*")]
    assert left
    assert all(owner_of(key) is None for key in left), "a removed session left a key"


@pytest.mark.parametrize("kind", ["head", "events", "idempotency", "bodies", "view:mine:texts", "ranking:mine:longest"])
async def test_a_key_without_its_session_is_named(
    manager: SessionManager, client: Redis, namespace: str, kind: str
) -> None:
    """The check fails the test that leaves one."""
    await manager.create_session("user_1", "assistant", session_id="kept")
    key = f"{namespace}:{{{manager.store.keys.partition('gone')}}}:{kind}:gone"
    await client.set(key, "left behind")
    with pytest.raises(pytest.fail.Exception, match=kind):
        await assert_no_ownerless_keys(client, namespace)
    await client.delete(key)
    await assert_no_ownerless_keys(client, namespace)
