"""G39: nobody who reads Redis or its files finds what was said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.transfer import export_events
from tests.encryption.conftest import ANOTHER, MASTER, SESSION
from tests.encryption.everything import TEXT, found_in_files, found_in_redis, noted, say_everything
from tests.servers import Server

MakeServer = Callable[..., Server]


async def test_what_is_said_is_found_nowhere(make_server: MakeServer, tmp_path: Path) -> None:
    """Not in any key, as it is given or as it is stored, nor in the server's files, the archive, exports, evidence."""
    server, keys, files = make_server(appendonly=True), tmp_path / "keys", tmp_path / "files"
    settings: dict[str, Any] = {"encryption_key": MASTER, "key_store": keys, "seal_key": ANOTHER}
    async with (
        SessionManager(url=server.unix_url, projections=[noted], archive=files, **settings) as manager,
        Redis.from_url(server.url) as client,
    ):
        await say_everything(manager, SESSION)
        await manager.append(SESSION, [NoteAdded(text=f"{TEXT} {number}") for number in range(2_500)])
        await manager.rebuild()
        await manager.audit.fork(SESSION, at=9, new_session_id="forked")
        await manager.audit.seal(SESSION)
        files.mkdir()
        await manager.audit.evidence(SESSION, files / "evidence.jsonl")
        await _export(manager, files / "events.jsonl")
        await manager.retention.archive(SESSION, files)
        await manager.retention.release(SESSION, "held")
        await manager.retention.trim(SESSION, files, keep_events=10)
        assert await found_in_redis(client) == []
        await manager.delete_session(SESSION)
        await manager.cleanup_expired_sessions()
        assert await found_in_redis(client) == []
        await client.bgrewriteaof()
        await client.save()
    assert found_in_files(server.folder) == []
    assert found_in_files(tmp_path) == []
    assert list(files.rglob("*.jsonl*"))


async def test_in_plain_text_it_would_be_found(client: Redis, open_manager: Callable[..., SessionManager]) -> None:
    """The search itself works: without encryption each of the places has it."""
    manager = open_manager(projections=[noted], partitions=1)
    await say_everything(manager, SESSION)
    kinds = {key.split("}:")[1].split(":")[0] for key in await found_in_redis(client)}
    assert kinds >= {"head", "events", "bodies", "view", "deltas", "parked"}
    assert TEXT in str(await manager.messages(SESSION))


async def _export(manager: SessionManager, path: Path) -> None:
    path.write_bytes(b"".join([line async for line in export_events(manager.store)]))
