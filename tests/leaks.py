"""A test that leaves a task, a connection or a file descriptor behind fails by itself.

What a test has closed may take a moment to be gone: that is waited for, and only by who has left something.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import importlib.util
import inspect
import os
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from tests.servers import _reaper

__all__ = ["assert_no_connections"]

PATIENCE = 5.0
_POLL = 0.005
_FOLDER = "/proc/self/fd"


# With the first loop of libuv a process opens a pipe, which stays; the command line runs on it.
if importlib.util.find_spec("uvloop") is not None:
    importlib.import_module("uvloop").new_event_loop().close()


async def assert_no_connections(*clients: Redis) -> None:
    """Fail the test unless the clients' own connections are the only ones to their server."""
    mine, deadline = {await client.client_id() for client in clients}, time.monotonic() + PATIENCE
    client = clients[0]
    while left := [one for one in await client.client_list() if int(one["id"]) not in mine and "S" not in one["flags"]]:
        if time.monotonic() > deadline:
            told = [f"{one['addr'] or one['laddr']} {one['lib-name']} last sent {one['cmd']}" for one in left]
            pytest.fail(f"{len(left)} connections to the server were left open:\n" + "\n".join(told[:20]))
        await asyncio.sleep(_POLL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have every test that is a coroutine look at its tasks when all else of it is over."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            # What is of a whole package or run comes before both, and outlives the test.
            item.fixturenames.insert(item.fixturenames.index("_no_descriptor_is_left") + 1, "_no_task_is_left")


@pytest.fixture
async def _no_task_is_left(_no_descriptor_is_left: None) -> AsyncIterator[None]:
    # Descriptors are counted in front of the loop's beginning and behind its end, which closes what is about to close.
    yield
    mine, deadline = asyncio.current_task(), time.monotonic() + PATIENCE
    while left := [task for task in asyncio.all_tasks() if task is not mine]:
        if time.monotonic() > deadline:
            told = [f"{task.get_name()}: {task.get_coro()}" for task in left]
            pytest.fail(f"{len(left)} tasks were left running:\n" + "\n".join(told[:20]))
        await asyncio.sleep(_POLL)


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> Iterator[None]:
    _reaper()  # made for a process's first server, it holds a pipe
    before = _descriptors()
    yield
    deadline = time.monotonic() + PATIENCE
    while len(left := _descriptors()) > len(before):
        if time.monotonic() > deadline:
            told = [f"{number}: {what}" for number, what in sorted(left.items()) if before.get(number) != what]
            pytest.fail(f"{len(left) - len(before)} file descriptors were left open, among these:\n" + "\n".join(told))
        gc.collect()
        time.sleep(_POLL)


def _descriptors() -> dict[str, str]:
    """Return what each open file descriptor leads to; nothing elsewhere than on Linux, where nobody tells."""
    found: dict[str, str] = {}
    for number in os.listdir(_FOLDER) if os.path.isdir(_FOLDER) else ():
        with contextlib.suppress(OSError):  # that by which the folder was read is among them
            found[number] = os.readlink(f"{_FOLDER}/{number}")
    return found
