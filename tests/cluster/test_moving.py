"""A store goes from one server to a Cluster by export and import, sessions as they were. G30."""

from __future__ import annotations

from pathlib import Path

from sessionstream import NoteAdded, SessionManager
from tests.cluster.conftest import Open
from tests.clusters import TestCluster
from tests.moving.worlds import commanded, content, fill, handle
from tests.servers import Server


async def test_from_one_server_to_a_cluster(
    server: Server, namespace: str, cluster: TestCluster, open_manager: Open, tmp_path: Path
) -> None:
    """By the commands of docs/deploying.md, into 64 partitions: offsets, times, ids, checkpoints, views, the past."""
    path = str(tmp_path / "all.jsonl.gz")
    async with SessionManager(url=server.unix_url, namespace=namespace) as manager:
        await fill(manager)
        before = await content(manager)
    await commanded("export", "--url", server.url, "-n", namespace, "--all", "--as", "events", "-o", path)
    await commanded("import", "--url", cluster.url, "-n", namespace, "--partitions", "64", path)
    manager = open_manager(namespace=namespace, partitions=64)
    assert await content(manager) == before
    assert (await manager.append("u1", NoteAdded(text="on"))).version == before["u1"]["session"].version + 1
    await handle(manager, 24)
