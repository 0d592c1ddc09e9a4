"""G40: a process that is killed in the middle of an erasure leaves nothing that another call does not complete."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager
from tests.conftest import ROOT
from tests.erasure.conftest import KEY, PLAIN, USER, MakeManager, talk
from tests.erasure.searching import found_in_files, found_in_redis
from tests.servers import Server

DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from sessionstream import SessionManager
from sessionstream.erasure import archives, erasing, session

url, namespace, key, folder, where, after = sys.argv[1:]
places = {"stage": (session, "_stage"), "exchange": (session, "_exchange"), "seal": (session, "seal_quietly"),
          "files": (archives, "_rewrite"), "failures": (erasing, "forget_failures")}
module, name = places[where]
calls, whole = 0, getattr(module, name)

async def dying(*args, **named):
    global calls
    calls += 1
    if calls > int(after):
        os.kill(os.getpid(), signal.SIGKILL)
    return await whole(*args, **named)

setattr(module, name, dying)

async def main():
    settings = {"namespace": namespace, "partitions": 4, "seal_key": key, "archive": Path(folder)}
    async with SessionManager(url=url, **settings) as manager:
        await manager.erase_user("alice-of-wonderland")

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("where", "after"),
    [("stage", 2), ("exchange", 0), ("exchange", 3), ("seal", 5), ("files", 0), ("files", 2), ("failures", 0)],
)
async def test_an_erasure_that_was_killed_is_completed_by_another(
    server: Server, client: Redis, namespace: str, make_manager: MakeManager, folder: Path, where: str, after: int
) -> None:
    """Before and behind each of its steps; in the end nothing is left, each session is erased once, and verifies."""
    manager = make_manager(seal_key=KEY, archive=folder)
    ids = [f"sess_{number}" for number in range(4)]
    for session_id in ids:
        await manager.create_session(USER, "agent_1", {"said": PLAIN}, session_id=session_id)
        await talk(manager, 3, session_id)
        await manager.save_checkpoint(session_id, {"said": PLAIN})
        await manager.retention.archive(session_id, folder)
    fork = await manager.audit.fork(ids[0], at=3, user_id="bob")
    await manager.retention.trim(ids[1], folder, keep_events=2)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DYING, server.unix_url, namespace, KEY, str(folder), where, str(after), cwd=ROOT
    )
    assert await process.wait() == -signal.SIGKILL
    await manager.erase_user(USER)
    assert await found_in_redis(client, PLAIN, USER) == []
    assert found_in_files(folder, PLAIN, USER) == []
    await _assert_erased_once(manager, [*ids, fork.session_id])
    async for key in client.scan_iter(match="*restoring*"):
        assert await client.pttl(key) > 0, "what was staged runs out by itself"
        await client.delete(key)


async def _assert_erased_once(manager: SessionManager, ids: list[str]) -> None:
    for session_id in ids:
        trimmed = 4 if session_id == "sess_1" else 0
        kinds = [event.type async for event in manager.history(session_id, from_version=trimmed + 1)]
        assert kinds.count("session.erased") == 1
        assert set(kinds) == {"event.erased", "session.erased"}
        found = await manager.audit.verify(session_id)
        assert found.ok, found.findings
        assert not found.unproven
