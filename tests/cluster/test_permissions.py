"""The rules of each role are enough on a Cluster too (G38)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import NoteAdded, SessionManager
from sessionstream.errors import AuthenticationFailed
from sessionstream.permissions import ROLES, acl_rules
from sessionstream.projection import Increment, counters
from tests.cluster.conftest import Open
from tests.clusters import TestCluster
from tests.permissions.parts import read_all, story


@pytest.fixture
def open_as(cluster: TestCluster, open_manager: Open) -> Iterator[Open]:
    """Open a manager as a user with the rules of a role, whom every node knows."""
    address = cluster.url.partition("://")[2]
    for node in cluster.nodes:
        node.call("ACL", "LOG", "RESET")
        for role in ROLES:
            node.call("ACL", "SETUSER", role, *acl_rules(role, "cluster"), "on", f">{role}")

    def make(role: str, **settings: Any) -> SessionManager:
        return open_manager(Redis.from_url(f"redis://{role}:{role}@{address}"), **settings)

    yield make
    for node in cluster.nodes:
        node.call("ACL", "DELUSER", *ROLES)


async def test_every_role_does_its_part(cluster: TestCluster, open_as: Open, tmp_path: Path) -> None:
    """On all nodes, and none of them refuses anything that the role may."""
    seal = {"seal_key": "k" * 32}
    runtime = open_as("runtime", **seal)
    sids = [await story(runtime) for _ in range(3)]
    await runtime.audit.seal(sids[0])
    async with runtime.lock(sids[1]):
        await runtime.append(sids[1], NoteAdded(text="x"))
    await runtime.rebuild(sids[2])
    auditor = open_as("auditor", **seal)
    await read_all(auditor, sids[0], tmp_path)
    consumer = open_as("consumer")
    seen = counters("seen")

    async def handle(item: Any) -> None:
        item.apply(Increment(seen, "events", 1))

    async with consumer.consumers.join("group", handle), asyncio.timeout(30):
        while (await consumer.consumers.status("group")).lag:
            await asyncio.sleep(0.01)
    assert (await consumer.consumers.view("group").counters(seen))["events"] == 28
    refused = [entry for node in cluster.nodes for entry in node.call("ACL", "LOG")]
    assert refused == []
    for reader in (auditor, consumer):
        with pytest.raises(AuthenticationFailed):
            await reader.append(sids[0], NoteAdded(text="x"))
