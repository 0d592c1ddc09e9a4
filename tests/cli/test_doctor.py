"""`doctor`: what it finds on servers of all kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sessionstream import SessionManager
from sessionstream.cli.diagnosis.durability import durability_of
from sessionstream.cli.diagnosis.finding import Level
from sessionstream.log.stamp import FORMAT
from tests.cli.conftest import Cli, Result
from tests.servers import Server
from tests.topologies import topology

MakeServer = Callable[..., Server]


def found(result: Result, name: str) -> Any:
    """Return the finding of a name."""
    (one,) = [finding for finding in result.record["findings"] if finding["name"] == name]
    return one


async def on(cli: Cli, server: Server, *words: str) -> Result:
    """Run doctor on a server."""
    return await cli("doctor", "--url", server.url, "--json", *words)


async def test_a_server_in_order_needs_no_attention(cli: Cli, session: str) -> None:
    """Exit code 0; kind, version, mode and namespace are named."""
    result = await cli("doctor", "--json")
    assert (result.code, result.record["attention"]) == (0, 0)
    assert found(result, "kind")["value"].split()[0] in ("Valkey", "Redis")
    assert ("cluster" if topology() == "cluster" else "standalone") in found(result, "kind")["value"]
    assert found(result, "made with")["value"].startswith(f"format={FORMAT} partitions=16 ")
    assert found(result, "sessions")["value"].startswith("1: 1 active")
    assert found(result, "feed")["value"].startswith("4 entries")


async def test_a_namespace_that_is_not_made_is_no_mistake(cli: Cli) -> None:
    """It is said, and nothing is made."""
    result = await cli("doctor", "--json")
    assert (result.code, found(result, "made")["level"]) == (0, "note")


async def test_what_is_not_durable_is_said(cli: Cli, session: str) -> None:
    """Of events, this server, locks, ended sessions and the feed."""
    findings = (await cli("doctor", "--json")).record["findings"]
    names = [one["name"] for one in findings if one["topic"] == "not durable"]
    assert names == ["events", "this server", "locks", "an ended session", "the feed"]


@pytest.mark.parametrize(
    ("settings", "word", "code"),
    [
        ({"appendfsync": "always"}, "fsync", 0),
        ({"appendfsync": "everysec"}, "process", 0),
        ({"appendfsync": "no"}, "process", 0),
        ({"appendfsync": "always", "no_appendfsync_on_rewrite": "yes"}, "process", 0),
        ({"appendonly": False, "save": ("3600", "1")}, "memory", 1),
        ({"appendonly": False}, "memory", 1),
    ],
)
async def test_persistence_is_told_in_plain_words(
    cli: Cli, make_server: MakeServer, settings: dict[str, Any], word: str, code: int
) -> None:
    """And needs attention where a crash of the server loses events."""
    result = await on(cli, make_server(**settings))
    assert (found(result, "durability")["value"].partition(":")[0], result.code) == (word, code)


@pytest.mark.parametrize(
    ("told", "word", "level"),
    [
        ((None, None, None), "unknown", Level.UNCHECKED),
        (("yes", None, None), "process", Level.UNCHECKED),
        (("no", None, None), "memory", Level.ATTENTION),
    ],
)
def test_what_a_server_does_not_tell_is_not_made_up(told: Any, word: str, level: Level) -> None:
    """As on a managed service, where CONFIG is refused."""
    durability = durability_of(*told)
    assert (durability.word, durability.level) == (word, level)


async def test_a_server_that_refuses_to_tell_is_asked_no_further(cli: Cli, make_server: MakeServer) -> None:
    """What could not be checked is counted, and is no reason for exit code 1."""
    server = make_server()
    async with SessionManager.open(server.url, namespace="n") as manager:
        await manager.store.server.call(
            "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config", "-memory", "-info"
        )
        await manager.create_session("u", "a", session_id="s")
        await manager.delete_session("s")
    url = server.url.replace("redis://", "redis://app:secret@")
    result = await cli("doctor", "--url", url, "-n", "n", "--json")
    assert result.code == 0
    assert found(result, "durability")["value"].startswith("unknown")
    assert found(result, "held by ended sessions")["level"] == "unchecked"
    assert "secret" not in result.out


async def test_a_policy_that_drops_keys_needs_attention(cli: Cli, make_server: MakeServer) -> None:
    """Here it is named; every other command refuses such a server."""
    server = make_server(maxmemory_policy="allkeys-lru")
    result = await on(cli, server)
    assert (result.code, found(result, "eviction")["level"]) == (1, "attention")
    assert (await cli("sessions", "--url", server.url)).code == 3


async def test_a_policy_that_drops_other_keys_is_fine(cli: Cli, make_server: MakeServer) -> None:
    """No key of a store has a time to live."""
    result = await on(cli, make_server(maxmemory_policy="volatile-lru"))
    assert (result.code, found(result, "eviction")["level"]) == (0, "fine")


async def test_a_full_server_needs_attention(cli: Cli, make_server: MakeServer) -> None:
    """Before it refuses to take more."""
    server = make_server()
    async with SessionManager.open(server.url) as manager:
        info = (await manager.store.server.call("INFO", "memory")).decode()
        used = next(line for line in info.splitlines() if line.startswith("used_memory:")).partition(":")[2]
        await manager.store.server.call("CONFIG", "SET", "maxmemory", int(int(used) * 1.05))
    result = await on(cli, server)
    assert (result.code, found(result, "used")["level"]) == (1, "attention")


async def test_a_replica_needs_attention(cli: Cli, server: Server, make_server: MakeServer) -> None:
    """It takes no writes."""
    result = await on(cli, make_server(replicaof=("127.0.0.1", server.port)))
    assert (result.code, found(result, "role")["value"]) == (1, "replica")


async def test_offsets_ahead_of_the_clock_need_attention(cli: Cli, session: str, manager: SessionManager) -> None:
    """A clock that has gone back pins new offsets to the time before."""
    keys = manager.store.keys
    ahead = await manager.store.now_ms() + 3_600_000
    await manager.store.server.call("HSET", keys.log(0), ":feed", f"{ahead}-1")
    result = await cli("doctor", "--json")
    assert result.code == 1
    assert found(result, "offsets")["value"].startswith("1 h")


async def test_a_namespace_of_other_projections_needs_attention(
    cli: Cli, session: str, manager: SessionManager
) -> None:
    """This process could not write to it."""
    keys = manager.store.keys
    stamp = manager.store.stamp + ",talk:1"
    for partition in range(16):
        if await manager.store.server.call("HGET", keys.log(partition), ":stamp"):
            await manager.store.server.call("HSET", keys.log(partition), ":stamp", stamp)
    result = await cli("doctor", "--json")
    assert (result.code, found(result, "made with")["value"]) == (1, stamp)


async def test_what_waits_for_a_cleanup_is_named(cli: Cli, manager: SessionManager) -> None:
    """Expired without an end, and past the retention."""
    session = await manager.create_session("u", "a", session_id="lapsed", ttl=0.001)
    await manager.create_session("u", "a", session_id="deleted")
    await manager.delete_session("deleted")
    assert session.expires_at is not None
    while await manager.store.now_ms() <= session.expires_at.timestamp() * 1000:
        await asyncio.sleep(0)
    result = await cli("doctor", "--json", SESSIONSTREAM_RETENTION="0")
    assert found(result, "expired, no end appended yet")["value"] == "1 session"
    assert found(result, "past their retention")["value"] == "1 session"
    assert found(result, "held by ended sessions")["value"].endswith("in 1 session")


async def test_people_read_marks_and_a_verdict(cli: Cli, make_server: MakeServer) -> None:
    """One line a finding, and the number of those that need attention in the end."""
    result = await cli("doctor", "--url", make_server(appendonly=False).url)
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[-1] == "1 thing needs attention"
    assert any(line.startswith("  ! settings") and "set appendonly to yes" in line for line in lines)


async def test_the_embedded_server_is_in_order(cli: Cli, tmp_path: Any) -> None:
    """Its settings are ours to choose."""
    embedded = {"SESSIONSTREAM_URL": None, "SESSIONSTREAM_FOLDER": str(tmp_path), "SESSIONSTREAM_EMBEDDED_GRACE": "0"}
    result = await cli("doctor", "--json", **embedded)
    assert (result.code, found(result, "address")["value"]) == (0, f"embedded, its data in {tmp_path}")


@pytest.mark.parametrize(
    ("wanted", "level", "code"),
    [("memory", "fine", 0), ("process", "fine", 0), ("fsync", "attention", 1), ("replicated(1)", "attention", 1)],
)
async def test_a_durability_that_is_wanted_is_compared(
    cli: Cli, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch, wanted: str, level: str, code: int
) -> None:
    """Here a server that does not give it is named; every other command refuses it."""
    monkeypatch.setenv("SESSIONSTREAM_DURABILITY", wanted)
    result = await on(cli, make_server(appendfsync="everysec"))
    assert (found(result, "wanted")["value"], found(result, "wanted")["level"]) == (wanted, level)
    assert result.code == code


async def test_a_durability_that_a_server_does_not_tell_of_is_unchecked(
    cli: Cli, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither fine nor a reason for exit code 1."""
    server = make_server()
    async with SessionManager.open(server.url) as manager:
        words = ("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config", "-info")
        await manager.store.server.call(*words)
    monkeypatch.setenv("SESSIONSTREAM_DURABILITY", "fsync")
    result = await cli("doctor", "--url", server.url.replace("redis://", "redis://app:secret@"), "--json")
    assert (found(result, "wanted")["level"], result.code) == ("unchecked", 0)
