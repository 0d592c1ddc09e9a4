"""Arguments: whatever is given to a method, it is done, or refused by an error of the tree and nothing is written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from redis.asyncio import Redis

from sessionstream import MessageAdded, SessionManager
from sessionstream.errors import InvalidArgument, SessionStreamError
from tests.fuzzing.calls import CALLS, call
from tests.fuzzing.junk import JUNK
from tests.lengths import examples
from tests.servers import Server

KEY = "0123456789abcdef0123456789abcdef"
pytestmark = pytest.mark.not_on("cluster", reason="the state of a whole server is compared")

SECONDS = 20.0


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A method, with one or two of its arguments replaced by anything."""
    name = draw(st.sampled_from(sorted(CALLS)))
    replaced = draw(st.lists(st.sampled_from(sorted(CALLS[name])), min_size=1, max_size=2, unique=True))
    return name, {argument: draw(JUNK) for argument in replaced}


@pytest.fixture
async def store(server: Server, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionManager:
    """A manager whose relative paths lead into the test's folder."""
    monkeypatch.chdir(tmp_path)
    return SessionManager(url=server.unix_url, namespace=namespace, seal_key=KEY, partitions=2)


async def filled(manager: SessionManager, client: Redis) -> None:
    """Make the session and the group that the calls speak of, in an empty store."""
    await client.flushall()
    await manager.create_session("u", "a", session_id="s")
    await manager.append("s", MessageAdded(role="user", content="x"))
    await manager.save_checkpoint("s", {}, checkpoint_id="c")
    async with manager.consumers.join("g", member="first"):
        pass


@given(calls())
@examples(60)
async def test_a_call_is_done_or_refused_by_an_error_of_the_tree(
    store: SessionManager, client: Redis, made: tuple[str, dict[str, Any]]
) -> None:
    """G41, G5: one or two arguments are anything at all; where they are refused, nothing was written."""
    name, junk = made
    async with SessionManager(
        url=store.settings.url, namespace=store.settings.namespace, seal_key=KEY, partitions=2
    ) as manager:
        await filled(manager, client)
        before = await client.execute_command("DEBUG", "DIGEST")
        try:
            async with asyncio.timeout(SECONDS):
                await call(manager, name, {**CALLS[name], **junk})
        except InvalidArgument:
            assert await client.execute_command("DEBUG", "DIGEST") == before
        except SessionStreamError:
            return
