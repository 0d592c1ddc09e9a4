"""The example of a projection into SQLite runs, and its view holds each event once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import SessionManager, UsageRecorded
from sessionstream.errors import FeedTrimmed
from tests.consumers.conftest import QUICK
from tests.consumers.joining import caught_up
from tests.servers import Server
from tests.sessions.waiting import until

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "sqlite_projection.py"


@pytest.fixture
def example() -> Iterator[ModuleType]:
    """The example, as a module."""
    spec = importlib.util.spec_from_file_location("sqlite_projection", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("sqlite_projection", None)


@pytest.fixture
def view(example: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """Its view, in a file of the test's own."""
    view = example.TokensByModel(str(tmp_path / "tokens.db"))
    yield view
    view.database.close()


async def _use(manager: SessionManager, session_id: str, *tokens: int) -> None:
    for count in tokens:
        await manager.append(session_id, UsageRecorded(model="small", input_tokens=count, output_tokens=1))


async def test_the_example_keeps_its_view_up(
    manager: SessionManager, session_id: str, example: ModuleType, view: Any
) -> None:
    """Point 4: a user's projection into SQLite, as an example that runs."""
    task = asyncio.create_task(example.keep_up(manager, view))
    await _use(manager, session_id, 10, 20)
    await until(lambda: view.rows() == [("agent_1", "small", 32)])
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert await until(lambda: example.caught_up(manager))


async def test_repeats_change_nothing(manager: SessionManager, session_id: str, view: Any) -> None:
    """G29: a handler that fails behind its transaction, and a group that is set back, count nothing twice."""
    failures = iter([True, False] * 50)

    async def handle(item: Any) -> None:
        view.apply(item)
        if next(failures):
            raise ValueError("after the transaction")

    await _use(manager, session_id, 10, 20)
    async with manager.consumers.join("g", handle, **QUICK):
        await caught_up(manager)
        await manager.consumers.reset("g", "beginning")
        await until(lambda: view.rows() == [("agent_1", "small", 32)])
        await caught_up(manager)
        await _use(manager, session_id, 5)
        await caught_up(manager)
    assert view.rows() == [("agent_1", "small", 38)]


async def test_a_transaction_that_fails_leaves_neither_view_nor_position(
    manager: SessionManager, session_id: str, view: Any
) -> None:
    """Both change, or none does; the next attempt does both."""
    real, fails = view.database, iter([True] + [False] * 50)

    class Failing:
        """A connection whose view cannot be written once."""

        def __enter__(self) -> None:
            real.__enter__()

        def __exit__(self, *error: Any) -> Any:
            return real.__exit__(*error)

        def execute(self, words: str, *given: Any) -> Any:
            if words.startswith("INSERT INTO tokens") and next(fails):
                raise sqlite3.OperationalError("disk full")
            return real.execute(words, *given)

    view.database = Failing()

    async def handle(item: Any) -> None:
        view.apply(item)

    await _use(manager, session_id, 10)
    async with manager.consumers.join("g", handle, **QUICK):
        await caught_up(manager)
    view.database = real
    assert view.rows() == [("agent_1", "small", 11)]


async def test_the_example_ends_with_what_ends_its_consumer(
    manager: SessionManager,
    session_id: str,
    example: ModuleType,
    server: Server,
    client: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not wait for a view that nobody keeps up: here the feed was trimmed since it last ran."""
    async with manager.consumers.join("tokens-by-model"):
        pass
    await _use(manager, session_id, 10, 20)
    await client.xtrim(manager.store.keys.feed(manager.store.keys.partition(session_id)), maxlen=1, approximate=False)
    monkeypatch.setenv("SESSIONSTREAM_URL", server.url)
    monkeypatch.setenv("SESSIONSTREAM_NAMESPACE", manager.store.keys.namespace)
    monkeypatch.setenv("SESSIONSTREAM_PARTITIONS", str(manager.store.keys.partitions))
    async with asyncio.timeout(10):
        with pytest.raises(FeedTrimmed):
            await example.main(str(tmp_path / "tokens.db"))
