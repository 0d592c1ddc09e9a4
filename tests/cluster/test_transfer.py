"""G30 on a Cluster: sessions leave it and come back to it, wherever their keys lie."""

from __future__ import annotations

import asyncio

from sessionstream import NoteAdded
from sessionstream.transfer import export_events, import_events
from tests.cluster.conftest import Open


async def test_sessions_are_restored_on_whichever_node_they_belong(open_manager: Open) -> None:
    """All keys of a session's last step are of one slot."""
    one, other = open_manager(), open_manager(namespace="copy", partitions=7)
    ids = [f"s{number}" for number in range(20)]
    for name in ids:
        await one.create_session("user", "agent", {"name": name}, session_id=name)
        await one.append(name, [NoteAdded(text="x") for _ in range(300)])
    await asyncio.gather(*(one.save_checkpoint(name, {"of": name}, checkpoint_id="c") for name in ids))
    lines = [line async for line in export_events(one.store)]
    done = await import_events(other.store, lines)
    assert (done.failures, done.created, done.checkpoints) == ([], 20, 20)
    assert [line async for line in export_events(other.store)] == lines
    assert {session.session_id for session in await other.get_sessions_by_user("user")} == set(ids)
    assert (await other.append("s3", NoteAdded(text="on"), expected_version=302)).version == 303
