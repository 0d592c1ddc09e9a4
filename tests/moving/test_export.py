"""A store goes from one server to another by export and import: sessions as they were, and nothing else. G30."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import CursorMismatch, GroupNotFound, UnknownPosition
from tests.embedded.stage import Stage
from tests.moving.worlds import GROUP, KEY, commanded, content, fill, handle
from tests.servers import Server

Open = Callable[..., SessionManager]
VALKEY = os.environ.get("SESSIONSTREAM_TEST_SERVER", "valkey") == "valkey"


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder of an embedded server, which has ended afterwards."""
    runtime = tempfile.mkdtemp(prefix="ss-", dir="/tmp")  # pytest's own folders have paths too long for a socket
    monkeypatch.setenv("SESSIONSTREAM_RUNTIME_DIR", runtime)
    monkeypatch.setenv("SESSIONSTREAM_EMBEDDED_GRACE", "0.1")
    stage = Stage(Path(runtime) / "store")
    yield stage.folder
    assert not stage.clear()
    shutil.rmtree(runtime)


@pytest.fixture
def moved(open_manager: Open, make_namespace: Callable[..., str], tmp_path: Path) -> Open:
    """Fill one namespace, and bring it to another one, with other partitions: ``await moved(partitions=64)``."""

    async def move(**settings: int) -> tuple[SessionManager, SessionManager]:
        one = open_manager(seal_key=KEY)
        await fill(one)
        other = open_manager(seal_key=KEY, namespace=make_namespace(), **settings)
        path, url = tmp_path / "all.jsonl.gz", str(one.settings.url)
        source = ["--url", url, "-n", one.settings.namespace]
        await commanded("export", *source, "--all", "--as", "events", "-o", str(path))
        target = ["--url", url, "-n", other.settings.namespace, "--partitions", str(other.settings.partitions)]
        await commanded("import", *target, str(path))
        return one, other

    return move


@pytest.mark.skipif(not VALKEY, reason="the embedded server is a Valkey")
async def test_from_the_embedded_server_to_one_with_an_address(
    folder: Path, server: Server, open_manager: Open, namespace: str, tmp_path: Path
) -> None:
    """By the two commands of docs/deploying.md; offsets, times, ids, checkpoints, views and the past are the same."""
    path = str(tmp_path / "all.jsonl.gz")
    async with SessionManager.open(folder=folder, namespace=namespace) as embedded:
        await fill(embedded)
        before = await content(embedded)
        await commanded("export", "--folder", str(folder), "-n", namespace, "--all", "--as", "events", "-o", path)
    await commanded("import", "--url", server.url, "-n", namespace, path)
    manager = open_manager()
    assert await content(manager) == before
    assert (await manager.append("u1", NoteAdded(text="on"))).version == before["u1"]["session"].version + 1


async def test_to_a_namespace_of_more_partitions(moved: Open) -> None:
    """As a Cluster wants it; nothing that can be read of the sessions tells of partitions."""
    one, other = await moved(partitions=64)
    assert await content(other) == await content(one)


async def test_what_stays_behind_is_what_the_page_says(moved: Open) -> None:
    """Idempotency keys, seals, groups and their positions, cursors; all of them can begin anew."""
    one, other = await moved()
    assert not (await other.append("u1", NoteAdded(text="once"), idempotency_key="k")).duplicate
    verified = await other.audit.verify("u2")
    assert (verified.ok, verified.covered_to) == (True, 0)
    with pytest.raises(GroupNotFound):
        await other.consumers.status(GROUP)
    async with one.follow_all(after="now") as events:
        cursor = str(events.cursor)
    with pytest.raises((CursorMismatch, UnknownPosition)):
        async with other.follow_all(after=cursor) as events:
            await anext(aiter(events))
    await handle(other, 24)
    async with other.lock("u6") as lock:
        assert lock.token == 1
