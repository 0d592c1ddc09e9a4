"""A durability is checked against the server's own settings, and a server that gives less is refused, never in silence.

G36.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sessionstream import Appended, NoteAdded, SessionManager
from sessionstream.errors import DurabilityUnavailable, InvalidArgument, InvalidType
from tests.durability.conftest import Open, ask
from tests.servers import Server

MakeServer = Callable[..., Server]

MEMORY, PROCESS, FSYNC = {"appendonly": False}, {"appendfsync": "everysec"}, {"appendfsync": "always"}
SOMETIMES = {**FSYNC, "no_appendfsync_on_rewrite": "yes"}


async def append(manager: SessionManager, **options: Any) -> Appended:
    """Append a note to a session, which is made if it is not there."""
    if not await manager.session_exists("s"):
        await manager.create_session("user", "agent", session_id="s")
    return await manager.append("s", NoteAdded(text="x"), **options)


@pytest.mark.parametrize(
    ("settings", "wanted", "reached"),
    [
        (MEMORY, None, "memory"),
        (PROCESS, None, "process"),
        (MEMORY, "memory", "memory"),
        (PROCESS, "process", "process"),
        (FSYNC, "process", "fsync"),
        (SOMETIMES, "process", "process"),
        (FSYNC, "fsync", "fsync"),
    ],
)
async def test_an_append_says_what_keeps_it(
    make_server: MakeServer, open_manager: Open, settings: dict[str, Any], wanted: str | None, reached: str
) -> None:
    """What the server gives, which may be more than was asked for; also alone, in a batch, and made a second time."""
    manager = open_manager(make_server(**settings).unix_url, durability=wanted)
    assert (await append(manager)).durability == reached
    assert (await append(manager, idempotency_key="k")).durability == reached
    again = await append(manager, idempotency_key="k")
    assert (again.duplicate, again.durability) == (True, reached)


@pytest.mark.parametrize(
    ("settings", "wanted", "found"),
    [
        (MEMORY, "process", "memory"),
        (MEMORY, "fsync", "memory"),
        (PROCESS, "fsync", "process"),
        (SOMETIMES, "fsync", "process"),
    ],
)
async def test_a_server_that_gives_less_is_refused_before_anything_is_written(
    make_server: MakeServer, open_manager: Open, settings: dict[str, Any], wanted: str, found: str
) -> None:
    """At once, since waiting does not change it; the error says what was wanted, what was found, and what to do."""
    server = make_server(**settings)
    manager = open_manager(server.unix_url, durability=wanted)
    with pytest.raises(DurabilityUnavailable, match="appendonly") as caught:
        await manager.create_session("user", "agent")
    assert (caught.value.wanted, caught.value.found) == (wanted, found)
    assert await ask(server, "DBSIZE") == 0


async def test_it_is_checked_again_after_every_reconnection(make_server: MakeServer, open_manager: Open) -> None:
    """A server that comes back with other settings is refused, and taken again when they are mended."""
    server = make_server(**FSYNC)
    manager = open_manager(server.url, durability="fsync")
    await append(manager)
    server.settings["appendfsync"] = "everysec"
    server.restart()
    with pytest.raises(DurabilityUnavailable):
        await append(manager)
    await ask(server, "CONFIG", "SET", "appendfsync", "always")
    assert (await append(manager)).durability == "fsync"


async def test_a_setting_that_is_changed_meanwhile_is_noticed(make_server: MakeServer, open_manager: Open) -> None:
    """Within about a second of use: then nothing more is written, and what had been acknowledged is there."""
    server = make_server(**FSYNC)
    manager = open_manager(server.unix_url, durability="fsync")
    await append(manager)
    await ask(server, "CONFIG", "SET", "appendfsync", "everysec")
    last = 0
    with pytest.raises(DurabilityUnavailable):
        async with asyncio.timeout(10):
            while True:
                last = (await append(manager)).version
                await asyncio.sleep(0.02)
    await ask(server, "CONFIG", "SET", "appendfsync", "always")
    assert (await append(manager)).version == last + 1


async def test_a_file_that_is_not_complete_yet_keeps_nothing(make_server: MakeServer, open_manager: Open) -> None:
    """It was switched on just now, and until it is written a crash would lose all of it: that is waited for."""
    server = make_server(**MEMORY, appendfsync="always", rdb_key_save_delay=500)
    await append(open_manager(server.unix_url))
    await ask(server, "CONFIG", "SET", "rdb-key-save-delay", 80_000)
    await ask(server, "CONFIG", "SET", "appendonly", "yes")
    with pytest.raises(DurabilityUnavailable, match="not complete yet") as caught:
        await append(open_manager(server.unix_url, durability="fsync", deadline=0.2))
    assert (caught.value.found, caught.value.passing) == ("memory", True)
    assert (await append(open_manager(server.unix_url, durability="fsync"))).durability == "fsync"
    assert (await ask(server, "INFO", "persistence"))["aof_rewrite_in_progress"] == 0


async def test_what_a_server_does_not_tell_needs_the_caller_s_word(make_server: MakeServer, open_manager: Open) -> None:
    """As on a managed service without CONFIG; what rests on that word says so."""
    server = make_server(**FSYNC)
    await ask(server, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config")
    url = server.url.replace("redis://", "redis://app:secret@")
    assert (await append(open_manager(url, durability="process"))).durability == "process"
    with pytest.raises(DurabilityUnavailable, match="allow_unchecked_durability") as caught:
        await append(open_manager(url, durability="fsync"))
    assert caught.value.found is None
    trusting = open_manager(url, durability="fsync", allow_unchecked_durability=True)
    assert (await append(trusting)).durability == "fsync (unchecked)"


async def test_the_caller_s_word_does_not_count_against_the_server_s(
    make_server: MakeServer, open_manager: Open
) -> None:
    """A server that tells that it gives less is refused all the same."""
    manager = open_manager(make_server(**PROCESS).unix_url, durability="fsync", allow_unchecked_durability=True)
    with pytest.raises(DurabilityUnavailable):
        await append(manager)


async def test_where_nothing_was_asked_for_nothing_is_claimed(make_server: MakeServer, open_manager: Open) -> None:
    """A server that does not tell is taken as it is, and is asked for INFO alone."""
    server = make_server(**PROCESS)
    await ask(server, "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-config", "-info")
    url = server.url.replace("redis://", "redis://app:secret@")
    assert (await append(open_manager(url))).durability is None
    refused = await ask(server, "ACL", "LOG")
    assert {entry[b"object"] for entry in refused} == {b"info"}


@pytest.mark.parametrize("durability", ["disk", "replicated", "replicated(0)", "replicated(-1)", "fsync "])
async def test_a_durability_that_there_is_not_is_refused(open_manager: Open, durability: str) -> None:
    """When the manager is made."""
    with pytest.raises(InvalidArgument, match="a durability is memory, process, fsync"):
        open_manager("redis://127.0.0.1:1", durability=durability)


async def test_the_environment_gives_the_durability(
    make_server: MakeServer, open_manager: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no argument does."""
    monkeypatch.setenv("SESSIONSTREAM_DURABILITY", "fsync")
    url = make_server(**PROCESS).unix_url
    with pytest.raises(DurabilityUnavailable):
        await append(open_manager(url))
    assert (await append(open_manager(url, durability="process"))).durability == "process"


@pytest.mark.parametrize("durability", ["fsync", "process", "memory"])
async def test_an_append_cannot_choose_what_is_the_server_s(
    make_server: MakeServer, open_manager: Open, durability: str
) -> None:
    """Only how many replicas are waited for; anything else is refused before it is sent."""
    manager = open_manager(make_server().unix_url)
    with pytest.raises(InvalidArgument, match=r"replicated\(n\)"):
        await append(manager, durability=durability)
    with pytest.raises(InvalidType):
        await append(manager, durability=2)
