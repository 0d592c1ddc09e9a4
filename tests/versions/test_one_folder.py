"""Both versions on one embedded server: whoever comes first starts it, and it serves the other one too. G43."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessionstream import NoteAdded, SessionManager
from tests.embedded.stage import Stage
from tests.versions.history import Process


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder, for whose server nothing runs afterwards."""
    runtime = tempfile.mkdtemp(prefix="ss-", dir="/tmp")  # pytest's own folders have paths too long for a socket
    monkeypatch.setenv("SESSIONSTREAM_RUNTIME_DIR", runtime)
    monkeypatch.setenv("SESSIONSTREAM_EMBEDDED_GRACE", "0.1")
    stage = Stage(Path(runtime) / "store")
    yield stage.folder
    assert not stage.clear()
    shutil.rmtree(runtime)


@pytest.mark.skipif(os.environ.get("SESSIONSTREAM_TEST_SERVER") == "redis", reason="the embedded server is a Valkey")
@pytest.mark.parametrize("first", ["old", "new"])
async def test_one_embedded_server_serves_both(previous: Path, folder: Path, first: str) -> None:
    """It stays while either of them uses it."""
    async with contextlib.AsyncExitStack() as stack:
        old = Process(previous, folder=str(folder)) if first == "old" else None
        if old is not None:
            await asyncio.to_thread(old.do, "create", "s1")
        manager = await stack.enter_async_context(SessionManager.open(folder=folder))
        if old is None:
            await manager.create_session("user_1", "assistant", session_id="s1")
            old = Process(previous, folder=str(folder))
        await asyncio.to_thread(old.do, "append", "s1", "old")
        await manager.append("s1", NoteAdded(text="new"))
        old.end()
        assert (await manager.append("s1", NoteAdded(text="alone"))).version == 4
