"""Without a client and a URL it is the embedded server; what is kept there outlives it (G22)."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionstream import SessionManager
from tests.embedded.stage import Stage

pytestmark = pytest.mark.guarantee


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    """A folder for an embedded server, which stops soon after its last user; afterwards nothing runs for it."""
    runtime = tempfile.mkdtemp(prefix="ss-", dir="/tmp")  # pytest's own folders have paths too long for a socket
    monkeypatch.setenv("SESSIONSTREAM_RUNTIME_DIR", runtime)
    monkeypatch.setenv("SESSIONSTREAM_EMBEDDED_GRACE", "0.1")
    stage = Stage(tmp_path / "store")
    yield stage
    assert stage.clear() == []
    shutil.rmtree(runtime)


async def test_without_a_url_the_server_is_the_embedded_one(stage: Stage) -> None:
    """It starts with the first call, stops when it is needed no longer, and has everything when it starts again."""
    async with SessionManager.open(folder=stage.folder, ttl=3600) as manager:
        assert stage.servers() == []
        session = await manager.create_session("user_1", "agent_1", {"a": 1})
        await manager.save_checkpoint(session.session_id, {"turn": 1})
        assert len(stage.servers()) == 1
    await asyncio.to_thread(stage.end)
    async with SessionManager(folder=stage.folder) as manager:
        found = await manager.get_session(session.session_id)
        assert found is not None
        assert (found.metadata, found.version) == ({"a": 1}, 2)
        checkpoint = await manager.get_latest_checkpoint(session.session_id)
        assert checkpoint is not None
        assert checkpoint.data == {"turn": 1}


async def test_managers_of_one_folder_share_one_server(stage: Stage) -> None:
    """What one writes, the other reads; the server stays until both have gone."""
    async with SessionManager.open(folder=stage.folder) as one:
        async with SessionManager.open(folder=stage.folder) as other:
            session = await one.create_session("user_1", "agent_1")
            assert await other.get_session(session.session_id) == session
        assert len(stage.servers()) == 1
        assert await one.session_exists(session.session_id)
