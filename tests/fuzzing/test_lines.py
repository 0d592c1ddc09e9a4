"""Lines of an import: whatever they hold, they go in or are told, and what went in reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import given
from redis.asyncio import Redis

from sessionstream import SessionManager
from sessionstream.errors import SessionStreamError
from sessionstream.transfer import export_events, import_events, import_messages
from tests.fuzzing.damage import WORDS
from tests.fuzzing.junk import BYTES, JSON, TEXTS
from tests.fuzzing.readers import READERS, fill
from tests.lengths import examples
from tests.servers import Server

_KEYS = ["session_id", "offset", "version", "type", "schema_version", "id", "data", "meta", "entry", "body", "last"]
_RECORDS = st.dictionaries(st.sampled_from([*_KEYS, "messages", "user_id", "agent_id", "role", "content"]), JSON)
_MESSAGES = st.fixed_dictionaries(
    {"messages": st.lists(_RECORDS | JSON, max_size=3) | JSON}, optional={"user_id": JSON}
)
LINES = st.lists(st.one_of(BYTES, (_RECORDS | _MESSAGES | JSON).map(lambda one: json.dumps(one).encode())), max_size=5)


@st.composite
def changes(draw: st.DrawFn) -> tuple[int, dict[str, Any]]:
    """A line of an export, counted, and what is put into it."""
    words = draw(WORDS)
    kind, _, version = words[0].decode(errors="replace").partition("@")
    entry = {
        "type": kind,
        "schema_version": int(version) if version.isdigit() else 1,
        "data": words[1][22:].decode(errors="replace"),
    }
    other = draw(st.dictionaries(st.sampled_from(_KEYS), JSON | TEXTS, max_size=1))
    return draw(st.integers(0, 30)), draw(st.sampled_from([entry, entry, other, {**entry, **other}]))


@given(LINES)
@examples(40)
async def test_lines_that_are_no_sessions_are_told(server: Server, namespace: str, client: Redis, lines: Any) -> None:
    """G41: by their numbers, as conversations and as events of an export."""
    async with SessionManager(url=server.unix_url, namespace=namespace, partitions=1) as manager:
        done = await import_messages(manager.store, lines)
        assert all(1 <= failure.line <= len(lines) for failure in done.failures)
        restored = await import_events(manager.store, lines)
        assert all(1 <= failure.line <= len(lines) for failure in restored.failures)
    await client.flushall()


@given(changes())
@examples(20)
async def test_what_went_in_of_a_changed_export_reads(
    server: Server, namespace: str, client: Redis, tmp_path: Path, change: tuple[int, dict[str, Any]]
) -> None:
    """G41, G30: a line that says something else is refused, or its session is read by everything as it was restored."""
    async with SessionManager(url=server.unix_url, namespace=namespace, partitions=1, seal_key="k" * 32) as manager:
        await fill(manager, tmp_path / "archive")
        lines = [line async for line in export_events(manager.store, ["s", "f"])]
        await client.flushall()
    number, put = change
    changed = [json.loads(line) for line in lines]
    changed[number % len(lines)] |= put
    async with SessionManager(url=server.unix_url, namespace=namespace, partitions=1, seal_key="k" * 32) as manager:
        await import_events(manager.store, [json.dumps(one) for one in changed])
        for name, read in READERS.items():
            try:
                await read(manager, tmp_path)
            except SessionStreamError:
                continue
            except BaseException as error:
                error.add_note(f"by {name}")
                raise
    await client.flushall()
