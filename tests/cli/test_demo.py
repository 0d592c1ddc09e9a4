"""`demo`: it does what it says, on any server, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.cli.conftest import Cli, Process

CALLS = (
    "create_session(user_id, agent_id, metadata)",
    "add_messages(session_id, message)",
    "save_checkpoint(session_id, data, label=…)",
    "kill -9",
    "resume(session_id)",
    "history(session_id)",
    "audit.as_of(session_id, offset=…)",
)


async def keys(client: Redis) -> list[bytes]:
    """Return the names of all keys of the server."""
    return [key async for key in client.scan_iter(count=1000)]


@pytest.fixture
async def did(cli: Cli) -> list[dict[str, Any]]:
    """What the demonstration tells of itself."""
    result = await cli("demo", "--json")
    assert (result.code, result.err) == (0, "")
    return result.records


def of(did: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    """Return the steps of a kind."""
    return [one for one in did if one["did"] == what]


async def test_every_step_names_the_call_that_did_it(cli: Cli) -> None:
    """Seven steps, each in a panel."""
    text = (await cli("demo")).out
    assert [call for call in CALLS if call in text] == list(CALLS)
    assert all(f"─  {step}  " in text for step in range(1, 8))


async def test_it_leaves_no_key_behind(cli: Cli, client: Redis) -> None:
    """On a server that has nothing else, nothing is left."""
    assert (await cli("demo")).code == 0
    assert await keys(client) == []


async def test_other_keys_are_not_touched(cli: Cli, client: Redis, session: str) -> None:
    """Nor is the namespace that the variable names."""
    before = {key: await client.dump(key) for key in await keys(client)}
    assert (await cli("demo")).code == 0
    assert {key: await client.dump(key) for key in await keys(client)} == before


async def test_two_agents_have_sessions(did: list[dict[str, Any]]) -> None:
    """And speak by turns."""
    assert len({one["agent"] for one in of(did, "create")}) == 2
    assert len({one["session"] for one in of(did, "say")[:2]}) == 2


async def test_the_second_process_is_another_than_the_killed_one(did: list[dict[str, Any]]) -> None:
    """Nothing in memory can have helped."""
    (killed,), (resumed,) = of(did, "kill"), of(did, "resume")
    assert killed["process"] != resumed["process"]
    assert not Path(f"/proc/{killed['process']}").exists()
    assert os.getpid() not in (killed["process"], resumed["process"])


async def test_the_session_is_resumed_from_checkpoint_and_tail(did: list[dict[str, Any]]) -> None:
    """Together they are what was said before the process died."""
    (resumed,) = of(did, "resume")
    session = resumed["session"]
    said = [one for one in of(did[: did.index(resumed)], "say") if one["session"] == session]
    assert resumed["from_checkpoint"] + resumed["messages_since"] == len(said)
    assert resumed["from_checkpoint"] > 0
    assert resumed["messages_since"] > 0


async def test_the_history_has_all_of_it_without_a_gap(did: list[dict[str, Any]]) -> None:
    """What both processes did."""
    happened = of(did, "happen")
    assert [event["version"] for event in happened] == list(range(1, len(happened) + 1))
    session = happened[0]["session_id"]
    said = [one["message"] for one in of(did, "say") if one["session"] == session]
    assert [event["data"] for event in happened if event["type"] == "message.added"] == said


async def test_an_earlier_moment_differs_from_now(did: list[dict[str, Any]]) -> None:
    """State and metadata as they were when the checkpoint was saved."""
    (known,) = of(did, "as_of")
    assert (known["state"], known["metadata"]["stage"]) == ("active", "diagnosis")
    assert (of(did, "stage")[-1]["stage"], of(did, "idle")[0]["did"]) == ("closed", "idle")


async def test_it_takes_a_few_seconds(process: Process, tmp_path: Path, server: Any) -> None:
    """On the embedded server, from nothing, with the interpreter's start."""
    embedded = {"SESSIONSTREAM_FOLDER": str(tmp_path / "data"), "SESSIONSTREAM_EMBEDDED_GRACE": "0"}
    began = time.perf_counter()
    command = await process("demo", env={**embedded, "SESSIONSTREAM_URL": None})
    out, err = await command.communicate()
    assert (command.returncode, err) == (0, b"")
    assert b"the embedded server" in out
    assert time.perf_counter() - began < 15  # 2 s on a machine that has nothing else to do


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
async def test_an_interrupted_one_leaves_no_key_behind(process: Process, client: Redis, number: signal.Signals) -> None:
    """Neither key nor process."""
    command = await process("demo", "--json")
    assert command.stdout is not None
    first = json.loads(await command.stdout.readline())
    command.send_signal(number)
    await command.communicate()
    assert command.returncode == 130
    assert await keys(client) == []
    async with asyncio.timeout(10):
        while Path(f"/proc/{first['process']}").exists():
            await asyncio.sleep(0.01)
