"""On a Cluster everything does what it does on one server, over one connection to each primary (G20)."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest
from redis.asyncio import Redis, RedisCluster

from sessionstream import NoteAdded, SessionManager
from sessionstream.bases import nearest
from sessionstream.errors import AuthenticationFailed, LockTimeout
from sessionstream.recipes.caching import CachedSessionManager
from sessionstream.wire.cluster.slots import slot_of
from tests.cluster.conftest import PARTITIONS, Open
from tests.clusters import Node, TestCluster
from tests.time_travel.conftest import settled


async def spread(manager: SessionManager, count: int = 30) -> list[str]:
    """Create sessions of one user, so many that every node has some."""
    made = await asyncio.gather(*(manager.create_session("user", "agent", {"n": n}) for n in range(count)))
    return [session.session_id for session in made]


def connections(node: Node) -> int:
    """Count a node's clients over TCP, without replicas, and without those that only ask which node has which slot."""
    lines = node.call("CLIENT", "LIST", "TYPE", "normal").decode().splitlines()
    return sum(f"laddr=127.0.0.1:{node.port}" in line and " cmd=cluster|slots " not in line for line in lines)


def heard(cluster: TestCluster, channel: str) -> int:
    """Count who listens to a sharded channel on the node that has its slot."""
    _, count = cluster.owner(slot_of(channel)).call("PUBSUB", "SHARDNUMSUB", channel)
    return int(count)


async def test_slots_are_those_of_the_server(cluster: TestCluster) -> None:
    """Of keys with a hash tag, without one, with an empty one, and of bytes."""
    for key in ("plain", "n:{12}:log", "n:{}:x", "a{b", "}{c}{d}", "ü{é}"):
        assert slot_of(key) == slot_of(key.encode()) == cluster.nodes[0].call("CLUSTER", "KEYSLOT", key)


@pytest.mark.parametrize("way", ["url", "cluster client", "client of a node"])
async def test_whatever_leads_to_a_node_leads_to_the_cluster(
    cluster: TestCluster, open_manager: Open, way: str
) -> None:
    """Every method that reads or writes sessions finds them, wherever they lie."""
    place = {"host": "127.0.0.1", "port": cluster.nodes[0].port}
    conn = {"url": None, "cluster client": RedisCluster(**place), "client of a node": Redis(**place)}[way]
    manager = open_manager(conn)
    ids = await spread(manager)
    for _ in range(2):
        await asyncio.gather(*(manager.append(one, NoteAdded(text="x")) for one in ids))
    await asyncio.gather(*(manager.save_checkpoint(one, {"state": one}, checkpoint_id="c") for one in ids))
    owners = {manager.store.server.node_of(manager.store.keys.head(one)) for one in ids}
    # More where a replica took over meanwhile, as it may on a machine that is busy.
    assert len(owners - {None}) >= 3
    assert {session.session_id for session in await manager.get_sessions_by_user("user")} == set(ids)
    assert {session.session_id for session in await manager.get_all_active_sessions()} == set(ids)
    assert await manager.get_total_session_count() == len(ids)
    for one in ids:
        assert [event.version async for event in manager.history(one)] == [1, 2, 3, 4]
        checkpoint = await manager.get_latest_checkpoint(one)
        assert checkpoint is not None
        assert checkpoint.data == {"state": one}
        async with manager.lock(one):
            await manager.update_session_metadata(one, {"locked": True})
    assert (await manager.rebuild()).sessions == len(ids)
    assert await manager.delete_session(ids[0])
    assert await manager.delete_user_sessions("user") == len(ids) - 1
    assert await manager.get_active_session_count() == 0
    await manager.cleanup_expired_sessions()


async def test_a_loop_has_one_connection_to_each_primary(cluster: TestCluster, open_manager: Open) -> None:
    """However much is under way, and none to a replica."""
    before = {node.port: connections(node) for node in cluster.nodes}
    manager = open_manager()
    ids = await spread(manager, 60)
    await asyncio.gather(*(manager.append(one, NoteAdded(text=str(n))) for one in ids for n in range(20)))
    await asyncio.gather(*(manager.get_session(one) for one in ids))
    added = {node.port: connections(node) - before[node.port] for node in cluster.nodes}
    primaries = {node.port for node in cluster.primaries()}
    assert added == {node.port: int(node.port in primaries) for node in cluster.nodes}


async def test_who_waits_for_a_lock_hears_of_its_release(cluster: TestCluster, open_manager: Open) -> None:
    """On the node that has the session, long before the lease would have run out."""
    holder, waiter = open_manager(), open_manager()
    ids = (await spread(holder))[:6]
    locks = [await holder.acquire_lock(one) for one in ids]
    assert all(lock is not None for lock in locks)
    waiting = [asyncio.create_task(waiter.acquire_lock(one, timeout=20)) for one in ids]
    channels = [holder.store.keys.unlocked(one) for one in ids]
    async with asyncio.timeout(10):
        while not all(await asyncio.to_thread(lambda: [heard(cluster, channel) for channel in channels])):
            await asyncio.sleep(0.01)
    began = time.monotonic()
    for one, lock in zip(ids, locks, strict=True):
        assert lock is not None
        assert await holder.release_lock(one, lock)
    assert all(await asyncio.gather(*waiting))
    assert time.monotonic() - began < 5


async def test_what_is_cached_on_one_server_is_asked_for_on_a_cluster(cluster: TestCluster, open_manager: Open) -> None:
    """A change by somebody else is seen at once."""
    other = open_manager()
    async with CachedSessionManager(url=cluster.url, namespace="cluster", partitions=PARTITIONS) as caching:
        for one in await spread(other, 6):
            assert await caching.get_session(one) is not None
            await other.update_session_metadata(one, {"changed": True})
            session = await caching.get_session(one)
            assert session is not None
            assert session.metadata["changed"] is True


@pytest.mark.parametrize("rules", ["+@all", "+@all -info"])
async def test_credentials_are_used_for_every_node(cluster: TestCluster, open_manager: Open, rules: str) -> None:
    """By a URL too, and also where the user may not ask whether the server is one of many."""
    for node in cluster.nodes:
        node.call("ACL", "SETUSER", "app", "reset", "on", ">secret", "~*", "&*", *rules.split())
    place = f"127.0.0.1:{cluster.nodes[0].port}"
    try:
        for conn in (
            RedisCluster.from_url(f"redis://app:secret@{place}"),
            Redis.from_url(f"redis://app:secret@{place}"),
        ):
            manager = open_manager(conn)
            ids = await spread(manager)
            assert {session.session_id for session in await manager.get_all_active_sessions()} >= set(ids)
            for node in cluster.primaries():
                assert " user=app " in node.call("CLIENT", "LIST").decode()
            await manager.aclose()
        wrong = open_manager(RedisCluster.from_url(f"redis://app:wrong@{place}"))
        with pytest.raises(AuthenticationFailed):
            await wrong.get_total_session_count()
    finally:
        for node in cluster.nodes:
            node.call("ACL", "DELUSER", "app")


async def test_several_loops_use_one_manager(cluster: TestCluster, open_manager: Open) -> None:
    """Each has connections of its own, which end with it, also where nobody closes them."""
    manager = open_manager()
    await spread(manager, 3)
    before = {node.port: connections(node) for node in cluster.primaries()}

    async def work() -> int:
        await spread(manager, 20)
        return sum(connections(node) - before[node.port] for node in cluster.primaries())

    assert await asyncio.to_thread(lambda: asyncio.run(work())) == 3
    assert await manager.get_total_session_count() == 23
    async with asyncio.timeout(5):
        while any(connections(node) > 1 for node in cluster.primaries()):
            await asyncio.sleep(0.01)


async def wait_in_vain(manager: SessionManager, session_id: str) -> None:
    """Wait for a lock that somebody else holds."""
    with pytest.raises(LockTimeout):
        await manager.acquire_lock(session_id, timeout=0.1)


async def test_a_manager_that_is_dropped_leaves_no_connection(cluster: TestCluster, open_manager: Open) -> None:
    """Although nobody closed it, and it has waited for a lock."""
    holder = open_manager()
    ids = await spread(holder)
    before = {node.port: connections(node) for node in cluster.nodes}
    manager = SessionManager(url=cluster.url, namespace="cluster", partitions=PARTITIONS)
    assert await manager.get_total_session_count() == len(ids)
    assert await holder.acquire_lock(ids[0])
    await asyncio.create_task(wait_in_vain(manager, ids[0]))
    assert {node.port: connections(node) for node in cluster.nodes} != before
    del manager
    gc.collect()
    async with asyncio.timeout(5):
        while {node.port: connections(node) for node in cluster.nodes} != before:
            await asyncio.sleep(0.01)


async def test_a_session_is_looked_back_into_and_forked(cluster: TestCluster, open_manager: Open) -> None:
    """Its bases lie in its slot; a fork may lie on another node than its origin."""
    manager = open_manager()
    origin, *_ = await spread(manager, 1)
    await manager.append(origin, [NoteAdded(text="x")] * 2_000)
    await settled(manager)
    assert await nearest(manager.store, origin) is not None
    assert (await manager.audit.as_of(origin, 1_500)).metadata == {"n": 0}
    made = await manager.add_messages(origin, {"role": "user", "content": "Hi"})
    assert (await manager.audit.diff(origin, 1_990, made.version)).messages_added == 1
    node_of = manager.store.server.node_of
    home = node_of(manager.store.keys.head(origin))
    # Which nodes have slots at all is left as the tests before have moved them: but for the origin's, at least one.
    names = [f"fork-{number}" for number in range(200)]
    elsewhere = next(name for name in names if node_of(manager.store.keys.head(name)) not in (home, None))
    beside = next(name for name in names if node_of(manager.store.keys.head(name)) == home)
    for name in (elsewhere, beside):
        fork = await manager.audit.fork(origin, at=made.version, new_session_id=name)
        assert len(await manager.messages(fork.session_id)) == 1
        assert len((await manager.resume(fork.session_id)).events) == made.version + 1
