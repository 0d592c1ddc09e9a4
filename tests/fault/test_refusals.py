"""A server that is away or refuses: a clear error of the tree, and nothing written, until it is well again.

G5, G19.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import Appended, NoteAdded, OutcomeUnknown, SessionManager, SessionStreamError, Unavailable
from sessionstream.errors import (
    AuthenticationFailed,
    ServerLoading,
    ServerOutOfMemory,
    ServerReadOnly,
    UnsafeEviction,
)
from tests.fault.conftest import Open, in_a_hurry
from tests.fault.ledger import Ledger
from tests.servers import Server

SHORT = {"deadline": 0.3, "reply_timeout": 0.1}  # for managers that are never answered


async def _session(manager: SessionManager) -> Ledger:
    return Ledger((await manager.create_session("user_1", "assistant", session_id="s")).session_id)


async def _set(url: str, **settings: object) -> None:
    async with Redis.from_url(url) as client:
        for name, value in settings.items():
            await client.config_set(name.replace("_", "-"), value)


async def _dump(url: str) -> dict[bytes, bytes]:
    async with Redis.from_url(url) as client:
        return {key: await client.dump(key) async for key in client.scan_iter()}


def _writes(manager: SessionManager) -> list[Callable[[], Awaitable[Any]]]:
    """Every kind of write there is."""
    return [
        lambda: manager.create_session("user_2", "assistant"),
        lambda: manager.add_messages("s", {"role": "user", "content": "Hi"}),
        lambda: manager.update_session_metadata("s", {"a": 1}),
        lambda: manager.set_session_state("s", "idle"),
        lambda: manager.save_checkpoint("s", {"turn": 1}),
        lambda: manager.delete_session("s"),
    ]


async def _until(error: type[SessionStreamError], call: Callable[[], Awaitable[Any]]) -> None:
    """Call until this very error is raised: on a busy machine a short deadline may pass before the server says why."""
    while True:
        try:
            await call()
        except (Unavailable, OutcomeUnknown) as refusal:
            if type(refusal) is error:
                return
        else:
            pytest.fail(f"the call succeeded before it raised {error.__name__}")


async def _all_refused(manager: SessionManager, url: str, error: type[SessionStreamError]) -> None:
    """Every write raises this error, and not a key changes."""
    before = await _dump(url)
    for write in _writes(manager):
        await _until(error, write)
    assert await _dump(url) == before


async def test_a_server_that_is_away_is_unavailable(open_manager: Open, real: Server) -> None:
    """Reads and writes say so after the deadline, and go on when it is there again."""
    manager = open_manager(real.unix_url)
    ledger = await _session(manager)
    await ledger.append(manager, "before")
    real.stop()
    while manager.store.server.open_lane() is not None:
        await asyncio.sleep(0)
    began = time.monotonic()
    with in_a_hurry(manager):
        refused = await ledger.append(manager, "while it is away")
        assert type(refused) is Unavailable
        with pytest.raises(Unavailable, match="cannot be reached"):
            await manager.get_session("s")
    assert time.monotonic() - began < 5
    real.start()
    await ledger.append(manager, "after")
    assert await ledger.balance(manager) == ["before", "after"]
    await ledger.balance_keys(real.url, "faults")


async def test_a_server_that_never_was_is_unavailable(open_manager: Open, tmp_path: Any) -> None:
    """Whatever kind of address it has."""
    for url in (f"unix://{tmp_path}/nobody", "redis://127.0.0.1:1", "redis://no-such-host.invalid:6379"):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await open_manager(url, **SHORT).create_session("user_1", "assistant")


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:secret@", "default:wrong@"])
async def test_a_refused_password_is_said_at_once(
    make_server: Callable[..., Server], open_manager: Open, credentials: str
) -> None:
    """Waiting does not mend it; the error is a PermissionError too, and does not repeat the password."""
    guarded = make_server(requirepass="secret")
    manager = open_manager(f"unix://{credentials}{guarded.socket}")
    began = time.monotonic()
    with pytest.raises(AuthenticationFailed) as caught:
        await manager.create_session("user_1", "assistant")
    with pytest.raises(PermissionError):
        await manager.get_session("s")
    assert time.monotonic() - began < 5
    assert "wrong" not in str(caught.value).replace("WRONGPASS", "")
    assert await _dump(guarded.unix_url) == {}


async def test_the_right_password_is_let_in(make_server: Callable[..., Server], open_manager: Open) -> None:
    """In a URL."""
    manager = open_manager(make_server(requirepass="secret").unix_url)
    ledger = await _session(manager)
    assert isinstance(await ledger.append(manager, "in"), Appended)


async def test_a_replica_is_read_only(make_server: Callable[..., Server], open_manager: Open, real: Server) -> None:
    """It can be read, writes are refused with the reason, and the primary still takes them."""
    primary = open_manager(real.unix_url)
    ledger = await _session(primary)
    await ledger.append(primary, "at the primary")
    await _set(real.url, repl_diskless_sync_delay=0)
    replica = make_server(replicaof=("127.0.0.1", real.port))
    async with Redis.from_url(replica.url) as client:
        while (await client.info("replication"))["master_link_status"] != "up" or not await client.dbsize():
            await asyncio.sleep(0.005)
    manager = open_manager(replica.unix_url)
    assert await ledger.balance(manager) == ["at the primary"]
    await _all_refused(manager, replica.url, ServerReadOnly)
    assert isinstance(await ledger.append(manager, "at the replica"), ServerReadOnly)
    await ledger.append(primary, "at the primary again")
    assert await ledger.balance(primary) == ["at the primary", "at the primary again"]


async def test_a_server_that_lacks_replicas_is_read_only(open_manager: Open, real: Server) -> None:
    """Until it has as many as it asks for."""
    manager = open_manager(real.unix_url)
    ledger = await _session(manager)
    await _set(real.url, min_replicas_to_write=1)
    with in_a_hurry(manager, 0.1):
        await _all_refused(manager, real.url, ServerReadOnly)
        await ledger.append(manager, "refused")
    await _set(real.url, min_replicas_to_write=0)
    await ledger.append(manager, "taken")
    assert await ledger.balance(manager) == ["taken"]


async def test_a_server_that_cannot_save_is_read_only(make_server: Callable[..., Server], open_manager: Open) -> None:
    """It says so itself, since it would lose what it took."""
    real = make_server(save="3600 1000000")
    manager = open_manager(real.unix_url)
    ledger = await _session(manager)
    obstacle = real.folder / "dump.rdb"
    obstacle.mkdir()
    async with Redis.from_url(real.url) as client:
        await client.bgsave()
        while (await client.info("persistence"))["rdb_last_bgsave_status"] != "err":
            await asyncio.sleep(0.005)
        await _all_refused(manager, real.url, ServerReadOnly)
        obstacle.rmdir()
        await client.save()
    await ledger.append(manager, "saved")
    assert await ledger.balance(manager) == ["saved"]


async def test_a_server_out_of_memory_takes_no_writes(open_manager: Open, real: Server) -> None:
    """The error is a MemoryError too; what it has can be read, and nothing was written by halves."""
    manager = open_manager(real.unix_url)
    ledger = await _session(manager)
    await ledger.append(manager, "before")
    await _set(real.url, maxmemory=1, maxmemory_policy="noeviction")
    await _all_refused(manager, real.url, ServerOutOfMemory)
    refused = await ledger.append(manager, "too much")
    assert isinstance(refused, ServerOutOfMemory)
    assert isinstance(refused, MemoryError)
    assert "maxmemory" in str(refused)
    assert await ledger.balance(manager) == ["before"]
    await _set(real.url, maxmemory=0)
    await ledger.append(manager, "after")
    assert await ledger.balance(manager) == ["before", "after"]


async def test_a_server_that_runs_full_keeps_what_it_acknowledged(
    make_server: Callable[..., Server], open_manager: Open
) -> None:
    """Somewhere in the middle of many appends at once."""
    real = make_server(maxmemory="8mb", maxmemory_policy="noeviction")
    manager = open_manager(real.unix_url)
    ledger = await _session(manager)
    for start in range(0, 2_000, 50):
        texts = [f"{number} " + "x" * 5_000 for number in range(start, start + 50)]
        await asyncio.gather(*(ledger.append(manager, text) for text in texts))
        if ledger.errors:
            break
    assert {type(error) for error in ledger.errors.values()} == {ServerOutOfMemory}
    assert len(await ledger.balance(manager)) == len(ledger.acknowledged)


async def test_a_server_that_is_still_loading_is_waited_for(open_manager: Open, real: Server) -> None:
    """Until the deadline; then the error says what it is busy with."""
    manager = open_manager(real.unix_url)
    ledger = await _session(manager)
    await ledger.append(manager, "before")
    async with Redis.from_url(real.url, db=5) as client:
        await client.eval("for i = 1, 150000 do redis.call('SET', 'filler', i) end", 0)  # type: ignore[misc]
    real.stop()
    # A sleep at every eighth command of the append-only file: it takes a second, and answers meanwhile.
    real.settings["key_load_delay"] = -8
    real.start(wait=False)
    hasty = open_manager(real.unix_url, **SHORT)
    await _until(ServerLoading, lambda: hasty.get_session("s"))
    await _until(ServerLoading, lambda: hasty.create_session("user_1", "assistant"))
    await _until(ServerLoading, lambda: hasty.append("s", NoteAdded(text="too early")))
    assert isinstance(await ledger.append(manager, "patient"), Appended)
    texts = await ledger.balance(manager)
    assert (texts[0], texts[-1]) == ("before", "patient")


async def test_a_server_busy_with_a_script_is_waited_for(open_manager: Open, real: Server) -> None:
    """Somebody else's endless script is ended by somebody else."""
    manager = open_manager(real.unix_url)
    ledger = await _session(manager)
    hasty = open_manager(real.unix_url)
    await hasty.get_session("s")
    await _set(real.url, busy_reply_threshold=1)
    async with Redis.from_url(real.url) as client, Redis.from_url(real.url) as endless:
        running = asyncio.create_task(endless.eval("while true do end", 0))  # type: ignore[arg-type]
        while "BUSY" not in str((await asyncio.gather(client.get("x"), return_exceptions=True))[0]):
            await asyncio.sleep(0)
        with in_a_hurry(hasty):
            await _until(Unavailable, lambda: hasty.append("s", NoteAdded(text="too early")))
        waiting = asyncio.create_task(ledger.append(manager, "patient"))
        await asyncio.sleep(0)
        await client.script_kill()
        with pytest.raises(Exception, match="killed"):
            await running
    assert isinstance(await waiting, Appended)
    assert (await ledger.balance(manager))[-1] == "patient"


@pytest.mark.guarantee
@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
async def test_a_server_that_would_drop_keys_is_refused(
    make_server: Callable[..., Server], open_manager: Open, policy: str
) -> None:
    """At once and by name, unless that is allowed by name."""
    careless = make_server(maxmemory="100mb", maxmemory_policy=policy)
    with pytest.raises(UnsafeEviction, match=policy) as caught:
        await open_manager(careless.unix_url).create_session("user_1", "assistant")
    assert caught.value.policy == policy
    with pytest.raises(UnsafeEviction):
        await open_manager(careless.unix_url).get_session("s")
    assert await _dump(careless.url) == {}
    allowed = open_manager(careless.unix_url, allow_eviction=True)
    ledger = await _session(allowed)
    assert isinstance(await ledger.append(allowed, "at one's own risk"), Appended)


async def test_a_policy_that_drops_only_keys_with_a_time_to_live_is_fine(
    make_server: Callable[..., Server], open_manager: Open
) -> None:
    """No key of the store has one."""
    manager = open_manager(make_server(maxmemory="100mb", maxmemory_policy="volatile-lru").unix_url)
    ledger = await _session(manager)
    assert isinstance(await ledger.append(manager, "x"), Appended)


async def test_replicas_that_are_missing_for_a_moment_are_waited_for(open_manager: Open, real: Server) -> None:
    """An append succeeds, once, as soon as the server takes writes again."""
    manager = open_manager(real.unix_url)
    ledger = await _session(manager)
    await _set(real.url, min_replicas_to_write=1)
    appending = asyncio.create_task(ledger.append(manager, "patient"))
    done, _ = await asyncio.wait([appending], timeout=0.2)
    assert not done
    await _set(real.url, min_replicas_to_write=0)
    assert isinstance(await appending, Appended)
    assert await ledger.balance(manager) == ["patient"]
