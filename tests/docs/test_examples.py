"""The examples of the documents run, exactly as written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.conftest import Run
from tests.docs.pages import blocks, page, section
from tests.servers import Server
from tests.topologies import topology

# A plain client would be sent on by a node that has not the key.
CLIENT = "RedisCluster" if topology() == "cluster" else "Redis"

# The blocks of a page are one story: each goes on with the names of those before it.
STORY = """
import ast, asyncio, json, sys
import redis.asyncio
from sessionstream import SessionManager

async def main(client, url, namespace, blocks):
    client = getattr(redis.asyncio, client)
    async with client.from_url(url) as conn, SessionManager(conn, namespace=namespace) as manager:
        session = await manager.create_session("user_123", "chatbot")
        names = {"manager": manager, "conn": conn, "session_id": session.session_id, "__name__": "example"}
        for number, block in enumerate(blocks, 1):
            code = compile(block, f"block {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            if (waiting := eval(code, names)) is not None:
                await waiting

asyncio.run(main(*json.load(sys.stdin)))
"""


def test_the_readme_s_example_prints_what_it_says(run: Run, embedded: dict[str, str], tmp_path: Path) -> None:
    """Saved to a file and run by itself, on the embedded server, it prints what stands below it."""
    [example] = blocks(section(page("README.md"), "Example"), "python")
    [printed] = blocks(section(page("README.md"), "Example"), "")
    (tmp_path / "example.py").write_text(example, encoding="utf-8")
    assert run("example.py", **embedded) == printed


def test_the_readme_s_example_is_short() -> None:
    """Twenty lines are read at one glance."""
    [example] = blocks(section(page("README.md"), "Example"), "python")
    assert len(example.splitlines()) <= 20


# What the README's pieces take for given: a session that has been talked in, and is over.
_TALK = """
await manager.add_messages(session_id, {"role": "user", "content": "Weather in Oslo?"})
await manager.update_session_metadata(session_id, {"tone": "dry"})
await manager.delete_session(session_id)
"""


@pytest.mark.parametrize("name", ["Follow", "Consume", "Audit"])
def test_the_readme_s_pieces_run_and_are_short(run: Run, server: Server, namespace: str, name: str) -> None:
    """Ten lines each, on a session that is over."""
    [piece] = blocks(section(page("README.md"), name), "python")
    assert len(piece.splitlines()) <= 10
    story = json.dumps([CLIENT, server.url, namespace, [_TALK, piece]])
    assert run("-c", STORY, text=story, SESSIONSTREAM_SEAL_KEY="0123456789abcdef" * 4)


@pytest.mark.parametrize("name", ["docs/api.md", "docs/durability.md", "docs/encryption.md"])
def test_the_blocks_of_a_page_run(
    run: Run, server: Server, namespace: str, make_namespace: Callable[..., str], name: str
) -> None:
    """One after the other, on a session of a fresh namespace, without an error or a warning."""
    for other in ("shop", "private"):
        make_namespace(other)
    run("-c", STORY, text=json.dumps([CLIENT, server.url, namespace, blocks(page(name), "python")]))
